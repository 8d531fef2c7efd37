"""``python -m soak.timed_bot FILE``: ``sandbox.bot_with_clock``, which also logs what is slow on its SQLite file.

A statement is timed until its first row: an UPDATE does all of its work by then, and a SELECT that sorts does, too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from sandbox import bot_with_clock
from soak.checker import SLOW_MS
from soak.evidence import SLOW_EVENT


def log_slow(engine: Engine | type[Engine], clock: Callable[[], float] = time.perf_counter) -> None:
    """Log each statement that takes over ``SLOW_MS`` by the clock, as one JSON object on a line of its own."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(connection: Connection, *_: Any) -> None:
        connection.info["began_at"] = clock()

    @event.listens_for(engine, "after_cursor_execute")
    def end(connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        ms = (clock() - connection.info["began_at"]) * 1000
        if ms > SLOW_MS:
            one = parameters[0] if many else parameters
            entry = {"event": SLOW_EVENT, "level": "info", "ms": ms, "statement": statement, "parameters": list(one)}
            os.write(
                sys.stdout.fileno(), f"{json.dumps(entry, default=str)}\n".encode()
            )  # in one write: a kill must not cut it


if __name__ == "__main__":
    log_slow(Engine)
    sys.exit(bot_with_clock.main(Path(sys.argv[1])))
