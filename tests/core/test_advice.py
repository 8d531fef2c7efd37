"""What is known about each integration type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.advice import KNOWN_TYPES, NAME_CHARS, display_name, is_stale, stale_after_s, things_to_check
from bot.core.models import Integration

NOW = datetime(2024, 3, 15, 14, 0, tzinfo=UTC)

DOCUMENTED_TYPES = {
    "revenuecat": "RevenueCat",
    "adapty": "Adapty",
    "appsflyer": "AppsFlyer",
    "adjust": "Adjust",
    "stripe": "Stripe",
    "app_store_connect": "App Store Connect",
    "google_play": "Google Play",
    "warehouse": "Warehouse",
}


def test_every_documented_type_is_known():
    assert set(KNOWN_TYPES) == set(DOCUMENTED_TYPES)


@pytest.mark.parametrize(("type_", "name"), DOCUMENTED_TYPES.items())
def test_a_documented_type_has_its_own_name(type_, name):
    """It's written as its vendor writes it."""
    assert display_name(type_) == name


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        ("mixpanel", "Mixpanel"),
        ("big_query-export", "Big Query Export"),
        ("*bold* <!channel>", "Bold Channel"),
        ("", "Unknown type"),
        ("___", "Unknown type"),
    ],
)
def test_an_unknown_type_is_named_by_its_words(type_, name):
    assert display_name(type_) == name


@given(st.text())
def test_names_of_types_carry_no_markup(type_):
    """Whatever the type, its name is short and has nothing that Slack parses."""
    name = display_name(type_)
    assert 0 < len(name) <= NAME_CHARS
    assert not set(name) & set("<>&*_~`@\n\0")


@pytest.mark.parametrize("type_", [*KNOWN_TYPES, "something_new"])
def test_there_is_always_something_to_check(type_):
    """Each type has two or more things to check, each one line of plain text."""
    checks = things_to_check(type_)
    assert len(checks) >= 2
    assert all(check and "\n" not in check for check in checks)


def test_app_store_connect_is_not_stale_after_a_weekend():
    """Its data lags up to two business days."""
    assert stale_after_s(Integration("int_1", "app_store_connect")) >= timedelta(days=3).total_seconds()


def test_revenuecat_is_not_stale_after_one_missed_poll():
    """It's polled every 6 h."""
    assert stale_after_s(Integration("int_1", "revenuecat")) > timedelta(hours=12).total_seconds()


def test_an_unknown_type_is_stale_after_a_day():
    """Its freshness isn't documented."""
    assert stale_after_s(Integration("int_1", "something_new")) == timedelta(days=1).total_seconds()


@pytest.mark.parametrize(
    ("age", "stale"),
    [(timedelta(hours=23), False), (timedelta(hours=24), False), (timedelta(hours=25), True)],
)
def test_stale_means_older_than_the_type_allows(age, stale):
    """An integration is stale when its last success is older than its type allows."""
    assert is_stale(Integration("int_1", "stripe", last_synced_at=NOW - age), NOW) is stale


def test_an_integration_without_a_known_success_is_stale():
    assert is_stale(Integration("int_1", "stripe"), NOW)


def test_a_configured_limit_overrides_the_types():
    last = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    one = Integration("int_1", "app_store_connect", "connected", last, stale_after_s=60)
    assert is_stale(one, last + timedelta(seconds=61))
    assert not is_stale(one, last + timedelta(seconds=59))
