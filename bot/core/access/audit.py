"""The audit: who did what, where and on what, what was decided by which rule, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
"""Who acts when the bot does something by itself."""


class Deed(StrEnum):
    """What was done; the words are stored, exported and stable."""

    LOOK = "look"
    """Stands here when it was refused; what is allowed is not noted."""
    AUDIT = "audit"
    """As above."""
    SYNC = "sync"
    """Asked for in words."""
    RESYNC = "resync"
    TRY_AGAIN = "try_again"
    SYNC_ANYWAY = "sync_anyway"
    """In spite of a cooldown or a quota."""
    KEEP_WATCHING = "keep_watching"
    OUTCOME = "outcome"
    """A run got its outcome, or a late one; the person is the one who started it."""
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    SNOOZE = "snooze"
    END_SNOOZE = "end_snooze"
    PAUSE = "pause"
    """A channel can no longer be posted in: its subscriptions rest."""
    RESUME = "resume"


class Ruling(StrEnum):
    """What was decided about a wish."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    OVERRIDDEN = "overridden"
    """A rule refused it, and somebody who may do so had it done all the same."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act. What came of it later is an entry of its own, with the same ``run_id``.

    ``action`` is a `Deed`, kept as text: a newer version may have written others. ``person`` is `NOBODY` for what the
    bot does by itself, ``channel_id`` "" for the App Home and for outcomes. ``integration_type`` stands alone where a
    whole type is meant, and both are "" where all are. ``rule`` names what decided, "" when nothing had to.
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
    """Its place in the order of writing; None until it is stored."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted: all conditions that are set must hold.

    ``integration_ids`` and ``integration_type`` are one condition: what concerns one of these, or the whole type.
    """

    since: datetime | None = None
    until: datetime | None = None
    person_ids: tuple[str, ...] = ()
    integration_ids: tuple[str, ...] = ()
    integration_type: str = ""


def of_origin(origin: Origin, action: str, at: datetime, run: SyncRun | None = None, result: str = "") -> AuditEntry:
    """Describe what a person did, on a run if there is one."""
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
    """Describe what a person was refused, and by which rule."""
    return AuditEntry(
        at,
        origin.team_id,
        origin.person,
        origin.channel_id,
        action,
        integration_id=integration.id if integration else "",
        integration_type=integration.type if integration else "",
        decision=Ruling.REFUSED,
        rule=rule,
    )


def of_outcome(before: SyncRun | None, after: SyncRun, at: datetime) -> AuditEntry | None:
    """Describe that a run got an outcome; None when a decision brought no other one than before."""
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
    """Describe what became of a channel's subscription; what it tells is the result where nothing else is."""
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
    """Say how long an incident stays quiet."""
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
"""What an export holds of each entry, in this order; the names are stable."""


def as_row(entry: AuditEntry) -> dict[str, str]:
    """Write an entry for an export: text only, the time in ISO 8601, UTC."""
    values: Mapping[str, str] = {
        "at": entry.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "person_id": entry.person.id,
        "person_name": entry.person.name,
    }
    return {name: values[name] if name in values else str(getattr(entry, name)) for name in COLUMNS}


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def csv_cell(text: str) -> str:
    """Keep a spreadsheet from running a cell as a formula: names and the vendor's words are foreign text.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) else text
