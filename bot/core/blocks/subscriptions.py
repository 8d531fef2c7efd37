"""Messages about subscriptions: created, removed, listed, paused, resumed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.core.blocks import limits
from bot.core.blocks.elements import Block, actions, button, context, json_chars, section, sentence
from bot.core.blocks.phrases import and_more, typed, what_comes
from bot.core.blocks.text import counted, escape, listed, person_name, shown
from bot.core.commands.presses import Action, Press
from bot.core.models import Message, Person
from bot.core.panels import Panel
from bot.core.subscriptions.removal import UNDO_FOR
from bot.core.subscriptions.subscriptions import PauseReason, Subscription
from bot.core.subscriptions.text import PAUSED, describe_wish

NAME_CHARS: Final = 120
LISTED: Final = 20
LIST_CHARS: Final = limits.BLOCKS_BUDGET_CHARS - 1000
"""The most JSON that a list's rows can take; the rest is for the blocks around them."""


def subscribed_message(subscription: Subscription, name: str, *, command: str) -> Message:
    """Confirm a subscription in its channel, visible to everyone."""
    lead = f"🔔 {person_name(subscription.created_by)} subscribed this channel to {shown(name, NAME_CHARS)}"
    how = (
        "I post one message per incident and update it until it's resolved. "
        f"{'What happens outside these hours comes as one summary afterwards. ' if subscription.hours else ''}"
        f"{typed(command, 'subscriptions')} lists subscriptions, {typed(command, 'unsubscribe')} removes this one."
    )
    wish = escape(describe_wish(subscription))
    return Message(f"{lead}: {wish}.", (section(f"{lead}:\n{wish}"), context(how)))


def unsubscribed_message(panel: Panel) -> Message:
    """Say in the channel what it's no longer subscribed to; Undo restores it."""
    removal = panel.removal
    if removal is None:
        return sentence("I no longer have this on record.")
    what = "the digest of " if removal.digest_only else ""
    lead = f"🔕 {person_name(removal.by)} removed {what}this channel's subscription to {_all(removal.names)}."
    if removal.undone_by:
        undone = f"↩️ {person_name(removal.undone_by)} has undone this."
        return Message(f"{lead} {undone}", (section(lead), context(undone)))
    undo = button("Undo", Press(Action.UNDO, panel_id=panel.id), about=lead)
    hint = f"You can undo this for {UNDO_FOR // timedelta(hours=1)} hours."
    return Message(lead, (section(lead, undo), context(hint)))


def restored_message(person: Person, names: Sequence[str]) -> Message:
    """Say in the channel what it's subscribed to again; without names, that nothing was left to restore."""
    if not names:
        return sentence("This channel has subscribed to the same again in the meantime, so there's nothing to undo.")
    return sentence(f"↩️ {person_name(person)} restored this channel's subscription to {_all(names)}.")


def subscriptions_message(rows: Sequence[tuple[Subscription, str]], now: datetime, *, command: str) -> Message:
    """List a channel's subscriptions, each with a button that removes it."""
    if not rows:
        example = typed(command, "subscribe all")
        return sentence(f"This channel has no subscriptions. To hear when something fails or recovers, run {example}.")
    lead = f"This channel has {counted(len(rows), 'subscription')}."
    drawn = [_row(subscription, name, now) for subscription, name in rows[:LISTED]]
    while json_chars(block for row in drawn for block in row) > LIST_CHARS:
        drawn.pop()
    more = and_more(len(rows) - len(drawn), f"{typed(command, 'unsubscribe all')} removes them all")
    return Message(lead, (section(lead), *(block for row in drawn for block in row), *map(context, more)))


def _row(subscription: Subscription, name: str, now: datetime) -> list[Block]:
    lines = [
        f"*{shown(name, NAME_CHARS)}*",
        escape(describe_wish(subscription)),
        *what_comes(subscription, now),
        f"created by {person_name(subscription.created_by)}",
    ]
    end = button("Unsubscribe", Press(Action.UNSUBSCRIBE, subscription_id=subscription.id), about=name)
    return [section("\n".join(lines)), *actions(end)]


def paused_message(subscription: Subscription, name: str, *, command: str, is_theirs: bool = True) -> Message:
    """Notify a person that a subscription is paused, and when it will resume.

    ``is_theirs`` is False if someone else created it, whose account was deactivated, or who chose not to be notified.
    """
    reason = PAUSED[subscription.paused or PauseReason.REMOVED]
    maker = person_name(subscription.created_by)
    whose = "Your" if is_theirs else f"{maker}'s"
    why = "" if is_theirs else f" You get this because {maker} has no account here anymore, or asked not to get it."
    return sentence(
        f"⏸️ {whose} subscription to {shown(name, NAME_CHARS)} in <#{subscription.channel_id}> is paused: {reason}. It "
        "will resume automatically once I can post there again. To use another channel, run "
        f"{typed(command, 'subscribe')} there.{why}"
    )


def resumed_message(names: Sequence[str]) -> Message:
    """Say in a channel that its subscriptions have resumed."""
    return sentence(f"▶️ I can post here again; this channel's subscriptions have resumed: {_all(names)}.")


def _all(names: Sequence[str]) -> str:
    return listed(names, lambda name: shown(name, NAME_CHARS))
