"""Describes subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.core.advice import display_name
from bot.core.models import Integration
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.subscriptions.digest_time import describe
from bot.core.subscriptions.hours import describe_hours
from bot.core.subscriptions.subscriptions import ALL, HERE, Escalation, News, PauseReason, Style, Subscription, type_of

PAUSED: Final = {
    PauseReason.ARCHIVED: "the channel is archived",
    PauseReason.REMOVED: "I can no longer post there",
}
"""Why a subscription is paused."""


def describe_wish(subscription: Subscription) -> str:
    """Describe what a subscription posts, without its target."""
    parts = (
        ", ".join(one for one in News if one in subscription.news),
        f"digest {describe(subscription.digest)}" if subscription.digest else "",
        "a different error within an incident is also posted to the channel"
        if subscription.style is Style.BROADCAST
        else "",
        _mentions(subscription.mention),
        describe_hours(subscription.hours) if subscription.hours else "",
        f"always {', '.join(one for one in News if one in subscription.always)}" if subscription.always else "",
        describe_escalation(subscription.escalate),
    )
    return "; ".join(part for part in parts if part)


def describe_escalation(escalation: Escalation | None) -> str:
    """Describe an escalation: "escalates to a user group after 30 min if no one is on it"."""
    if escalation is None:
        return ""
    whom = "a user group" if escalation.whom.startswith("S") else "a person"
    minutes = round(escalation.after_s / 60)
    after = f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
    return f"escalates to {'a channel' if escalation.is_channel else whom} after {after} if no one is on it"


def _mentions(mention: str) -> str:
    if not mention:
        return ""
    return "mentions @here" if mention == HERE else "mentions a user group"


def describe_target(target: str, known: Sequence[Integration], nicknames: Nicknames = NO_NICKNAMES) -> str:
    """Describe which integrations a subscription includes."""
    if target == ALL:
        return "all integrations"
    name = nicknames.of(target).name
    if one := next((integration for integration in known if integration.id == target), None):
        return f"{name or display_name(one.type)} ({one.id})"
    if name:
        return f"{name} ({target})"
    return target if type_of(target, known) is None else f"every {display_name(target)} integration"
