"""A circuit breaker: while FloKit is down, only an occasional request checks whether it's back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from bot.core.budget import Priority
from bot.core.errors import FlokitAway, FlokitError, FlokitRateLimited, FlokitUnreachable

_log = structlog.get_logger(__name__)

OPENS_AFTER: Final = 5
"""It opens after this many failures in a row: one lost reply isn't an outage."""

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0

PERSON_PAUSE_S: Final = 1.0
"""For a person, FloKit is tried this often."""


class Circuit:
    """Open while FloKit is down, judging by the last requests.

    Args:
        clock: monotonic seconds.
        max_pause_s: the longest pause between two requests; no longer than the interval of follow-ups.
    """

    def __init__(self, clock: Callable[[], float], *, max_pause_s: float = LONGEST_PAUSE_S) -> None:
        self._clock = clock
        self._max_pause_s = min(max_pause_s, LONGEST_PAUSE_S)
        self._failures = 0
        self._asked_at = -math.inf
        self._next_at = -math.inf
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether FloKit counts as down."""
        return self._failures >= OPENS_AFTER

    @contextmanager
    def asking(self, priority: Priority) -> Iterator[None]:
        """Wrap one request, and note whether it failed.

        Raises:
            FlokitAway: FloKit is down, and was asked a moment ago; nothing was sent.
        """
        is_probe = self._admit(priority)
        try:
            yield
        except FlokitRateLimited:
            raise  # says nothing about whether FloKit is up: it may have been our own budget
        except FlokitUnreachable:
            if is_probe or not self.is_open:  # requests from before it opened say nothing new
                self._note_failure()
            raise
        except FlokitError:
            self._note_answer()
            raise
        else:
            self._note_answer()
        finally:
            if is_probe:
                self._probing = False

    def _admit(self, priority: Priority) -> bool:
        """Let a request pass, or raise; return whether it's the one that checks if FloKit is back."""
        now = self._clock()
        is_probe = self.is_open
        if is_probe:
            next_at = (
                min(self._next_at, self._asked_at + PERSON_PAUSE_S) if priority is Priority.CLICK else self._next_at
            )
            if self._probing or now < next_at:
                wait_s = max(next_at - now, FIRST_PAUSE_S if self._probing else 0.0)
                raise FlokitAway(
                    f"FloKit couldn't be reached the last {self._failures} times; I'll try again in "
                    f"{math.ceil(wait_s)} s.",
                    retry_after_s=wait_s,
                )
            self._probing = True
        self._asked_at = now
        return is_probe

    def _note_failure(self) -> None:
        self._failures += 1
        beyond = self._failures - OPENS_AFTER
        if beyond < 0:
            return
        if beyond == 0:
            _log.warning("flokit_away")
        self._next_at = self._clock() + min(FIRST_PAUSE_S * 2 ** min(beyond, 10), self._max_pause_s)

    def _note_answer(self) -> None:
        if self.is_open:
            _log.info("flokit_back")
        self._failures = 0
