"""``python -m soak.timed_bot FILE``: ``sandbox.bot_with_clock``, which also logs what is slow on its SQLite file.

A statement is timed until its first row: an UPDATE does all of its work by then, and a SELECT that sorts does, too.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sandbox import bot_with_clock
from soak.checker import SLOW_MS
from soak.evidence import SLOW_EVENT


def timed(clock: Callable[[], float] = time.perf_counter) -> type[sqlite3.Connection]:
    """Return a kind of connection that logs each statement over ``SLOW_MS``, as JSON on a line of its own."""

    class Cursor(sqlite3.Cursor):
        """A cursor that looks at a clock."""

        def execute(self, statement: str, parameters: Any = ()) -> Cursor:
            """Run a statement."""
            began_at = clock()
            super().execute(statement, parameters)
            log(statement, parameters, began_at)
            return self

        def executemany(self, statement: str, parameters: Any) -> Cursor:
            """Run a statement for several rows."""
            rows, began_at = list(parameters), clock()
            super().executemany(statement, rows)
            log(statement, rows[0] if rows else (), began_at)
            return self

    class Connection(sqlite3.Connection):
        """A connection whose cursors do."""

        def cursor(self, *_: Any) -> Cursor:  # type: ignore[override]
            """Open one."""
            return super().cursor(Cursor)

        def execute(self, *what: Any) -> Cursor:
            """Run a statement on a cursor of this kind; sqlite3's own method wouldn't."""
            return self.cursor().execute(*what)

        def executemany(self, *what: Any) -> Cursor:
            """Run it for several rows."""
            return self.cursor().executemany(*what)

    def log(statement: str, parameters: Any, began_at: float) -> None:
        ms = (clock() - began_at) * 1000
        if ms > SLOW_MS:
            entry = {
                "event": SLOW_EVENT,
                "level": "info",
                "ms": ms,
                "statement": statement,
                "parameters": [*parameters],
            }
            line = f"{json.dumps(entry, default=str)}\n".encode()
            os.write(sys.stdout.fileno(), line)  # in one write: a kill must not cut it

    return Connection


if __name__ == "__main__":
    setattr(sqlite3.dbapi2, "connect", partial(sqlite3.connect, factory=timed()))  # noqa: B010 - what SQLAlchemy calls
    sys.exit(bot_with_clock.main(Path(sys.argv[1])))
