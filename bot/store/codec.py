"""Values of ``core`` as JSON text and back. A field that a newer version added takes its default."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from bot.core.alerts import Bulletin
from bot.core.incidents import Incident, Watched
from bot.core.models import Integration, Message, SyncRun
from bot.core.panels import Panel
from bot.core.requests import Request
from bot.core.subscriptions import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = structlog.get_logger(__name__)

T = TypeVar("T")

RUN = TypeAdapter(SyncRun)
PANEL = TypeAdapter(Panel)
MESSAGE = TypeAdapter(Message)
REQUEST = TypeAdapter(Request)
INTEGRATIONS = TypeAdapter(tuple[Integration, ...])
WATCHED = TypeAdapter(Watched)
INCIDENT = TypeAdapter(Incident)
BULLETIN = TypeAdapter(Bulletin)
SUBSCRIPTION = TypeAdapter(Subscription)


def dump_run(run: SyncRun) -> str:
    """Write a run."""
    return RUN.dump_json(run).decode()


def load_run(text: str) -> SyncRun:
    """Read a run."""
    return RUN.validate_json(text)


def dump_panel(panel: Panel) -> str:
    """Write a panel."""
    return PANEL.dump_json(panel).decode()


def load_panel(text: str) -> Panel:
    """Read a panel."""
    return PANEL.validate_json(text)


def dump_message(message: Message) -> str:
    """Write a message."""
    return MESSAGE.dump_json(message).decode()


def load_message(text: str) -> Message:
    """Read a message."""
    return MESSAGE.validate_json(text)


def dump_request(request: Request) -> str:
    """Write a request."""
    return REQUEST.dump_json(request).decode()


def load_request(text: str) -> Request:
    """Read a request."""
    return REQUEST.validate_json(text)


def dump_integrations(integrations: tuple[Integration, ...]) -> str:
    """Write integrations."""
    return INTEGRATIONS.dump_json(integrations).decode()


def load_integrations(text: str) -> tuple[Integration, ...]:
    """Read integrations."""
    return INTEGRATIONS.validate_json(text)


def dump_watched(watched: Watched) -> str:
    """Write what is known of an integration; its incident has a row of its own."""
    return WATCHED.dump_json(replace(watched, incident=None)).decode()


def load_watched(text: str, incident: Incident | None) -> Watched:
    """Read what is known of an integration."""
    return replace(WATCHED.validate_json(text), incident=incident)


def dump_incident(incident: Incident) -> str:
    """Write an incident."""
    return INCIDENT.dump_json(incident).decode()


def load_incident(text: str) -> Incident:
    """Read an incident."""
    return INCIDENT.validate_json(text)


def dump_bulletin(bulletin: Bulletin) -> str:
    """Write a bulletin."""
    return BULLETIN.dump_json(bulletin).decode()


def load_bulletin(text: str) -> Bulletin:
    """Read a bulletin."""
    return BULLETIN.validate_json(text)


def dump_subscription(subscription: Subscription) -> str:
    """Write a subscription."""
    return SUBSCRIPTION.dump_json(subscription).decode()


def load_subscription(text: str) -> Subscription:
    """Read a subscription."""
    return SUBSCRIPTION.validate_json(text)


def read_claimed(rows: Iterable[Any], read: Callable[[Any], T]) -> list[T]:
    """Read claimed rows; one that only a newer version can read is left to it, and its lease keeps it quiet."""
    values = []
    for row in rows:
        try:
            values.append(read(row))
        except ValidationError as error:
            log.warning("row_not_readable", row_id=row.id, problems=error.error_count())
    return values
