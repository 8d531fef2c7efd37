"""Messages with buttons that are updated in place, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.core.access.audit import AuditEntry
from bot.core.bulks import Bulk, Plan
from bot.core.incidents.incidents import Incident
from bot.core.incidents.reactions import Snooze
from bot.core.models import NO_CAUSE, Cause, Integration, Person, SyncRun
from bot.core.subscriptions.removal import Removal


class PanelKind(StrEnum):
    """The kinds of message with buttons that are updated in place."""

    STATUS = "status"
    DETAIL = "detail"
    SYNC = "sync"
    """The message that ``/flokit sync`` posts: one integration's row, and the root of the sync's thread."""
    CHOOSE_SYNC = "choose_sync"
    """``/flokit sync <type>`` matched several, with a Resync button each."""
    CHOOSE_DETAIL = "choose_detail"
    """``/flokit show <type>`` matched several, with a Details button each."""
    AUDIT = "audit"
    """A page of the audit, for one reader; the query is the text after ``audit``."""
    INCIDENT = "incident"
    """An incident in one channel, and the root of its thread."""
    PREVIEW = "preview"
    """Which syncs would be started, for one reader, with a button to start them."""
    UNSUBSCRIBED = "unsubscribed"
    """What was removed from a channel's subscriptions, with a button that undoes it."""
    BULK = "bulk"
    """The syncs that one click started, and the root of their thread."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A message that shows integrations, with its data, so that it can be redrawn without asking FloKit.

    ``as_of`` is when FloKit was asked. ``stale_reason`` is set if FloKit was unreachable and older data is shown.

    Stored in ``panels``::

        {"id": "pnl_9c1e", "kind": "status", "integrations": [{"id": "int_01hx4j7stripe", "type": "stripe"}],
         "as_of": "2026-11-26T14:30:00Z", "query": "failing", "page": 1}
    """

    id: str
    kind: PanelKind
    integrations: tuple[Integration, ...]
    as_of: datetime
    query: str = ""
    page: int = 0
    stale_reason: str = ""
    incident: Incident | None = None
    """What an incident's message shows besides its integration."""
    snooze: Snooze | None = None
    mention: str = ""
    """Whom an incident's message mentions when it's posted; see ``Subscription.mention``."""
    cause: Cause = NO_CAUSE
    """The request that it was created or redrawn for."""
    entries: tuple[AuditEntry, ...] = ()
    """The entries of a page of the audit."""
    links: tuple[tuple[str, str], ...] = ()
    """Where the runs of these entries are told: pairs of a run's ID and an address."""
    has_more: bool = False
    """Whether older entries follow."""
    since: datetime | None = None
    until: datetime | None = None
    """The span of a page of the audit, if given."""
    zone: str = ""
    """The person in whose time zone the span is, or ""."""
    plan: Plan | None = None
    """What a preview shows besides its integrations."""
    bulk: Bulk | None = None
    """What the message about several syncs shows besides its integrations."""
    escalated_at: datetime | None = None
    """When an incident's message was escalated: that happens once."""
    removal: Removal | None = None
    """What a message about removed subscriptions shows."""

    @property
    def only(self) -> Integration | None:
        """The message's integration, if it has exactly one."""
        return self.integrations[0] if len(self.integrations) == 1 else None


def refreshed(panel: Panel, shown: tuple[Integration, ...], as_of: datetime) -> Panel:
    """Update a message with newer data; older data is ignored."""
    if as_of < panel.as_of:
        return panel
    return replace(panel, integrations=shown, as_of=as_of, stale_reason="")


def gone_stale(panel: Panel, reason: str, as_of: datetime) -> Panel:
    """Mark a message as stale since ``as_of``, unless it shows newer data."""
    return panel if panel.as_of > as_of else replace(panel, stale_reason=reason)


@dataclass(frozen=True, slots=True)
class RowRun:
    """The newest run of an integration since its panel was drawn, which overrides the row."""

    run: SyncRun
    joined_by: tuple[Person, ...] = ()
