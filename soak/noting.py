"""Faults of the soak itself: they are noted, so that a fault in one step loses nothing of the others."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Iterator


class Faults:
    """What went wrong in the soak's own code: the step, and the traceback."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def note(self, step: str, error: BaseException) -> None:
        """Keep a fault."""
        self.seen.append(f"{step}: {''.join(traceback.format_exception(error)).rstrip()}")

    @contextlib.contextmanager
    def noting(self, step: str) -> Iterator[None]:
        """Let a step fail: its fault is kept, and the next step runs."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the run is worth more
            self.note(step, error)

    def watch(self, step: str, task: asyncio.Task[None]) -> None:
        """Keep the fault of a task that nobody waits for, once it has ended."""

        def note(ended: asyncio.Task[None]) -> None:
            if not ended.cancelled() and (error := ended.exception()) is not None:
                self.note(step, error)

        task.add_done_callback(note)
