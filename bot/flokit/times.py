"""Parses FloKit's times: unambiguous ones become aware UTC; the rest is reported, not dropped."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from bot.core.characters import cut

EARLIEST_YEAR: Final = 1971
"""Earlier times mean "never": Go's zero time is in year 1, Unix's in 1970, MySQL's in year 0."""
LATEST_YEAR: Final = 2199

TEXT_CHARS: Final = 40
"""How much is kept of a time that can't be read."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_S: Final = (datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()
_LATEST_S: Final = (datetime(LATEST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()
_UNITS: Final = (1, 1_000, 1_000_000, 1_000_000_000)
"""The units that an epoch may count. The plausible years don't overlap between them."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?")
_ISO: Final = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt_ ]\s*"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,30}))?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+\u2212-][0-9]{2}(?::?[0-9]{2})?(?:\s+[A-Z]{1,5})?)?(?:\[[A-Za-z0-9_/+-]{1,40}\])?",
)
_ISO_SPAN: Final = re.compile(r"[0-9]{4}-?(?:[0-9]{2}-?[0-9]{2}|W[0-9]{2}-?[0-9]?)(?:[Tt_ ]\s*(?P<time>[0-9:.,]*)|$)")
_SPANS_S: Final = {0: 86_400, 2: 3600, 4: 60}
"""The precision of a time of day, by its digits."""
_HTTP: Final = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?(?:[0-9]{1,2}[ -][A-Za-z]{3}[ -](?:[0-9]{4}|[0-9]{2})\s+[0-9]{2}:[0-9]{2}(?::[0-9]{2})?"
    r"\s*(?:GMT|UTC?|Z|[+-][0-9]{4})|[A-Za-z]{3}\s+[0-9]{1,2}\s+[0-9]{2}:[0-9]{2}:[0-9]{2}\s+[0-9]{4})",
)
_ZERO_DATE: Final = re.compile(r"0{4}-0{2}-0{2}(?:[T ]0{2}:0{2}:0{2}(?:\.0+)?Z?)?")


@dataclass(frozen=True, slots=True)
class VendorTime:
    """A time from FloKit; both parts are empty if there is none, or it means "never"."""

    at: datetime | None = None
    unreadable: str = ""
    """The beginning of the value, if it can't be parsed."""
    within_s: int = 0
    """Its uncertainty in seconds, if it was sent without seconds."""


NEVER: Final = VendorTime()


def read_time(value: object) -> VendorTime:
    """Parse ISO 8601 in its common forms, HTTP dates, and epochs from seconds to nanoseconds."""
    if value is None:
        return NEVER
    if isinstance(value, str) and not value.strip():
        return NEVER
    try:
        read = _read_value(value)
    except (ValueError, OverflowError):
        read = None
    if read is None or read.year > LATEST_YEAR:
        return VendorTime(unreadable=_beginning(value))
    return VendorTime(read, within_s=_left_open_s(value)) if read.year >= EARLIEST_YEAR else NEVER


def _left_open_s(value: object) -> int:
    """Return the span that an ISO 8601 time covers: a day, an hour, a minute, or 0."""
    if not isinstance(value, str) or not (match := _ISO_SPAN.match(value.strip())):
        return 0
    digits = re.sub(r"[^0-9]", "", match["time"] or "")
    return _SPANS_S.get(len(digits), 0)


def _read_value(value: object) -> datetime | None:
    if isinstance(value, str):
        return _read_text(value.strip())
    return _read_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def parse_at(value: object) -> datetime | None:
    """Return a time, or None if there is none, it means "never", or it can't be parsed."""
    return read_time(value).at


def shape_of(text: str) -> str:
    """Return a text's shape: digits become 9, letters become a."""
    shape = "".join("9" if char.isdigit() else "a" if char.isalpha() else char for char in text[:TEXT_CHARS])
    return "".join(char if char.isprintable() else "?" for char in shape)


def _beginning(value: object) -> str:
    """Return the beginning of the value, fit for storage."""
    if isinstance(value, bool | dict | list):
        return {bool: "true or false", dict: "{…}", list: "[…]"}[type(value)]
    if isinstance(value, int) and abs(value) >= 10**TEXT_CHARS:
        return "a huge number"
    text = str(value).strip()[: TEXT_CHARS + 1]
    return cut("".join(char if char.isprintable() else "?" for char in text), TEXT_CHARS)


def _read_number(number: float) -> datetime | None:
    """Parse an epoch; its unit depends on its size."""
    if isinstance(number, float) and not math.isfinite(number):
        return None
    if number == 0:
        return _EPOCH
    for unit in _UNITS:
        if _EARLIEST_S * unit <= number < _LATEST_S * unit:
            return _EPOCH + timedelta(microseconds=int(number * 1_000_000 // unit))
    return _EPOCH if -62_135_596_800 * 1_000 <= number < 0 and int(number) in _GO_ZERO else None


_GO_ZERO: Final = (-62_135_596_800, -62_135_596_800_000)
"""Go's zero time as an epoch."""


def _read_text(text: str) -> datetime | None:
    if _ZERO_DATE.fullmatch(text):
        return _EPOCH
    if match := _ISO.fullmatch(text):
        return _read_iso(match)
    if _NUMBER.fullmatch(text) and len(text) != len("20240315"):
        number = float(text) if "." in text else int(text)
        return _read_number(number)
    if _HTTP.fullmatch(text):
        return _read_http(text)
    return _as_utc(datetime.fromisoformat(text))  # rarer forms: basic format, weeks, only a date


def _read_iso(match: re.Match[str]) -> datetime:
    """Build a time; leap seconds (:60) and hour 24 count as the next minute and day."""
    year, month, day, hour, minute = (int(match[part]) for part in ("year", "month", "day", "hour", "minute"))
    second = int(match["second"] or 0)
    micros = int((match["fraction"] or "0")[:6].ljust(6, "0"))
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second or micros)):
        raise ValueError("no such time of day")
    if year == 0:
        raise ValueError("no such year")
    passed = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micros)
    try:
        return datetime(year, month, day, tzinfo=UTC) + passed - _offset(match["zone"] or "Z")
    except OverflowError:
        if year == 1:
            return _EPOCH  # a zero time east of Greenwich
        raise


def _offset(zone: str) -> timedelta:
    if zone[0] not in "+-\u2212":
        return timedelta()
    digits = re.sub(r"[^0-9]", "", zone)
    hours, minutes = int(digits[:2]), int(digits[2:4] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError("no such offset")
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if zone[0] == "+" else -offset


def _read_http(text: str) -> datetime:
    """Parse RFC 1123, RFC 850 and asctime: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7."""
    leap = re.sub(r"(\d\d:\d\d):60\b", r"\1:59", text)
    at = _as_utc(parsedate_to_datetime(leap))
    return at + timedelta(seconds=1) if leap != text else at


def parse_http_date(text: str) -> datetime | None:
    """Return the time in an HTTP header; None if it isn't one."""
    try:
        return _as_utc(parsedate_to_datetime(text))
    except (ValueError, OverflowError, TypeError, IndexError):  # the parser lets all of these out
        return None


def _as_utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
