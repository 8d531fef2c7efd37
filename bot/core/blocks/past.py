"""Answers to ``audit`` and ``history`` when a name or a time isn't recognized, or several people have the name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.core.blocks.elements import sentence
from bot.core.blocks.names import ID_SHOWN, title_of
from bot.core.blocks.phrases import closest, typed
from bot.core.blocks.text import NAMES_LISTED, code, person_name, shown
from bot.core.models import Integration, Message, Person
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.span_words import SPAN_EXAMPLES

TYPED_CHARS: Final = 60
SENTENCE_CHARS: Final = 300


def name_not_recognized_message(
    name: str,
    integrations: Sequence[Integration] = (),
    types: Sequence[str] = (),
    people: Sequence[Person] = (),
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    word: str,
    command: str,
) -> Message:
    """Say that a name isn't an integration, type or person, and which come closest; ``word`` is the command."""
    lead = f"I don't recognize {code(name, TYPED_CHARS)}."
    near = closest(
        [
            *(
                f"{shown(title_of(one.id, one.type, nicknames), TYPED_CHARS)} {code(one.id, ID_SHOWN)}"
                for one in integrations
            ),
            *(code(type_, TYPED_CHARS) for type_ in types),
            *map(person_name, people),
        ]
    )
    return _with_hint(f"{lead}{near}", word, command)


def time_unclear_message(problem: str, *, word: str, command: str) -> Message:
    """Say what is wrong with a time that was typed."""
    return _with_hint(shown(problem, SENTENCE_CHARS), word, command)


def which_person_message(name: str, people: Sequence[Person], *, word: str, command: str) -> Message:
    """Ask which of several people is meant."""
    names = {person.name for person in people}
    called = [person.name if len(names) == len(people) else person.id for person in people[:NAMES_LISTED]]
    choices = " or ".join(typed(command, f"{word} @{one}") for one in called)
    lead = f"{code(name, TYPED_CHARS)} matches {len(people):,} people. Which one? {choices}."
    return sentence(lead, only_for_one=True)


def nobody_called_message(name: str, people: Sequence[Person], *, kept_days: float, word: str, command: str) -> Message:
    """Say that there are no entries for anyone with this name."""
    lead = f"No entries found for anyone called {code(name, TYPED_CHARS)}.{closest([*map(person_name, people)])}"
    return _with_hint(f"{lead} Entries are kept for {kept_days:g} days.", word, command)


def _with_hint(lead: str, word: str, command: str) -> Message:
    hint = f"Name an integration, a type, a person ({code('@ana', TYPED_CHARS)}), or a time ({SPAN_EXAMPLES}): "
    return sentence(lead, hint + typed(command, f"{word} stripe last week"), only_for_one=True)
