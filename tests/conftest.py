"""What all tests share: Hypothesis tries the same examples each time, so that a red run is red for everybody."""

from hypothesis import settings

settings.register_profile("everybody", derandomize=True, deadline=None)
settings.load_profile("everybody")
