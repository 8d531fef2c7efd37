"""Parses what follows ``name`` and ``forget``: an integration, its new name, its owner, and its link.

Where the integration's name ends and the new one begins is clear if one of them is quoted, or if there's a word such as
"as" between them. Otherwise, it depends on which integrations there are, so every place is offered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.core.commands.filters import FILTER_WORDS
from bot.core.commands.targets import All, NotFound, OfType, resolve_target
from bot.core.models import Integration
from bot.core.nicknames import NO_EDIT, Edit, Nicknames
from bot.core.subscriptions.words import KEYWORDS
from bot.core.typed import WRAPPING, clean, name_key, plain

_BETWEEN: Final = frozenset({"as", "to", "is", "be", "called", "named", "=", "->", "=>", ":"})
_OWNER_WORDS: Final = frozenset({"owner", "owners", "owned"})
_LINK_WORDS: Final = frozenset({"link", "runbook", "url"})
_NOTHING: Final = frozenset({"none", "nobody", "noone", "nothing", "no", "-"})
_ABOUT_NAME: Final = frozenset({"name", "nickname", "names", "nicknames", "alias"})
_THINGS: Final = frozenset({"integration", "connector", "connection", "source"})
_BEFORE_ABOUT: Final = frozenset({"the", "its", "a", "new"})
_BEFORE_VALUE: Final = frozenset({"by", "is", "as", "to", "=", ":"})

_TOKEN: Final = re.compile(
    r"""
    (?P<mention> <[@!][^<>\n]*> )
    | "(?P<double> [^"]* )"
    | (?<!\S)'(?P<single> [^']* )'(?=[\s,.;]|$)
    | (?P<word> [^\s"]+ )
    """,
    re.VERBOSE,
)
_PERSON: Final = re.compile(r"<@([UW][A-Z0-9]{2,29})(?:\|[^<>]*)?>")
_GROUP: Final = re.compile(r"<!subteam\^(S[A-Z0-9]{2,29})(?:\|[^<>]*)?>")
_ID: Final = re.compile(r"@?([UWS][A-Z0-9]{6,29})")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    is_quoted: bool = False

    @property
    def key(self) -> str:
        """The word in lowercase; "" if it was quoted, so that it's always part of a name."""
        return "" if self.is_quoted else self.text.casefold()


@dataclass(frozen=True, slots=True)
class Split:
    """A way to understand the words: ``target`` is what the integration is called now, ``name`` what it's called next.

    ``name`` is None if there's none. Both are untrusted.
    """

    target: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """What follows ``name``: the ways to understand it, the likeliest first, and the other parts of the edit.

    ``edit`` has no name. ``problem`` is an error message about it.
    """

    splits: tuple[Split, ...]
    edit: Edit = NO_EDIT
    problem: str = ""


def parse_naming(words: str) -> Naming:
    """Parse what follows ``name``. Nothing here raises."""
    tokens = _about(_tokens(words))
    owner, link, problem = None, None, ""
    while (place := _last_option(tokens)) is not None:
        word, value = tokens[place].key, tokens[place + 1 :]
        while len(value) > 1 and value[0].key in _BEFORE_VALUE:
            value = value[1:]
        text = " ".join(one.text for one in value).strip()
        if word in _OWNER_WORDS:
            owner = _owner(text)
            problem = problem or ("" if owner is not None else OWNER_UNCLEAR)
        else:
            link = "" if text.casefold() in _NOTHING else text
        tokens = tokens[:place]
        while tokens and tokens[-1].key in ("and", "with", ",", "the", "its"):
            tokens = tokens[:-1]
    return Naming(_splits(tokens), Edit(owner=owner, link=link), problem)


OWNER_UNCLEAR: Final = (
    "I can't tell who should own it. Use their ID, or a user group's, which you can copy from the profile in Slack; or "
    "press Details, then Edit name, and pick a person."
)


def parse_forgetting(words: str) -> str:
    """Return which integration follows ``forget``: "the name of stripe", "Stripe EU's name" (untrusted)."""
    tokens = _about(_tokens(words))
    while len(tokens) > 1 and tokens[-1].key.strip(WRAPPING) in _ABOUT_NAME:
        tokens = tokens[:-1]
    return _text(tokens).removesuffix("'s").strip()


def _tokens(words: str) -> list[_Token]:
    tokens = []
    for found in _TOKEN.finditer(plain(words)):
        quoted = found["double"] if found["double"] is not None else found["single"]
        if quoted is None:
            tokens.append(_Token(found["mention"] or found["word"]))
        elif text := " ".join(quoted.split()):
            tokens.append(_Token(text, is_quoted=True))
    while tokens and not tokens[-1].is_quoted and not tokens[-1].text.strip(WRAPPING):
        tokens.pop()  # a period after a quoted name
    return tokens


def _about(tokens: list[_Token]) -> list[_Token]:
    """Drop "the name of" and "the integration" before what it's called."""
    begin = 0
    while begin < len(tokens) and tokens[begin].key in _BEFORE_ABOUT:
        begin += 1
    if tokens[begin:] and tokens[begin].key in _ABOUT_NAME and len(tokens) > begin + 1:
        begin += 1
        return tokens[begin + 1 :] if tokens[begin].key in ("of", "for") else tokens[begin:]
    if tokens[begin:] and tokens[begin].key in _THINGS and len(tokens) > begin + 1:
        return tokens[begin + 1 :]
    return tokens


def _last_option(tokens: Sequence[_Token]) -> int | None:
    """Return the place of the last "owner" or "link" that has a value which looks like one."""
    for place in range(len(tokens) - 2, 0, -1):
        value = (
            tokens[place + 2] if tokens[place + 1].key in _BEFORE_VALUE and tokens[place + 2 :] else tokens[place + 1]
        )
        if tokens[place].key in _OWNER_WORDS and (
            value.text.startswith(("<", "@")) or _ID.fullmatch(value.text) or value.key in _NOTHING
        ):
            return place
        if tokens[place].key in _LINK_WORDS and ("/" in value.text or value.key in _NOTHING):
            return place
    return None


def _owner(text: str) -> str | None:
    """Return the ID of an owner, "" for none; None if it isn't clear who is meant."""
    if text.casefold() in _NOTHING:
        return ""
    found = _PERSON.fullmatch(text) or _GROUP.fullmatch(text) or _ID.fullmatch(text)
    return found[1] if found else None


def _splits(tokens: Sequence[_Token]) -> tuple[Split, ...]:
    if not tokens:
        return ()
    between = [place for place in range(1, len(tokens) - 1) if tokens[place].key in _BETWEEN]
    if between:  # the longest target first: it may contain such a word itself
        found = [Split(_text(tokens[:place]), _text(tokens[place + 1 :])) for place in reversed(between)]
        return (*found, Split(_text(tokens)))
    quoted = [place for place, token in enumerate(tokens) if token.is_quoted]
    if len(tokens) > 1 and quoted:
        last = len(tokens) - 1
        if last in quoted:
            return (Split(_text(tokens[:last]), tokens[last].text),)
        if quoted[0] == 0:
            return (Split(tokens[0].text, _text(tokens[1:])),)
    places = range(len(tokens) - 1, 0, -1)
    return (Split(_text(tokens)), *(Split(_text(tokens[:place]), _text(tokens[place:])) for place in places))


def _text(tokens: Sequence[_Token]) -> str:
    *first, last = [token.text for token in tokens] or [""]
    return " ".join((*first, last if tokens and tokens[-1].is_quoted else last.rstrip(".,;:!?")))


_OTHER_WORDS: Final = frozenset({"me", "everything", "integrations", "none", "nobody", "name", "owner", "link", "home"})
_WORDS_OF_OURS: Final = frozenset(map(name_key, (*FILTER_WORDS, *KEYWORDS, *_OTHER_WORDS)))


def name_conflict(name: str, about: Integration, known: Sequence[Integration], nicknames: Nicknames) -> str:
    """Say why an integration can't have a name, because it means something else already; "" if it can.

    Args:
        name: the name, tidied.
        about: the integration.
        known: all integrations.
        nicknames: the names that integrations have now.
    """
    if nicknames.called(name) not in ("", about.id):
        return f"Another integration is called “{name}” already. Choose another name, or rename that one first."
    if name_key(name) in _WORDS_OF_OURS or name_key(clean(name)) != name_key(name):
        return f"“{name}” has a meaning in commands. Choose another name."
    others = [one for one in known if one.id != about.id]
    types = {one.type: one for one in (about, *others)}
    match resolve_target(name, [*types.values()]):
        case All():
            return f"“{name}” has a meaning in commands. Choose another name."
        case OfType():
            return f"“{name}” is a type of integration. Choose a name that says more, such as “{name} EU”."
    if not isinstance(resolve_target(name, others), NotFound):
        return f"“{name}” is the ID of another integration, or the end of one. Choose another name."
    return ""
