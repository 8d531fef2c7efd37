"""Why somebody may not, or not yet. These go to one person alone, so that naming others does not call them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.core.access.policy import DEEDS, Allowed, Refused, Verb
from bot.core.blocks.elements import Block, actions, button, context, section
from bot.core.blocks.names import Name
from bot.core.blocks.text import clip, date, escape, listed, mention, mention_group, one_line
from bot.core.commands.presses import Press
from bot.core.models import Message, Person
from bot.core.runs.limits import Held, Limit

RULE_CHARS: Final = 80
ASKED: Final = 5


def refused_message(refused: Refused, name: Name | None = None) -> Message:
    """Say what is refused, by which rule, and whom to ask; ``name`` is the integration that it is about."""
    about = f" This is about {name.text}." if name else ""
    text = f"{escape(refused.sentence)}{about} Rule: {_rule(refused.rule)}. {_whom(refused.ask)}"
    return Message(text, (section(text),))


def refused_home(refused: Refused) -> dict[str, object]:
    """Draw the App Home of somebody who may not look."""
    return {"type": "home", "blocks": list(refused_message(refused).blocks)}


def held_message(held: Held, name: Name, anyway: Press | None = None) -> Message:
    """Say why a sync is not started yet, and when it can be; ``anyway`` is the button for those who may."""
    text = _held(held, name)
    blocks: list[Block] = [section(text)]
    if anyway:
        blocks += actions(button("Sync anyway", anyway, about=name.plain))
        blocks.append(context("You can override this; it will be logged in the audit."))
    return Message(text, tuple(blocks))


def why_message(
    decided: Allowed | Refused, verb: Verb, name: Name | None, held: Held | None = None, *, is_running: bool = False
) -> Message:
    """Explain whether somebody may do something, and by which rule; nothing was tried."""
    if isinstance(decided, Refused):
        return refused_message(decided, name)
    what = f"{DEEDS[verb]} {name.text}" if name else DEEDS[verb]
    text = f"You can {what} here. Rule: {_rule(decided.rule)}."
    if is_running:
        text += " A sync is already running; you would join it."
    elif held and name:
        text += f" Not right now, though: {_held(held, name)}"
    return Message(text, (section(text), context("This was only a check; nothing was started.")))


def _held(held: Held, name: Name) -> str:
    if held.by is Limit.COOLDOWN:
        return f"{name.text} just synced successfully. You can sync it again {date(held.until)}."
    return f"You've reached your hourly sync limit. You can sync again {date(held.until)}."


def _rule(name: str) -> str:
    return f"“{escape(clip(one_line(name), RULE_CHARS))}”"


def _whom(ask: Sequence[str]) -> str:
    """Name people and groups by mentions: who is not in the conversation is not notified."""
    if not ask:
        return "Ask whoever runs this bot."
    return f"Ask {listed(ask, _mention, most=ASKED)}."


def _mention(id_: str) -> str:
    return (mention_group(id_) if id_.startswith("S") else "") or mention(Person(id_))
