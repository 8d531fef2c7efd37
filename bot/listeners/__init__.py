"""Bolt listeners: Slack's payloads become requests, are saved, and only then is Slack answered.

No listener calls an API before its ack, and none raises: Bolt would take the ack back.
"""

from __future__ import annotations

import re
from typing import Final

from slack_bolt.async_app import AsyncApp

from bot.core.commands.presses import ACTION_PATTERN
from bot.core.subscriptions.form import CALLBACK_ID, INPUT_PATTERN
from bot.listeners import buttons, channels, commands, events, home, views

ANYTHING: Final = re.compile(".*")


def register(app: AsyncApp, *, command: str) -> None:
    """Attach all listeners; ``manifests/`` list the same commands and events."""
    app.command(command)(commands.on_command)
    app.event("app_mention")(events.on_mention)
    app.event("message")(events.on_message)
    for event in channels.NEWS:
        app.event(event)(channels.on_change)
    app.event(channels.ID_CHANGED)(channels.on_id_changed)
    app.event("app_home_opened")(home.on_opened)
    app.event(ANYTHING)(events.on_unknown)
    app.view(CALLBACK_ID)(views.on_submit)
    app.action(INPUT_PATTERN)(views.on_choice)
    app.action(ACTION_PATTERN)(buttons.on_press)
    app.action(ANYTHING)(buttons.on_unknown)
