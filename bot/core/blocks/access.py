"""Why somebody may not, or not yet. These go to one person alone, so that naming others does not call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.core.access.policy import DEEDS, Allowed, Refused
from bot.core.blocks.elements import Block, actions, button, context, section
from bot.core.blocks.text import clip, date, escape, listed, mention, mention_group, one_line
from bot.core.models import Message, Person
from bot.core.runs.limits import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.access.policy import Verb
    from bot.core.blocks.names import Name
    from bot.core.commands import Press
    from bot.core.runs.limits import Held

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
    text = f"{_reason(held, name)} Possible again {date(held.until)}."
    blocks: list[Block] = [section(text)]
    if anyway:
        blocks += actions(button("Sync anyway", anyway, about=name.plain))
        blocks.append(context("You may override this; it is noted in the audit."))
    return Message(text, tuple(blocks))


def why_message(
    decided: Allowed | Refused, verb: Verb, name: Name | None, held: Held | None = None, *, is_running: bool = False
) -> Message:
    """Explain whether somebody may do something, and by which rule; nothing was tried."""
    if isinstance(decided, Refused):
        return refused_message(decided, name)
    what = f"{DEEDS[verb]} {name.text}" if name else DEEDS[verb]
    text = f"You may {what} here. Rule: {_rule(decided.rule)}."
    if is_running:
        text += " A sync is under way already: you would join it."
    elif held and name:
        text += f" But not yet: {_reason(held, name)} Possible again {date(held.until)}."
    return Message(text, (section(text), context("Nothing was tried.")))


def _reason(held: Held, name: Name) -> str:
    if held.by is Limit.COOLDOWN:
        return f"{name.text} synced successfully a moment ago, and rests before the next sync."
    return "You have started as many syncs within an hour as one person may."


def _rule(name: str) -> str:
    return f"“{escape(clip(one_line(name), RULE_CHARS))}”"


def _whom(ask: Sequence[str]) -> str:
    """Name people and groups by mentions: who is not in the conversation is not notified."""
    if not ask:
        return "Ask who runs this bot."
    return f"Ask {listed(ask, _mention, most=ASKED)}."


def _mention(id_: str) -> str:
    return (mention_group(id_) if id_.startswith("S") else "") or mention(Person(id_))
