"""Maintenance windows as people type them, and whom they keep from being told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands.catalog import MaintenanceCommand
from bot.core.commands.maintenance import parse_maintenance
from bot.core.commands.text import parse_command
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.incidents.quiet import Maintenance, quiet_until
from bot.core.models import Integration, Person
from bot.core.subscriptions.subscriptions import Hours, News, PauseReason, Subscription

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 27, 21, 0, tzinfo=UTC)  # a Friday, 22:00 in Berlin


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a time in Berlin, in November; 31 is the first of December."""
    return datetime(2026, 11, 1, hour, minute, tzinfo=BERLIN) + timedelta(days=day - 1)


@pytest.mark.parametrize(
    ("words", "target", "begins", "until"),
    [
        ("warehouse until 06:00", "warehouse", None, local(28, 6)),
        ("warehouse till 6am", "warehouse", None, local(28, 6)),
        ("the warehouse is in maintenance until noon", "warehouse", None, local(28, 12)),
        ("warehouse until midnight", "warehouse", None, local(28, 0)),
        ("warehouse until tomorrow 6am", "warehouse", None, local(28, 6)),
        ("warehouse until monday 06:00", "warehouse", None, local(30, 6)),
        ("warehouse until monday", "warehouse", None, local(30, 9)),
        ("warehouse until 2026-12-01 06:00", "warehouse", None, local(31, 6)),
        ("warehouse for 3h", "warehouse", None, local(28, 1)),
        ("for 3 hours warehouse", "warehouse", None, local(28, 1)),
        ("all for 90 min", "all", None, local(27, 23, 30)),
        ("stripe for half an hour", "stripe", None, local(27, 22, 30)),
        ("stripe for an hour", "stripe", None, local(27, 23)),
        ("stripe 1h30", "stripe", None, local(27, 23, 30)),
        ("stripe for 2 days", "stripe", None, local(29, 22)),
        ("warehouse from 23:00 until 06:00", "warehouse", local(27, 23), local(28, 6)),
        ("warehouse 23:00-06:00", "warehouse", local(27, 23), local(28, 6)),
        ("warehouse tomorrow 22:00 to 06:00", "warehouse", local(28, 22), local(29, 6)),
        ("warehouse tonight from 23:00 to 2am", "warehouse", local(27, 23), local(28, 2)),
        ("warehouse between 23:00 and 06:00", "warehouse", local(27, 23), local(28, 6)),
        ('"AppsFlyer Android" until 6', "AppsFlyer Android", None, local(28, 6)),
        ("8appsflyerandroid until 06:00", "8appsflyerandroid", None, local(28, 6)),
    ],
)
def test_a_window_is_understood(words, target, begins, until):
    """However it's typed; times of day are the next ones in the person's time zone."""
    wish = parse_maintenance(words, NOW, BERLIN)
    assert (wish.target_text, wish.begins_at, wish.until, wish.ends, wish.problem) == (
        target,
        begins or NOW,
        until,
        False,
        "",
    )
    assert parse_command(f"maintenance {words}") == MaintenanceCommand(words.removesuffix("."))


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("end warehouse", "warehouse"),
        ("warehouse over", "warehouse"),
        ("the warehouse is done", "warehouse"),
        ("end", ""),
    ],
)
def test_the_end_of_a_window_is_understood(words, target):
    wish = parse_maintenance(words, NOW, BERLIN)
    assert (wish.target_text, wish.ends) == (target, True)


@pytest.mark.parametrize("words", ["", "list", "show"])
def test_windows_are_listed(words):
    wish = parse_maintenance(words, NOW, BERLIN)
    assert (wish.target_text, wish.until, wish.ends, wish.problem) == ("", None, False, "")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("warehouse", "Until when?"),
        ("until 06:00", "Which integration?"),
        ("warehouse for 30 days", "up to 14 days"),
        ("warehouse until 2025-12-01", "over already"),
        ("warehouse until 9999-12-31", "Until when?"),
        ("x" * 400, "too long"),
    ],
)
def test_an_unclear_window_is_explained(words, part):
    assert part in parse_maintenance(words, NOW, BERLIN).problem


@given(st.text(max_size=80), st.sampled_from(["", "until ", "for ", "from "]), st.text(max_size=30))
def test_any_text_gets_an_answer(before, word, after):
    parse_maintenance(f"{before} {word}{after}", NOW, BERLIN)


def test_a_clock_change_moves_no_local_time():
    """Clocks go back in the night to 2026-10-25."""
    saturday = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)
    assert parse_maintenance("all until 06:00", saturday, BERLIN).until == datetime(2026, 10, 25, 5, 0, tzinfo=UTC)


ANA = Person("U1", "ana")
STRIPE = Integration("int_1", "stripe", "error", NOW, "no")
FAILING = Incident("inc_1", "T1", STRIPE, NOW, Trouble.FAILING, STRIPE, NOW)
WINDOW = Maintenance("mnt_1", "T1", "C1", "stripe", ANA, NOW - timedelta(hours=1), NOW + timedelta(hours=2))
ANY_TIME = Subscription("sub_1", "T1", "C1", ANA, NOW)
CLOSED = Subscription("sub_2", "T1", "C1", ANA, NOW, hours=Hours(time(8), time(18), frozenset(range(5)), "UTC"))
MONDAY = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("subscriptions", "windows", "until"),
    [
        ([ANY_TIME], [], None),
        ([CLOSED], [], MONDAY),
        ([ANY_TIME], [WINDOW], WINDOW.until),
        ([CLOSED], [WINDOW], WINDOW.until),
        ([CLOSED, ANY_TIME], [], None),
        ([], [WINDOW], None),
    ],
)
def test_a_channel_is_quiet_for_its_hours_and_for_maintenance(subscriptions, windows, until):
    """A subscription without hours to the same integration is told at any time."""
    assert quiet_until(subscriptions, FAILING, windows, NOW) == until


def test_what_is_always_wanted_breaks_through():
    always = replace(CLOSED, always=frozenset({News.FAILING}))
    assert quiet_until([always], FAILING, [WINDOW], NOW) is None
    stale = replace(FAILING, trouble=Trouble.STALE)
    assert quiet_until([always], stale, [], NOW) == MONDAY
    assert quiet_until([replace(ANY_TIME, paused=PauseReason.ARCHIVED)], FAILING, [WINDOW], NOW) is None
    later = replace(WINDOW, begins_at=NOW + timedelta(minutes=1))
    assert quiet_until([ANY_TIME], FAILING, [later], NOW) is None
    assert quiet_until([ANY_TIME], FAILING, [replace(WINDOW, target="adjust")], NOW) is None


def test_an_unknown_zone_never_holds_anything_back():
    """Another replica may know a zone that this one doesn't."""
    there = replace(ANY_TIME, hours=Hours(time(8), time(9), frozenset({0}), "Europe/Atlantis"))
    assert quiet_until([there], FAILING, [], NOW) is None
