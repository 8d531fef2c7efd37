"""Converts values of ``core`` to JSON text and back. A field that a newer version added gets its default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from bot.core.incidents.incidents import Incident, Watched
from bot.core.models import Integration

log = structlog.get_logger(__name__)

T = TypeVar("T")


@cache
def _adapter(type_: Any) -> TypeAdapter[Any]:
    """Return the pydantic adapter of a type; created at first use, because each takes milliseconds."""
    return TypeAdapter(type_)


def dump(value: object) -> str:
    """Return a value of ``core`` as JSON."""
    type_: Any = type(value)
    return _adapter(type_).dump_json(value).decode()


def load(type_: type[T], text: str) -> T:
    """Return the value of this type that ``dump`` wrote.

    Raises:
        ValidationError: only a newer version can read it.
    """
    value: T = _adapter(type_).validate_json(text)  # type: ignore[arg-type]  # mypy: types are hashable, too
    return value


def dump_integrations(integrations: tuple[Integration, ...]) -> str:
    """Return integrations as JSON."""
    return _adapter(tuple[Integration, ...]).dump_json(integrations).decode()


def load_integrations(text: str) -> tuple[Integration, ...]:
    """Return the integrations that ``dump_integrations`` wrote."""
    return load(tuple[Integration, ...], text)


def dump_watched(watched: Watched) -> str:
    """Return what's known of an integration as JSON; its incident is in its own row."""
    return dump(replace(watched, incident=None))


def load_watched(text: str, incident: Incident | None) -> Watched:
    """Return what's known of an integration."""
    return replace(load(Watched, text), incident=incident)


def read_claimed(rows: Iterable[Any], read: Callable[[Any], T]) -> list[T]:
    """Decode claimed rows; one that only a newer version can read is left to it, and stays leased for a while."""
    values = []
    for row in rows:
        try:
            values.append(read(row))
        except ValidationError as error:
            log.warning("row_not_readable", row_id=row.id, problems=error.error_count())
    return values
