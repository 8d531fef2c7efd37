"""What an integration is called in a message: its type, and the ending of its id where several share the type.

FloKit's integrations have no name of their own; iOS and Android apps are separate integrations of one type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.core.advice import NAME_CHARS, display_name
from bot.core.blocks.text import clip, code, escape, one_line
from bot.core.models import Integration

ENDING_CHARS: Final = 4
"""The shortest ending of an id that is shown; `bot.core.commands.targets` takes it back."""

ENDING_SHOWN: Final = 16

ID_SHOWN: Final = 60
"""The longest id that a line shows whole."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name for people. ``ending`` is "" when the type alone says which integration it is."""

    title: str
    ending: str = ""

    @property
    def plain(self) -> str:
        """The name where Slack parses nothing."""
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


def name_of(integration: Integration, among: Sequence[Integration]) -> Name:
    """Name an integration so that it cannot be mistaken for another one of ``among``."""
    title = clip(display_name(integration.type), NAME_CHARS)
    others = [one for one in among if one.id != integration.id]
    if all(one.type != integration.type for one in others):
        return Name(title)
    shared = max(_common_ending(integration.id, one.id) for one in others)
    ending = integration.id[-max(ENDING_CHARS, shared + 1) :]
    return Name(title, clip(one_line(ending), ENDING_SHOWN))


def _common_ending(one: str, other: str) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count
