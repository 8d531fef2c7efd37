"""Time zones by the names that people type."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.subscriptions.zones import unclear_zone, zone_info, zones_called


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("america/new york", "America/New_York"),
        ("Lord_Howe", "Australia/Lord_Howe"),
        ("utc", "UTC"),
        ("Asia/Calcutta", "Asia/Calcutta"),
    ],
)
def test_a_zone_is_known_by_its_names(text, name):
    """In any case, and by its city alone."""
    assert zones_called(text) == (name,)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Europe/Belrin", "“Europe/Belrin” isn't a time zone I know. Closest matches: Europe/Berlin"),
        ("Belrin", "“Belrin” isn't a time zone I know. Closest matches: Europe/Berlin"),
        ("eastern", "“eastern” matches several time zones: Canada/Eastern, US/Eastern."),
        ("GMT+2", "“GMT+2” isn't a time zone I know. Use a region and a city, for example Europe/Berlin."),
        ("localtime", "“localtime” isn't a time zone I know."),
        ("../../etc/passwd", "“../../etc/passwd” isn't a time zone I know."),
        ("", "“” isn't a time zone I know. Use a region and a city"),
    ],
)
def test_a_wrong_zone_gets_a_sentence(text, sentence):
    """With the closest names; an offset is never guessed."""
    assert len(zones_called(text)) != 1
    assert unclear_zone(text).startswith(sentence)


@given(st.text())
def test_any_text_gets_an_answer(text):
    """It's an existing zone, or a short sentence."""
    zones = zones_called(text)
    if len(zones) == 1:
        assert zone_info(zones[0]) == ZoneInfo(zones[0])
    else:
        assert len(unclear_zone(text)) < 300


def test_a_stored_zone_that_does_not_exist_raises():
    """It's never looked up as a path."""
    with pytest.raises(ValueError, match="no time zone"):
        zone_info("../../etc/passwd")
