"""The commands, as values and as people read about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from bot.core.access.policy import Verb


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
