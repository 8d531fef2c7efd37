"""Why a person isn't allowed to, or has to wait. Only that person sees it, so mentions in it notify no one else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.core.access.policy import DEEDS, Allowed, Refused, Verb
from bot.core.blocks.elements import Block, actions, button, context, section, sentence
from bot.core.blocks.home_tab import home_tab
from bot.core.blocks.names import Name
from bot.core.blocks.text import date, escape, listed, mention, mention_group, shown
from bot.core.commands.presses import Press
from bot.core.models import Message, Person
from bot.core.runs.limits import Held, Limit

RULE_CHARS: Final = 80
ASKED: Final = 5


def refused_message(refused: Refused, name: Name | None = None) -> Message:
    """Say what is refused, by which rule, and whom to ask; ``name`` is the integration."""
    about = f" Integration: {name.text}." if name else ""
    return sentence(f"{escape(refused.sentence)}{about} Rule: {_rule(refused.rule)}. {_whom(refused.ask)}")


def refused_home(refused: Refused, *, edits_policy: bool = False) -> dict[str, object]:
    """Return the App Home of a person who isn't allowed to look; ``edits_policy`` as in `home_tab`."""
    return home_tab(refused_message(refused).blocks, edits_policy=edits_policy)


def held_message(held: Held, name: Name, anyway: Press | None = None) -> Message:
    """Say why a sync can't start yet, and when it can; ``anyway`` is the button for people who can override that."""
    text = _held(held, name)
    blocks: list[Block] = [section(text)]
    if anyway:
        blocks += actions(button("Sync anyway", anyway, about=name.plain))
        blocks.append(context("You can override this; it will be recorded in the audit log."))
    return Message(text, tuple(blocks))


def why_message(
    decided: Allowed | Refused, verb: Verb, name: Name | None, held: Held | None = None, *, is_running: bool = False
) -> Message:
    """Explain whether a person is allowed to do something, and by which rule."""
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
    return f"“{shown(name, RULE_CHARS)}”"


def _whom(ask: Sequence[str]) -> str:
    """Mention people and groups: those who aren't in the conversation aren't notified."""
    if not ask:
        return "Ask whoever manages this bot."
    return f"Ask {listed(ask, mention_id, most=ASKED)}."


def mention_id(id_: str) -> str:
    """Mention a person or a group by its ID."""
    return (mention_group(id_) if id_.startswith("S") else "") or mention(Person(id_))
