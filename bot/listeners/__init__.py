"""Bolt listeners: Slack's payloads become requests, which are saved before the ack.

No listener raises, because Bolt would drop the ack; and none calls an API before its ack, except for the forms that
are checked while they're open.
"""

from __future__ import annotations

import re
from typing import Final

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core import person_settings
from bot.core.access import policy_form
from bot.core.commands.presses import ACTION_PATTERN
from bot.core.forms import keys, naming, ticket
from bot.core.subscriptions.form import CALLBACK_ID, INPUT_PATTERN
from bot.listeners import events, interactions

ANYTHING: Final = re.compile(".*")

CHECKED_FORMS: Final = (keys.FORM, policy_form.FORM, naming.FORM, ticket.FORM, person_settings.FORM)


def register(app: AsyncApp, *, command: str) -> None:
    """Register all listeners; ``manifests/`` lists the same commands and events."""
    app.command(command)(interactions.on_command)
    app.event("app_mention")(events.on_mention)
    app.event("message")(events.on_message)
    for event in events.CHANNEL_EVENTS:
        app.event(event)(events.on_channel_event)
    app.event(events.ID_CHANGED)(events.on_id_changed)
    app.event("app_home_opened")(events.on_home_opened)
    app.event(ANYTHING)(on_other)
    app.view(CALLBACK_ID)(interactions.on_submit)
    for form in CHECKED_FORMS:
        app.view(form.callback_id)(interactions.on_checked(form))
    app.action(INPUT_PATTERN)(interactions.on_choice)
    app.action(ACTION_PATTERN)(interactions.on_press)
    app.action(ANYTHING)(on_other)


async def on_other(ack: AsyncAck) -> None:
    """Ack clicks on other elements, such as links, and other events, so that Slack doesn't send them again."""
    await ack()
