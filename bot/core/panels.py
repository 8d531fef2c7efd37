"""Messages of ours that carry buttons and are redrawn in place, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.core.access.audit import AuditEntry
from bot.core.incidents.incidents import Incident
from bot.core.incidents.reactions import Snooze
from bot.core.models import NO_CAUSE, Cause, Integration, Person, SyncRun


class PanelKind(StrEnum):
    """The kinds of message that carry buttons and are redrawn in place."""

    STATUS = "status"
    DETAIL = "detail"
    SYNC = "sync"
    """The message that ``/flokit sync`` posts: one integration's row, and the root of its follow-up."""
    CHOOSE_SYNC = "choose_sync"
    """``/flokit sync <type>`` matched several: one Resync button each."""
    CHOOSE_DETAIL = "choose_detail"
    """``/flokit show <type>`` matched several: one Details button each."""
    AUDIT = "audit"
    """A page of the audit, for one reader; the query is what stood after ``audit``."""
    INCIDENT = "incident"
    """An incident in one channel: the root of its story."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A message of ours that shows integrations, with what it showed: it can be redrawn without asking FloKit.

    ``as_of`` is when FloKit was asked. ``stale_reason`` is set when FloKit could not be asked and older
    knowledge is shown.
    """

    id: str
    kind: PanelKind
    integrations: tuple[Integration, ...]
    as_of: datetime
    query: str = ""
    page: int = 0
    stale_reason: str = ""
    incident: Incident | None = None
    """What an incident's message shows, beside its one integration."""
    snooze: Snooze | None = None
    mention: str = ""
    """Whom an incident's message mentions when it is posted: see ``Subscription.mention``."""
    cause: Cause = NO_CAUSE
    """The request that it was made, or drawn anew, for."""
    entries: tuple[AuditEntry, ...] = ()
    """What a page of the audit shows."""
    has_more: bool = False
    """Whether older entries follow."""
    since: datetime | None = None
    until: datetime | None = None
    """The span of a page of the audit, where one was asked for."""
    zone: str = ""
    """Whose days that span is made of; "" where days don't matter."""

    @property
    def only(self) -> Integration | None:
        """The integration that the message is about, when it is about one."""
        return self.integrations[0] if len(self.integrations) == 1 else None


def refreshed(panel: Panel, shown: tuple[Integration, ...], as_of: datetime) -> Panel:
    """Show newer knowledge in a message; what is older than what it shows already changes nothing."""
    if as_of < panel.as_of:
        return panel
    return replace(panel, integrations=shown, as_of=as_of, stale_reason="")


def gone_stale(panel: Panel, reason: str, as_of: datetime) -> Panel:
    """Say why nothing newer than ``as_of`` is known, unless the message shows something newer by now."""
    return panel if panel.as_of > as_of else replace(panel, stale_reason=reason)


@dataclass(frozen=True, slots=True)
class RowRun:
    """The newest run of an integration since its panel was drawn: it overrides the row."""

    run: SyncRun
    joined_by: tuple[Person, ...] = ()
