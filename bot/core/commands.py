"""From what a person typed or clicked to a value, and from a target or filter to integrations.

Any text and any object gets an answer; nothing here raises on what comes from outside. What a button means stands
in its ``action_id``; its ``value`` holds ids only, so that an old button never carries old knowledge.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from bot.core.access.policy import Verb
from bot.core.advice import KNOWN_TYPES, display_name, is_stale
from bot.core.models import Integration, Status
from bot.core.typed import TYPED_CHARS, WRAPPING, clean_lines, is_only_name, is_too_long, readings, without_courtesy

# --- what can be typed -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StatusCommand:
    """Show the integrations that match ``query``; "" means all."""

    query: str = ""


@dataclass(frozen=True, slots=True)
class ShowCommand:
    """Show one integration in detail."""

    target: str


@dataclass(frozen=True, slots=True)
class SyncCommand:
    """Start, or join, a sync of one integration."""

    target: str


@dataclass(frozen=True, slots=True)
class SubscribeCommand:
    """Have this channel told; ``words`` are read by `bot.core.subscriptions.words`."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class UnsubscribeCommand:
    """End what this channel is told; ``words`` as above."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionsCommand:
    """Show what this channel is told."""


@dataclass(frozen=True, slots=True)
class HistoryCommand:
    """Show how the last syncs went; ``words`` are read by `bot.core.access.audit_words`, "" means all."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class WhyCommand:
    """Explain whether the person may do something, without trying."""

    verb: Verb
    target: str = ""


@dataclass(frozen=True, slots=True)
class AuditCommand:
    """Show who did what; ``words`` are read by `bot.core.access.audit_words`."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class DoctorCommand:
    """Show whether all is well; ``blocks`` has Slack validate every kind of message, too."""

    blocks: bool = False


@dataclass(frozen=True, slots=True)
class HelpCommand:
    """Show the commands, and first what was wrong with the text, if anything was."""

    not_understood: str = ""
    """What was typed (untrusted), when it is no command."""
    suggestions: tuple[str, ...] = ()
    """The names of the commands that were probably meant, the closest first."""
    problem: str = ""
    """A sentence about what else was wrong (it may hold untrusted text); nothing was done."""
    needs_target: str = ""
    """The name of the command that was typed without its integration."""
    topic: str = ""
    """The name of the one command to be explained with examples."""


Command: TypeAlias = (
    StatusCommand
    | ShowCommand
    | SyncCommand
    | SubscribeCommand
    | UnsubscribeCommand
    | SubscriptionsCommand
    | HistoryCommand
    | AuditCommand
    | WhyCommand
    | DoctorCommand
    | HelpCommand
)


def command_name(command: Command) -> str:
    """Name a command by the word that is typed for it."""
    return type(command).__name__.removesuffix("Command").lower()


class HelpGroup(StrEnum):
    """What commands are for, as the help groups them."""

    SEE = "See"
    REPAIR = "Repair"
    NOTIFY = "Get notified"
    ADMINISTER = "Administer"


@dataclass(frozen=True, slots=True)
class CommandDoc:
    """One command as people read it; the help message and ``docs/commands.md`` have the same words."""

    name: str
    group: HelpGroup
    usage: str
    summary: str
    examples: tuple[str, ...]
    """The first is the one that the overview shows."""
    more: str = ""
    """What only the help on this one command says."""


COMMANDS: Final = (
    CommandDoc(
        "status",
        HelpGroup.SEE,
        "status [filter]",
        "Show all integrations, failing first.",
        ("status failing", "status", "status appsflyer"),
        "Filter by failing, syncing, stale, a type, an ID, or text.",
    ),
    CommandDoc(
        "show",
        HelpGroup.SEE,
        "show <integration>",
        "Show details of one integration, and what to check.",
        ("show stripe", "show App Store Connect"),
        "Name an integration by its type, its ID, or the last characters of its ID.",
    ),
    CommandDoc(
        "history",
        HelpGroup.SEE,
        "history [integration] [@person] [7d]",
        "Show recent syncs: results, who started them, and how long they took.",
        ("history stripe", "history", "history stripe last week"),
    ),
    CommandDoc(
        "sync",
        HelpGroup.REPAIR,
        "sync <integration>",
        "Start a sync; I'll post the outcome in the thread.",
        ("sync stripe", "sync 4j7stripe"),
        "Name an integration by its type, its ID, or the last characters of its ID.",
    ),
    CommandDoc(
        "why",
        HelpGroup.REPAIR,
        "why sync <integration>",
        "Check whether you're allowed to, and what's blocking it, without starting anything.",
        ("why sync stripe",),
        "It also says which rule decides. Also: why look, why subscribe.",
    ),
    CommandDoc(
        "subscribe",
        HelpGroup.NOTIFY,
        "subscribe [what] [news] [digest 09:00 weekdays]",
        "Notify this channel automatically.",
        ("subscribe all digest 09:00 weekdays", "subscribe all", "subscribe stripe failing, recovered"),
        "What: all, a type, or one integration. News: failing, stale, disconnected, recovered. "
        "Without words, a form opens.",
    ),
    CommandDoc(
        "unsubscribe",
        HelpGroup.NOTIFY,
        "unsubscribe [what] [digest]",
        "Stop notifications in this channel.",
        ("unsubscribe stripe", "unsubscribe all"),
    ),
    CommandDoc(
        "subscriptions",
        HelpGroup.NOTIFY,
        "subscriptions",
        "List this channel's subscriptions.",
        ("subscriptions",),
    ),
    CommandDoc(
        "audit",
        HelpGroup.ADMINISTER,
        "audit [integration] [@person] [7d]",
        "Show who did what, with results (visible only to you).",
        ("audit stripe 7d", "audit", "audit @ana 24h", "audit me since Monday"),
        "Time range: 24h, 7d, today, last week, since Monday.",
    ),
    CommandDoc(
        "doctor",
        HelpGroup.ADMINISTER,
        "doctor [blocks]",
        "Run health checks and show fixes.",
        ("doctor", "doctor blocks"),
        "With blocks, I also validate every message with Slack.",
    ),
    CommandDoc(
        "help",
        HelpGroup.ADMINISTER,
        "help [command]",
        "List the commands, or explain one.",
        ("help sync", "help"),
    ),
)

_WORDS: Final = {
    **{doc.name: doc.name for doc in COMMANDS},
    "list": "status",
    "ls": "status",
    "resync": "sync",
    "refresh": "sync",
    "run": "sync",
    "details": "show",
    "detail": "show",
    "info": "show",
    "subs": "subscriptions",
    "watch": "subscribe",
    "unwatch": "unsubscribe",
    "runs": "history",
    "log": "audit",
    "check": "doctor",
    "health": "doctor",
    "commands": "help",
    "?": "help",
}
"""Every word that starts a command, with the command it means."""

NOT_UNDERSTOOD_CHARS: Final = 100

_ALL_WORDS: Final = frozenset({"all", "everything", "integrations", "all integrations"})
_ASIDE: Final = frozenset(
    (
        *("what", "what's", "whats", "which", "who", "how", "how's", "is", "are", "the", "of", "for", "ok", "okay"),
        *("doing", "anything", "everything", "integrations", "currently", "status", "right", "now"),
    )
)
"""Words around a filter in a question such as "what's failing?"."""

_ONE_SYNC: Final = (
    "I sync one integration at a time. Name one, or run status failing and press Resync. Nothing was done."
)

_NO_COMMANDS: Final = {
    **dict.fromkeys(
        ("snooze", "snoozes", "mute", "silence", "unsnooze", "unmute"),
        "Snooze and End snooze are buttons on the message about an incident.",
    ),
    **dict.fromkeys(
        ("stop", "cancel", "abort"),
        "FloKit can't stop a sync that has started. To stop notifications, use unsubscribe.",
    ),
    **dict.fromkeys(
        ("next", "previous", "more", "back", "older", "newer"), "To turn pages, use the buttons below the message."
    ),
}
"""Words that people try as commands, with what does that instead."""


def parse_command(text: str, *, command: str = "/flokit", bot_user_id: str = "", is_typed: bool = True) -> Command:
    """Read the text of a slash command; what isn't a command becomes the help that suggests one.

    Args:
        text: what follows the slash command.
        command: what the slash command is called; people type it twice.
        bot_user_id: whose mention people type after it.
        is_typed: False for the words that a form made, which mean exactly what they are.
    """
    if is_too_long(text):
        return _too_long()
    if not is_typed:
        return _read_line(text)
    names = {"command": command, "bot_user_id": bot_user_id}
    return _read_lines(clean_lines(text, **names), is_blank=is_only_name(text, **names))


def parse_mention(text: str, bot_user_id: str, *, command: str = "/flokit") -> Command:
    """Read a message that mentions the bot, or a direct message to it.

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
    """Read the first line; of further ones, those that are commands are never dropped in silence."""
    if not lines:
        return StatusCommand() if is_blank else HelpCommand()
    command, further = _read_line(lines[0]), lines[1:]
    others = [line for line in further if _is_command_line(line)]
    if isinstance(command, HelpCommand) and command.not_understood and len(others) == 1:
        return _read_line(others[0])
    if others:
        first, second = (line[:NOT_UNDERSTOOD_CHARS] for line in (lines[0], others[0]))
        return HelpCommand(
            problem=f"I take one command at a time, and read two: “{first}” and “{second}”. Nothing was done."
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
    """Read what follows ``why``, such as ``sync stripe``, ``can't I subscribe``, ``is stripe failing``."""
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
    if name == "audit":
        return AuditCommand(rest)
    if name == "history":
        return HistoryCommand(rest)
    rest = rest.strip(WRAPPING)
    if name in _ARGUMENTS:
        return _with_argument(name, rest)
    if name == "status":
        return StatusCommand("" if readings(rest)[-1].casefold() in _ALL_WORDS else rest)
    if name == "why":
        return _why(rest)
    if not rest:
        return HelpCommand(needs_target=name)
    if name == "show":
        return _shown(rest)
    return HelpCommand(problem=_ONE_SYNC) if readings(rest)[-1].casefold() in _ALL_WORDS else SyncCommand(rest)


_ARGUMENTS: Final = {
    "subscriptions": frozenset({"all", "here", "list", "channel"}),
    "doctor": frozenset({"blocks", "block"}),
    "help": frozenset(_WORDS),
}
"""The commands that take one of a few words, or none, with those words."""


def _with_argument(name: str, rest: str) -> Command:
    """Read a command that takes one of a few words."""
    words = [word for word in rest.casefold().split() if word not in _AROUND_ARGUMENTS]
    argument = " ".join(words[:1] if name == "help" else words).strip(f"{WRAPPING}-")
    if argument and argument not in _ARGUMENTS[name]:
        return HelpCommand(not_understood=rest[:NOT_UNDERSTOOD_CHARS], suggestions=(name,))
    if name == "doctor":
        return DoctorCommand(blocks=bool(argument))
    return SubscriptionsCommand() if name == "subscriptions" else HelpCommand(topic=_WORDS.get(argument, ""))


_AROUND_ARGUMENTS: Final = frozenset({"me", "with", "on", "the", "about", "for", "of", "in", "this", "my", "our", "to"})


def _shown(rest: str) -> Command:
    """Read what follows ``show``: an integration, or one of the lists that other commands show."""
    words = rest.casefold().split()
    while len(words) > 1 and words[0] in _AROUND_ARGUMENTS:
        words = words[1:]
    if " ".join(words) in _ALL_WORDS or words[0] in _FILTERS:
        return _with_command("status", " ".join(words))
    if words[0] in _LISTS and words[-1] != "integration":
        return _with_command(words[0], " ".join(rest.split()[-len(words) + 1 :]) if len(words) > 1 else "")
    return ShowCommand(rest)


_LISTS: Final = frozenset({"status", "subscriptions", "history", "audit", "help"})


def _without_command(words: Sequence[str]) -> Command:
    text = " ".join(words)
    bare = text.strip(WRAPPING)
    if bare.casefold() in _FILTERS or bare.casefold() in _ALL_WORDS or _key(bare) in _KNOWN_TYPE_KEYS:
        return _with_command("status", bare)
    asked = [word for word in bare.casefold().split() if word.strip(WRAPPING) not in _ASIDE]
    if not asked and "status" in bare.casefold().split():
        return StatusCommand()
    if asked and all(word in _FILTERS or _key(word) in _KNOWN_TYPE_KEYS for word in asked):
        return StatusCommand(" ".join(asked))
    not_understood = HelpCommand(not_understood=text[:NOT_UNDERSTOOD_CHARS])
    if problem := _NO_COMMANDS.get(words[0].casefold().strip(WRAPPING)):
        return replace(not_understood, problem=problem)
    return replace(not_understood, suggestions=_nearest_commands(words))


def _nearest_commands(words: Sequence[str]) -> tuple[str, ...]:
    """Name the commands that the first word resembles; else those that stand further on, as in "could stripe sync"."""
    first = words[0].casefold()[:NOT_UNDERSTOOD_CHARS]
    near = difflib.get_close_matches(first, _WORDS, n=NEAREST)
    further = (word.casefold().strip(WRAPPING) for word in words[1:])
    found = [_WORDS[word] for word in near or further if word in _WORDS and word != "?"]
    return tuple(dict.fromkeys(found))[:NEAREST]


# --- what can be clicked ---------------------------------------------------------------------------------------


class Action(StrEnum):
    """The buttons; the values are Slack's ``action_id`` and must stay, for buttons in old messages."""

    RESYNC = "flokit_resync"
    REFRESH = "flokit_refresh"
    DETAILS = "flokit_details"
    TRY_AGAIN = "flokit_try_again"
    SYNC_ANYWAY = "flokit_sync_anyway"
    KEEP_WATCHING = "flokit_keep_watching"
    PREVIOUS_PAGE = "flokit_previous_page"
    NEXT_PAGE = "flokit_next_page"
    SNOOZE = "flokit_snooze"
    END_SNOOZE = "flokit_end_snooze"
    UNSUBSCRIBE = "flokit_unsubscribe"
    REFRESH_HOME = "flokit_refresh_home"


ACTION_PATTERN: Final = re.compile(r"^flokit_")
"""Matches every ``action_id`` of ours, also those of a newer version: they still get a sentence."""

PRESS_VERSION: Final = 1

MAX_PAGE: Final = 100_000
"""Beyond any page that there is: a larger number was made up, and would not fit into a database."""

PRESS_CHARS: Final = 1100
"""The longest value of a button: five ids of `ID_CHARS`, even if all of it had to be escaped. Slack allows 2000."""

ID_CHARS: Final = 100
"""The longest id that a button carries; documented ones have about 25 characters."""


@dataclass(frozen=True, slots=True)
class Press:
    """A click on one of our buttons. Which of the ids are there depends on the action."""

    action: Action
    integration_id: str = ""
    panel_id: str = ""
    run_id: str = ""
    page: int = 0
    subscription_id: str = ""
    choice: str = ""
    """What was chosen from a menu."""


@dataclass(frozen=True, slots=True)
class UnreadablePress:
    """A click on a button that this version cannot read; ``sentence`` is for the person who clicked."""

    sentence: str


_NEEDED_ID: Final = {
    Action.RESYNC: "integration_id",
    Action.DETAILS: "integration_id",
    Action.TRY_AGAIN: "integration_id",
    Action.SYNC_ANYWAY: "integration_id",
    Action.KEEP_WATCHING: "run_id",
    Action.REFRESH: "panel_id",
    Action.PREVIOUS_PAGE: "panel_id",
    Action.NEXT_PAGE: "panel_id",
    Action.SNOOZE: "panel_id",
    Action.END_SNOOZE: "panel_id",
    Action.UNSUBSCRIBE: "subscription_id",
    Action.REFRESH_HOME: "choice",
}


_IDS: Final = {
    "i": "integration_id",
    "p": "panel_id",
    "r": "run_id",
    "s": "subscription_id",
    "c": "choice",
}
"""The fields of a press that stand in a button's value as they are."""


def is_usable_id(text: str) -> bool:
    """Tell whether an id can stand in a button's value: printable ASCII of at most `ID_CHARS` characters."""
    return 0 < len(text) <= ID_CHARS and text.isascii() and text.isprintable()


def press_value(press: Press) -> str:
    """Write the ids of a press as a button's value of at most `PRESS_CHARS` characters.

    Raises:
        ValueError: An id is not usable, or the one that the action needs is missing: see `is_usable_id`.
    """
    ids = {key: getattr(press, field) for key, field in _IDS.items()}
    if not getattr(press, _NEEDED_ID[press.action]) or not all(is_usable_id(id_) for id_ in ids.values() if id_):
        raise ValueError(f"no button can be made of {press!r}")
    fields: dict[str, object] = {"v": PRESS_VERSION, **{key: id_ for key, id_ in ids.items() if id_}}
    if press.page:
        fields["n"] = press.page
    return json.dumps(fields, separators=(",", ":"))


def parse_press(action_id: object, value: object, *, command: str = "/flokit") -> Press | UnreadablePress:
    """Read a click; whatever another version or a broken client sent becomes a sentence for the person.

    Slack wants each ``action_id`` once in a block, so one may carry a suffix: ``flokit_resync:1``.
    """
    unreadable = UnreadablePress(
        f"This button is from a different version of the bot. Run {command} status for a new message."
    )
    fields = _press_fields(value)
    if not isinstance(action_id, str) or fields is None:
        return unreadable
    try:
        action = Action(action_id.partition(":")[0])
    except ValueError:
        return unreadable
    press = _press(action, fields)
    return unreadable if press is None else press


def _press_fields(value: object) -> dict[str, object] | None:
    if not isinstance(value, str) or len(value) > PRESS_CHARS:
        return None
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):  # a thousand opening brackets may be too deep
        return None
    if not isinstance(fields, dict):
        return None
    version = fields.get("v")
    return fields if type(version) is int and version == PRESS_VERSION else None


def _press(action: Action, fields: dict[str, object]) -> Press | None:
    page = fields.get("n", 0)
    ids = {field: _press_id(fields.get(key, "")) for key, field in _IDS.items()}
    if None in ids.values() or type(page) is not int or page < 0:
        return None
    press = Press(action, page=min(page, MAX_PAGE), **{field: id_ for field, id_ in ids.items() if id_})
    return press if getattr(press, _NEEDED_ID[action]) else None


def _press_id(value: object) -> str | None:
    return value if isinstance(value, str) and (not value or is_usable_id(value)) else None


# --- which integration is meant --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one integration is meant."""

    integration: Integration


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several integrations are meant equally: the person must choose."""

    matches: tuple[Integration, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """No integration is meant; ``nearest`` are the ones with a similar name, at most `NEAREST`."""

    target: str
    nearest: tuple[Integration, ...]


NEAREST: Final = 3
WORDS_COMPARED: Final = 5
ENDING_CHARS: Final = 3
"""The shortest ending of an id that is taken for one."""

Resolution: TypeAlias = Found | Ambiguous | NotFound


def resolve(target: str, integrations: Sequence[Integration]) -> Resolution:
    """Find the one integration that a person means: by id, else by type or its name, else by the ending of an id.

    Customers have several integrations of one type (iOS and Android apps are separate), so a type is never guessed.
    """
    names = readings(target)
    for wanted in names:
        for matches in (
            [one for one in integrations if one.id == wanted],
            [one for one in integrations if one.id.casefold() == wanted.casefold()],
            _of_type(wanted, integrations),
            _with_ending(wanted, integrations),
        ):
            if matches:
                return Found(matches[0]) if len(matches) == 1 else Ambiguous(tuple(matches))
    return NotFound(target, nearest_integrations(names[-1], integrations))


def _key(name: str) -> str:
    """Reduce a name to what people mean by it: "App Store Connect", "app_store-connect" are the same."""
    return "".join(char for char in unicodedata.normalize("NFKC", name).casefold() if char.isalnum())


_KNOWN_TYPE_KEYS: Final = frozenset(_key(name) for type_ in KNOWN_TYPES for name in (type_, display_name(type_)))


def _type_keys(integration: Integration) -> tuple[str, str]:
    return _key(integration.type), _key(display_name(integration.type))


def _of_type(name: str, integrations: Iterable[Integration]) -> list[Integration]:
    key = _key(name)
    return [one for one in integrations if key and key in _type_keys(one)]


def _with_ending(ending: str, integrations: Iterable[Integration]) -> list[Integration]:
    if len(ending) < ENDING_CHARS:
        return []
    return [one for one in integrations if one.id.casefold().endswith(ending.casefold())]


@dataclass(frozen=True, slots=True)
class Group:
    """All integrations that a name means; ``type_`` is set when it is their type."""

    integration_ids: tuple[str, ...] = ()
    type_: str = ""


def resolve_group(target: str, integrations: Sequence[Integration]) -> Group | NotFound:
    """Find all integrations that a person means: those of a type, of which there may be none now, or else one."""
    for key in map(_key, readings(target)):
        for type_ in dict.fromkeys((*KNOWN_TYPES, *(one.type for one in integrations))):
            if key and key in (_key(type_), _key(display_name(type_))):
                return Group(tuple(one.id for one in integrations if one.type == type_), type_)
    match resolve(target, integrations):
        case Found(integration=integration):
            return Group((integration.id,))
        case Ambiguous(matches=matches):
            return Group(tuple(one.id for one in matches))
        case NotFound() as not_found:
            return not_found


def nearest_types(text: str) -> tuple[str, ...]:
    """Name the documented types that a text resembles; at most `NEAREST`."""
    by_key = {_key(name): type_ for type_ in KNOWN_TYPES for name in (type_, display_name(type_))}
    near = difflib.get_close_matches(_key(text)[:ID_CHARS], by_key, n=NEAREST)
    return tuple(dict.fromkeys(by_key[key] for key in near))


def nearest_integrations(text: str, integrations: Iterable[Integration]) -> tuple[Integration, ...]:
    """Find the integrations whose names resemble a text, or else one of its words; at most `NEAREST`."""
    by_key: dict[str, list[Integration]] = {}
    for one in integrations:
        for key in {*_type_keys(one), _key(one.id)}:
            by_key.setdefault(key[:ID_CHARS], []).append(one)
    for wanted in (text, *text.split()[:WORDS_COMPARED]):
        keys = difflib.get_close_matches(_key(wanted)[:ID_CHARS], by_key, n=NEAREST)
        if keys:
            return tuple(dict.fromkeys(one for key in keys for one in by_key[key]))[:NEAREST]
    return ()


# --- which integrations a filter lets through ------------------------------------------------------------------

_Filter: TypeAlias = "Callable[[Integration, datetime], bool]"


def _has_status(*statuses: Status) -> _Filter:
    return lambda integration, _now: integration.status in statuses


_FILTERS: Final[dict[str, _Filter]] = {
    "failing": _has_status(Status.ERROR, Status.DISCONNECTED),
    "stale": is_stale,
    **{status.value: _has_status(status) for status in Status},
}


FILTER_WORDS: Final = tuple(_FILTERS)


def filter_integrations(query: str, integrations: Sequence[Integration], now: datetime) -> tuple[Integration, ...]:
    """Return the integrations that match a filter, in their order; an empty one lets all through.

    An exact id or type is taken as just that. Otherwise every word must hold: as one of the filter words
    (``failing``, ``stale``, a status), or by occurring in what FloKit says about the integration.
    """
    for wanted in readings(query):
        exact = [one for one in integrations if wanted and one.id == wanted] or _of_type(wanted, integrations)
        words = tuple(dict.fromkeys(wanted.casefold().split()))
        if found := exact or [one for one in integrations if _words_hold(words, one, now)]:
            return tuple(found)
    return ()


def _words_hold(words: Iterable[str], integration: Integration, now: datetime) -> bool:
    said = (
        integration.id,
        integration.type,
        display_name(integration.type),
        integration.status,
        integration.error_message or "",
    )
    texts = [text.casefold() for text in said]
    return all(
        _FILTERS[word](integration, now) if word in _FILTERS else any(word in text for text in texts) for word in words
    )
