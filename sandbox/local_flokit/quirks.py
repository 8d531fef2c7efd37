"""How the local FloKit formats its data: as documented, or in the odd but plausible ways of real vendors."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final, Literal

from sandbox.local_flokit.sources import Source

TimeForm = Literal[
    "documented",
    "lower case",
    "blanks",
    "space",
    "comma",
    "nanoseconds",
    "short offset",
    "epoch",
    "epoch text",
    "epoch milliseconds",
    "rfc 1123",
    "rfc 850",
    "unreadable",
    "not a text",
]

TIME_FORMS: Final[dict[TimeForm, Callable[[datetime], object]]] = {
    "documented": lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}",
    "lower case": lambda at: f"{at:%Y-%m-%dt%H:%M:%Sz}",
    "blanks": lambda at: f" {at:%Y-%m-%dT%H:%M:%SZ}\n",
    "space": lambda at: f"{at:%Y-%m-%d %H:%M:%S}",
    "comma": lambda at: f"{at:%Y-%m-%dT%H:%M:%S},{at.microsecond:06d}Z",
    "nanoseconds": lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}000Z",
    "short offset": lambda at: f"{at + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02",
    "epoch": lambda at: int(at.timestamp()),
    "epoch text": lambda at: f"{at.timestamp():.0f}",
    "epoch milliseconds": lambda at: int(at.timestamp() * 1000),
    "rfc 1123": lambda at: format_datetime(at.astimezone(UTC), usegmt=True),
    "rfc 850": lambda at: f"{at:%A, %d-%b-%y %H:%M:%S} GMT",
    "unreadable": lambda at: f"{at:%d.%m.%y um %H Uhr}",
    "not a text": lambda at: {"$date": at.timestamp()},
}

Accepts = Literal["documented", "no content", "empty", "page", "array", "word", "null"]

ACCEPTANCES: Final[dict[Accepts, tuple[int, str]]] = {
    "no content": (204, ""),
    "empty": (202, ""),
    "page": (200, "<html>Accepted</html>"),
    "array": (201, "[]"),
    "word": (200, '"ok"'),
    "null": (200, "null"),
}
"""An undocumented status and body for an accepted POST."""


@dataclass(frozen=True, slots=True)
class Quirks:
    """How this FloKit deviates from the documentation; by default, not at all."""

    error_forms: tuple[str, ...] = ("{error}",)
    """Templates for error texts, rotated per reply. ``{request}`` is unique per reply, ``{n}`` a growing number."""
    status_form: Callable[[str], str] = str
    """How a status is written, such as ``str.upper``."""
    time_form: TimeForm = "documented"
    accepts: Accepts = "documented"
    list_cuts_errors_at: int | None = None
    list_rounds_to_s: int = 1
    """Times in the list are rounded down to multiples of this."""
    list_lags_s: float = 0.0
    """The list is cached for this long; infinity: forever."""
    list_leaves_out: frozenset[str] = frozenset()
    """IDs missing from the list."""


class Writer:
    """Writes integrations as JSON values, with the configured quirks."""

    def __init__(self) -> None:
        self.quirks = Quirks()
        self._replies = 0
        self._random = random.Random(7)  # noqa: S311 - it is to be repeatable
        self._kept: tuple[datetime, list[Source]] | None = None

    def listing(self, sources: Iterable[Source], now: datetime) -> dict[str, object]:
        """Write the reply of ``GET /v1/integrations``."""
        shown = self._listed(list(sources), now)
        self._replies += 1
        return {"integrations": [self._summary(self._less_exact(source), in_list=True) for source in shown]}

    def page(self, source: Source) -> dict[str, object]:
        """Write the reply of ``GET /v1/integrations/{id}``."""
        self._replies += 1
        stats = {
            "events_last_24h": source.events_last_24h,
            "events_total": source.events_total,
            "earliest_event_at": self._time(source.earliest_event_at),
        }
        return {"integration": {**self._summary(source), "sync_stats": stats}}

    def _listed(self, sources: list[Source], now: datetime) -> list[Source]:
        if self._kept is None or (now - self._kept[0]).total_seconds() >= self.quirks.list_lags_s:
            self._kept = now, sources
        return [source for source in self._kept[1] if source.id not in self.quirks.list_leaves_out]

    def _less_exact(self, source: Source) -> Source:
        step_s, at = self.quirks.list_rounds_to_s, source.last_synced_at
        if at is None or step_s <= 1:
            return source
        return replace(source, last_synced_at=datetime.fromtimestamp(at.timestamp() // step_s * step_s, UTC))

    def _summary(self, source: Source, *, in_list: bool = False) -> dict[str, object]:
        return {
            "id": source.id,
            "type": source.type,
            "status": self.quirks.status_form(source.status),
            "last_synced_at": self._time(source.last_synced_at),
            "error_message": self._error(source.error_message, self.quirks.list_cuts_errors_at if in_list else None),
        }

    def _time(self, at: datetime | None) -> object:
        return TIME_FORMS[self.quirks.time_form](at.astimezone(UTC)) if at else None

    def _error(self, error: str | None, cut_at: int | None) -> str | None:
        if error is None:
            return None
        form = self.quirks.error_forms[self._replies % len(self.quirks.error_forms)]
        request = "req_" + "".join(self._random.choices(string.ascii_letters + string.digits, k=14))
        text = form.replace("{error}", error).replace("{request}", request).replace("{n}", str(self._replies))
        return text if cut_at is None or len(text) <= cut_at else f"{text[: cut_at - 1]}…"
