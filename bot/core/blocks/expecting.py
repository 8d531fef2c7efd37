"""What people expect of an integration: how often it syncs, and how many events it brings."""

from __future__ import annotations

from bot.core.blocks.elements import context, section
from bot.core.blocks.names import ID_SHOWN, short_name
from bot.core.blocks.phrases import typed
from bot.core.blocks.text import code, duration, person_name
from bot.core.models import Integration, Message, Person
from bot.core.nicknames import Nicknames, expected_words
from bot.core.volumes.expectations import Expectation

NO_EVENTS = "I won't report it as empty, however few events it brings."


def expected_message(
    about: Integration, expected: Expectation, nicknames: Nicknames, person: Person | None = None, *, command: str
) -> Message:
    """Show what's expected of an integration; if a person has just said so, name them."""
    name = short_name(about.id, about.type, nicknames)
    who = f"{person_name(person)} changed what's expected of" if person else "Expected of"
    lead = f"📐 {who} {name.mrkdwn} {code(about.id, ID_SHOWN)}: {expected_words(expected)}."
    text = " ".join((lead, *_what_follows(expected)))
    hint = f"{typed(command, f'expect {about.id} nothing')} clears it. It takes effect within a minute."
    if expected.is_blank:
        example = typed(command, f"expect {about.id} every 6h, 100 events a day")
        hint = f"To say what you expect: {example}."
    return Message(text.replace("*", ""), (section(text), context(hint)))


def _what_follows(expected: Expectation) -> list[str]:
    parts = []
    if expected.stale_after_s is not None:
        parts.append(f"It's stale after {duration(expected.stale_after_s)} without a successful sync.")
    if expected.per_day == 0:
        parts.append(NO_EVENTS)
    elif expected.per_day is not None:
        parts.append(
            f"It's empty if FloKit counts fewer than {expected.per_day:,} in 24 h, twice in a row after a sync."
        )
    if expected.per_day is None:
        parts.append("I compare its events with its own past.")
    return parts
