"""Answers about subscriptions: made, ended, listed, resting, awake again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.core.blocks import limits
from bot.core.blocks.elements import Block, actions, button, context, json_chars, section
from bot.core.blocks.text import clip, code, counted, date, escape, listed, one_line, person_name
from bot.core.commands.presses import Action, Press
from bot.core.models import Message, Person
from bot.core.subscriptions.digest_time import next_digest_at
from bot.core.subscriptions.subscriptions import PauseReason, Subscription
from bot.core.subscriptions.text import PAUSED, describe_wish

NAME_CHARS: Final = 120
COMMAND_CHARS: Final = 80
LISTED: Final = 20
LIST_CHARS: Final = limits.BLOCKS_BUDGET_CHARS - 1000
"""What the rows of a list may take as JSON: the rest is for what stands around them."""


def subscribed_message(subscription: Subscription, name: str, *, command: str) -> Message:
    """Confirm a subscription in its channel, for everybody to see."""
    shown = escape(clip(one_line(name), NAME_CHARS))
    lead = f"🔔 {person_name(subscription.created_by)} subscribed this channel to {shown}"
    how = (
        "I post one message per incident and update it until it's resolved. "
        f"{code(f'{command} subscriptions', COMMAND_CHARS)} lists subscriptions, "
        f"{code(f'{command} unsubscribe', COMMAND_CHARS)} removes this one."
    )
    wish = escape(describe_wish(subscription))
    return Message(f"{lead}: {wish}.", (section(f"{lead}:\n{wish}"), context(how)))


def unsubscribed_message(person: Person, names: Sequence[str], *, digest_only: bool) -> Message:
    """Say in the channel what is no longer told there."""
    what = "the digest of " if digest_only else ""
    shown = listed(names, lambda name: escape(clip(one_line(name), NAME_CHARS)))
    text = f"🔕 {person_name(person)} ended {what}this channel's subscription to {shown}."
    return Message(text, (section(text),))


def subscriptions_message(rows: Sequence[tuple[Subscription, str]], now: datetime, *, command: str) -> Message:
    """List a channel's subscriptions, each with a button that ends it."""
    if not rows:
        example = code(f"{command} subscribe all", COMMAND_CHARS)
        text = f"This channel has no subscriptions. {example} posts what fails and what recovers."
        return Message(text, (section(text),))
    lead = f"This channel has {counted(len(rows), 'subscription')}."
    drawn = [_row(subscription, name, now) for subscription, name in rows[:LISTED]]
    while json_chars(block for row in drawn for block in row) > LIST_CHARS:
        drawn.pop()
    hidden = len(rows) - len(drawn)
    rest = f"and {hidden:,} more: {code(f'{command} unsubscribe all', COMMAND_CHARS)} removes them all"
    more = [context(rest)] if hidden else []
    return Message(lead, (section(lead), *(block for row in drawn for block in row), *more))


def _row(subscription: Subscription, name: str, now: datetime) -> list[Block]:
    shown = escape(clip(one_line(name), NAME_CHARS))
    lines = [f"*{shown}*", escape(describe_wish(subscription))]
    if subscription.paused:
        lines.append(f"⏸️ paused: {PAUSED[subscription.paused]}")
    elif subscription.digest:
        lines.append(f"next digest {date(next_digest_at(subscription.digest, now))}")
    lines.append(f"by {person_name(subscription.created_by)}")
    end = button("Unsubscribe", Press(Action.UNSUBSCRIBE, subscription_id=subscription.id), about=name)
    return [section("\n".join(lines)), *actions(end)]


def paused_message(subscription: Subscription, name: str, *, command: str) -> Message:
    """Tell the person who made a subscription that it rests, and what would wake it."""
    shown = escape(clip(one_line(name), NAME_CHARS))
    reason = PAUSED[subscription.paused or PauseReason.REMOVED]
    text = (
        f"⏸️ Your subscription of <#{subscription.channel_id}> to {shown} is paused: {reason}. It will resume "
        "automatically once I can post there again. To use another channel, run "
        f"{code(f'{command} subscribe', COMMAND_CHARS)} there."
    )
    return Message(text, (section(text),))


def resumed_message(names: Sequence[str]) -> Message:
    """Say in a channel that its subscriptions are awake again."""
    shown = listed(names, lambda name: escape(clip(one_line(name), NAME_CHARS)))
    text = f"▶️ I can post here again; this channel's subscriptions have resumed: {shown}."
    return Message(text, (section(text),))
