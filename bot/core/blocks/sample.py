"""Marks a message as a sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bot.core.blocks.elements import context, section
from bot.core.blocks.phrases import typed
from bot.core.models import Message

SAMPLE: Final = "This is a sample, so its buttons do nothing, and nothing was synced or saved."
"""The answer to a click on a sample's button."""


def as_sample(message: Message, *, command: str) -> Message:
    """Say above and below a message, and in its text, that it's only a sample."""
    lead = "🧪 *Sample incident: nothing is wrong.* A real one looks like this:"
    hint = (
        f"Posted by {typed(command, 'test')}. Its buttons do nothing. To get real ones: {typed(command, 'subscribe')}"
    )
    blocks = (section(lead), *message.blocks, context(hint))
    return replace(message, text=f"🧪 Sample incident, nothing is wrong: {message.text}", blocks=blocks)
