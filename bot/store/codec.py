"""Values of ``core`` as JSON text and back. A field that a newer version added takes its default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from bot.core.incidents.incidents import Incident, Watched
from bot.core.incidents.reactions import Bulletin
from bot.core.models import Integration, Message, SyncRun
from bot.core.panels import Panel
from bot.core.requests import Request
from bot.core.subscriptions.subscriptions import Subscription

log = structlog.get_logger(__name__)

T = TypeVar("T")


@cache
def _adapter(type_: Any) -> TypeAdapter[Any]:
    """Make what reads and writes values of a type; when it is first needed, for each takes milliseconds to make."""
    return TypeAdapter(type_)


def _write(type_: Any, value: object) -> str:
    return _adapter(type_).dump_json(value).decode()


def _read(type_: type[T], text: str) -> T:
    value: T = _adapter(type_).validate_json(text)  # type: ignore[arg-type]  # mypy: types are hashable, too
    return value


def dump_run(run: SyncRun) -> str:
    """Write a run."""
    return _write(SyncRun, run)


def load_run(text: str) -> SyncRun:
    """Read a run."""
    return _read(SyncRun, text)


def dump_panel(panel: Panel) -> str:
    """Write a panel."""
    return _write(Panel, panel)


def load_panel(text: str) -> Panel:
    """Read a panel."""
    return _read(Panel, text)


def dump_message(message: Message) -> str:
    """Write a message."""
    return _write(Message, message)


def load_message(text: str) -> Message:
    """Read a message."""
    return _read(Message, text)


def dump_request(request: Request) -> str:
    """Write a request."""
    return _write(Request, request)


def load_request(text: str) -> Request:
    """Read a request."""
    return _read(Request, text)


def dump_integrations(integrations: tuple[Integration, ...]) -> str:
    """Write integrations."""
    return _write(tuple[Integration, ...], integrations)


def load_integrations(text: str) -> tuple[Integration, ...]:
    """Read integrations."""
    return _read(tuple[Integration, ...], text)


def dump_watched(watched: Watched) -> str:
    """Write what is known of an integration; its incident has a row of its own."""
    return _write(Watched, replace(watched, incident=None))


def load_watched(text: str, incident: Incident | None) -> Watched:
    """Read what is known of an integration."""
    return replace(_read(Watched, text), incident=incident)


def dump_incident(incident: Incident) -> str:
    """Write an incident."""
    return _write(Incident, incident)


def load_incident(text: str) -> Incident:
    """Read an incident."""
    return _read(Incident, text)


def dump_bulletin(bulletin: Bulletin) -> str:
    """Write a bulletin."""
    return _write(Bulletin, bulletin)


def load_bulletin(text: str) -> Bulletin:
    """Read a bulletin."""
    return _read(Bulletin, text)


def dump_subscription(subscription: Subscription) -> str:
    """Write a subscription."""
    return _write(Subscription, subscription)


def load_subscription(text: str) -> Subscription:
    """Read a subscription."""
    return _read(Subscription, text)


def read_claimed(rows: Iterable[Any], read: Callable[[Any], T]) -> list[T]:
    """Read claimed rows; one that only a newer version can read is left to it, and its lease keeps it quiet."""
    values = []
    for row in rows:
        try:
            values.append(read(row))
        except ValidationError as error:
            log.warning("row_not_readable", row_id=row.id, problems=error.error_count())
    return values
