"""aiosqlite with fewer trips to its thread: each of them costs more than what most statements do there.

As it is, a statement makes four (its cursor, itself, its rows, its end), the beginning of a transaction three, and
giving the connection back one. Here a statement makes one, and takes the beginning along.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Self

import aiosqlite


def connect(database: str, **options: Any) -> Connection:
    """Prepare a connection; it opens when it is awaited."""
    return Connection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)


class Connection(aiosqlite.Connection):
    """What SQLAlchemy works with in place of aiosqlite's own; only what it calls is here."""

    _begins = ""
    """With what the next statement begins a transaction; "" when one is open already."""
    _is_touched = False
    """Something was sent since the last end of a transaction."""

    def begin(self, *, writes: bool = True) -> None:
        """Begin with the next statement, and take the write lock with it when anything is to be written.

        A read that turns into a write half-way could only fail.
        """
        self._begins = "BEGIN IMMEDIATE" if writes else "BEGIN"

    def cursor(self) -> Cursor:  # type: ignore[override]
        """Make a cursor, which costs nothing yet."""
        return Cursor(self)

    async def run(self, sql: str, parameters: Any, *, many: bool) -> _Ran:
        """Run a statement and bring back all that it gives."""
        begins, self._begins, self._is_touched = self._begins, "", True
        ran: _Ran = await self._execute(_run, self._conn, sql, parameters, begins=begins, many=many)  # type: ignore[no-untyped-call]
        return ran

    async def commit(self) -> None:
        """Commit, when there is anything to commit."""
        self._begins = ""
        if self._is_touched:
            await super().commit()
            self._is_touched = False

    async def rollback(self) -> None:
        """Roll back, when there is anything to roll back."""
        self._begins = ""
        if self._is_touched:
            await super().rollback()
            self._is_touched = False


class Cursor:
    """A statement and what it gave, read in one go."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ran = _Ran()

    async def __aenter__(self) -> Self:
        """Return itself: it was not opened."""
        return self

    @property
    def description(self) -> Any:
        """Name the columns of its rows; None when it has none."""
        return self._ran.description

    @property
    def rowcount(self) -> int:
        """Tell how many rows it changed."""
        return self._ran.rowcount

    @property
    def lastrowid(self) -> int | None:
        """Tell the id of the row that it added."""
        return self._ran.lastrowid

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        """Run it."""
        self._ran = await self._connection.run(sql, parameters, many=False)

    async def executemany(self, sql: str, parameters: Any) -> None:
        """Run it for each of many parameters."""
        self._ran = await self._connection.run(sql, parameters, many=True)

    async def fetchall(self) -> list[Any]:
        """Hand out its rows, once."""
        rows, self._ran.rows = self._ran.rows, []
        return rows

    async def close(self) -> None:
        """Do nothing: it was closed when it was read."""


class _Ran:
    __slots__ = ("description", "lastrowid", "rowcount", "rows")

    def __init__(self) -> None:
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.rows: list[Any] = []


def _run(connection: sqlite3.Connection, sql: str, parameters: Any, *, begins: str, many: bool) -> _Ran:
    if begins:
        connection.execute(begins)
    ran = _Ran()
    cursor = connection.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(sql, parameters)
        ran.description, ran.rowcount, ran.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
        if ran.description:
            ran.rows = cursor.fetchall()
    finally:
        cursor.close()
    return ran
