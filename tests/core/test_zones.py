"""Time zones by the names that people type."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.subscriptions.zones import UnknownZone, parse_zone, zone_info


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
    """A zone is found by its name in any case, and by its city alone."""
    assert parse_zone(text) == name


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
    """What names no zone, or several, is answered by the nearest names; an offset is never guessed."""
    found = parse_zone(text)
    assert isinstance(found, UnknownZone)
    assert found.sentence.startswith(sentence)


@given(st.text())
def test_any_text_gets_an_answer(text):
    """Any text is a zone that exists or a sentence of bearable length."""
    found = parse_zone(text)
    if isinstance(found, UnknownZone):
        assert len(found.sentence) < 300
    else:
        assert zone_info(found) == ZoneInfo(found)


def test_a_stored_zone_that_is_none_is_refused():
    """A stored name that names no zone raises, and is never looked up as a path."""
    with pytest.raises(ValueError, match="no time zone"):
        zone_info("../../etc/passwd")
