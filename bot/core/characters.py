"""Characters in untrusted texts that can't be stored or shown, or that look like others.

The functions that clean a text differ for a reason: a payload must stay as Slack sent it (`encodable`), control
characters in FloKit's texts separate words (`storable`), a shown text must not change the direction of what follows
(`showable`), and typed text is compared with names (`as_meant`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CONTROLS: Final = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_SURROGATES: Final = "\ud800-\udfff"
_TURNS: Final = "\u202a-\u202e\u2066-\u2069\ufeff"
"""Bidirectional control characters."""

_UNSTORABLE: Final = re.compile(f"[{_CONTROLS}{_SURROGATES}]")
_UNSHOWABLE: Final = re.compile(f"[{_CONTROLS}{_SURROGATES}{_TURNS}]")


def cut(text: str, most: int) -> str:
    """Cut a text to ``most`` characters; a cut text ends in "…", which is included."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def encodable(text: str) -> str:
    """Replace only what databases refuse: NUL (PostgreSQL) and lone surrogates."""
    return text if text.isprintable() else text.encode(errors="replace").decode().replace("\0", "")


def storable(text: str) -> str:
    """Replace lone surrogates and control characters, except for tab and newline, by spaces."""
    return _UNSTORABLE.sub(" ", text)


def showable(text: str) -> str:
    """Remove lone surrogates, bidirectional and other control characters, except for tab and newline."""
    return _UNSHOWABLE.sub("", text)


_ALIKE: Final = {
    **dict.fromkeys(map(ord, "“”„‟«»″\uff02"), '"'),
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc\uff07"), "'"),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0xFF0D), "-"),
    **dict.fromkeys((0x2028, 0x2029, 0x85, 0x0B, 0x0C, 0x0D), "\n"),
    0x2800: " ",  # blank Braille pattern
}
"""Typographic quotes, dashes and line breaks, with their plain forms."""

LETTERS_OF_ONE: Final = 3
"""One character is expanded to at most this many: "…" is three dots, and "\ufdfa" would be eighteen letters."""

_INVISIBLE_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_VARIATION: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def as_meant(text: str) -> str:
    """Replace typographic characters by plain ones, and remove invisible ones."""
    kept = _VARIATION.sub("", text.translate(_ALIKE))
    if not kept.isascii():
        kept = "".join(char for char in kept if char not in _INVISIBLE_LETTERS and unicodedata.category(char) != "Cf")
        kept = unicodedata.normalize("NFC", "".join(map(_letter, kept))).translate(_ALIKE)
    return "".join(char if char == "\n" or not char.isspace() else " " for char in kept if _is_shown(char))


def _letter(char: str) -> str:
    """Replace a wide or styled letter by the plain one; ligatures for whole phrases stay."""
    letters = unicodedata.normalize("NFKC", char)
    return letters if len(letters) <= LETTERS_OF_ONE else char


def _is_shown(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) not in ("Cc", "Cs")
