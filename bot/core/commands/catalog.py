"""The commands as values, and their documentation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

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
    """Start, or join, a sync of one integration, or of several after a preview."""

    target: str


@dataclass(frozen=True, slots=True)
class SubscribeCommand:
    """Subscribe this channel; ``words`` are parsed by `bot.core.subscriptions.words`."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class UnsubscribeCommand:
    """Unsubscribe this channel; ``words`` as above."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionsCommand:
    """List this channel's subscriptions."""


@dataclass(frozen=True, slots=True)
class MaintenanceCommand:
    """Begin, end or list maintenance windows; ``words`` are parsed by `bot.core.commands.maintenance`."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class TestCommand:
    """Post a sample incident."""

    __test__: ClassVar[bool] = False
    """It isn't a test, whatever pytest makes of its name."""


@dataclass(frozen=True, slots=True)
class HistoryCommand:
    """Show past syncs; ``words`` are parsed by `bot.core.access.audit_words`, "" means all."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class WhyCommand:
    """Explain whether the person may do something, without trying."""

    verb: Verb
    target: str = ""


@dataclass(frozen=True, slots=True)
class IncidentsCommand:
    """List the open incidents; ``query`` is a filter as for ``status``."""

    query: str = ""


@dataclass(frozen=True, slots=True)
class AuditCommand:
    """Show who did what; ``words`` are parsed by `bot.core.access.audit_words`."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class NameCommand:
    """Name an integration for everyone, or give it an owner or a link; parsed by `bot.core.commands.naming`."""

    words: str


@dataclass(frozen=True, slots=True)
class ForgetCommand:
    """Forget the name of an integration; ``words`` as above."""

    words: str


@dataclass(frozen=True, slots=True)
class ExpectCommand:
    """Say how often an integration syncs and how many events it brings; parsed by `bot.core.commands.expecting`."""

    words: str


@dataclass(frozen=True, slots=True)
class DoctorCommand:
    """Run health checks; with ``blocks``, also validate every kind of message with Slack."""

    blocks: bool = False


@dataclass(frozen=True, slots=True)
class ConnectCommand:
    """Open the form that connects the workspace to its FloKit."""


@dataclass(frozen=True, slots=True)
class DisconnectCommand:
    """Ask whether to disconnect FloKit."""


@dataclass(frozen=True, slots=True)
class PolicyCommand:
    """Open the form in which the workspace's policy is edited."""


@dataclass(frozen=True, slots=True)
class HelpCommand:
    """Show the commands, preceded by what was wrong with the text, if anything."""

    not_understood: str = ""
    """The text (untrusted), if it isn't a command."""
    suggestions: tuple[str, ...] = ()
    """The names of similar commands, the closest first."""
    problem: str = ""
    """Another error message (it may contain untrusted text); nothing was done."""
    needs_target: str = ""
    """The name of a command typed without its integration."""
    topic: str = ""
    """The name of the command to explain with examples."""


Command: TypeAlias = (
    StatusCommand
    | ShowCommand
    | SyncCommand
    | SubscribeCommand
    | UnsubscribeCommand
    | SubscriptionsCommand
    | MaintenanceCommand
    | TestCommand
    | HistoryCommand
    | IncidentsCommand
    | AuditCommand
    | WhyCommand
    | NameCommand
    | ForgetCommand
    | ExpectCommand
    | DoctorCommand
    | ConnectCommand
    | DisconnectCommand
    | PolicyCommand
    | HelpCommand
)


def command_name(command: Command) -> str:
    """Return the word that is typed for a command."""
    return type(command).__name__.removesuffix("Command").lower()


class HelpGroup(StrEnum):
    """The groups of commands in the help."""

    SEE = "See"
    REPAIR = "Repair"
    NOTIFY = "Get notified"
    ADMINISTER = "Administer"


@dataclass(frozen=True, slots=True)
class CommandDoc:
    """A command's documentation, used in the help message and ``docs/commands.md``."""

    name: str
    group: HelpGroup
    usage: str
    summary: str
    examples: tuple[str, ...]
    """The overview shows the first one."""
    more: str = ""
    """Shown only in the help on this command."""
    of_many: bool = False
    """Only for a bot that serves every workspace that installs it; otherwise, its settings do this."""


COMMANDS: Final = (
    CommandDoc(
        "status",
        HelpGroup.SEE,
        "status [filter]",
        "List integrations, failing first.",
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
        "incidents",
        HelpGroup.SEE,
        "incidents [filter]",
        "List what's wrong now: since when, who is on it, and what was tried.",
        ("incidents", "incidents stripe", "who is on it"),
        "Filter by a type, an ID, a name, or text. Oldest first.",
    ),
    CommandDoc(
        "sync",
        HelpGroup.REPAIR,
        "sync <integrations>",
        "Start a sync; I'll post the outcome in the thread.",
        ("sync stripe", "sync failing", "sync stripe, google play", "sync all except stripe", "sync 4j7stripe"),
        "Name an integration by its type, its ID, or the last characters of its ID. "
        "For several, name them, or use the filters of status; I show you a preview first.",
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
        (
            "subscribe all digest 09:00 weekdays",
            "subscribe all",
            "subscribe stripe failing, recovered",
            "subscribe all hours 08:00-18:00 weekdays, failing always",
        ),
        "What: all, a type, or one integration. News: failing, stale, disconnected, empty, recovered. "
        "Hours: outside them, I post nothing except what you always want, and a summary follows. "
        "escalate after 30m S0615G0KT: whom to tell if no one is on an incident by then. "
        "Without arguments, a form opens.",
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
        "maintenance",
        HelpGroup.NOTIFY,
        "maintenance [what] [until 06:00]",
        "Hold incidents back while you work on an integration.",
        ("maintenance warehouse until 06:00", "maintenance all for 3h", "maintenance", "maintenance end warehouse"),
        "What: all, a type, or one integration. Meanwhile, I post nothing about it; a summary follows. "
        "Also: from 22:00 until 06:00, until Monday 9:00. Without arguments, I list what's in maintenance.",
    ),
    CommandDoc(
        "test",
        HelpGroup.NOTIFY,
        "test",
        "Post a sample incident in this channel.",
        ("test",),
        "It's marked as a sample. Its buttons do nothing, and it isn't counted anywhere.",
    ),
    CommandDoc(
        "name",
        HelpGroup.ADMINISTER,
        "name <integration> <name>",
        "Name an integration, for everyone in this workspace.",
        (
            'name 8appsflyerandroid "AppsFlyer Android"',
            "rename AppsFlyer Android to AppsFlyer",
            "name stripe owner S0615G0KT link https://wiki.example.com/stripe",
        ),
        "You can use the name wherever you name an integration. Incidents mention its owner, a person or a user group. "
        "Its link, such as a runbook's, is shown among the things to check. Without a name, a form opens.",
    ),
    CommandDoc(
        "forget",
        HelpGroup.ADMINISTER,
        "forget <integration>",
        "Forget the name of an integration.",
        ("forget AppsFlyer Android", "forget the name of stripe"),
        "Its owner and its link stay; to change them, press Details, then Edit name.",
    ),
    CommandDoc(
        "expect",
        HelpGroup.ADMINISTER,
        "expect <integration> [every 6h] [100 events a day]",
        "Say how often an integration syncs, or how many events it brings.",
        ("expect stripe every 6h, 100 events a day", "expect stripe", "expect stripe nothing"),
        "If it syncs less often, it's stale; if it brings fewer events, it's empty. Until you say so, I compare its "
        "events with its own past. Without a number, I show what's expected; nothing clears it.",
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
        "With blocks, I also validate every kind of message with Slack.",
    ),
    CommandDoc(
        "connect",
        HelpGroup.ADMINISTER,
        "connect",
        "Connect FloKit, or change its API key.",
        ("connect",),
        "For the person who installed me, workspace owners and admins, and anyone the policy allows to administer.",
        of_many=True,
    ),
    CommandDoc(
        "disconnect",
        HelpGroup.ADMINISTER,
        "disconnect",
        "Disconnect FloKit and erase its API key.",
        ("disconnect",),
        "I ask first. Subscriptions and history stay.",
        of_many=True,
    ),
    CommandDoc(
        "policy",
        HelpGroup.ADMINISTER,
        "policy",
        "Change who can do what, or go back to an earlier version.",
        ("policy",),
        "For the person who installed me, workspace owners and admins, and anyone the policy allows to administer.",
        of_many=True,
    ),
    CommandDoc(
        "help",
        HelpGroup.ADMINISTER,
        "help [command]",
        "List the commands, or explain one.",
        ("help", "help sync"),
    ),
)
