"""Building blocks for JSON schemas: each checker yields a value's problems, in Slack's words.

Pure, and independent of Block Kit, which is described in ``blocks``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Problem:
    """One validation error and the JSON pointer to it."""

    message: str
    pointer: str

    def __str__(self) -> str:
        """Write it as in ``response_metadata.messages``."""
        return f"[ERROR] {self.message} [json-pointer:{self.pointer}]"


Checker: TypeAlias = Callable[[object, str], Iterator[Problem]]


def string(*, shortest: int = 1, longest: int | None = None, one_of: Iterable[str] = ()) -> Checker:
    """Check text by its length in characters or against a list of values."""
    allowed = tuple(one_of)

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield Problem("must provide a string", pointer)
        elif allowed and value not in allowed:
            yield Problem(f"must be one of: {', '.join(allowed)}", pointer)
        elif len(value) < shortest:
            yield Problem(f"must be more than {shortest - 1} characters", pointer)
        elif longest is not None and len(value) > longest:
            yield Problem(f"must be less than {longest + 1} characters", pointer)

    return check


def url(longest: int) -> Checker:
    """Check an absolute link."""
    text = string(longest=longest)

    def check(value: object, pointer: str) -> Iterator[Problem]:
        problems = list(text(value, pointer))
        yield from problems
        if not problems and not _is_absolute(str(value)):
            yield Problem("must be a valid URL", pointer)

    return check


def boolean(value: object, pointer: str) -> Iterator[Problem]:
    """Check for true or false."""
    if not isinstance(value, bool):
        yield Problem("must provide a boolean", pointer)


def integer(value: object, pointer: str) -> Iterator[Problem]:
    """Check for a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        yield Problem("must provide an integer", pointer)


def between(smallest: int, largest: int) -> Checker:
    """Check for a whole number within limits."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        problems = list(integer(value, pointer))
        yield from problems
        if not problems and isinstance(value, int) and not smallest <= value <= largest:
            yield Problem(f"must be between {smallest} and {largest}", pointer)

    return check


def written_as(pattern: str, example: str) -> Checker:
    """Check text by its format, such as a date's."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield Problem("must provide a string", pointer)
        elif not re.fullmatch(pattern, value):
            yield Problem(f"must be written as {example}", pointer)

    return check


def also(checker: Checker, rule: Checker) -> Checker:
    """Also check a value by ``rule`` if ``checker`` finds no problems."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        problems = list(checker(value, pointer))
        yield from problems or rule(value, pointer)

    return check


def array(item: Checker, *, fewest: int = 1, most: int | None = None) -> Checker:
    """Check a list's length and each of its items."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem("must provide an array", pointer)
            return
        if len(value) < fewest:
            yield Problem(f"no fewer than {fewest} items allowed", pointer)
        if most is not None and len(value) > most:
            yield Problem(f"no more than {most} items allowed", pointer)
        for index, member in enumerate(value):
            yield from item(member, f"{pointer}/{index}")

    return check


def record(
    required: Mapping[str, Checker], optional: Mapping[str, Checker] | None = None, *, any_of: tuple[str, ...] = ()
) -> Checker:
    """Check an object's members; as in Slack, unknown ones are refused.

    Args:
        any_of: optional members; at least one is required.
    """
    members = {**required, **(optional or {})}

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem("must provide an object", pointer)
            return
        for name in required:
            if name not in value:
                yield Problem(f"missing required field: {name}", pointer)
        if any_of and not any(name in value for name in any_of):
            yield Problem(f"missing required field: {' or '.join(any_of)}", pointer)
        for name, member in value.items():
            if name in members:
                yield from members[name](member, f"{pointer}/{name}")
            else:
                yield Problem(f"invalid additional property: {name}", pointer)

    return check


def typed(name: str, required: Mapping[str, Checker], optional: Mapping[str, Checker] | None = None) -> Checker:
    """Check an object that has this ``type``."""
    return record({"type": string(one_of=[name]), **required}, optional)


def exactly_one(*names: str) -> Checker:
    """Check that an object has exactly one of these members."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if isinstance(value, dict) and sum(name in value for name in names) != 1:
            yield Problem(f"must provide exactly one of: {', '.join(names)}", pointer)

    return check


def nullable(checker: Checker) -> Checker:
    """Check a value that may be null."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if value is not None:
            yield from checker(value, pointer)

    return check


def kinds(table: Mapping[str, Checker]) -> Checker:
    """Check an object by the checker for its ``type``."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem("must provide an object", pointer)
        elif "type" not in value:
            yield Problem("missing required field: type", pointer)
        elif not isinstance(value["type"], str) or value["type"] not in table:
            yield Problem(f"unsupported type: {value['type']}", f"{pointer}/type")
        else:
            yield from table[value["type"]](value, pointer)

    return check


def anything(_value: object, _pointer: str) -> Iterator[Problem]:
    """Accept any value, for members that aren't checked here."""
    yield from ()


def _is_absolute(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.scheme in {"mailto", "tel"}))
