"""FloKit's replies as values, tolerantly: the vendor's v1 API is a preview.

``read_reply`` is the only place that knows status codes; the ``parse_*`` functions return values of core.models.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from bot.core.blocks.text import duration
from bot.core.errors import FlokitBadReply, FlokitDenied, FlokitMissing, FlokitRateLimited, FlokitRefused
from bot.core.models import UNKNOWN, Integration, Status, SyncStats, TriggerAccepted
from bot.flokit.times import parse_at, read_time

DEFAULT_RETRY_AFTER_S = 10.0
MIN_RETRY_AFTER_S = 1.0
"""The shortest pause: with "0.001" as its word, FloKit would be asked again immediately."""
MAX_RETRY_AFTER_S = 300.0
"""The longest pause that is honored: FloKit may be back long before what it asked for is over."""
_LONGEST_NAMED_S = 366 * 86_400.0

MAX_ID_CHARS = 200
MAX_WORD_CHARS = 100
MAX_ERROR_MESSAGE_CHARS = 4000
MAX_SENTENCE_CHARS = 300
MAX_COUNT = 2**63 - 1
"""The largest event count that is believed; also the largest that a database column holds."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole HTTP reply. A body that can't be read, or is too long, is empty."""

    http_status: int
    headers: httpx.Headers
    body: bytes

    @property
    def vendor_at(self) -> datetime | None:
        """The vendor's clock when it replied (the ``Date`` header), in whole seconds."""
        return _parse_http_date(self.headers.get("Date", ""))


_SECONDS = re.compile(r"\+?[0-9]+(?:\.[0-9]*)?(?:[eE]\+?[0-9]+)?|\+?inf(?:inity)?", re.IGNORECASE)

_STATUSES = frozenset(status.value for status in Status)
_KEY_REFUSED = frozenset({401, 403})
_REDIRECTS = frozenset({301, 302, 307, 308})
"""The request wasn't processed: it belongs to another address. (303 isn't here: it's the answer to one that was.)"""
_SAYS_NOTHING = frozenset({408, 425})
"""4xx in number, yet no refusal: the server gave up waiting, or does not want the request this early."""


def read_reply(reply: Reply) -> object:
    """Return the JSON value that a 2xx reply carries; None if it can't be read.

    Raises:
        FlokitError: the one that the status means.
    """
    status = reply.http_status
    if 200 <= status < 300:
        return _decode_json(reply.body)
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
    """Say what pause FloKit asked for, and what is done instead when that is longer than is honored."""
    if asked_s <= MAX_RETRY_AFTER_S:
        return f" and asked for a pause of {duration(math.ceil(asked_s))}"
    return f" and asked for a pause of {_long_pause(asked_s)}; I'll ask again after {duration(MAX_RETRY_AFTER_S)}"


def _long_pause(asked_s: float) -> str:
    if asked_s >= _LONGEST_NAMED_S:
        return "over a year"
    return f"{asked_s / 3600:.0f} h" if 2 * 3600 <= asked_s < 72 * 3600 and asked_s % 3600 == 0 else duration(asked_s)


def _decode_json(body: bytes) -> object:
    """Return the JSON value, or None when there is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError also for broken UTF-8 and for numbers of 5,000 digits
        return None


def _said(reply: Reply) -> str:
    """Return FloKit's own words about an error, on one line and clipped; "" if there are none."""
    value = _decode_json(reply.body)
    message = _parse_text(value.get("message"), MAX_SENTENCE_CHARS) if isinstance(value, dict) else None
    return " ".join((message or "").split())


def _parse_retry_after(reply: Reply) -> float:
    """Read ``Retry-After``, which is seconds or a date on the vendor's clock (RFC 9110, section 10.2.3)."""
    text = reply.headers.get("Retry-After", "").strip()
    until = _parse_http_date(text)
    if until:
        seconds = (until - (reply.vendor_at or _now())).total_seconds()
    else:
        seconds = float(text) if _SECONDS.fullmatch(text) else -1.0
    return max(seconds, MIN_RETRY_AFTER_S) if seconds >= 0 else DEFAULT_RETRY_AFTER_S


def _parse_http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):  # the parser lets all of these out
        return None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Listing:
    """All integrations of the workspace, in FloKit's order.

    ``vendor_at`` is the vendor's clock at the reply, ``as_of`` ours when the look began.
    """

    integrations: tuple[Integration, ...]
    vendor_at: datetime | None = None
    as_of: datetime = field(default_factory=_now, compare=False)


@dataclass(frozen=True, slots=True)
class Detail:
    """One integration with its event counts; times as in ``Listing``."""

    integration: Integration
    vendor_at: datetime | None = None
    as_of: datetime = field(default_factory=_now, compare=False)


def parse_listing(reply: Reply) -> Listing:
    """Parse the reply of ``GET /v1/integrations``; entries without a usable ID are dropped.

    Raises:
        FlokitBadReply: there is no list, or nothing in it can be used: "none" would be a lie.
        FlokitError: another one that the status means.
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
        FlokitBadReply: it doesn't describe the integration that was asked for.
        FlokitError: another one that the status means.
    """
    integration = parse_integration(_object(reply).get("integration"))
    if integration is None or integration.id != integration_id:
        raise FlokitBadReply("FloKit sent a reply that doesn't describe this integration.")
    return Detail(integration, reply.vendor_at)


def parse_accepted(reply: Reply) -> TriggerAccepted:
    """Parse the reply of ``POST /v1/integrations/{id}/sync``: any 2xx accepts the sync, whatever the body says.

    Raises:
        FlokitRefused: FloKit refused it, or the answer was a redirect: nothing was started, and no retry helps.
        FlokitError: another one that the status means.
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
    """Parse one integration; what is missing or odd becomes None or "unknown". None without a usable id."""
    if not isinstance(entry, dict) or not is_vendor_id(entry.get("id")):
        return None
    synced = read_time(entry.get("last_synced_at"))
    return Integration(
        id=entry["id"],
        type=_parse_text(entry.get("type"), MAX_WORD_CHARS) or UNKNOWN,
        status=_parse_status(entry.get("status")),
        last_synced_at=synced.at,
        error_message=_parse_text(entry.get("error_message"), MAX_ERROR_MESSAGE_CHARS),
        stats=_parse_stats(entry.get("sync_stats")),
        unreadable_time=synced.unreadable,
        synced_within_s=synced.within_s,
    )


def _parse_status(value: object) -> str:
    """Return a documented status in whatever letters it comes; another word is kept as it is."""
    word = _parse_text(value, MAX_WORD_CHARS) or UNKNOWN
    known = word.casefold()
    return known if known in _STATUSES else word


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
    # Infinity and NaN are no integers.
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if 0 <= value <= MAX_COUNT else None


_UNSTORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tab and newline, and lone surrogates: PostgreSQL refuses the one, UTF-8 the other."""


def _parse_text(value: object, max_chars: int) -> str | None:
    """Return a text that can be stored and sent, clipped; None when there is nothing to read."""
    if not isinstance(value, str):
        return None
    # Cut first: a text as long as a body need not be searched through.
    text = _UNSTORABLE.sub(" ", value[: max_chars + 1]).strip()
    if len(text) > max_chars:
        return f"{text[: max_chars - 1]}…"
    return text or None


def is_vendor_id(value: object) -> bool:
    """Say whether this can be the id of an integration or of a sync."""
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
