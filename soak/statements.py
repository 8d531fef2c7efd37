"""Slow statements: read from a log, and measured again at the end, when nothing else loads the machine.

A statement over the limit took long for one of three reasons: its plan is bad, it waited for a lock, or the machine was
busy. PostgreSQL's log shows locks (``log_lock_waits``); running it again with the same parameters shows its plan.
On a SQLite file no statement waits for a lock, and the replica logs what is slow: ``soak.timed_bot``.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]

from soak.evidence import SLOW_EVENT, Slow

ENTRY: Final = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (\w+):  (.*(?:\n\t.*)*)", re.MULTILINE)
"""One entry of the log with its further lines, which are indented.

https://www.postgresql.org/docs/current/runtime-config-logging.html
"""

SLOW: Final = re.compile(r"duration: ([\d.]+) ms +(?:statement|execute [^:]+|parse [^:]+|bind [^:]+): (.*)", re.DOTALL)
WAITED: Final = re.compile(r"process \d+ acquired .* after ([\d.]+) ms")
PARAMETERS: Final = re.compile(r"parameters: (.*)", re.DOTALL | re.IGNORECASE)
PARAMETER: Final = re.compile(r"\$\d+ = (?:NULL|'((?:[^']|'')*)')(?:, |$)", re.DOTALL)

PLACEHOLDER: Final = re.compile(r"\$(\d+)")

QUERIES: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
TRIES: Final = 3
MOST_KINDS: Final = 60
"""More kinds of slow statements than this are not measured."""

MEASURED_WITHIN_S: Final = 5.0


def is_query(text: str) -> bool:
    """Tell a statement with a plan from ``COMMIT`` and the like."""
    return text.lstrip("( ").upper().startswith(QUERIES)


def read_slow(log: str) -> list[Slow]:
    """Return every statement that PostgreSQL logged for its duration, with the locks that it waited for."""
    slow: list[Slow] = []
    newest: dict[str, int] = {}
    waited: dict[str, float] = {}
    for pid, level, said in _entries(log):
        if level == "LOG" and (wait := WAITED.match(said)):
            waited[pid] = waited.get(pid, 0.0) + float(wait[1])
        elif level == "LOG" and (found := SLOW.match(said)):
            slow.append(Slow(float(found[1]), " ".join(found[2].split()), waited_ms=waited.pop(pid, 0.0)))
            newest[pid] = len(slow) - 1
        elif level == "DETAIL" and pid in newest and (given := PARAMETERS.match(said)):
            index = newest.pop(pid)
            slow[index] = replace(slow[index], parameters=_values(given[1]))
    return slow


def _entries(log: str) -> Iterator[tuple[str, str, str]]:
    for entry in ENTRY.finditer(log):
        yield entry[1], entry[2], entry[3].replace("\n\t", "\n")


def _values(text: str) -> tuple[str | None, ...]:
    """Read ``$1 = 'it''s', $2 = NULL``."""
    return tuple(None if one[1] is None else one[1].replace("''", "'") for one in PARAMETER.finditer(text))


async def measure(connection: asyncpg.Connection, slow: Sequence[Slow]) -> list[Slow]:
    """Run the slowest statement of each kind again, a few times, and note its fastest time and its plan.

    Each is rolled back. What can't be run again, such as an insert of a row that is there by now, stays unmeasured.
    """
    measured: dict[str, tuple[float, str]] = {}
    for one in _slowest(slow):
        try:
            measured[one.text] = await _run_again(connection, one)
        except (asyncpg.PostgresError, TimeoutError):
            continue
    return _with_times(slow, measured)


def _slowest(slow: Iterable[Slow]) -> list[Slow]:
    """Choose the slowest statement of each kind, the slowest first."""
    worst: dict[str, Slow] = {}
    for one in slow:
        if is_query(one.text) and (one.text not in worst or worst[one.text].ms < one.ms):
            worst[one.text] = one
    return sorted(worst.values(), key=lambda one: -one.ms)[:MOST_KINDS]


def _with_times(slow: Iterable[Slow], measured: Mapping[str, tuple[float, str]]) -> list[Slow]:
    return [
        replace(one, alone_ms=measured[one.text][0], plan=measured[one.text][1]) if one.text in measured else one
        for one in slow
    ]


def read_slow_events(lines: Iterable[str]) -> list[Slow]:
    """Return every slow statement on a SQLite file that replicas logged, one JSON object a line."""
    events = [json.loads(line) for line in lines if SLOW_EVENT in line and line.endswith("}")]
    return [
        Slow(float(one["ms"]), " ".join(one["statement"].split()), tuple(one["parameters"]))
        for one in events
        if one.get("event") == SLOW_EVENT
    ]


def measure_in(connection: sqlite3.Connection, slow: Sequence[Slow]) -> list[Slow]:
    """The same as ``measure``, on a connection to a SQLite file that starts no transactions on its own."""
    measured: dict[str, tuple[float, str]] = {}
    for one in _slowest(slow):
        try:
            measured[one.text] = min(_time_in(connection, one) for _ in range(TRIES)), _plan_in(connection, one)
        except sqlite3.Error:
            continue
    return _with_times(slow, measured)


def _time_in(connection: sqlite3.Connection, slow: Slow) -> float:
    """Run a statement, read its rows, undo it, and return the milliseconds that it took."""
    connection.execute("BEGIN")
    try:
        began_at = time.perf_counter()
        connection.execute(slow.text, slow.parameters).fetchall()
        return (time.perf_counter() - began_at) * 1000
    finally:
        connection.rollback()


def _plan_in(connection: sqlite3.Connection, slow: Slow) -> str:
    return " > ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {slow.text}", slow.parameters))


async def _run_again(connection: asyncpg.Connection, slow: Slow) -> tuple[float, str]:
    """Return the fewest milliseconds of a few tries, and the plan."""
    # PostgreSQL logs no parameters of a statement that was slow to parse, before it had any.
    parameters = slow.parameters or (None,) * max(map(int, PLACEHOLDER.findall(slow.text)), default=0)
    values = ", ".join("NULL" if one is None else _literal(one) for one in parameters)
    execute = f"EXECUTE again({values})" if parameters else "EXECUTE again"
    await connection.execute(f"PREPARE again AS {slow.text}", timeout=MEASURED_WITHIN_S)
    try:
        reports = [await _explained(connection, execute) for _ in range(TRIES)]
    finally:
        await connection.execute("DEALLOCATE again")
    fastest = min(reports, key=lambda report: float(report["Execution Time"]))
    return float(fastest["Execution Time"]), " > ".join(_nodes(fastest["Plan"]))


async def _explained(connection: asyncpg.Connection, execute: str) -> dict[str, Any]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {execute}"
        [report] = json.loads(await connection.fetchval(explain, timeout=MEASURED_WITHIN_S))
    finally:
        await transaction.rollback()
    return dict(report)


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    """Name the steps of a plan from the outermost in, each with the table or index that it reads."""
    about = plan.get("Index Name") or plan.get("Relation Name")
    yield f"{plan['Node Type']} {about}" if about else str(plan["Node Type"])
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _literal(value: str) -> str:
    """Quote a value of any type, as PostgreSQL reads it: a string whose type it infers."""
    doubled = value.replace("'", "''").replace("\\", "\\\\")
    return f"E'{doubled}'"
