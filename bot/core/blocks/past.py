"""Answers to words about the past that can't be shown: a name or a time that isn't recognized, or is two people's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.core.advice import display_name
from bot.core.blocks.elements import context, section
from bot.core.blocks.names import ID_SHOWN
from bot.core.blocks.text import NAMES_LISTED, clip, code, escape, one_line, person_name
from bot.core.models import Integration, Message, Person
from bot.core.span_words import SPAN_EXAMPLES

TYPED_CHARS: Final = 60
COMMAND_CHARS: Final = 80
SENTENCE_CHARS: Final = 300


def name_not_recognized_message(
    name: str,
    integrations: Sequence[Integration] = (),
    types: Sequence[str] = (),
    people: Sequence[Person] = (),
    *,
    word: str,
    command: str,
) -> Message:
    """Say that a name means no integration, type or person, and which come closest; ``word`` is the command's."""
    lead = f"I don't recognize {code(name, TYPED_CHARS)}."
    near = [
        *(f"{escape(clip(display_name(one.type), TYPED_CHARS))} {code(one.id, ID_SHOWN)}" for one in integrations),
        *(code(type_, TYPED_CHARS) for type_ in types),
        *(person_name(person) for person in people),
    ]
    if near:
        lead += f" Closest matches: {' · '.join(near)}."
    return _with_hint(lead, word, command)


def time_unclear_message(sentence: str, *, word: str, command: str) -> Message:
    """Say what is wrong with a time that was typed."""
    return _with_hint(escape(clip(one_line(sentence), SENTENCE_CHARS)), word, command)


def which_person_message(name: str, people: Sequence[Person], *, word: str, command: str) -> Message:
    """Ask which of several people is meant."""
    names = {person.name for person in people}
    called = [person.name if len(names) == len(people) else person.id for person in people[:NAMES_LISTED]]
    choices = " or ".join(code(f"{command} {word} @{one}", COMMAND_CHARS) for one in called)
    lead = f"{code(name, TYPED_CHARS)} matches {len(people):,} people. Which one? {choices}."
    return Message(lead, (section(lead),), only_for_one=True)


def nobody_called_message(name: str, people: Sequence[Person], *, kept_days: float, word: str, command: str) -> Message:
    """Say that nobody of a name did anything that is kept."""
    lead = f"No entries found for anyone called {code(name, TYPED_CHARS)}."
    if people:
        lead += f" Closest matches: {' · '.join(person_name(person) for person in people)}."
    return _with_hint(f"{lead} Entries are kept for {kept_days:g} days.", word, command)


def _with_hint(lead: str, word: str, command: str) -> Message:
    example = code(f"{command} {word} stripe last week", COMMAND_CHARS)
    hint = (
        f"Name an integration, a type, a person ({code('@ana', TYPED_CHARS)}), or a time ({SPAN_EXAMPLES}): {example}"
    )
    return Message(f"{lead} {hint}", (section(lead), context(hint)), only_for_one=True)
