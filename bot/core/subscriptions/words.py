"""Parses what follows ``subscribe`` and ``unsubscribe``: target, events, digest time and style, in any order.

Nothing here raises or knows which integrations exist: the target stays text until `bot.core.commands.targets` looks it
up. Unrecognized words are reported, never ignored.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import time
from typing import Final

from bot.core.advice import KNOWN_TYPES, display_name
from bot.core.characters import cut
from bot.core.subscriptions.digest_time import WEEKDAYS
from bot.core.subscriptions.hour_words import read_hours
from bot.core.subscriptions.hours import never_opens
from bot.core.subscriptions.subscriptions import (
    ALL,
    ESCALATE_AFTER_S,
    ESCALATE_TO,
    HERE,
    LATEST_ESCALATION_S,
    SOONEST_ESCALATION_S,
    DigestTime,
    Escalation,
    Hours,
    News,
    Style,
)
from bot.core.subscriptions.time_words import DAY_WORDS, read_days, read_time
from bot.core.subscriptions.zones import unclear_zone, zones_called
from bot.core.typed import WRAPPING, plain

TEXT_CHARS: Final = 500
"""Longer texts aren't parsed."""

SHOWN_CHARS: Final = 60

DEFAULT_AT: Final = time(9)
DEFAULT_DAYS: Final = WEEKDAYS


@dataclass(frozen=True, slots=True)
class Wish:
    """A parsed subscription. The zone of its digest and its hours is "" if none was given: use the person's."""

    target_text: str = ALL
    """`ALL`, or the name of an integration or type as typed (untrusted)."""
    news: frozenset[News] = frozenset(News)
    digest: DigestTime | None = None
    style: Style = Style.THREAD
    mention: str = ""
    hours: Hours | None = None
    always: frozenset[News] = frozenset()
    escalate: Escalation | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """A parsed removal of subscriptions."""

    target_text: str = ""
    """`ALL`, the name of an integration or type as typed (untrusted), or "" if none was given."""
    digest_only: bool = False
    """Remove only the digest."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """A text that can't be parsed; ``sentence`` explains why and quotes what they typed."""

    sentence: str


def parse_subscribe(text: str, *, command: str = "/flokit") -> Wish | Unclear:
    """Parse what follows ``subscribe``."""
    reading = _read(text)
    wish = None if reading.puzzles else _wish(reading)
    if wish is None:
        example = f"{command} subscribe stripe failing, recovered digest 09:00 weekdays zone Europe/Berlin"
        return Unclear(f"{reading.puzzles[0]} Example: {example}")
    return wish


def parse_unsubscribe(text: str, *, command: str = "/flokit") -> Ending | Unclear:
    """Parse what follows ``unsubscribe``: which subscription to remove, or only its digest."""
    reading = _read(text)
    said = reading.news, reading.unwanted, reading.styles, reading.mention, reading.hours, reading.always
    if any(said) or reading.escalations:
        reading.puzzles.append("Unsubscribe stops all notifications. To change them, subscribe again.")
    name = _name(reading)
    if reading.puzzles:
        return Unclear(f"{reading.puzzles[0]} Example: {command} unsubscribe stripe digest")
    return Ending(name or (ALL if reading.is_all else ""), reading.has_digest or reading.no_digest)


_NEWS: Final[Mapping[str, News]] = {
    **{news.value: news for news in News},
    **dict.fromkeys(("fail", "fails", "failed", "failure", "failures", "error", "errors", "broken"), News.FAILING),
    **dict.fromkeys(("overdue", "late", "outdated"), News.STALE),
    **dict.fromkeys(("disconnect", "disconnects", "disconnection"), News.DISCONNECTED),
    **dict.fromkeys(("emptiness", "green-but-empty"), News.EMPTY),
    **dict.fromkeys(("recover", "recovers", "recovery", "recoveries", "repaired", "fixed"), News.RECOVERED),
}

_STYLES: Final[Mapping[str, Style]] = {
    **dict.fromkeys(("thread", "threads", "threaded"), Style.THREAD),
    **dict.fromkeys(("broadcast", "broadcasts", "broadcasting"), Style.BROADCAST),
}

_ALL_WORDS: Final = frozenset({"all", "everything", "anything", "any", "every"})
_DIGEST_WORDS: Final = frozenset({"digest", "digests"})
_MENTION_WORDS: Final = frozenset({"mention", "mentions", "mentioning", "ping", "pinging"})
_ESCALATE_WORDS: Final = frozenset({"escalate", "escalates", "escalating", "escalation", "escalations"})
_AROUND_ESCALATION: Final = frozenset(
    {"after", "in", "within", "to", "the", "it", "them", "this", "@", "group", "channel", ","}
)
_SPAN: Final = re.compile(r"(\d{1,5})(m|mins?|minutes?|h|hrs?|hours?)?")
_ZONE_WORDS: Final = frozenset({"zone", "timezone", "tz"})
_WITHOUT: Final = frozenset({"no", "not", "without", "except"})
_NOBODY: Final = frozenset({"nobody", "none", "noone"})
_ALWAYS_WORDS: Final = frozenset({"always", "anytime", "24/7"})
_BEFORE_TIME: Final = frozenset({"at", "around", "by", "@"})
_WHOLE_CHANNEL: Final = frozenset({"channel", "everyone"})

# fmt: off
_FILLERS: Final = frozenset(
    (
        "&", "+", ",", "-", "@", "a", "about", "alert", "alerts", "also", "am", "an", "and", "are", "around",
        "at", "be", "become", "becomes", "by", "channel", "for", "from", "get", "here", "i", "if", "in",
        "integration", "integrations", "is", "it", "its", "just", "local", "me", "morning", "mornings",
        "news", "notification", "notifications", "notify", "of", "on", "once", "only", "or", "our", "please",
        "sync", "syncs", "tell", "that", "the", "their", "this", "time", "to", "type", "us", "want", "watch",
        "we", "when", "with", "|",
    )
)
# fmt: on
"""Filler words."""

KEYWORDS: Final = (
    *(*_NEWS, *_STYLES, *_DIGEST_WORDS, *DAY_WORDS),
    *("mention", "zone", "timezone", "everything", "hours", "quiet", "always", "escalate"),
)
"""Known words, to suggest for misspelled ones."""

_TYPE_WORDS: Final = frozenset(
    word for type_ in KNOWN_TYPES for word in (type_, *display_name(type_).casefold().split())
)

_SPECIALS: Final = (
    (re.compile(r"<?!subteam\^([A-Z0-9]{2,30})(\|[^>\s]*)?>?"), r" @subteam^\1 "),
    (re.compile(r"<?!(here|channel|everyone)\b(\|[^>\s]*)?>?"), r" @\1 "),
    (re.compile(r"<?@([UW][A-Z0-9]{2,29})\b(\|[^<>|]*)?>"), r" @person^\1 "),
    (re.compile(r"<?#([CG][A-Z0-9]{2,29})\b(\|[^<>|]*)?>"), r" #channel^\1 "),
)
"""Mentions as Slack writes them and as people type them; the outer brackets may already be stripped.

Source: https://docs.slack.dev/messaging/formatting-message-text
"""

_SUBTEAM: Final = re.compile(r"@subteam\^([A-Z0-9]{2,30})")

_NAMED: Final = re.compile(r"@(?:subteam|person)\^([A-Z0-9]+)|#channel\^([A-Z0-9]+)")

_GROUP_ID: Final = re.compile(r"S[A-Z0-9]{6,29}")
"""A user group's ID, shown in Slack with the group, because a slash command gets a typed ``@group`` as plain text."""

ESCALATE_HOW: Final = (
    "I can escalate to a user group, a person or a channel by the ID, which you can copy in Slack: from the group's or "
    "the person's profile, or from the channel's details. For example: escalate after 30m S0615G0KT."
)

_NEVER_ALL: Final = "I never mention everyone in a channel. I can mention @here or a user group."


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    key: str
    """In lowercase; "" if it was quoted, so that it's always a name."""


def _split(text: str) -> tuple[_Word, ...]:
    typed = plain(text)
    for pattern, written in _SPECIALS:
        typed = pattern.sub(written, typed)
    words: list[_Word] = []
    for quoted, bare in re.findall(r'"([^"]*)"|([^\s,;"]+|[,;])', typed):
        name = " ".join(quoted.split())
        word = "," if bare in (",", ";") else bare.strip(WRAPPING + "()[]")
        words += [_Word(name, "")] if name else []
        words += [_Word(word, word.casefold())] if word else []
    return tuple(words)


@dataclass(slots=True)
class _Reading:
    """What has been parsed so far; ``puzzles`` are error messages about the rest."""

    puzzles: list[str] = field(default_factory=list)
    names: list[list[_Word]] = field(default_factory=list)
    is_all: bool = False
    news: set[News] = field(default_factory=set)
    unwanted: set[News] = field(default_factory=set)
    has_digest: bool = False
    digest_only: bool = False
    no_digest: bool = False
    at: set[time] = field(default_factory=set)
    weekdays: set[int] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)
    styles: set[Style] = field(default_factory=set)
    mention: set[str] = field(default_factory=set)
    hours: list[Hours] = field(default_factory=list)
    always: set[News] = field(default_factory=set)
    told_otherwise: Counter[News] = field(default_factory=Counter)
    """How often news were named without "always"."""
    escalations: list[Escalation] = field(default_factory=list)


def _read(text: str) -> _Reading:
    if len(text) > TEXT_CHARS:
        return _Reading(puzzles=["That's too long for a subscription."])
    reading = _Reading()
    words = _split(text)
    reading.digest_only = _says_digest_only(words)
    position = 0
    in_name = False
    while position < len(words) and not reading.puzzles:  # only the first is reported, and finding one may take a while
        before, rest = words[:position], words[position:]
        taken = next((count for take in _TAKERS if (count := take(reading, before, rest))), 0)
        if not taken:
            if not in_name:
                reading.names.append([])
            reading.names[-1].append(rest[0])
        in_name = not taken
        position += taken or 1
    return reading


def _says_digest_only(words: Sequence[_Word]) -> bool:
    """Whether the text contains "digest only" or begins with "only a digest"."""
    said = " ".join(word.key or "?" for word in words if word.key not in _FILLERS - {"only", "just"})
    return bool(re.search(r"\bdigests? (only|just)\b|^(only|just) digests?\b", said))


def _keys(words: Sequence[_Word]) -> list[str]:
    return [word.key for word in words]


def _take_without(reading: _Reading, _before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    if rest[0].key not in _WITHOUT:
        return 0
    what = rest[1].key if len(rest) > 1 else ""
    if what in _NEWS:
        reading.unwanted.add(_NEWS[what])
    elif what in _DIGEST_WORDS:
        reading.no_digest = True
    elif what not in _MENTION_WORDS:
        reading.puzzles.append(f"I don't recognize “{cut(' '.join(word.text for word in rest[:2]), SHOWN_CHARS)}”.")
    return 2


def _take_hours(reading: _Reading, _before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    read = read_hours(_keys(rest))
    if read is None:
        return 0
    if read.hours is None:
        said = " ".join(word.text for word in rest[: read.words])
        reading.puzzles.append(f"I don't recognize “{cut(said, SHOWN_CHARS)}”; try hours 08:00-18:00 weekdays.")
        return read.words
    reading.hours.append(read.hours)
    return read.words + (_take_place(reading, rest[read.words :]) if rest[read.words :] else 0)


def _take_always(reading: _Reading, before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    """Consume "always" and the news beside it: "failing always", "always failing and disconnected"."""
    key = rest[0].key
    count = 2 if key == "any" and len(rest) > 1 and rest[1].key == "time" else 1 if key in _ALWAYS_WORDS else 0
    if not count:
        return 0
    earlier = list(_news_beside([word.key for word in reversed(before)]))
    if earlier:
        reading.always |= {*earlier}
        reading.told_otherwise -= Counter(earlier)
        return count
    later = list(_news_beside(_keys(rest[count:])))
    if not later:
        reading.puzzles.append("What should I always post? For example: failing always.")
        return count
    reading.always |= {*later}
    reading.news |= {*later}
    last = max(place for place, word in enumerate(rest) if word.key in _NEWS and _NEWS[word.key] in later)
    return last + 1


def _news_beside(keys: Iterable[str]) -> Iterator[News]:
    """Return the news at the beginning, which may be joined by "and"; a comma ends them."""
    for key in keys:
        if key in _NEWS:
            yield _NEWS[key]
        elif key not in ("and", "&", "+", "or", "are", "at", "is", "if", "when", "it"):
            return


def _take_days(reading: _Reading, _before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    days = read_days(_keys(rest))
    if days is None:
        return 0
    reading.has_digest = True
    reading.weekdays |= days.weekdays
    return days.words


def _take_time(reading: _Reading, before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    read = read_time(_keys(rest), expected=bool(before) and _announces_time(before[-1].key))
    if read is None:
        return 0
    reading.has_digest = True
    if read.at is None:
        reading.puzzles.append(f"“{cut(rest[0].text, SHOWN_CHARS)}” isn't a valid time; try 09:00, 9am, or 21:00.")
        return read.words
    reading.at.add(read.at)
    return read.words + _take_place(reading, rest[read.words :])


def _announces_time(key: str) -> bool:
    return key in _BEFORE_TIME or key in _DIGEST_WORDS or key == "only" or read_days([key]) is not None


def _take_place(reading: _Reading, rest: Sequence[_Word]) -> int:
    """Consume a zone right after a time: "9am in New York"."""
    skipped = 1 if rest and rest[0].key == "in" else 0
    name, count = _zone_of(rest[skipped:], quoted=True)
    if not name:
        return 0
    reading.zones.add(name)
    return skipped + count


def _take_zone(reading: _Reading, _before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    key = rest[0].key
    if key in ("utc", "gmt") or "/" in key:
        name, count = _zone_of(rest)
        reading.zones |= {name} if name else set()
        return count
    if key not in _ZONE_WORDS:
        return 0
    skipped = 2 if len(rest) > 1 and rest[1].key in ("is", "in") else 1
    name, count = _zone_of(rest[skipped:], quoted=True)
    if name:
        reading.zones.add(name)
        return skipped + count
    named = rest[skipped : skipped + 1]
    reading.puzzles.append(unclear_zone(named[0].text) if named else "Which time zone? Name a region and a city.")
    return skipped + 1


def _zone_of(words: Sequence[_Word], *, quoted: bool = False) -> tuple[str, int]:
    """Return the zone at the beginning of the words and its number of words; cities have up to three.

    If a zone is expected, it may be quoted.
    """
    if quoted and words and not words[0].key:
        zones = zones_called(words[0].text)
        return (zones[0], 1) if len(zones) == 1 else ("", 0)
    for count in range(min(3, len(words)), 0, -1):
        if all(word.key for word in words[:count]):
            zones = zones_called(" ".join(word.text for word in words[:count]))
            if len(zones) == 1:
                return zones[0], count
    return "", 0


def _take_mention(reading: _Reading, _before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    asked = rest[0].key in _MENTION_WORDS
    whom = rest[1 + (len(rest) > 2 and rest[1].key == "the") :] if asked else rest
    if asked and not whom:
        reading.puzzles.append("Who should I mention? I can mention @here or a user group.")
        return 1
    taken = len(rest) - len(whom) + 1
    key = whom[0].key
    subteam = _SUBTEAM.fullmatch(whom[0].text) if key else None
    group_id = _GROUP_ID.fullmatch(whom[0].text) if asked and key else None
    if subteam or group_id:
        reading.mention.add(subteam[1] if subteam else whom[0].text)
    elif key == "@here" or (asked and key == HERE):
        reading.mention.add(HERE)
    elif key.removeprefix("@") in _WHOLE_CHANNEL and (asked or key.startswith("@")):
        reading.puzzles.append(_NEVER_ALL)
    elif asked and key in _NOBODY:
        pass
    elif key.startswith("@person^"):
        reading.puzzles.append("I can't mention individual people, only @here or a user group.")
    elif asked or (key.startswith("@") and key != "@"):
        reading.puzzles.append(
            f"I don't know who “{cut(whom[0].text, SHOWN_CHARS)}” is. I can mention @here or a user group by its ID, "
            "which you can copy from the group's profile in Slack."
        )
    else:
        return 0
    return taken


def _take_escalation(reading: _Reading, _before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    """Consume "escalate after 30m @group", with the time and whom to tell in any order."""
    if rest[0].key not in _ESCALATE_WORDS:
        return 0
    after_s: int | None = None
    whom, taken = "", 1
    while taken < len(rest) and (after_s is None or not whom):
        word = rest[taken]
        unit = rest[taken + 1].key if taken + 1 < len(rest) else ""
        if after_s is None and (read := _read_span(word.key, unit)):
            after_s, words = read
            taken += words
        elif not whom and word.key and (found := _whom(word)):
            whom, taken = found, taken + 1
        elif word.key in _AROUND_ESCALATION:
            taken += 1
        else:
            break
    unknown = rest[taken].text if taken < len(rest) and not whom else ""
    reading.escalations.append(Escalation(ESCALATE_AFTER_S if after_s is None else after_s, whom))
    if not whom:
        who = f"I don't know who “{cut(unknown, SHOWN_CHARS)}” is." if unknown else "Whom should I tell?"
        reading.puzzles.append(f"{who} {ESCALATE_HOW}")
    elif after_s is not None and not SOONEST_ESCALATION_S <= after_s <= LATEST_ESCALATION_S:
        reading.puzzles.append("I can escalate after 1 minute to 24 hours.")
    return taken


def _read_span(key: str, unit: str) -> tuple[int, int] | None:
    """Return the seconds and the number of words of a time such as "30m", "30 minutes" or "1h"."""
    found = _SPAN.fullmatch(key)
    if not found:
        return None
    is_apart = not found[2]
    unit = (_SPAN.fullmatch(f"1{unit}") or [""] * 3)[2] or "" if is_apart else found[2]
    if not unit:
        return (int(found[1]) * 60, 1)
    return (int(found[1]) * (3600 if unit.startswith("h") else 60), 1 + is_apart)


def _whom(word: _Word) -> str:
    """Return the ID of whom to escalate to; "" if the word is something else."""
    if named := _NAMED.fullmatch(word.text):
        return str(named[1] or named[2])
    bare = word.text.lstrip("@#")
    return bare if ESCALATE_TO.fullmatch(bare) and any(char.isdigit() for char in bare) else ""


def _take_word(reading: _Reading, _before: Sequence[_Word], rest: Sequence[_Word]) -> int:
    """Consume a word that always means the same; fillers mean nothing."""
    key = rest[0].key
    if key in _DIGEST_WORDS:
        reading.has_digest = True
    elif key in _NEWS:
        reading.news.add(_NEWS[key])
        reading.told_otherwise[_NEWS[key]] += 1
    elif key in _STYLES:
        reading.styles.add(_STYLES[key])
    elif key in _ALL_WORDS:
        reading.is_all = True
    elif key.startswith("#"):
        reading.puzzles.append("Subscriptions apply to the current channel. Run this in that channel instead.")
    else:
        return int(key in _FILLERS)
    return 1


_TAKERS: Final[tuple[Callable[[_Reading, Sequence[_Word], Sequence[_Word]], int], ...]] = (
    _take_hours,
    _take_without,
    _take_always,
    _take_escalation,
    _take_days,
    _take_time,
    _take_zone,
    _take_mention,
    _take_word,
)
"""Each consumes words from the beginning of the rest, or none; words that none consumes are a name."""


def _wish(reading: _Reading) -> Wish | None:
    """Combine the parts; None, with a puzzle, if they contradict each other."""
    digest = _digest(reading)
    hours = _hours(reading)
    named = set() if hours and not reading.told_otherwise else reading.news
    news = frozenset(named or (() if reading.digest_only else News)) - reading.unwanted
    name = _name(reading)
    if len(reading.styles) > 1:
        reading.puzzles.append("Pick one: thread or broadcast.")
    if len(reading.mention) > 1:
        reading.puzzles.append("I can mention @here or one user group, not both.")
    if reading.digest_only and reading.news:
        reading.puzzles.append("“Digest only” can't be combined with other notifications.")
    if len(reading.escalations) > 1:
        reading.puzzles.append("I can escalate to one user group, person or channel, not to several.")
    if reading.escalations and not news - {News.RECOVERED}:
        reading.puzzles.append("There'd be no incidents to escalate. Leave out which news you want to get all of them.")
    if digest is None and hours is None and reading.zones:
        reading.puzzles.append("A time zone is for a digest. Say when you want one, for example digest 09:00.")
    if hours and never_opens(hours):
        reading.puzzles.append("That's quiet all the time, so I'd never post anything.")
    if digest is None and not news:
        reading.puzzles.append("That would leave nothing to notify you about.")
    if reading.puzzles:
        return None
    style = next(iter(reading.styles), Style.THREAD)
    always = frozenset(reading.always) & news
    escalate = next(iter(reading.escalations), None)
    return Wish(name or ALL, news, digest, style, next(iter(reading.mention), ""), hours, always, escalate)


def _hours(reading: _Reading) -> Hours | None:
    if len(reading.hours) > 1:
        reading.puzzles.append("A subscription has hours once. Choose one time span, for example hours 08:00-18:00.")
    return replace(reading.hours[0], zone=min(reading.zones, default="")) if reading.hours else None


def _digest(reading: _Reading) -> DigestTime | None:
    if len(reading.at) > 1:
        reading.puzzles.append("A digest is sent once a day. Choose one time.")
    if len(reading.zones) > 1:
        reading.puzzles.append(f"Choose one time zone, not {' and '.join(sorted(reading.zones))}.")
    if reading.no_digest or not reading.has_digest:
        return None
    at = min(reading.at, default=DEFAULT_AT)
    return DigestTime(at, frozenset(reading.weekdays) or DEFAULT_DAYS, min(reading.zones, default=""))


def _name(reading: _Reading) -> str:
    """Return the only name; "", maybe with a puzzle, if there are none or several."""
    names = [" ".join(word.text for word in words) for words in reading.names]
    misspelled = _misspelled(reading.names)
    if misspelled:
        reading.puzzles.append(misspelled)
    elif len(names) > 1:
        first, second = (cut(name, SHOWN_CHARS) for name in names[:2])
        reading.puzzles.append(f"Pick one integration, or all. I found two names: “{first}” and “{second}”.")
    return names[0] if names else ""


def _misspelled(names: Sequence[Sequence[_Word]]) -> str:
    for word in (word for words in names for word in words):
        near = difflib.get_close_matches(word.key[:SHOWN_CHARS], KEYWORDS, n=1, cutoff=0.8)
        if near and word.key.isalpha() and word.key not in _TYPE_WORDS:
            return f"I don't recognize “{cut(word.text, SHOWN_CHARS)}”. Did you mean “{near[0]}”?"
    return ""
