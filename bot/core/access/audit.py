"""The audit: who did what, where, to what, which rule decided, and the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.core.advice import KNOWN_TYPES
from bot.core.incidents.reactions import Snooze
from bot.core.models import Integration, Person, SyncRun
from bot.core.requests import Origin
from bot.core.subscriptions.subscriptions import ALL, Subscription
from bot.core.subscriptions.text import describe_wish

NOBODY: Final = Person("")
"""The actor for what the bot does automatically."""


class Deed(StrEnum):
    """What was done. The values are stored and exported, so they must stay the same."""

    LOOK = "look"
    """Recorded only if it was refused."""
    AUDIT = "audit"
    """As above."""
    SYNC = "sync"
    """By typing a command."""
    RESYNC = "resync"
    TRY_AGAIN = "try_again"
    SYNC_ANYWAY = "sync_anyway"
    """Overriding a cooldown or a quota."""
    SYNC_SEVERAL = "sync_several"
    """Started several syncs with one click; each has an entry of its own, too."""
    KEEP_WATCHING = "keep_watching"
    OUTCOME = "outcome"
    """A run got its outcome or a late one; the person is the one who started it."""
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    RESTORE = "restore"
    """Undid an unsubscription."""
    SETTINGS = "settings"
    """Changed their own settings."""
    TEST = "test"
    """Posted a sample incident."""
    MAINTENANCE = "maintenance"
    """Set a maintenance window."""
    END_MAINTENANCE = "end_maintenance"
    SNOOZE = "snooze"
    END_SNOOZE = "end_snooze"
    ON_IT = "on_it"
    """Said that they're on an incident."""
    HAND_OVER = "hand_over"
    """Asked someone to be on an incident."""
    LET_GO = "let_go"
    """Ended that someone is on an incident."""
    TICKET = "ticket"
    """Added the link of an incident's ticket, or removed it."""
    ESCALATE = "escalate"
    """An incident that no one was on was escalated, as a subscription says."""
    PAUSE = "pause"
    """The bot can no longer post in the channel, so its subscriptions are paused."""
    RESUME = "resume"
    INSTALL = "install"
    """The app was installed in the workspace."""
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    POLICY = "policy"
    """Saved a new version of the workspace's policy."""
    NAME = "name"
    """Changed the name, the owner or the link of an integration."""
    EXPECT = "expect"
    """Said how often an integration syncs, or how many events it brings."""
    KEY_LOST = "key_lost"
    """The FloKit key stopped working, and the person who connected it was notified."""


class Ruling(StrEnum):
    """The decision about a request."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    OVERRIDDEN = "overridden"
    """A limit refused it, but the person was allowed to override that."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action. Its later outcome is a separate entry with the same ``run_id``.

    ``action`` is a `Deed` as text, because a newer version may have written others. ``person`` is `NOBODY` for what the
    bot does automatically. ``channel_id`` is "" for the App Home and for outcomes. Only ``integration_type`` is set if
    a whole type is meant, and neither if all integrations are. ``rule`` is the rule that decided, or "".
    """

    at: datetime
    team_id: str
    person: Person
    channel_id: str
    action: str
    integration_id: str = ""
    integration_type: str = ""
    run_id: str = ""
    decision: Ruling = Ruling.ALLOWED
    rule: str = ""
    result: str = ""
    id: int | None = None
    """Its sequence number; None until it's stored."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A filter for entries; all set conditions must hold.

    ``integration_ids`` and ``integration_type`` are one condition: entries about any of these integrations or the type.
    """

    since: datetime | None = None
    until: datetime | None = None
    person_ids: tuple[str, ...] = ()
    integration_ids: tuple[str, ...] = ()
    integration_type: str = ""


def of_origin(origin: Origin, action: str, at: datetime, run: SyncRun | None = None, result: str = "") -> AuditEntry:
    """Return the entry for a person's action, on a run if there is one."""
    return AuditEntry(
        at,
        origin.team_id,
        origin.person,
        origin.channel_id,
        action,
        integration_id=run.integration_id if run else "",
        integration_type=run.integration_type if run else "",
        run_id=run.id if run else "",
        rule=origin.rule,
        result=result,
    )


def of_refusal(origin: Origin, action: str, rule: str, at: datetime, integration: Integration | None) -> AuditEntry:
    """Return the entry for a refusal and its rule."""
    entry = replace(of_origin(origin, action, at), decision=Ruling.REFUSED, rule=rule)
    return replace(entry, integration_id=integration.id, integration_type=integration.type) if integration else entry


def of_outcome(before: SyncRun | None, after: SyncRun, at: datetime) -> AuditEntry | None:
    """Return the entry for a run's outcome; None if the outcome didn't change."""
    if after.outcome is None or (before is not None and before.outcome is after.outcome):
        return None
    return AuditEntry(
        at,
        after.team_id,
        after.requested_by,
        "",
        Deed.OUTCOME,
        integration_id=after.integration_id,
        integration_type=after.integration_type,
        run_id=after.id,
        result=after.outcome,
    )


def of_subscription(
    subscription: Subscription, deed: Deed, person: Person, at: datetime, result: str = ""
) -> AuditEntry:
    """Return the entry for a change to a subscription; by default, its description is the result."""
    target = subscription.target
    is_type = target in KNOWN_TYPES
    return AuditEntry(
        at,
        subscription.team_id,
        person,
        subscription.channel_id,
        deed,
        integration_id="" if is_type or target == ALL else target,
        integration_type=target if is_type else "",
        result=result or describe_wish(subscription),
    )


def snooze_result(snooze: Snooze) -> str:
    """Describe how long an incident is snoozed."""
    return f"until {snooze.until:%Y-%m-%d %H:%M} UTC" if snooze.until else "until it recovers"


COLUMNS: Final = (
    "at",
    "team_id",
    "person_id",
    "person_name",
    "channel_id",
    "action",
    "integration_id",
    "integration_type",
    "run_id",
    "decision",
    "rule",
    "result",
)
"""The columns of an export, in order; the names must stay the same."""


def as_row(entry: AuditEntry) -> dict[str, str]:
    """Return an entry as export columns: text only, with the time in ISO 8601, UTC."""
    values: Mapping[str, str] = {
        "at": entry.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "person_id": entry.person.id,
        "person_name": entry.person.name,
    }
    return {name: values[name] if name in values else str(getattr(entry, name)) for name in COLUMNS}


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def csv_cell(text: str) -> str:
    """Keep a spreadsheet from running a cell as a formula, because names and FloKit's texts are untrusted.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) else text
