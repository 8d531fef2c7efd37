"""A subscription in words: for people, and as the command that makes the same one again."""

from __future__ import annotations

from typing import Final

from bot.core.subscriptions.digest_time import DAY_NAMES, describe
from bot.core.subscriptions.subscriptions import DigestTime, News, PauseReason, Style, Subscription
from bot.core.subscriptions.words import HERE, Wish, parse_subscribe

PAUSED: Final = {
    PauseReason.ARCHIVED: "the channel is archived",
    PauseReason.REMOVED: "I can no longer post there",
}
"""Why a subscription rests."""


def describe_wish(subscription: Subscription) -> str:
    """Say in plain words what a channel is told; about what, its target says."""
    parts = (
        _news(subscription.news),
        f"digest {describe(subscription.digest)}" if subscription.digest else "",
        "a different error within an incident is posted to the channel, too"
        if subscription.style is Style.BROADCAST
        else "",
        _mentions(subscription.mention),
    )
    return "; ".join(part for part in parts if part)


def as_command(subscription: Subscription) -> str:
    """Write what follows ``subscribe`` in the command that makes this subscription."""
    parts = (
        _news(subscription.news) or "digest only",
        _target(subscription.target),
        _digest(subscription.digest) if subscription.digest else "",
        subscription.style,
        f"mention {_mention(subscription.mention)}" if subscription.mention else "",
    )
    return " ".join(part for part in parts if part)


def _news(news: frozenset[News]) -> str:
    return ", ".join(one for one in News if one in news)


def _mentions(mention: str) -> str:
    if not mention:
        return ""
    return "mentions @here" if mention == HERE else "mentions a user group"


def _mention(mention: str) -> str:
    return "@here" if mention == HERE else f"<!subteam^{mention}>"


def _target(target: str) -> str:
    """Write a target so that it is read as one: in quotes where it would mean something else."""
    reads_as_name = target[:1].isalpha() and parse_subscribe(target) == Wish(target)
    return target if reads_as_name else f'"{target}"'


def _digest(digest: DigestTime) -> str:
    days = ",".join(DAY_NAMES[day].lower() for day in sorted(digest.weekdays))
    return f"digest {digest.at:%H:%M} {days} zone {digest.zone}"
