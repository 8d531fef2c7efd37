"""Decides whether two error texts describe the same failure.

Vendors' error texts have parts that vary for the same failure: request IDs, counts, times, the time until the next
attempt. Two texts are the same failure if they're equal without those. A text that ends in "…" was cut, and is the
same failure as a longer one that begins like it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_ELLIPSES: Final = ("…", "...")

_MONTHS: Final = "january february march april may june july august september october november december"
_WEEKDAYS: Final = "monday tuesday wednesday thursday friday saturday sunday"

_ELSEWHERE: Final = """
sekunde sekunden stunde stunden tag tage tagen woche wochen monat monate monaten minuten uhr heute gestern morgen
seconde heure jour semaine mois aujourd hui demain hier
segundo minuto hora semana mes hoy ayer secondo secondi minuti ora ore giorno giorni
секунда секунду секунды секунд минута минуту минуты минут час часа часов день дня дней
montag dienstag mittwoch donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche
lunes martes jueves viernes domingo januar februar juni juli oktober dezember
janvier mars avril mai juin juillet septembre octobre novembre
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
"""
"""Units and dates in the most common languages of vendors' servers."""

_NO_NEWS_LINES: Final = f"""
{_MONTHS} jan feb mar apr jun jul aug sep sept oct nov dec
{_ELSEWHERE}
{_WEEKDAYS} mon tue tues wed thu thur thurs fri sat sun
am pm utc gmt est edt cst cdt mst mdt pst pdt bst cet cest eet eest ist jst
today tonight tomorrow yesterday noon midnight morning afternoon evening
now just soon shortly momentarily moment instant ago later left remaining next last clock once twice time
millisecond msec ms second sec minute min hour hr hrs day week month year
byte kb mb gb tb kib mib gib tib
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million
half quarter few couple several some less more than approximately roughly nearly almost about around
a an the in at on for of to by with within after since until till over under and
is are was were be been has have had
"""
"""Dates and times, units (except in "per minute" and the like, see ``_PER``), numbers, and words that go with them."""

_NO_NEWS: Final = frozenset(_NO_NEWS_LINES.split())

_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://([^\s/?#\"'<>]*)([^\s?#\"'<>]*)[^\s\"'<>]*", re.IGNORECASE)
_UUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_PER: Final = re.compile(r"(?:\bper |/)(second|sec|minute|min|hour|day|week|month|year)\b", re.IGNORECASE)
_LABELLED: Final = re.compile(
    r"(?<![A-Za-z0-9])(id|guid|uuid|req|request|trace|span|correlation|reference|ref|ray|session|event|evt|incident"
    r"|ticket|transaction|txn|acct|account|cus|customer|sync|job|run|rid|cid|tid)([ _-]?id)?([\"']?\s*[:=#]\s*|_)"
    r"[\"'“(]?([A-Za-z0-9+/=_-]{6,})",
    re.IGNORECASE,
)
_MIXED_ID: Final = re.compile(r"(?<![\w-])(?=[\w-]*[0-9])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])[A-Za-z0-9_-]{16,64}(?![\w-])")
_WORD: Final = re.compile(r"[A-Za-z0-9]+|[^\W\d_A-Za-z]+")
_LETTERS_OF_HEX: Final = re.compile(r"[a-f]{8,}|[A-F]{8,}")
_CONSONANTS: Final = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_HUMPS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_VOWEL: Final = re.compile(r"[aeiouy]", re.IGNORECASE)

_LONGEST_HUMP: Final = 2
_SHORTEST_RANDOM: Final = 8
_SHORTEST_CAMEL: Final = 12


def same_text(one: str, other: str) -> bool:
    """Whether two error texts are the same failure."""
    if one == other:
        return True
    (words, cut), (other_words, other_cut) = _gist(one), _gist(other)
    if not words and not other_words:
        return cut or other_cut or _signs(one) == _signs(other)
    if cut and _begins(other_words, words) and (words or _is_start(one, other)):
        return True
    if other_cut and _begins(words, other_words) and (other_words or _is_start(other, one)):
        return True
    return words == other_words


def _begins(words: tuple[str, ...], beginning: tuple[str, ...]) -> bool:
    return words[: len(beginning)] == beginning


def _is_start(cut: str, whole: str) -> bool:
    """Whether a text cut within its first word can be the beginning of another."""
    beginning = _folded(cut).rstrip("….")
    return bool(beginning) and _folded(whole).startswith(beginning)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _signs(text: str) -> str:
    """Return a text's symbols, without digits and spaces, for texts without words."""
    return "".join(char for char in text if not (char.isdigit() or char.isspace()))


@lru_cache(maxsize=512)
def _gist(text: str) -> tuple[tuple[str, ...], bool]:
    """Return the words that describe the failure, without a partial last one, and whether the text was cut."""
    text = text.strip()
    cut = text.endswith(_ELLIPSES)
    if cut:
        text = text.rstrip("….")
        whole = text[-1:].isspace()
        text = text if whole else text[: len(text) - len(_last_word(text))]
    text = unicodedata.normalize("NFKC", text)
    text = _URL.sub(r" \1\2 ", text)
    text = _PER.sub(r" per\1 ", text)
    text = _UUID.sub(" ", text)
    text = _LABELLED.sub(_without_id, text)
    text = _MIXED_ID.sub(" ", text)
    words = (_singular(word.casefold()) for word in _WORD.findall(text) if not _varies(word))
    return tuple(word for word in words if word not in _NO_NEWS), cut


def _last_word(text: str) -> str:
    """Return the text after the last space, which may be a partial word."""
    return text.rsplit(maxsplit=1)[-1] if text.strip() else ""


def _without_id(match: re.Match[str]) -> str:
    label, id_suffix, sign, value = match.groups()
    named = f" {label} {id_suffix or ''} "
    is_said_to_be_one = bool(id_suffix or label.casefold() in ("id", "guid", "uuid")) and sign.strip() not in ("", "_")
    looks_like_one = any(_varies(part) or _has_inner_capital(part) for part in re.split(r"[_+/=-]", value) if part)
    return named if is_said_to_be_one or looks_like_one else match.group()


def _has_inner_capital(word: str) -> bool:
    """Whether there are capitals within a word; for IDs after a label such as ``req_``."""
    return len(word) >= _SHORTEST_RANDOM and not word.isupper() and any(char.isupper() for char in word[1:])


def _varies(word: str) -> bool:
    """Whether a word is a number, an ID or a single letter."""
    if len(word) == 1 and word.isascii():
        return True
    if any(char.isdigit() for char in word):
        return True
    if not word.isascii() or len(word) < _SHORTEST_RANDOM:
        return False
    return bool(_LETTERS_OF_HEX.fullmatch(word)) or bool(_CONSONANTS.search(word)) or _is_scrambled(word)


def _is_scrambled(word: str) -> bool:
    """Whether a word's capitals aren't CamelCase: most of its parts are too short to be words."""
    if len(word) < _SHORTEST_CAMEL or word.isupper() or word.islower():
        return False
    humps = _HUMPS.findall(word)
    odd = [hump for hump in humps if len(hump) <= _LONGEST_HUMP or not _VOWEL.search(hump)]
    return len(humps) > _LONGEST_HUMP and len(odd) * 2 >= len(humps)


def _singular(word: str) -> str:
    """Return a word's singular, so that "1 row" equals "2 rows"."""
    if len(word) < 4 or not word.isascii() or word.endswith(("ss", "us", "is")):
        return word
    for ending, one in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
        if word.endswith(ending):
            return word[: -len(ending)] + one
    return word
