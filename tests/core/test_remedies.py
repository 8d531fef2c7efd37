"""What helps against each refusal from Slack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from bot.core import errors
from bot.core.subscriptions.subscriptions import PauseReason
from bot.slack.client import PACED
from bot.store.outbox_rows import OutboxItem, OutboxKind
from bot.workers.remedies import (
    AUTH_RETRY_S,
    MAX_REFUSALS,
    RETRY_S,
    Direct,
    Drop,
    GiveUp,
    Later,
    LeaveThread,
    Loss,
    PauseChannel,
    Plain,
    PostAnew,
    Privately,
    is_blind,
    must_look_first,
    remedy,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
URL = "https://hooks.slack.com/commands/1"


def make(kind=OutboxKind.OUTCOME, **changes):
    """Return a claimed message to a channel for a person that isn't posted yet."""
    item = OutboxItem(
        id="msg_1",
        team_id="T1",
        kind=kind,
        run_id=None,
        thread_id=None,
        panel_id="pnl_1" if kind in (OutboxKind.PANEL, OutboxKind.BULK) else None,
        data=None,
        channel_id="C1",
        thread_ts=None,
        user_id="U1",
        response_url=None,
        ephemeral=False,
        ts=None,
        version=1,
        claims=1,
        failures=0,
        in_doubt=False,
        is_shown=False,
        created_at=NOW,
        lease_until=NOW + timedelta(seconds=10),
    )
    return replace(item, **changes)


LIMITED = errors.SlackRateLimited("slow down", retry_after_s=20.0)
OUR_TURN = errors.SlackRateLimited("not our turn", retry_after_s=2.0, code=PACED)
UNAVAILABLE = errors.SlackUnavailable("no answer")
AUTH_LOST = errors.SlackAuthLost("refused", code="token_revoked")
DELETED = errors.SlackMessageGone("gone", code="message_not_found")
TOO_OLD = errors.SlackMessageGone("too old", code="edit_window_closed")
NO_ACCESS = errors.SlackNoAccess("no", code="not_in_channel")
ARCHIVED = errors.SlackArchived("no", code="is_archived")
BAD_BLOCKS = errors.SlackRefusedContent("no", code="invalid_blocks")
OTHER = errors.SlackOther("no", code="a_code_of_next_year")

POSTED = {"ts": "1.0", "is_shown": True}
DOUBTED = {"in_doubt": True}
REPLY = {"thread_ts": "1.0"}
UNASKED = {"user_id": None}
WITH_URL = {"response_url": URL}
EPHEMERAL = {"response_url": URL, "ephemeral": True}
TIRED = {"failures": MAX_REFUSALS - 1}
OUTCOME, PANEL, NOTE, PROGRESS, NEWS, BULK = OutboxKind

TABLE = [
    # Slack can't take it now
    (LIMITED, OUTCOME, {}, Later(20, counts=False)),
    (LIMITED, OUTCOME, DOUBTED, Later(20, in_doubt=True)),
    (OUR_TURN, OUTCOME, {}, Later(2, counts=False)),
    (OUR_TURN, OUTCOME, DOUBTED, Later(2, in_doubt=True, counts=False)),
    (UNAVAILABLE, OUTCOME, {}, Later(RETRY_S[0], in_doubt=True)),
    (UNAVAILABLE, OUTCOME, {"failures": 99}, Later(RETRY_S[-1], in_doubt=True)),
    (AUTH_LOST, OUTCOME, {}, Later(AUTH_RETRY_S)),
    (AUTH_LOST, OUTCOME, DOUBTED, Later(AUTH_RETRY_S, in_doubt=True)),
    # the message, or the thread, is gone
    (DELETED, PROGRESS, POSTED, Drop()),
    (DELETED, PANEL, POSTED, PostAnew(in_thread=False, otherwise=GiveUp())),
    (TOO_OLD, PANEL, POSTED, PostAnew(in_thread=True, otherwise=GiveUp())),
    (DELETED, OUTCOME, POSTED, GiveUp()),
    (DELETED, NEWS, POSTED | UNASKED, GiveUp()),
    (DELETED, OUTCOME, REPLY, LeaveThread()),
    (DELETED, PROGRESS, REPLY, LeaveThread()),
    (DELETED, OUTCOME, {}, Later(RETRY_S[0])),
    # the conversation is closed
    (NO_ACCESS, NEWS, UNASKED, PauseChannel(PauseReason.REMOVED)),
    (ARCHIVED, PANEL, UNASKED | POSTED, PauseChannel(PauseReason.ARCHIVED)),
    (NO_ACCESS, PANEL, POSTED, GiveUp(Loss.UPDATE)),
    (ARCHIVED, PROGRESS, POSTED, GiveUp(Loss.UPDATE)),
    (NO_ACCESS, OUTCOME, {}, Direct()),
    (ARCHIVED, NOTE, WITH_URL, Privately()),
    (NO_ACCESS, NOTE, EPHEMERAL, Direct()),
    (NO_ACCESS, NOTE, EPHEMERAL | {"is_shown": True}, GiveUp(Loss.MESSAGE)),
    (NO_ACCESS, PROGRESS, {}, GiveUp()),
    (NO_ACCESS, NOTE, {"channel_id": None}, GiveUp(Loss.MESSAGE)),
    # Slack refuses the content, or the reason is unknown
    (BAD_BLOCKS, OUTCOME, {}, Plain()),
    (OTHER, OUTCOME, {}, Later(RETRY_S[0])),
    (OTHER, OUTCOME, DOUBTED, Later(RETRY_S[0], in_doubt=True)),
    (OTHER, OUTCOME, TIRED, Direct()),
    (OTHER, NOTE, TIRED | WITH_URL, Privately()),
    (OTHER, PROGRESS, TIRED, GiveUp()),
    (OTHER, OUTCOME, TIRED | POSTED, GiveUp(Loss.MESSAGE)),
    (OTHER, PANEL, TIRED | POSTED, PostAnew(in_thread=True, otherwise=GiveUp(Loss.MESSAGE))),
    (OTHER, NEWS, TIRED | UNASKED, GiveUp(Loss.MESSAGE)),
]


@pytest.mark.parametrize(("error", "kind", "facts", "expected"), TABLE)
def test_each_refusal_has_its_remedy(error, kind, facts, expected):
    assert remedy(error, make(kind, **facts), has_blocks=True) == expected


def test_content_without_blocks_is_not_sent_again_at_once():
    """If even the plain text is refused, it's retried later, and then sent to the person."""
    assert remedy(BAD_BLOCKS, make(), has_blocks=False) == Later(RETRY_S[0])
    assert remedy(BAD_BLOCKS, make(**TIRED), has_blocks=False) == Direct()


ALL_ERRORS = [LIMITED, OUR_TURN, UNAVAILABLE, AUTH_LOST, DELETED, TOO_OLD, NO_ACCESS, ARCHIVED, BAD_BLOCKS, OTHER]
ALL_ITEMS = [
    make(kind, **facts, channel_id=channel_id, failures=failures)
    for kind, channel_id, failures in product(OutboxKind, ["C1", None], range(MAX_REFUSALS + 1))
    for facts in ({}, POSTED, DOUBTED, REPLY, UNASKED, WITH_URL, EPHEMERAL, EPHEMERAL | {"is_shown": True})
]


@pytest.mark.parametrize("error", ALL_ERRORS, ids=lambda error: error.code or type(error).__name__)
def test_a_remedy_changes_something_or_ends(error):
    """The next attempt is later, different, or there is none."""
    for item in ALL_ITEMS:
        chosen = remedy(error, item, has_blocks=False)
        match chosen:
            case Later(seconds=seconds, in_doubt=in_doubt):
                assert seconds > 0
                assert in_doubt or not item.in_doubt, "a doubt that was there stays"
            case LeaveThread():
                assert item.thread_ts
                assert not item.ts
            case Direct() | Privately():
                assert item.channel_id, "a DM that's refused isn't sent as a DM"
                assert item.user_id
                assert not item.ts
            case Plain():
                pytest.fail("there are no blocks to take away")
            case PostAnew():
                assert item.panel_id
                assert item.ts
            case PauseChannel() | GiveUp() | Drop():
                pass


def test_an_unknown_code_ends_after_a_few_attempts():
    """Then a different remedy is tried, or none."""
    for item in ALL_ITEMS:
        assert isinstance(remedy(OTHER, item, has_blocks=True), Later) == (item.failures + 1 < MAX_REFUSALS)


@pytest.mark.parametrize(
    ("error", "kind", "failures", "waits"),
    [
        (UNAVAILABLE, OUTCOME, 0, True),
        (NO_ACCESS, OUTCOME, 0, False),
        (LIMITED, OUTCOME, 0, False),
        (LIMITED, OUTCOME, 4, True),
        (LIMITED, PROGRESS, 0, True),
        (OUR_TURN, OUTCOME, 0, True),
    ],
)
def test_a_doubtful_message_waits_for_a_check_that_is_soon_possible(error, kind, failures, waits):
    """Otherwise it's posted without one."""
    assert must_look_first(error, make(kind, failures=failures)) is waits


def test_every_fifth_attempt_posts_without_a_check():
    """If no check ever works."""
    assert [failures for failures in range(12) if is_blind(make(failures=failures))] == [5, 10]


def test_progress_is_never_posted_without_a_check():
    """If it may be there already."""
    assert not any(is_blind(make(OutboxKind.PROGRESS, failures=failures)) for failures in range(12))
