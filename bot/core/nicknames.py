"""What people add to an integration for everyone in the workspace: a name, an owner and a link.

FloKit's integrations have no names of their own. All three are optional, and kept until someone changes them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from bot.core.advice import NAME_CHARS
from bot.core.characters import as_meant
from bot.core.typed import name_key
from bot.core.volumes.expectations import NOTHING, Expectation

LINK_CHARS: Final = 300
"""The longest link: a runbook's address, without room for a whole query."""

MOST: Final = 500
"""How many integrations of a workspace can have a name, an owner or a link: each process keeps them in memory."""

_PUNCTUATION: Final = frozenset(" -.,&+/()'")
_OWNER: Final = re.compile(r"[UWS][A-Z0-9]{2,29}")
_LINK: Final = re.compile(r"[!-~]+")
_ENDS_A_LINK: Final = re.compile(r"[<>|\"'`\\^{}]")


@dataclass(frozen=True, slots=True)
class Nickname:
    """What people added to one integration; "" is what they didn't.

    ``owner`` is the ID of a person or of a user group, whom incidents mention. ``link`` is shown among the things to
    check.
    """

    integration_id: str
    name: str = ""
    owner: str = ""
    link: str = ""
    expected: Expectation = NOTHING
    """How often it syncs and how many events it brings, as people said."""

    @property
    def is_blank(self) -> bool:
        """Whether there's nothing to keep."""
        return not (self.name or self.owner or self.link) and self.expected.is_blank


@dataclass(frozen=True, slots=True)
class Nicknames:
    """What people added to the integrations of a workspace, by the integration's ID."""

    by_id: Mapping[str, Nickname] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, integration_id: str) -> Nickname:
        """Return what was added to an integration; a blank if nothing was."""
        return self.by_id.get(integration_id) or Nickname(integration_id)

    def called(self, name: str) -> str:
        """Return the ID of the integration with a name, however it's spelled; "" if there's none."""
        key = name_key(name)
        return next((one.integration_id for one in self.by_id.values() if one.name and name_key(one.name) == key), "")

    def replace_in(self, words: str, written: Callable[[Nickname], str]) -> str:
        """Replace the names in typed words, the longest ones first, by what ``written`` returns for each.

        A name may contain words that mean something else in a command, such as "for" or "May".
        """
        by_key = {name_key(one.name): one for one in self.by_id.values() if one.name}
        if not by_key:
            return words
        left, kept = words.split(), []
        while left:
            for count in range(min(len(left), NAME_CHARS), 0, -1):
                found = by_key.get(name_key(" ".join(left[:count])))
                if found and not left[0].startswith(("@", "<")):
                    kept.append(written(found))
                    left = left[count:]
                    break
            else:
                kept.append(left.pop(0))
        return " ".join(kept)


NO_NICKNAMES: Final = Nicknames()


def nicknames_of(them: Iterable[Nickname]) -> Nicknames:
    """Return them by their integration's ID."""
    return Nicknames(MappingProxyType({one.integration_id: one for one in them}))


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of what people added to an integration: None leaves a part as it is, "" removes it."""

    name: str | None = None
    owner: str | None = None
    link: str | None = None
    expected: Expectation | None = None

    def apply(self, before: Nickname) -> Nickname:
        """Return the result."""
        return Nickname(
            before.integration_id,
            before.name if self.name is None else self.name,
            before.owner if self.owner is None else self.owner,
            before.link if self.link is None else self.link,
            before.expected if self.expected is None else self.expected,
        )


NO_EDIT: Final = Edit()


def tidy_name(text: str) -> str:
    """Return a name as it's kept: in one line, without typographic variants, so that it can be typed."""
    return " ".join(as_meant(text).split())


def name_problem(name: str) -> str:
    """Say why a tidied name can't be one; "" if it can. "" isn't a name, so it has no problem."""
    if len(name) > NAME_CHARS:
        return f"A name can have up to {NAME_CHARS} characters; this one has {len(name):,}."
    if name and not any(char.isalpha() for char in name):
        return "A name needs at least one letter."
    if not all(char in _PUNCTUATION or unicodedata.category(char)[0] in "LMN" for char in name):
        return "A name can have letters, numbers, spaces, and the characters - . , & + / ( ) '."
    return ""


def owner_problem(owner: str) -> str:
    """Say why an owner can't be one; "" if it can."""
    if not owner or _OWNER.fullmatch(owner):
        return ""
    return "An owner is a person, or a user group's ID, such as S0615G0KT; copy it from the group's profile in Slack."


def link_problem(link: str) -> str:
    """Say why a link can't be one; "" if it can."""
    if not link:
        return ""
    if len(link) > LINK_CHARS:
        return f"A link can have up to {LINK_CHARS} characters; this one has {len(link):,}."
    try:
        parts = urlsplit(link)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "This isn't a link I can show."
    if parts.scheme not in ("http", "https") or not host:
        return "A link begins with https:// or http://."
    if parts.username is not None or parts.password is not None:
        return "A link can't contain a user name or a password."
    if not _LINK.fullmatch(link) or _ENDS_A_LINK.search(link):
        return "This link has characters that don't belong in one. Encode them, such as a space as %20."
    return ""


def problems_of(edit: Edit) -> dict[str, str]:
    """Say what is wrong with an edit, by its field."""
    said = {
        "name": name_problem(edit.name or ""),
        "owner": owner_problem(edit.owner or ""),
        "link": link_problem(edit.link or ""),
    }
    return {part: problem for part, problem in said.items() if problem}


def describe_expected(before: Expectation, after: Expectation) -> str:
    """Describe a change for the audit log: "every 6 h, 100 events a day; was nothing"."""
    return f"{expected_words(after)}; was {expected_words(before)}"


def expected_words(expected: Expectation) -> str:
    """Return "a sync every 6 h, 100 events a day"."""
    parts = []
    if expected.every_s is not None:
        parts.append(f"a sync every {_span(expected.every_s)}")
    if expected.per_day is not None:
        parts.append(f"{expected.per_day:,} {'event' if expected.per_day == 1 else 'events'} a day")
    return ", ".join(parts) or "nothing"


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes = rest // 60
    return " ".join(f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count)


def describe_change(before: Nickname, after: Nickname) -> str:
    """Describe a change for the audit log: "name “Money”, was “Stripe EU”; owner U024BE7LH"."""
    parts = []
    for part in ("name", "owner", "link"):
        old, new = (
            f"“{one}”" if part == "name" and one else one for one in (getattr(before, part), getattr(after, part))
        )
        if old != new:
            parts.append(f"{part} {new or 'none'}{f', was {old}' if old else ''}")
    return "; ".join(parts)
