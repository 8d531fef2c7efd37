"""What to do when Slack refuses to show a message. Pure: ``Sender`` applies the remedy that ``remedy`` chooses.

    refusal                         of                                   remedy
    ─────────────────────────────   ──────────────────────────────────   ─────────────────────────────────────────────
    SlackRateLimited                any message                          Later, when Slack allows it
    SlackUnavailable                any message                          Later, in doubt
    SlackAuthLost                   any message                          Later, in a minute
    SlackMessageGone                progress that was posted             Drop
                                    a panel that was posted              PostAnew, or else GiveUp
                                    another message that was posted      GiveUp
                                    a reply not posted yet               LeaveThread
    SlackNoAccess, SlackArchived    what a channel subscribed to         PauseChannel
                                    a message that was posted            GiveUp
                                    a message not posted yet             the person, see below
    SlackRefusedContent             a message with blocks                Plain
    anything else                   the first attempts                   Later
                                    a panel that was posted              PostAnew, or else GiveUp
                                    any other message                    the person, see below

The person who asked gets what the conversation can't show: by ``response_url`` (Privately) or in a DM (Direct).
Progress isn't worth that, and a message that no one asked for, or that was shown already, isn't sent twice: GiveUp.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from bot.core.errors import (
    SlackArchived,
    SlackAuthLost,
    SlackError,
    SlackMessageGone,
    SlackNoAccess,
    SlackRateLimited,
    SlackRefusedContent,
    SlackUnavailable,
)
from bot.core.subscriptions.subscriptions import PauseReason
from bot.slack.client import PACED
from bot.store.outbox_rows import OutboxItem, OutboxKind

RETRY_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between attempts; the last one repeats."""

AUTH_RETRY_S: Final = 60.0
MAX_REFUSALS: Final = 3

BLIND_EVERY: Final = 5
"""Every fifth attempt posts without looking for the message: if we can never look, twice is better than never."""

SHORT_WAIT_S: Final = 5.0
"""If Slack lets us look for a message this soon, we wait for it. Otherwise the message is posted without looking."""

LIMITED_LOOKS: Final = 3
"""After this many failures we wait in any case: while replies get lost, each post without looking adds a duplicate."""


@dataclass(frozen=True, slots=True)
class Later:
    """Try again after ``seconds``."""

    seconds: float
    in_doubt: bool = False
    """The message may have been posted: look for it first."""
    counts: bool = True
    """The attempt failed; False if Slack wasn't asked, or asked us to wait."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Show the text without blocks, immediately."""


@dataclass(frozen=True, slots=True)
class LeaveThread:
    """Post in the channel instead, if the message is worth that there; otherwise drop it."""


@dataclass(frozen=True, slots=True)
class Privately:
    """Answer the person by ``response_url``; a message that replies follow goes to their DMs."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Send a DM to the person."""


@dataclass(frozen=True, slots=True)
class PauseChannel:
    """Stop, and pause the channel's subscriptions."""

    reason: PauseReason


class Loss(Enum):
    """What people don't get to see."""

    NOTHING = auto()
    """Another message has it, or it isn't worth a message elsewhere."""
    UPDATE = auto()
    """Its conversation is closed: the update is made when that opens again."""
    MESSAGE = auto()


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop trying to show this version."""

    loss: Loss = Loss.NOTHING


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget the message: no newer version will be shown either."""


@dataclass(frozen=True, slots=True)
class PostAnew:
    """Post the message of an incident again, in the thread of the old one unless that was deleted.

    Other messages get ``otherwise``.
    """

    in_thread: bool
    otherwise: GiveUp


Remedy: TypeAlias = Later | Plain | LeaveThread | Privately | Direct | PauseChannel | GiveUp | Drop | PostAnew


def remedy(error: SlackError, item: OutboxItem, *, has_blocks: bool) -> Remedy:
    """Choose the remedy for a refusal; it never repeats the same call immediately.

    Args:
        error: how Slack, or our pacing, refused.
        item: the message as it was claimed.
        has_blocks: whether it was sent with blocks; ``Plain`` takes them away.
    """
    match error:
        case SlackRateLimited(retry_after_s=seconds):
            # Waiting to look for a message counts, so that one attempt in five doesn't look.
            return Later(seconds, item.in_doubt, counts=item.in_doubt and error.code != PACED)
        case SlackUnavailable():
            return Later(pause_s(item), in_doubt=True)
        case SlackAuthLost():
            return Later(AUTH_RETRY_S, item.in_doubt)
        case SlackMessageGone() if item.ts:
            if item.kind is OutboxKind.PROGRESS:
                return Drop()  # the outcome is a message of its own
            return _anew(item, GiveUp(), in_thread=error.code != "message_not_found")
        case SlackMessageGone() if item.thread_ts:
            return LeaveThread()
        case SlackNoAccess() | SlackArchived() if item.is_unasked:
            return PauseChannel(PauseReason.ARCHIVED if isinstance(error, SlackArchived) else PauseReason.REMOVED)
        case SlackNoAccess() | SlackArchived() if item.ts:
            return GiveUp(Loss.UPDATE)
        case SlackNoAccess() | SlackArchived():
            return _to_person(item)
        case SlackRefusedContent() if has_blocks:
            return Plain()
        case _ if item.failures + 1 < MAX_REFUSALS:
            return Later(pause_s(item), item.in_doubt)
        case _ if item.ts:
            return _anew(item, GiveUp(Loss.MESSAGE), in_thread=True)
        case _:
            return _to_person(item)


def _anew(item: OutboxItem, otherwise: GiveUp, *, in_thread: bool) -> Remedy:
    return PostAnew(in_thread, otherwise) if item.panel_id else otherwise


def _to_person(item: OutboxItem) -> Remedy:
    if item.channel_id is None or item.user_id is None or (item.ephemeral and item.is_shown):
        return GiveUp(Loss.MESSAGE)
    if item.kind is OutboxKind.PROGRESS:
        return GiveUp()
    return Privately() if item.response_url and not item.ephemeral else Direct()


def pause_s(item: OutboxItem) -> float:
    """Return the seconds until the next attempt: more after each failure."""
    return RETRY_S[min(item.failures, len(RETRY_S) - 1)]


def is_blind(item: OutboxItem) -> bool:
    """Whether this attempt posts without looking for an earlier one's message."""
    may_be_blind = item.kind is not OutboxKind.PROGRESS  # not urgent, and it would only confuse twice
    return may_be_blind and item.failures > 0 and item.failures % BLIND_EVERY == 0


def must_look_first(error: SlackError, item: OutboxItem) -> bool:
    """Whether a message in doubt waits until we can look for it; otherwise it's posted without looking."""
    if isinstance(error, SlackUnavailable):
        return True
    return isinstance(error, SlackRateLimited) and (
        error.retry_after_s <= SHORT_WAIT_S
        or item.failures > LIMITED_LOOKS
        or item.kind is OutboxKind.PROGRESS  # not urgent
    )
