"""What holds for every message, whatever FloKit and people write: Slack's limits, and no untrusted markup."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import blocks
from bot.core.bulks import Bulk, LeftOut, Member, Obstacle, Place, Plan
from bot.core.commands.catalog import HelpCommand
from bot.core.models import Integration, Message, Person, SyncRun
from bot.core.panels import Panel, PanelKind, RowRun
from tests.core.hostile import (
    ATTACKS,
    NOW,
    assert_no_markup_of_others,
    assert_slack_takes,
    hostile,
    integrations,
    people,
    runs,
    texts,
)

row_runs = st.builds(RowRun, runs, st.lists(people, max_size=8).map(tuple))
panels = st.builds(
    Panel,
    st.just("panel_1"),
    st.sampled_from(PanelKind),
    st.lists(integrations, max_size=12).map(tuple),
    st.just(NOW),
    texts,
    st.integers(-1, 3),
    texts,
)


def filled(panel: Panel, person: Person, text: str) -> Panel:
    """Return a panel with what its kind shows besides its integrations."""
    members = tuple(Member(one.id, "run_1", joined=place % 2 == 0) for place, one in enumerate(panel.integrations))
    left_out = tuple(
        LeftOut(one.id, [*Obstacle][place % 4], NOW, text, text, ("U1", "S0OURS"))
        for place, one in enumerate(panel.integrations)
        if place % 3
    )
    plan = Plan(person, Place("C0OURS"), NOW, left_out, total=12, unknown=(text,), beyond=3)
    bulk = Bulk(person, NOW, members, left_out, repaired=tuple(one.id for one in panel.integrations[:2]))
    kinds = {PanelKind.PREVIEW: {"plan": plan}, PanelKind.BULK: {"bulk": bulk}}
    return replace(panel, **kinds.get(panel.kind, {}))


@st.composite
def drawn_panels(draw: st.DrawFn) -> Message:
    """Draw a panel with a run in some of its rows, as its message."""
    panel = filled(draw(panels), draw(people), draw(texts))
    known = {one.id: draw(row_runs) for one in panel.integrations if draw(st.booleans())}
    return blocks.panel_message(panel, known, NOW)


messages = st.one_of(
    drawn_panels(),
    st.builds(
        blocks.progress_message,
        runs,
        st.lists(people, max_size=8),
        st.just(NOW),
        outbox_id=st.just("outbox_1"),
        joined_here=st.booleans(),
    ),
    st.builds(
        blocks.outcome_message,
        runs,
        st.lists(people, max_size=30),
        st.just(NOW),
        outbox_id=st.just("outbox_1"),
    ),
    st.builds(blocks.help_message, st.builds(HelpCommand, texts, st.just("status"), st.sampled_from(["", "show"]))),
    st.builds(blocks.not_found_message, texts, st.lists(integrations, max_size=12)),
    st.builds(blocks.nothing_matches_message, texts, st.lists(integrations, max_size=12), st.just(NOW)),
    st.builds(blocks.plain_message, texts),
    st.builds(blocks.flokit_away_message, texts),
    st.builds(blocks.access_lost_message, texts),
)


@hostile
@given(messages)
def test_slack_accepts_every_message(message):
    """It's within Slack's limits, whatever it shows."""
    assert_slack_takes(message)


@hostile
@given(messages)
def test_nothing_untrusted_is_parsed(message):
    """No text from FloKit or a person mentions, links or leaves a broken entity."""
    assert_no_markup_of_others(message)


@hostile
@given(messages)
def test_the_invite_hint_always_fits(message):
    """Below every message that a person can see."""
    hinted = blocks.with_invite_hint(message, "UBOT")
    assert_no_markup_of_others(hinted)
    assert_slack_takes(hinted)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", PanelKind)
def test_slack_accepts_a_panel_full_of_one_attack(kind, attack):
    """Every text on a full page is the same attack, with a run in each row."""
    crowd = tuple(
        Integration(f"{index}{'q' * 99}"[:100], attack or "stripe", status, NOW, attack or None)
        for index, status in enumerate(("error", "disconnected", attack, "syncing") * 3)
    )
    run = SyncRun("r", "T1", "int", attack, NOW, Person(attack, attack), last_seen_at=NOW)
    known = {one.id: RowRun(replace(run, integration_id=one.id), (run.requested_by,) * 9) for one in crowd}
    panel = filled(Panel("p" * 36, kind, crowd, NOW, attack, 0, attack), run.requested_by, attack)
    message = blocks.panel_message(panel, known, NOW)
    assert_slack_takes(message)
    assert_no_markup_of_others(message)


def test_a_page_of_thousands_of_integrations_fits():
    """They all have the same type."""
    crowd = tuple(Integration(f"int_{index:05}", "stripe", "error", NOW, "broken") for index in range(3000))
    message = blocks.panel_message(Panel("p", PanelKind.STATUS, crowd, NOW), {}, NOW)
    assert_slack_takes(message)
    assert message.text.startswith("3,000 of 3,000 integrations need attention: Stripe …0000 is failing, ")
