"""What every message keeps, whatever FloKit and people write: Slack's limits, and no markup of others."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core import blocks
from bot.core.blocks import limits
from bot.core.commands import HelpCommand
from bot.core.models import Integration, Message, Outcome, Person, Phase, Status, SyncRun, SyncStats
from bot.core.panels import Panel, PanelKind, RowRun

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2024, 3, 15, 14, 0, tzinfo=UTC)

ATTACKS = (
    "<!channel> <!here> <@UEVIL> <https://evil.example|Nice name> <!subteam^S1>",
    "& < > " * 500,
    "&" * 20_000,
    "```*_~`" * 300,
    "🦊" * 5_000,
    "مرحبا" * 2_000,
    "\u202eevil\u2066",
    "a\0b\r\n\x1b[31m",
    "\ud800",
    '"\\' * 3_000,
    "\n" * 50,
    "",
    " ",
)
TRUSTED = re.compile(
    r"<@(?!UEVIL>)[A-Z0-9]{2,30}>|<!date\^\d+\^\{date_short_pretty\} at \{time\}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC>"
)
"""The only markup that may stand in a text: mentions of people who clicked, and times."""

PERSON = Person("U1", "ana")

# --- what a hostile world may send -----------------------------------------------------------------------------

texts = st.sampled_from(ATTACKS) | st.text(max_size=30)
ids = st.sampled_from(["int_1", "int_2", "x" * 100, '"' * 100, "y" * 5000]) | texts
times = st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
counts = st.none() | st.integers()
integrations = st.builds(
    Integration,
    ids,
    st.sampled_from(["stripe", "app_store_connect"]) | texts,
    st.sampled_from([*Status]) | texts,
    times,
    st.none() | texts,
    st.none() | st.builds(SyncStats, counts, counts, times),
)
people = st.builds(Person, st.sampled_from(["U1", "W2ABC"]) | texts, texts)
runs = st.builds(
    SyncRun,
    id=st.just("run_1"),
    team_id=st.just("T1"),
    integration_id=ids,
    integration_type=texts,
    requested_at=st.just(NOW),
    requested_by=people,
    phase=st.sampled_from(Phase),
    baseline=st.none() | integrations,
    attempts=st.integers(0, 3),
    accepted_at=st.none() | st.just(NOW),
    last_seen=st.none() | integrations,
    last_seen_at=st.none() | st.just(NOW + timedelta(seconds=5)),
    syncing_since=st.none() | st.just(NOW),
    idle_since=st.none() | st.just(NOW),
    unreachable_since=st.none() | st.just(NOW),
    unreachable_reason=texts,
    typical_s=st.none() | st.floats(0, 1e6),
    outcome=st.none() | st.sampled_from(Outcome),
    reason=texts,
    ended_at=st.none() | st.just(NOW + timedelta(seconds=80)),
    keep_until=st.none() | st.just(NOW),
    late_until=st.none() | st.just(NOW),
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


@st.composite
def drawn_panels(draw: st.DrawFn) -> Message:
    """Draw a panel with a run in some of its rows, as its message."""
    panel = draw(panels)
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

# --- what Slack takes ------------------------------------------------------------------------------------------


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Walk all JSON objects in a value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from objects(inner)


def of_type(message: Message, *types: str) -> list[dict[str, Any]]:
    """Collect the objects of these types in a message."""
    return [one for one in objects(message.blocks) if one.get("type") in types]


def assert_slack_takes(message: Message) -> None:
    """Hold a message against the limits."""
    assert len(message.blocks) <= limits.BLOCKS_PER_MESSAGE
    assert len(json.dumps(message.blocks)) <= limits.BLOCKS_BUDGET_CHARS
    assert 0 < len(message.text.encode()) <= limits.UPDATE_TEXT_BYTES
    assert len(json.dumps(message.metadata)) <= limits.METADATA_BYTES
    assert not any("block_id" in block for block in message.blocks)
    assert all(one["text"] for one in of_type(message, "text", "plain_text", "mrkdwn"))
    for block in message.blocks:
        assert_block_is_taken(block)
    for button in of_type(message, "button"):
        assert_button_is_taken(button)


def assert_block_is_taken(block: Any) -> None:
    """Hold a block against the limits of its type."""
    match block:
        case {"type": "header", "text": text}:
            assert len(text["text"]) <= limits.HEADER_TEXT
        case {"type": "section", "fields": fields}:
            assert len(fields) <= limits.SECTION_FIELDS
            assert all(len(field["text"]) <= limits.SECTION_FIELD_TEXT for field in fields)
        case {"type": "section", "text": text}:
            assert len(text["text"]) <= limits.SECTION_TEXT
        case {"type": "context", "elements": elements}:
            assert len(elements) <= limits.CONTEXT_ELEMENTS
        case {"type": "actions", "elements": elements}:
            assert 0 < len(elements) <= limits.ACTIONS_ELEMENTS
            assert len({button["action_id"] for button in elements}) == len(elements)
        case {"type": "rich_text"}:
            pass
        case _:
            pytest.fail(f"a block that no test knows: {block}")


def assert_button_is_taken(button: Any) -> None:
    """Hold a button and its dialog against the limits."""
    assert len(button["text"]["text"]) <= limits.BUTTON_TEXT
    assert len(button["value"]) <= limits.BUTTON_VALUE
    assert len(button.get("accessibility_label", "")) <= limits.ACCESSIBILITY_LABEL
    if confirm := button.get("confirm"):
        assert len(confirm["title"]["text"]) <= limits.CONFIRM_TITLE
        assert len(confirm["text"]["text"]) <= limits.CONFIRM_TEXT
        assert max(len(confirm["confirm"]["text"]), len(confirm["deny"]["text"])) <= limits.CONFIRM_BUTTON


def assert_no_markup_of_others(message: Message) -> None:
    """Find nothing but our own markup where Slack parses text."""
    for text in (message.text, *(one["text"] for one in of_type(message, "mrkdwn"))):
        assert not set(TRUSTED.sub("", text)) & set("<>"), text
        assert not re.search("&(?!amp;|lt;|gt;)", text), text


hostile = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@hostile
@given(messages)
def test_slack_takes_every_message(message):
    """Every message is inside Slack's limits, whatever it shows."""
    assert_slack_takes(message)


@hostile
@given(messages)
def test_nothing_untrusted_is_parsed(message):
    """No text of FloKit's or a person's mentions, links or leaves a broken entity."""
    assert_no_markup_of_others(message)


@hostile
@given(messages)
def test_the_invite_hint_always_fits(message):
    """The hint on how to invite the bot fits below every message that a person can be shown."""
    hinted = blocks.with_invite_hint(message, "UBOT")
    assert_no_markup_of_others(hinted)
    assert_slack_takes(hinted)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", PanelKind)
def test_a_panel_full_of_one_attack_is_taken(kind, attack):
    """A full page on which every text is the same attack, with a run in each row, stays inside the limits."""
    crowd = tuple(
        Integration(f"{index}{'q' * 99}"[:100], attack or "stripe", status, NOW, attack or None)
        for index, status in enumerate(("error", "disconnected", attack, "syncing") * 3)
    )
    run = SyncRun("r", "T1", "int", attack, NOW, Person(attack, attack), last_seen_at=NOW)
    known = {one.id: RowRun(replace(run, integration_id=one.id), (run.requested_by,) * 9) for one in crowd}
    message = blocks.panel_message(Panel("p" * 36, kind, crowd, NOW, attack, 0, attack), known, NOW)
    assert_slack_takes(message)
    assert_no_markup_of_others(message)


def test_thousands_of_integrations_are_taken():
    """A workspace with thousands of integrations of one type still gets one page that fits."""
    crowd = tuple(Integration(f"int_{index:05}", "stripe", "error", NOW, "broken") for index in range(3000))
    message = blocks.panel_message(Panel("p", PanelKind.STATUS, crowd, NOW), {}, NOW)
    assert_slack_takes(message)
    assert message.text.startswith("3,000 of 3,000 integrations need attention: Stripe …0000 is failing, ")
