"""An integration's name in a message: its type and, if several share it, the end of its ID.

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


def name_of(integration: Integration, among: Sequence[Integration]) -> Name:
    """Name an integration so that it's unambiguous among ``among``."""
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
