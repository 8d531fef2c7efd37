"""Parses FloKit's replies leniently, because its v1 API is a preview.

``read_reply`` is the only place that knows status codes; the ``parse_*`` functions return values of core.models.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from bot.core.blocks.text import duration
from bot.core.characters import cut, storable
from bot.core.errors import FlokitBadReply, FlokitDenied, FlokitMissing, FlokitRateLimited, FlokitRefused
from bot.core.json_values import parse_json, parse_object
from bot.core.models import UNKNOWN, Integration, Status, SyncStats, TriggerAccepted
from bot.flokit.times import parse_at, parse_http_date, read_time
from bot.observability.context import now_utc

DEFAULT_RETRY_AFTER_S = 10.0
MIN_RETRY_AFTER_S = 1.0
"""The shortest pause: "0.001" would mean asking FloKit again immediately."""
MAX_RETRY_AFTER_S = 300.0
"""The longest pause that is honored: FloKit may be back long before a longer one is over."""
_LONGEST_NAMED_S = 366 * 86_400.0

MAX_ID_CHARS = 200
MAX_WORD_CHARS = 100
MAX_ERROR_MESSAGE_CHARS = 4000
MAX_SENTENCE_CHARS = 300
MAX_COUNT = 2**63 - 1
"""The largest plausible event count, which is also the largest that fits in a database column."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole HTTP reply. A body that can't be read, or is too long, is empty."""

    http_status: int
    headers: httpx.Headers
    body: bytes

    @property
    def vendor_at(self) -> datetime | None:
        """FloKit's clock at the reply (the ``Date`` header), in whole seconds."""
        return parse_http_date(self.headers.get("Date", ""))


_SECONDS = re.compile(r"\+?[0-9]+(?:\.[0-9]*)?(?:[eE]\+?[0-9]+)?|\+?inf(?:inity)?", re.IGNORECASE)

_STATUSES = {status.value: status.value for status in Status}
_KEY_REFUSED = frozenset({401, 403})
_REDIRECTS = frozenset({301, 302, 307, 308})
"""The request wasn't processed, but belongs to another address. (A 303 is the reply to one that was processed.)"""
_SAYS_NOTHING = frozenset({408, 425})
"""4xx codes that aren't refusals: the server timed out, or the request came too early."""


def read_reply(reply: Reply) -> object:
    """Return the JSON value of a 2xx reply; None if it can't be parsed.

    Raises:
        FlokitError: the one for the status.
    """
    status = reply.http_status
    if 200 <= status < 300:
        return parse_json(reply.body)
    if status in _KEY_REFUSED:
        raise FlokitDenied(f"FloKit refused the API key ({status}).", _said(reply), http_status=status)
    if status == 404:
        raise FlokitMissing("FloKit has no such integration.")
    if status == 429:
        asked_s = _parse_retry_after(reply)
        raise FlokitRateLimited(
            f"FloKit got too many requests{_pause_words(asked_s)}.", retry_after_s=min(asked_s, MAX_RETRY_AFTER_S)
        )
    if 400 <= status < 500 and status not in _SAYS_NOTHING:
        raise FlokitRefused(f"FloKit refused the request ({status}).", _said(reply), http_status=status)
    if status in _REDIRECTS:
        raise FlokitBadReply(_redirected(reply))
    if "Retry-After" not in reply.headers:
        raise FlokitBadReply(f"FloKit answered with HTTP {status}.", _said(reply))
    asked_s = _parse_retry_after(reply)
    raise FlokitBadReply(
        f"FloKit answered with HTTP {status}{_pause_words(asked_s)}.",
        _said(reply),
        retry_after_s=min(asked_s, MAX_RETRY_AFTER_S),
    )


def _redirected(reply: Reply) -> str:
    status = reply.http_status
    return f"FloKit's address answered with a redirect ({status}), which I don't follow; check FLOKIT_API_URL."


def _pause_words(asked_s: float) -> str:
    """Describe the pause that FloKit asked for, and the actual one if that's too long."""
    if asked_s <= MAX_RETRY_AFTER_S:
        return f" and asked for a pause of {duration(math.ceil(asked_s))}"
    return f" and asked for a pause of {_long_pause(asked_s)}; I'll ask again after {duration(MAX_RETRY_AFTER_S)}"


def _long_pause(asked_s: float) -> str:
    if asked_s >= _LONGEST_NAMED_S:
        return "over a year"
    return f"{asked_s / 3600:.0f} h" if 2 * 3600 <= asked_s < 72 * 3600 and asked_s % 3600 == 0 else duration(asked_s)


def _said(reply: Reply) -> str:
    """Return FloKit's own words about an error, on one line and clipped; "" if there are none."""
    message = _parse_text(parse_object(reply.body).get("message"), MAX_SENTENCE_CHARS)
    return " ".join((message or "").split())


def _parse_retry_after(reply: Reply) -> float:
    """Parse ``Retry-After``, which is in seconds or a date on FloKit's clock (RFC 9110, section 10.2.3)."""
    text = reply.headers.get("Retry-After", "").strip()
    until = parse_http_date(text)
    if until:
        seconds = (until - (reply.vendor_at or now_utc())).total_seconds()
    else:
        seconds = float(text) if _SECONDS.fullmatch(text) else -1.0
    return max(seconds, MIN_RETRY_AFTER_S) if seconds >= 0 else DEFAULT_RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class Listing:
    """All integrations of the workspace, in FloKit's order.

    ``vendor_at`` is FloKit's clock at the reply, ``as_of`` ours at the start of the request.
    """

    integrations: tuple[Integration, ...]
    vendor_at: datetime | None = None
    as_of: datetime = field(default_factory=now_utc, compare=False)


@dataclass(frozen=True, slots=True)
class Detail:
    """One integration with its event counts; times as in ``Listing``."""

    integration: Integration
    vendor_at: datetime | None = None
    as_of: datetime = field(default_factory=now_utc, compare=False)


def parse_listing(reply: Reply) -> Listing:
    """Parse the reply of ``GET /v1/integrations``; entries without a usable ID are dropped.

    Raises:
        FlokitBadReply: there's no list, or it has only unusable entries, which doesn't mean "none".
        FlokitError: another one, for the status.
    """
    entries = _object(reply).get("integrations")
    if not isinstance(entries, list):
        raise FlokitBadReply("FloKit sent a reply without a list of integrations.")
    by_id: dict[str, Integration] = {}
    for integration in map(parse_integration, entries):
        if integration is not None:
            by_id.setdefault(integration.id, integration)
    if entries and not by_id:
        raise FlokitBadReply("FloKit sent a list of integrations that can't be read.")
    return Listing(tuple(by_id.values()), reply.vendor_at)


def parse_detail(reply: Reply, *, integration_id: str) -> Detail:
    """Parse the reply of ``GET /v1/integrations/{id}``.

    Raises:
        FlokitBadReply: it isn't about the requested integration.
        FlokitError: another one, for the status.
    """
    integration = parse_integration(_object(reply).get("integration"))
    if integration is None or integration.id != integration_id:
        raise FlokitBadReply("FloKit sent a reply that doesn't describe this integration.")
    return Detail(integration, reply.vendor_at)


def parse_accepted(reply: Reply) -> TriggerAccepted:
    """Parse the reply of ``POST /v1/integrations/{id}/sync``: any 2xx accepts the sync, whatever the body says.

    Raises:
        FlokitRefused: FloKit refused it, or redirected: nothing was started, and retrying won't help.
        FlokitError: another one, for the status.
    """
    if reply.http_status in _REDIRECTS:
        raise FlokitRefused(_redirected(reply), http_status=reply.http_status)
    body = read_reply(reply)
    sync_id = body.get("sync_id") if isinstance(body, dict) else None
    return TriggerAccepted(sync_id if is_vendor_id(sync_id) else None, reply.vendor_at)


def _object(reply: Reply) -> dict[str, Any]:
    value = read_reply(reply)
    if not isinstance(value, dict):
        raise FlokitBadReply("FloKit sent a reply that can't be read.")
    return value


def parse_integration(entry: object) -> Integration | None:
    """Parse one integration; missing or odd fields become None or "unknown". None without a usable ID."""
    if not isinstance(entry, dict) or not is_vendor_id(entry.get("id")):
        return None
    synced = read_time(entry.get("last_synced_at"))
    return Integration(
        id=entry["id"],
        type=sys.intern(_parse_text(entry.get("type"), MAX_WORD_CHARS) or UNKNOWN),  # thousands have the same few
        status=_parse_status(entry.get("status")),
        last_synced_at=synced.at,
        error_message=_parse_text(entry.get("error_message"), MAX_ERROR_MESSAGE_CHARS),
        stats=_parse_stats(entry.get("sync_stats")),
        unreadable_time=synced.unreadable,
        synced_within_s=synced.within_s,
    )


def _parse_status(value: object) -> str:
    """Return a documented status regardless of case, always the same string; other values are kept unchanged."""
    word = _parse_text(value, MAX_WORD_CHARS) or UNKNOWN
    known = word.casefold()
    return _STATUSES.get(known, word)


def _parse_stats(value: object) -> SyncStats | None:
    if not isinstance(value, dict):
        return None
    return SyncStats(
        events_last_24h=_parse_count(value.get("events_last_24h")),
        events_total=_parse_count(value.get("events_total")),
        earliest_event_at=parse_at(value.get("earliest_event_at")),
    )


def _parse_count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Infinity and NaN aren't integers.
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if 0 <= value <= MAX_COUNT else None


def _parse_text(value: object, max_chars: int) -> str | None:
    """Return a clipped text that can be stored and sent; None if there's nothing readable."""
    if not isinstance(value, str):
        return None
    # Clip first, so that a huge text isn't searched as a whole.
    return cut(storable(value[: max_chars + 1]).strip(), max_chars) or None


def is_vendor_id(value: object) -> bool:
    """Whether this can be the ID of an integration or a sync."""
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
