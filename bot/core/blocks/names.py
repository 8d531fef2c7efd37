"""An integration's name in a message: what people call it, or its type and, if several share it, the end of its ID.

FloKit's integrations have no name of their own; iOS and Android apps are separate integrations of one type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.core.advice import NAME_CHARS, display_name
from bot.core.blocks.text import clip, code, escape, one_line
from bot.core.characters import cut
from bot.core.models import Integration
from bot.core.nicknames import NO_NICKNAMES, Nicknames

ENDING_CHARS: Final = 4
"""The shortest end of an ID that is shown; `bot.core.commands.targets` accepts it as input."""

ENDING_SHOWN: Final = 16

ID_SHOWN: Final = 60
"""The longest ID that a line shows in full."""


@dataclass(frozen=True, slots=True)
class Name:
    """A display name. ``ending`` is "" if the type is unambiguous."""

    title: str
    ending: str = ""

    @property
    def plain(self) -> str:
        """The name as plain text."""
        return f"{self.title} …{self.ending}" if self.ending else self.title

    @property
    def text(self) -> str:
        """The name in a message's ``text``."""
        return escape(self.plain)

    @property
    def mrkdwn(self) -> str:
        """The name in a block."""
        title = f"*{escape(self.title)}*"
        return f"{title} {code('…' + self.ending, ENDING_SHOWN + 1)}" if self.ending else title


def title_of(integration_id: str, type_: str, nicknames: Nicknames = NO_NICKNAMES) -> str:
    """Return what people call an integration, or else the name of its type."""
    name = nicknames.of(integration_id).name
    return cut(name, NAME_CHARS) if name else clip(display_name(type_), NAME_CHARS)


def short_name(integration_id: str, type_: str, nicknames: Nicknames = NO_NICKNAMES) -> Name:
    """Name an integration in a message that is about it alone."""
    return Name(title_of(integration_id, type_, nicknames))


def name_of(integration: Integration, among: Sequence[Integration], nicknames: Nicknames = NO_NICKNAMES) -> Name:
    """Name an integration so that it's unambiguous among ``among``."""
    name = short_name(integration.id, integration.type, nicknames)
    others = [one for one in among if one.id != integration.id]
    if nicknames.of(integration.id).name:
        others = [one for one in others if title_of(one.id, one.type, nicknames).casefold() == name.title.casefold()]
    elif all(one.type != integration.type for one in others):
        return name
    return Name(name.title, _ending_of(integration, others)) if others else name


def _ending_of(integration: Integration, others: Sequence[Integration]) -> str:
    """Return enough of the end of an ID to tell it from the others."""
    shared = max(_common_ending(integration.id, one.id) for one in others)
    ending = integration.id[-max(ENDING_CHARS, shared + 1) :]
    return clip(one_line(ending), ENDING_SHOWN)


def _common_ending(one: str, other: str) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count
