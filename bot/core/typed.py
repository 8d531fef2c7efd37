"""Normalizes typed text: removes what people, keyboards and Slack add around the words.

Everything that a person types goes through `clean_lines` once. It never raises, and takes linear time. The inside of
words is left alone: ``int_01_x``, ``a*b``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from bot.core.characters import as_meant

TYPED_CHARS: Final = 1000
"""Longer text isn't parsed; the longest sensible command has about 200 characters."""

WRAPPING: Final = " \t\r\n\"'`<>.,;:!?…"
"""Characters around a name: quotes, backticks, the brackets of the usage, the row's "…"."""


def clip_typed(text: str) -> str:
    """Cut a text for storage so that `is_too_long` still detects it."""
    return text[: TYPED_CHARS + 1]


def is_too_long(text: str) -> bool:
    """Whether a text is too long to be parsed."""
    return len(text) > TYPED_CHARS


def plain(text: str) -> str:
    """Replace typographic characters by plain ones, and remove invisible ones.

    Slack's escapes of ``& < >`` are undone: https://docs.slack.dev/messaging/formatting-message-text
    """
    return unescape(as_meant(text))


def unescape(text: str) -> str:
    """Undo Slack's escaping."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


_MARKUP: Final = re.compile(r"<([^<>\n]+)>")
_LINK: Final = re.compile(r"(?:https?|ftp|mailto|tel|slack):", re.IGNORECASE)


def _without_markup(text: str, bot_user_id: str) -> str:
    """Undo links and names that Slack made from typed words; mentions of people and groups stay."""

    def typed(found: re.Match[str]) -> str:
        body, _bar, label = found[1].partition("|")
        if body == f"@{bot_user_id}":
            return " "
        if body.startswith("#"):
            return f"#{label or body[1:]}"
        if body.startswith("!date^"):
            return label
        if _LINK.match(body):
            return label or body.removeprefix("mailto:").removeprefix("tel:")
        return found[0]

    return _MARKUP.sub(typed, text)


_QUOTED: Final = re.compile(r'("[^"]*")')
_MARKS: Final = re.compile(r"[*~`_]+")
_BULLET: Final = re.compile(r"(?:[\s>]|(?:[•◦▪‣·*-]|\d{1,2}[.)])(?=\s))+")
_SHORTCODES: Final = re.compile(r"(?::[a-z0-9_+'-]+:)+", re.IGNORECASE)


def _without_formatting(line: str) -> str:
    """Remove bullets, and the formatting marks of bold, italic, strikethrough and code outside of quotes.

    Underscores are removed only in pairs: ``_4j7stripe`` may be the end of an ID.
    """
    bullet = _BULLET.match(line)
    line = line[bullet.end() :] if bullet else line
    gone: set[int] = set()
    open_italics: list[int] = []
    begin = 0
    for index, part in enumerate(_QUOTED.split(line)):
        if index % 2 == 0:
            for run in _MARKS.finditer(part):
                _read_marks(line, begin + run.start(), begin + run.end(), gone, open_italics)
        begin += len(part)
    return "".join(char for position, char in enumerate(line) if position not in gone)


def _read_marks(line: str, begin: int, end: int, gone: set[int], open_italics: list[int]) -> None:
    before = line[begin - 1] if begin else " "
    after = line[end] if end < len(line) else " "
    if before.isalnum() and after.isalnum():
        return
    italics = [position for position in range(begin, end) if line[position] == "_"]
    gone.update(position for position in range(begin, end) if line[position] != "_")
    if before.isspace() and after.isspace():
        gone.update(italics)
    elif before.isspace() or (not before.isalnum() and after.isalnum()):
        open_italics.extend(italics)
    else:
        for position in italics[: len(open_italics)]:
            gone.update((position, open_italics.pop()))


def _unquoted(line: str) -> str:
    """Remove the quotes around a whole line."""
    line = line.strip()
    for quote in "\"'":
        if len(line) > 1 and line[0] == line[-1] == quote and quote not in line[1:-1]:
            return line[1:-1].strip()
    return line


_BEFORE: Final = (
    *((word,) for word in ("please", "pls", "plz", "kindly", "hey", "hi", "hello", "ok", "okay", "so", "just", "now")),
    *((word, "you") for word in ("can", "could", "would", "will")),
    ("i", "want", "to"),
    ("i'd", "like", "to"),
    ("let's",),
)
_AFTER: Final = (
    *((word,) for word in ("please", "pls", "plz", "kindly", "thanks", "thx", "cheers")),
    ("thank", "you"),
    ("many", "thanks"),
    ("thanks", "a", "lot"),
    ("thank", "you", "so", "much"),
    ("thank", "you", "very", "much"),
)
_AROUND_WORD: Final = ",.;:!?-()/"


def without_courtesy(words: Sequence[str], *, names: frozenset[str] = frozenset()) -> list[str]:
    """Remove greetings and thanks around words, and the bot's own names before them."""
    keys = [word.casefold().strip(_AROUND_WORD) for word in words]
    begin, end = 0, len(words)
    while begin < end:
        taken = next((len(said) for said in _BEFORE if tuple(keys[begin : begin + len(said)]) == said), 0)
        if not taken and (_is_name(words[begin], names) or (not keys[begin] and words[begin] != "?")):
            taken = 1
        if not taken:
            break
        begin += taken
    while begin < end:
        taken = next((len(said) for said in _AFTER if tuple(keys[max(begin, end - len(said)) : end]) == said), 0)
        if not taken and not keys[end - 1] and (end - begin > 1 or words[begin] != "?"):
            taken = 1
        if not taken:
            break
        end -= taken
    return list(words[begin:end])


def _is_name(word: str, names: frozenset[str]) -> bool:
    return word.casefold().strip(_AROUND_WORD).lstrip("@") in names


def _without_emoji(word: str) -> str:
    if _SHORTCODES.fullmatch(word):
        return ""
    begin, end = 0, len(word)
    while begin < end and _is_symbol(word[begin]):
        begin += 1
    while begin < end and _is_symbol(word[end - 1]):
        end -= 1
    return word[begin:end]


def _is_symbol(char: str) -> bool:
    return not char.isascii() and unicodedata.category(char) in ("So", "Sk")


def clean_lines(text: str, *, bot_user_id: str = "", command: str = "/flokit") -> list[str]:
    """Return the normalized lines, without empty ones."""
    names = frozenset({"flokit", command.lstrip("/").casefold()})
    lines = unescape(_without_markup(as_meant(text), bot_user_id)).split("\n")
    return [cleaned for line in lines if (cleaned := _clean_line(line, names))]


def is_only_name(text: str, *, bot_user_id: str = "", command: str = "/flokit") -> bool:
    """Whether a text is blank except for the bot's own names."""
    names = frozenset({"flokit", command.lstrip("/").casefold()})
    return all(_is_name(word, names) for word in plain(_without_markup(text, bot_user_id)).split())


def clean(text: str) -> str:
    """Normalize one typed value, such as a filter on the command line."""
    return " ".join(clean_lines(text))


def _clean_line(line: str, names: frozenset[str]) -> str:
    for _ in range(2):  # quotes within formatting, or vice versa
        line = _without_formatting(_unquoted(line))
    words = [bare for word in _unquoted(line).split() if (bare := _without_emoji(word))]
    return " ".join(without_courtesy(words, names=names))


# fmt: off
_BEFORE_NAME: Final = frozenset(
    (
        "the", "me", "my", "our", "us", "a", "an", "of", "for", "on", "about", "to", "in", "from", "by", "this", "that",
        "sync", "syncs",
    )
)
_AFTER_NAME: Final = frozenset(
    (
        "integration", "integrations", "connector", "connection", "source", "now", "right", "again", "asap", "for",
        "me", "sync", "syncs",
    )
)
# fmt: on
_MENTIONED: Final = re.compile(r"<@[A-Z0-9]{2,30}")


def readings(text: str) -> list[str]:
    """Return the possible names in a text: first as typed, then without the words that people put around names."""
    whole = plain(text).strip(WRAPPING)
    words = whole.split()
    words = [word for word in words if not _MENTIONED.match(word)]
    begin, end = 0, len(words)
    while begin < end and words[begin].casefold() in _BEFORE_NAME:
        begin += 1
    while begin < end and words[end - 1].casefold().strip(WRAPPING) in _AFTER_NAME:
        end -= 1
    shorter = " ".join(words[begin:end]).strip(f"{WRAPPING}()[]{{}}=#@-").removesuffix("'s")
    return [whole, shorter] if shorter and shorter != whole else [whole]


@lru_cache(maxsize=10_000)
def name_key(name: str) -> str:
    """Return a key for comparing names: "App Store Connect" and "app_store-connect" have the same key."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in folded if char.isalnum()) or folded
