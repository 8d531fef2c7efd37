"""What follows ``expect``, as people type it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands.catalog import ExpectCommand, HelpCommand
from bot.core.commands.expecting import Expecting, parse_expecting
from bot.core.commands.text import parse_command
from bot.core.nicknames import expected_words
from bot.core.volumes.expectations import Expectation

H, D = 3600, 86_400


@pytest.mark.parametrize(
    ("typed", "target", "every_s", "per_day"),
    [
        ("expect stripe every 6h, 100 events a day", "stripe", 6 * H, 100),
        ("expect stripe every 6 hours and 100 events per day", "stripe", 6 * H, 100),
        ("expect stripe 100 events a day every 6h", "stripe", 6 * H, 100),
        ("expect stripe to sync every six hours", "stripe", 6 * H, None),
        ("expect stripe hourly", "stripe", H, None),
        ("expect stripe daily", "stripe", D, None),
        ("expect app store connect every day", "app store connect", D, None),
        ("expect google play every other day, 40 events/day", "google play", 2 * D, 40),
        ("expect stripe 1,000 events/day", "stripe", None, 1000),
        ("expect stripe 1.000 events a day", "stripe", None, 1000),
        ("expect stripe 5k events a day", "stripe", None, 5000),
        ("expect stripe at least 100 a day", "stripe", None, 100),
        ("expect at least 100 events a day from stripe", "stripe", None, 100),
        ("expect stripe 700 events a week", "stripe", None, 100),
        ("expect stripe 10 events an hour", "stripe", None, 240),
        ("expect stripe 100 events daily", "stripe", None, 100),
        ("expect stripe 100 events", "stripe", None, 100),
        ("expect stripe: every 90 min; 12 orders per day", "stripe", 90 * 60, 12),
        ("expect 4j7stripe every 6h", "4j7stripe", 6 * H, None),
        ("expect “AppsFlyer Android” once a day, ~2,000 events a day", "AppsFlyer Android", D, 2000),
        ("expect stripe no events", "stripe", None, 0),
        ("expect stripe 0 events a day", "stripe", None, 0),
        ("please expect stripe every 6h thanks", "stripe", 6 * H, None),
    ],
)
def test_an_expectation_is_read(typed, target, every_s, per_day):
    command = parse_command(typed)
    assert isinstance(command, ExpectCommand), command
    assert parse_expecting(command.words) == Expecting(target, Expectation(every_s, per_day))


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("expect stripe nothing", "stripe"),
        ("expect nothing from stripe", "stripe"),
        ("expect app store connect nothing special", "app store connect"),
        ("expect stripe as usual", "stripe"),
        ("expect stripe off", "stripe"),
        ("forget what to expect of stripe", "stripe"),
        ("forget the expectation of stripe", "stripe"),
        ("forget expectations for google play", "google play"),
    ],
)
def test_an_expectation_is_cleared(typed, target):
    command = parse_command(typed)
    assert isinstance(command, ExpectCommand), command
    assert parse_expecting(command.words) == Expecting(target, clears=True)


@pytest.mark.parametrize("typed", ["expect stripe", "expect stripe?", "expected of stripe", "expect: stripe"])
def test_without_a_number_it_asks(typed):
    command = parse_command(typed)
    assert isinstance(command, ExpectCommand), command
    assert parse_expecting(command.words) == Expecting("stripe")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("stripe every 6h every 12h", "two numbers"),
        ("stripe 5 events a day, 6 events a day", "two numbers"),
        ("stripe every 5 min", "every 10 minutes"),
        ("stripe every 90 days", "31 days"),
        ("stripe 9000000000000000 events a day", "up to 1,000,000,000,000"),
    ],
)
def test_what_can_not_be_expected_is_said(words, problem):
    read = parse_expecting(words)
    assert read.target == "stripe"
    assert problem in read.problem


def test_a_command_without_an_integration_asks_for_one():
    assert parse_command("expect") == HelpCommand(needs_target="expect")


@given(st.text(max_size=200))
def test_nothing_raises(text):
    parse_expecting(text)


def test_it_is_said_in_words():
    assert expected_words(Expectation(90 * 60, 1)) == "a sync every 1 h 30 min, 1 event a day"
    assert expected_words(Expectation()) == "nothing"
