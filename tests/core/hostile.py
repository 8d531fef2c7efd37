"""What a hostile world may send, and what Slack accepts: for the tests of every message and view."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bot.core.blocks import limits
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.incidents.taking import OnIt
from bot.core.models import Expected, Integration, Message, Outcome, Person, Phase, Status, SyncRun, SyncStats
from local_slack.validation import check_blocks, check_metadata, check_update_text, check_view

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
    r"<@(?!UEVIL>)[A-Z0-9]{2,30}>|<#C0OURS>|<!subteam\^S0OURS>|<https://tickets\.example\.com/7\?a=b&amp;c=d>"
    r"|<!date\^\d+\^\{date_short_pretty\} at \{time\}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC>"
)
"""The only markup allowed in a text: mentions of people who clicked, of groups to ask, channels, times, tickets."""

# --- values ----------------------------------------------------------------------------------------------------

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
    unreachable_words=texts,
    typical_s=st.none() | st.floats(0, 1e6),
    expected=st.none() | st.builds(Expected, st.floats(0, 1e6), st.floats(0, 100)),
    outcome=st.none() | st.sampled_from(Outcome),
    reason=texts,
    reason_words=texts,
    ended_at=st.none() | st.just(NOW + timedelta(seconds=80)),
    keep_until=st.none() | st.just(NOW),
    late_until=st.none() | st.just(NOW),
)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
incidents = st.builds(
    Incident,
    id=st.just("inc_1"),
    team_id=st.just("T1"),
    integration=integrations,
    seen_at=moments,
    trouble=st.sampled_from(Trouble),
    failure=integrations,
    opened_at=moments,
    repeats=st.integers(0, 10**6),
    quiet_since=st.none() | moments,
    flapping=st.booleans(),
    opens=st.integers(1, 10**6),
    closed_at=st.none() | moments,
    gone=st.booleans(),
    repaired_by=st.none() | people,
    on_it=st.none() | st.builds(OnIt, people, moments, st.none() | people),
    turns=st.integers(0, 10**6),
    ticket=st.sampled_from(("", "https://tickets.example.com/7?a=b&c=d")),
)

hostile = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

# --- what Slack accepts ----------------------------------------------------------------------------------------


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Iterate over all JSON objects in a value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from objects(inner)


def assert_slack_takes(message: Message) -> None:
    """Check that the local Slack accepts a message, and that it's within the bot's own limits."""
    check_blocks(list(message.blocks))
    check_update_text(message.text)
    assert message.text
    json.dumps([message.text, message.blocks], ensure_ascii=False).encode()  # no lone surrogates
    assert len(json.dumps(message.blocks)) <= limits.BLOCKS_BUDGET_CHARS
    if message.metadata is not None:
        check_metadata(message.metadata)
    assert not any("block_id" in block for block in message.blocks)


def assert_no_markup_of_others(message: Message) -> None:
    """Check that there's no markup but our own in any text that Slack parses."""
    assert_only_our_markup([message.text, *parsed(message.blocks)])


def assert_view_is_taken(view: dict[str, Any]) -> None:
    """Check that the local Slack accepts a modal or an App Home, and that it has no markup but our own."""
    check_view(json.loads(json.dumps(view)))
    assert_only_our_markup(parsed(view["blocks"]))


def parsed(blocks: Any) -> list[str]:
    """Collect the texts in which Slack parses mentions and links."""
    return [one["text"] for one in objects(blocks) if one.get("type") == "mrkdwn"]


def assert_only_our_markup(texts_: list[str]) -> None:
    """Check that a text has no mention, link or broken entity that isn't ours."""
    for text in texts_:
        assert not set(TRUSTED.sub("", text)) & set("<>"), text
        assert not re.search("&(?!amp;|lt;|gt;)", text), text
