"""Health checks are evaluated, and shown with what to do only to the person who asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import blocks
from bot.core.blocks import doctor_message
from bot.core.blocks.samples import samples
from bot.core.health import judge as diagnosis
from bot.core.health.findings import Conversation, Finding, Mark, fine, unknown, wrong
from bot.core.models import Message, Outcome, Person, SyncRun
from bot.core.panels import PanelKind
from local_slack.validation import check_view
from tests.core.hostile import (
    NOW,
    assert_no_markup_of_others,
    assert_slack_takes,
    hostile,
    texts,
)

RUN = SyncRun("run_1", "T1", "int_1", "stripe", NOW, Person("UANA"), attempts=1)
AGO = NOW - timedelta(minutes=3)


def test_missing_scopes_are_named():
    """In order; more scopes than needed are fine."""
    assert str(diagnosis.judge_scopes("Acme", {"a"}, {"c", "b", "a"})).startswith("✗ SLACK_BOT_TOKEN: lacks b, c;")
    assert diagnosis.judge_scopes("Acme", {"a", "x"}, {"a"}).mark is Mark.FINE


def test_an_optional_scope_is_a_choice():
    """A missing one is listed with its consequences, once each, and isn't an error."""
    optional = {"a": "one thing", "b": "another", "c": "one thing"}
    (finding,) = diagnosis.judge_choices({"x"}, optional)
    assert str(finding) == "✓ optional scopes left out: a, b, c, so one thing; another"
    assert diagnosis.judge_choices({"a", "b", "c"}, optional) == diagnosis.judge_choices(set(), optional) == []


def test_without_the_scopes_header_no_scope_is_missing():
    assert diagnosis.judge_scopes("Acme", set(), {"a"}).mark is Mark.UNKNOWN


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "✓ clock: within 1 s of FloKit's"),
        (-60, "✓ clock: within 60 s of FloKit's"),
        (61, "✗ clock: ours is 1 min 1 s ahead of FloKit's; set this machine's clock with NTP"),
        (-3600, "✗ clock: ours is 1 h behind FloKit's; set this machine's clock with NTP"),
    ],
)
def test_a_clock_may_be_a_minute_off(seconds, text):
    """More than that is wrong, in either direction."""
    assert str(diagnosis.judge_clock("FloKit", NOW, NOW + timedelta(seconds=seconds))) == text


def test_a_reply_without_a_date_proves_nothing_about_the_clock():
    """It's unknown, not wrong."""
    found = diagnosis.judge_clock("FloKit", None, NOW)
    assert (found.mark, found.is_fine) == (Mark.UNKNOWN, True)


def test_write_access_is_known_from_the_latest_sync_request():
    """An accepted one proves that the key can write; a refused one proves that it can't."""
    accepted = replace(RUN, accepted_at=AGO)
    refused = replace(RUN, outcome=Outcome.ACCESS_LOST, ended_at=AGO, reason="read-only")
    silent = replace(RUN, outcome=Outcome.ACCESS_LOST, attempts=0, ended_at=AGO)
    assert str(diagnosis.judge_rights([accepted, refused], NOW)).startswith(
        "✓ write access: FloKit accepted a sync 3 min ago"
    )
    assert str(diagnosis.judge_rights([refused, accepted], NOW)).startswith(
        "✗ write access: FloKit refused a sync 3 min ago"
    )
    assert diagnosis.judge_rights([silent, accepted], NOW).mark is Mark.FINE
    assert diagnosis.judge_rights([RUN], NOW).mark is Mark.UNKNOWN


@pytest.mark.parametrize(
    ("conversation", "mark"),
    [
        (None, Mark.WRONG),
        (Conversation(is_member=True), Mark.FINE),
        (Conversation(is_member=False), Mark.FINE),
        (Conversation(is_member=False, is_private=True), Mark.WRONG),
        (Conversation(is_member=True, is_archived=True), Mark.WRONG),
        (Conversation(is_member=False, is_private=True, is_direct=True), Mark.FINE),
    ],
)
def test_a_channel_where_the_bot_cannot_post_is_wrong(conversation, mark):
    """It's invisible, private without us, or archived."""
    assert diagnosis.judge_conversation(conversation).mark is mark


def test_socket_webhooks_and_replicas_are_evaluated():
    """A silent socket is a problem; no webhook so far, and a database without a bot, aren't."""
    assert str(diagnosis.judge_socket("", 90.0)) == "✓ socket: open for 1 min 30 s"
    assert diagnosis.judge_socket("the socket is unresponsive", 90.0).mark is Mark.WRONG
    assert str(diagnosis.judge_webhooks(AGO, NOW)) == "✓ webhook: the last one came 3 min ago"
    assert diagnosis.judge_webhooks(None, NOW).mark is Mark.UNKNOWN
    assert str(diagnosis.judge_replicas(2, is_running=True)) == "✓ replicas: 2 running"
    assert str(diagnosis.judge_replicas(0, is_running=True)) == "✓ replicas: 1 running"
    assert diagnosis.judge_replicas(0, is_running=False).mark is Mark.UNKNOWN


def test_several_processes_on_one_sqlite_file_are_reported():
    """A process that was just killed may still count as the second."""
    assert diagnosis.judge_replicas(1, is_running=True, in_file=True).mark is Mark.FINE
    several = diagnosis.judge_replicas(2, is_running=True, in_file=True)
    assert several.mark is Mark.UNKNOWN
    assert "2 on one SQLite file" in str(several)


def test_problems_come_first():
    """Each line has its sign and what to do."""
    message = doctor_message([fine("a: good"), unknown("b: who knows"), wrong("c: bad; mend it")], NOW)
    assert message.text == "1 of 3 checks needs attention."
    shown = str(message.blocks)
    assert shown.index("✗ c: bad; mend it") < shown.index("? b: who knows") < shown.index("✓ a: good")
    assert doctor_message([fine("a: good")], NOW).text == "Nothing needs attention (1 check)."


findings = st.builds(Finding, st.sampled_from(Mark), texts)


@hostile
@given(st.lists(findings, max_size=60))
def test_slack_accepts_every_diagnosis(found):
    """Whatever was found, without untrusted markup."""
    message = doctor_message(found, NOW)
    assert_slack_takes(message)
    assert_no_markup_of_others(message)


def test_there_is_a_sample_of_every_message():
    """Every function that makes a message or a view, every kind of panel and every outcome has a sample."""
    names = set(samples(NOW))
    makers = {name for name in vars(blocks) if name.endswith(("_message", "_view", "_form", "_home"))}
    assert {name.partition(":")[0] for name in names} == makers
    assert {f"panel_message: {kind}" for kind in PanelKind} <= names
    assert {f"outcome_message: {outcome}" for outcome in Outcome} <= names


@pytest.mark.parametrize("name", samples(NOW))
def test_the_local_slack_accepts_every_sample(name):
    """They're what Slack's validator gets."""
    sample = samples(NOW)[name]
    if isinstance(sample, Message):
        assert_slack_takes(sample)
    else:
        check_view(sample)
