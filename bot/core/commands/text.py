"""Parses typed text as a command. Nothing here raises."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bot.core.access.policy import Verb
from bot.core.commands.catalog import (
    COMMANDS,
    AuditCommand,
    Command,
    ConnectCommand,
    DisconnectCommand,
    DoctorCommand,
    ExpectCommand,
    ForgetCommand,
    HelpCommand,
    HistoryCommand,
    IncidentsCommand,
    MaintenanceCommand,
    NameCommand,
    PolicyCommand,
    ShowCommand,
    StatusCommand,
    SubscribeCommand,
    SubscriptionsCommand,
    SyncCommand,
    TestCommand,
    UnsubscribeCommand,
    WhyCommand,
)
from bot.core.commands.expecting import forgotten_expectation
from bot.core.commands.filters import FILTER_WORDS
from bot.core.commands.targets import KNOWN_TYPE_KEYS, NEAREST
from bot.core.typed import (
    TYPED_CHARS,
    WRAPPING,
    clean_lines,
    is_only_name,
    is_too_long,
    name_key,
    readings,
    without_courtesy,
)

_WORDS: Final = {
    **{doc.name: doc.name for doc in COMMANDS},
    "list": "status",
    "ls": "status",
    "resync": "sync",
    "refresh": "sync",
    "run": "sync",
    "retry": "sync",
    "rerun": "sync",
    "details": "show",
    "detail": "show",
    "info": "show",
    "subs": "subscriptions",
    "watch": "subscribe",
    "unwatch": "unsubscribe",
    "sample": "test",
    "demo": "test",
    "simulate": "test",
    "maint": "maintenance",
    "maintain": "maintenance",
    "maintenances": "maintenance",
    "runs": "history",
    "incident": "incidents",
    "outages": "incidents",
    "outage": "incidents",
    "problems": "incidents",
    "log": "audit",
    "check": "doctor",
    "health": "doctor",
    "permissions": "policy",
    "rename": "name",
    "nickname": "name",
    "alias": "name",
    "call": "name",
    "unname": "forget",
    "expects": "expect",
    "expected": "expect",
    "expecting": "expect",
    "expectation": "expect",
    "expectations": "expect",
    "names": "status",
    "commands": "help",
    "?": "help",
}
"""Every word that starts a command, and its command."""

NOT_UNDERSTOOD_CHARS: Final = 100

_ALL_WORDS: Final = frozenset({"all", "everything", "integrations", "all integrations"})
_ASIDE: Final = frozenset(
    (
        *("what", "what's", "whats", "which", "who", "how", "how's", "is", "are", "the", "of", "for", "ok", "okay"),
        *("doing", "anything", "everything", "integrations", "currently", "status", "right", "now"),
    )
)
"""Filler words around a filter in a question such as "what's failing?"."""

_NO_COMMANDS: Final = {
    **dict.fromkeys(
        ("snooze", "snoozes", "mute", "silence", "unsnooze", "unmute"),
        "Snooze and End snooze are buttons on the message about an incident.",
    ),
    **dict.fromkeys(
        ("quiet", "hours", "dnd"),
        "Quiet hours belong to a subscription: subscribe all hours 08:00-18:00 weekdays. To hold incidents back while "
        "you work on an integration, use maintenance.",
    ),
    **dict.fromkeys(
        ("stop", "cancel", "abort"),
        "FloKit can't stop a sync that has started. To stop notifications, use unsubscribe.",
    ),
    **dict.fromkeys(
        ("next", "previous", "more", "back", "older", "newer"), "To turn pages, use the buttons below the message."
    ),
}
"""Words that people try as commands, with the real command."""


def parse_command(text: str, *, command: str = "/flokit", bot_user_id: str = "") -> Command:
    """Parse the text of a slash command; anything else becomes help with suggestions.

    Args:
        text: the text after the slash command.
        command: the slash command's name, because some people repeat it.
        bot_user_id: the bot's user ID, because some people mention it after the command.
    """
    if is_too_long(text):
        return _too_long()
    names = {"command": command, "bot_user_id": bot_user_id}
    return _read_lines(clean_lines(text, **names), is_blank=is_only_name(text, **names))


def parse_mention(text: str, bot_user_id: str, *, command: str = "/flokit") -> Command:
    """Parse a message that mentions the bot, or a direct message to it.

    Slack writes a mention as ``<@U123>`` or ``<@U123|name>``:
    https://docs.slack.dev/messaging/formatting-message-text
    """
    if is_too_long(text):
        return _too_long()
    lines = clean_lines(text, bot_user_id=bot_user_id, command=command)
    whole = _read_lines(lines, is_blank=is_only_name(text, bot_user_id=bot_user_id, command=command))
    if isinstance(whole, HelpCommand) and whole.not_understood:
        after = re.split(rf"<@{re.escape(bot_user_id)}(?:\|[^<>]*)?>", text, maxsplit=1)[-1]
        addressed = _read_lines(clean_lines(after, bot_user_id=bot_user_id, command=command), is_blank=False)
        return whole if isinstance(addressed, HelpCommand) else addressed
    return whole


def _too_long() -> HelpCommand:
    return HelpCommand(problem=f"That's too long: I read up to {TYPED_CHARS:,} characters. Nothing was done.")


def _read_lines(lines: Sequence[str], *, is_blank: bool) -> Command:
    """Parse the first line; if other lines are commands too, say so."""
    if not lines:
        return StatusCommand() if is_blank else HelpCommand()
    command, further = _read_line(lines[0]), lines[1:]
    others = [line for line in further if _is_command_line(line)]
    if isinstance(command, HelpCommand) and command.not_understood and len(others) == 1:
        return _read_line(others[0])
    if others:
        first, second = (line[:NOT_UNDERSTOOD_CHARS] for line in (lines[0], others[0]))
        return HelpCommand(
            problem=f"I take one command at a time, but found two: “{first}” and “{second}”. Nothing was done."
        )
    if further and isinstance(command, SubscribeCommand | UnsubscribeCommand):
        return _read_line(" ".join(lines))
    if further and isinstance(command, HelpCommand) and command.needs_target:
        return _read_line(f"{lines[0]} {further[0]}")
    return command


_LINE_BEGINS: Final = frozenset({*(doc.name for doc in COMMANDS), "resync"})


def _is_command_line(line: str) -> bool:
    first = line.split(maxsplit=1)[0].casefold().strip(WRAPPING)
    return first in _LINE_BEGINS and not isinstance(_read_line(line), HelpCommand)


def _read_line(line: str) -> Command:
    words = line.split()
    if not words:
        return StatusCommand()
    first = words[0].casefold()
    name = _WORDS.get(first) or _WORDS.get(first.strip(f"{WRAPPING}/"))
    if name is None:
        return _without_command(words)
    return _with_command(name, " ".join(without_courtesy(words[1:])))


_DEEDS: Final = {**{verb.value: verb for verb in Verb}, **dict.fromkeys(("status", "show"), Verb.LOOK)}


def _why(rest: str) -> Command:
    """Parse what follows ``why``, such as ``sync stripe``, ``can't I subscribe``, ``is stripe failing``."""
    words = [word for word in rest.split() if word.casefold().strip(WRAPPING) not in _FILLING]
    if not words:
        return HelpCommand(needs_target="why sync")
    first = words[0].casefold().strip(WRAPPING)
    if first in _ASKING:
        about = [word for word in words[1:] if word.casefold().strip(WRAPPING) not in _STATES]
        return ShowCommand(" ".join(about).strip(WRAPPING)) if about else HelpCommand(needs_target="show")
    verb = _DEEDS.get(first) or _DEEDS.get(_WORDS.get(first, "")) or (Verb.SUBSCRIBE if first in _WORDS else None)
    if verb is None:
        return WhyCommand(Verb.SYNC, " ".join(words).strip(WRAPPING))
    return WhyCommand(verb, " ".join(words[1:]).strip(WRAPPING))


_FILLING: Final = frozenset({"can", "can't", "cannot", "may", "i", "not", "won't"})
_ASKING: Final = frozenset({"is", "isn't", "does", "doesn't", "did", "didn't", "has", "hasn't"})
_STATES: Final = frozenset({"failing", "fail", "failed", "broken", "down", "disconnected", "stale", "still", "not"})


def _with_command(name: str, rest: str) -> Command:
    if name == "subscribe":
        return SubscribeCommand(rest)
    if name == "unsubscribe":
        return UnsubscribeCommand(rest)
    if name == "test":
        is_clear = _is_about_a_sample(rest.split())
        return (
            TestCommand() if is_clear else HelpCommand(not_understood=rest[:NOT_UNDERSTOOD_CHARS], suggestions=(name,))
        )
    if name == "maintenance":
        return MaintenanceCommand(rest)
    if name == "audit":
        return AuditCommand(rest)
    if name == "history":
        return HistoryCommand(rest)
    if name == "incidents":
        return IncidentsCommand(_filter_of_incidents(rest))
    if name == "expect" and rest.strip(WRAPPING):
        return ExpectCommand(rest)
    if name == "forget" and (about := forgotten_expectation(rest)):
        return ExpectCommand(f"{about} nothing")
    if name in ("name", "forget") and rest.strip(WRAPPING):
        return NameCommand(rest) if name == "name" else ForgetCommand(rest)
    rest = rest.strip(WRAPPING)
    if name in _ARGUMENTS:
        return _with_argument(name, rest)
    if name == "status" and (incidents := _incidents_asked(rest.split())):
        return incidents
    if name == "status":
        return StatusCommand("" if readings(rest)[-1].casefold() in _ALL_WORDS else rest)
    if name == "why":
        return _why(rest)
    if not rest:
        return HelpCommand(needs_target=name)
    if name == "show":
        return _shown(rest)
    return SyncCommand(rest)


_ARGUMENTS: Final = {
    "subscriptions": frozenset({"all", "here", "list", "channel"}),
    "doctor": frozenset({"blocks", "block"}),
    "connect": frozenset({"flokit"}),
    "disconnect": frozenset({"flokit"}),
    "policy": frozenset({"permissions", "rules"}),
    "help": frozenset(_WORDS),
}
"""The commands with an optional argument from a fixed list."""


def _with_argument(name: str, rest: str) -> Command:
    """Parse a command with an optional argument from a fixed list."""
    words = [word for word in rest.casefold().split() if word not in _AROUND_ARGUMENTS]
    argument = " ".join(words[:1] if name == "help" else words).strip(f"{WRAPPING}-")
    if argument and argument not in _ARGUMENTS[name]:
        return HelpCommand(not_understood=rest[:NOT_UNDERSTOOD_CHARS], suggestions=(name,))
    if name == "doctor":
        return DoctorCommand(blocks=bool(argument))
    return _BARE[name] if name in _BARE else HelpCommand(topic=_WORDS.get(argument, ""))


_BARE: Final[dict[str, Command]] = {
    "subscriptions": SubscriptionsCommand(),
    "connect": ConnectCommand(),
    "disconnect": DisconnectCommand(),
    "policy": PolicyCommand(),
}

_AROUND_ARGUMENTS: Final = frozenset({"me", "with", "on", "the", "about", "for", "of", "in", "this", "my", "our", "to"})


_SAMPLE_WORDS: Final = frozenset(
    (
        *(
            "test",
            "sample",
            "demo",
            "incident",
            "incidents",
            "alert",
            "alerts",
            "message",
            "notification",
            "notifications",
        ),
        *("a", "an", "channel", "here", "failure", "fake", "it", "what", "would", "looks", "look", "like", "out"),
    )
)


def _is_about_a_sample(words: Sequence[str]) -> bool:
    return all(word.casefold().strip(WRAPPING) in _SAMPLE_WORDS | _AROUND_ARGUMENTS for word in words)


def _shown(rest: str) -> Command:
    """Parse what follows ``show``: an integration, or a list that another command shows."""
    words = rest.casefold().split()
    while len(words) > 1 and words[0] in _AROUND_ARGUMENTS:
        words = words[1:]
    if " ".join(words) in _ALL_WORDS or words[0] in FILTER_WORDS:
        return _with_command("status", " ".join(words))
    if _is_about_a_sample(words) and {"test", "sample", "demo"} & {*words}:
        return TestCommand()
    if incidents := _incidents_asked(words):
        return incidents
    if words[0] in _LISTS and words[-1] != "integration":
        return _with_command(words[0], " ".join(rest.split()[-len(words) + 1 :]) if len(words) > 1 else "")
    return ShowCommand(rest)


_LISTS: Final = frozenset({"status", "subscriptions", "history", "incidents", "audit", "help"})

_INCIDENT_WORDS: Final = frozenset({"incidents", "incident", "outages", "outage", "problems"})
_AROUND_INCIDENTS: Final = frozenset(
    (
        *("open", "current", "ongoing", "active", "unresolved", "all", "any", "the", "there", "are", "is", "for", "of"),
        *(
            "what",
            "what's",
            "whats",
            "which",
            "who",
            "who's",
            "whos",
            "on",
            "with",
            "now",
            "right",
            "list",
            "show",
            "me",
        ),
        *("about", "in", "at", "moment", "do", "we", "have", "our", "still", "working", "taking", "care"),
    )
)
"""Filler words around "incidents", and in questions such as "who is on it"."""

_ON_IT: Final = re.compile(r"^who('s|s| is| are)? (on|working on|taking care of|handling|owns) (\S.*)$")


def _filter_of_incidents(rest: str) -> str:
    """Return the filter in what follows ``incidents``."""
    kept = [word for word in rest.split() if word.casefold().strip(WRAPPING) not in _AROUND_INCIDENTS]
    return " ".join(kept).strip(WRAPPING)


def _incidents_asked(words: Sequence[str]) -> Command | None:
    """Parse "open incidents", "what incidents are there", "who is on it" and "who's on stripe"."""
    keys = [word.casefold().strip(WRAPPING) for word in words]
    if asked := _ON_IT.match(" ".join(keys)):
        whom = asked[3]
        return IncidentsCommand("" if whom in ("it", "this") else whom)
    place = next((place for place, key in enumerate(keys) if key in _INCIDENT_WORDS), None)
    if place is None or not all(key in _AROUND_INCIDENTS for key in keys[:place]):
        return None
    return IncidentsCommand(_filter_of_incidents(" ".join(words[place + 1 :])))


def _without_command(words: Sequence[str]) -> Command:
    text = " ".join(words)
    bare = text.strip(WRAPPING)
    if bare.casefold() in FILTER_WORDS or bare.casefold() in _ALL_WORDS or name_key(bare) in KNOWN_TYPE_KEYS:
        return _with_command("status", bare)
    asked = [word for word in bare.casefold().split() if word.strip(WRAPPING) not in _ASIDE]
    if not asked and "status" in bare.casefold().split():
        return StatusCommand()
    if asked and all(word in FILTER_WORDS or name_key(word) in KNOWN_TYPE_KEYS for word in asked):
        return StatusCommand(" ".join(asked))
    if bare.casefold().split()[:1] in (["send"], ["post"], ["make"]) and _is_about_a_sample(words[1:]):
        return TestCommand()
    if renaming := _renaming(words) or _incidents_asked(words):
        return renaming
    not_understood = HelpCommand(not_understood=text[:NOT_UNDERSTOOD_CHARS])
    if problem := _NO_COMMANDS.get(words[0].casefold().strip(WRAPPING)):
        return replace(not_understood, problem=problem)
    return replace(not_understood, suggestions=_nearest_commands(words))


_FORGET_WORDS: Final = frozenset({"remove", "delete", "clear", "drop", "erase", "unset"})
_NAME_WORDS: Final = frozenset({"set", "change", "give", "make", "update"})


def _renaming(words: Sequence[str]) -> Command | None:
    """Parse "set the name of stripe to Money" and "remove the name of stripe"."""
    keys = [word.casefold().strip(WRAPPING) for word in words]
    about = next((place for place in (1, 2) if keys[place : place + 2] in (["name", "of"], ["nickname", "of"])), 0)
    rest = " ".join(words[about + 2 :])
    if not about or not rest:
        return None
    if keys[0] in _FORGET_WORDS:
        return ForgetCommand(rest)
    return NameCommand(rest) if keys[0] in _NAME_WORDS else None


def _nearest_commands(words: Sequence[str]) -> tuple[str, ...]:
    """Return commands similar to the first word, or else those later in the text, as in "could stripe sync"."""
    first = words[0].casefold()[:NOT_UNDERSTOOD_CHARS]
    near = difflib.get_close_matches(first, _WORDS, n=NEAREST)
    further = (word.casefold().strip(WRAPPING) for word in words[1:])
    found = [_WORDS[word] for word in near or further if word in _WORDS and word != "?"]
    return tuple(dict.fromkeys(found))[:NEAREST]
