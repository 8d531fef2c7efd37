"""Slack accepts every message and view about incidents and subscriptions, and parses nothing untrusted in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import blocks
from bot.core.blocks.text import date
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.incidents.reactions import Bulletin, Snooze, Word
from bot.core.incidents.taking import OnIt, Refusal, Step, Turn
from bot.core.models import Integration, Person
from bot.core.panels import Panel, PanelKind, RowRun
from bot.core.subscriptions.digest_time import WEEKDAYS
from bot.core.subscriptions.form import write_metadata
from bot.core.subscriptions.removal import Removal
from bot.core.subscriptions.subscriptions import ALL, DigestTime, Escalation, News, PauseReason, Style, Subscription
from bot.core.volumes.volume import Shortfall
from tests.core.hostile import (
    ATTACKS,
    NOW,
    assert_no_markup_of_others,
    assert_slack_takes,
    assert_view_is_taken,
    hostile,
    incidents,
    integrations,
    moments,
    people,
    runs,
    texts,
)

ANA = Person("U1", "ana")
STRIPE = Integration("int_1", "stripe", "error", NOW, "no")
LATER = NOW + timedelta(minutes=25)
OPEN = Incident("inc_1", "T1", STRIPE, NOW, Trouble.FAILING, STRIPE, NOW)

snoozes = st.builds(Snooze, people, st.none() | moments)
panels = st.builds(
    lambda incident, snooze, mention: Panel(
        "pnl_1", PanelKind.INCIDENT, (incident.integration,), NOW, incident=incident, snooze=snooze, mention=mention
    ),
    incidents,
    st.none() | snoozes,
    texts,
)
subscriptions = st.builds(
    Subscription,
    id=st.just("sub_1"),
    team_id=st.just("T1"),
    channel_id=st.just("C0OURS"),
    created_by=people,
    created_at=moments,
    target=st.just(ALL) | texts,
    news=st.frozensets(st.sampled_from(News)),
    digest=st.none() | st.just(DigestTime(time(9), WEEKDAYS, "Europe/Berlin")),
    style=st.sampled_from(Style),
    mention=texts,
    paused=st.none() | st.sampled_from(PauseReason),
    escalate=st.none() | st.builds(Escalation, st.integers(60, 86400), st.sampled_from(("S0OURS", "U1", "C0OURS"))),
)
on_its = st.builds(OnIt, people, moments, st.none() | people)
turns = st.builds(Turn, st.sampled_from(Step), people, st.integers(0, 9), st.none() | people)
some = st.integers(0, 25)
messages = st.one_of(
    st.builds(
        lambda panel, run, ticket: blocks.panel_message(
            panel, {panel.incident.integration.id: run} if run else {}, NOW, ticket=ticket
        ),
        panels,
        st.none() | st.builds(RowRun, runs, st.lists(people, max_size=8).map(tuple)),
        st.sampled_from(("", "https://tickets.example.com/new?t={title}&b={body}&i={integration}&d={id}")),
    ),
    st.builds(blocks.bulletin_message, st.builds(Bulletin, incidents, st.sampled_from(Word), st.booleans()), moments),
    st.builds(
        lambda tried, query, hidden, command: blocks.incidents_message(
            tried, NOW, query=query, hidden=hidden, command=command
        ),
        st.lists(st.builds(blocks.Tried, incidents, st.lists(runs, max_size=9).map(tuple)), max_size=blocks.SHOWN),
        texts,
        st.integers(0, 10**6),
        texts,
    ),
    st.builds(blocks.turn_message, incidents, turns, st.none() | on_its),
    st.builds(blocks.refused_turn_message, incidents, st.sampled_from(Refusal), st.just("pnl_1")),
    st.builds(lambda one, answer_s: blocks.still_on_it_message(one, answer_s=answer_s), incidents, st.floats(1, 1e6)),
    st.builds(lambda panel, now: blocks.escalated_message(panel, panel.incident, "C0OURS", now), panels, moments),
    st.builds(
        blocks.bulletin_message,
        st.builds(
            Bulletin, incidents, st.just(Word.ESCALATED), st.booleans(), st.sampled_from(("S0OURS", "U1", "C0OURS"))
        ),
        moments,
    ),
    st.builds(blocks.asked_message, incidents, people, st.just("pnl_1"), st.just("C0OURS")),
    st.builds(blocks.concerned_message, incidents, turns, on_its, people),
    st.builds(blocks.cannot_ask_message, people, st.just("They can't do that here.")),
    st.builds(blocks.subscribed_message, subscriptions, texts, command=texts),
    st.builds(
        lambda removal: blocks.panel_message(Panel("pnl_1", PanelKind.UNSUBSCRIBED, (), NOW, removal=removal), {}, NOW),
        st.builds(
            Removal,
            people,
            moments,
            st.lists(subscriptions, max_size=3).map(tuple),
            st.lists(texts, max_size=30).map(tuple),
            st.booleans(),
            st.none() | people,
        ),
    ),
    st.builds(blocks.restored_message, people, st.lists(texts, max_size=30)),
    st.builds(
        lambda one, name, count, command: blocks.subscriptions_message([(one, name)] * count, NOW, command=command),
        subscriptions,
        texts,
        some,
        texts,
    ),
    st.builds(blocks.paused_message, subscriptions, texts, command=texts),
    st.builds(blocks.resumed_message, st.lists(texts, max_size=30)),
)
homes = st.builds(
    lambda count, one, reason, run, incident, panel, subscription: blocks.Home(
        (one,) * count,
        NOW,
        reason,
        (run,) * count,
        (incident,) * count,
        (panel,) * count,
        (subscription,) * count,
    ),
    some,
    integrations,
    texts,
    runs,
    incidents,
    panels,
    subscriptions,
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_slack_accepts_any_subscription_target_in_app_home(attack):
    """Its Unsubscribe button can still be parsed."""
    home = blocks.Home((), NOW, subscriptions=(Subscription("sub_1", "T1", "C0OURS", ANA, NOW, target=attack),))
    assert_view_is_taken(blocks.home_view(home, NOW, command="/flokit"))


@hostile
@given(messages)
def test_slack_accepts_every_message(message):
    assert_slack_takes(message)
    assert_no_markup_of_others(message)


@hostile
@given(homes, texts, st.booleans())
def test_slack_accepts_every_home(home, command, edits_policy):
    assert_view_is_taken(blocks.home_view(home, NOW, command=command, edits_policy=edits_policy))


@hostile
@given(st.lists(integrations, max_size=150), st.lists(incidents, max_size=8), st.lists(incidents, max_size=8))
def test_slack_accepts_every_form(known, preview, next_preview):
    """With its first preview and with the next."""
    view = blocks.subscribe_form(write_metadata("C0OURS", "request"), "Europe/Berlin", known, preview, NOW)
    assert_view_is_taken(view)
    assert_view_is_taken(blocks.with_preview(view, next_preview, NOW))


@pytest.mark.parametrize("word", Word)
def test_a_reply_mentions_nobody(word):
    """A reply in an incident's thread doesn't notify people of their own click."""
    over = replace(OPEN, closed_at=NOW, repaired_by=ANA)
    incident = OPEN if word in (Word.CHANGED, Word.SNOOZE_ENDED, Word.UNANSWERED, Word.ESCALATED) else over
    message = blocks.bulletin_message(Bulletin(incident, word), NOW)
    assert "<@" not in str(message)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, f"recovered after 25 min: FloKit's own sync succeeded, {date(LATER)}"),
        ({"repaired_by": ANA}, "recovered after 25 min, resync by ana"),
        (
            {"trouble": Trouble.DISCONNECTED},
            f"recovered after 25 min: it was reconnected in FloKit, and FloKit's own sync succeeded, {date(LATER)}",
        ),
        ({"trouble": Trouble.EMPTY}, f"recovered after 25 min: events are coming in again, {date(LATER)}"),
        ({"gone": True}, "was removed from FloKit 25 min into the incident"),
    ],
)
@pytest.mark.parametrize("is_taken", [True, False])
def test_the_end_of_an_incident_is_one_line(changes, said, is_taken):
    """How long it lasted, what ended it, and who was on it."""
    fine = replace(STRIPE, status="connected", error_message=None, last_synced_at=LATER)
    over = replace(OPEN, integration=fine, closed_at=LATER, on_it=OnIt(ANA, NOW) if is_taken else None, **changes)
    [block] = blocks.bulletin_message(Bulletin(over, Word.GONE if over.gone else Word.RECOVERED), LATER).blocks
    text = block["text"]["text"]
    assert text.endswith(f"{said} · ana was on it" if is_taken else said)
    assert "\n" not in text


def test_the_end_of_a_snooze_shows_the_current_state():
    """If FloKit looks healthy again, it doesn't say "failing"."""
    message = blocks.bulletin_message(Bulletin(replace(OPEN, quiet_since=NOW), Word.SNOOZE_ENDED), NOW)
    assert "looks healthy again" in message.text
    assert "is failing" not in message.text


def test_a_flapping_incident_that_is_fine_says_so():
    """The message says since when it's healthy, and that it will keep being updated."""
    panel = Panel("pnl_1", PanelKind.INCIDENT, (STRIPE,), NOW, incident=replace(OPEN, flapping=True, quiet_since=NOW))
    assert f"Fine since {date(NOW)}" in str(blocks.panel_message(panel, {}, NOW).blocks)


def test_a_mention_is_shown_until_the_incident_is_over():
    panel = Panel("pnl_1", PanelKind.INCIDENT, (STRIPE,), NOW, incident=OPEN, mention="here")
    assert blocks.panel_message(panel, {}, NOW).text.startswith("<!here> ")
    over = replace(panel, incident=replace(OPEN, closed_at=NOW))
    assert "<!here>" not in str(blocks.panel_message(over, {}, NOW))


# --- connected, but empty --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shortfall", "said"),
    [
        (
            Shortfall(NOW, 2, 86_400, 1_150, 8),
            "FloKit counts 2 events in the last 24 h; until then, any 24 h brought at",
        ),
        (
            Shortfall(NOW, 0, 5 * 86_400, 20, 24),
            "FloKit counts no events in the last 5 d; until then, any 3 d brought at",
        ),
        (Shortfall(NOW, 1, 86_400, 1_000), "FloKit counts 1 event in the last 24 h; you expect 1,000 a day"),
    ],
)
def test_an_empty_one_says_how_few_events_came(shortfall, said):
    """With both readings, and where to look in FloKit; not with things to check of a failure."""
    seen = Integration("int_1", "stripe", "connected", NOW)
    incident = Incident("inc_1", "T1", seen, NOW, Trouble.EMPTY, seen, NOW, shortfall=shortfall)
    message = blocks.panel_message(Panel("pnl_1", PanelKind.INCIDENT, (seen,), NOW, incident=incident), {}, NOW)
    shown = str(message.blocks)
    assert message.text.startswith("📭 Stripe is connected, but empty. FloKit counts")
    assert said in shown
    assert said in message.text
    assert "either the source had none, or FloKit asks it for the wrong data" in shown
    assert "FloKit → Data → Events" in shown
    assert "FloKit → Data → Identity" in shown
    assert "signing secret" not in shown
