"""How long to wait before a call, and before a retry. No I/O, no sleeping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Bucket:
    """Allows ``burst`` calls at once and ``per_s`` more every second; ``hold`` closes it for a while."""

    per_s: float
    burst: float
    clock: Callable[[], float]
    _tokens: float = field(init=False)
    _filled_at: float = field(init=False)
    _held_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._tokens = self.burst
        self._filled_at = self.clock()

    def take(self, *, leave: float = 0.0) -> float:
        """Take a token and return 0, or take none and return the seconds to wait.

        ``leave`` tokens stay for more important calls.
        """
        now = self.clock()
        self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * self.per_s)
        self._filled_at = now
        if now < self._held_until:
            return self._held_until - now
        missing = 1 + leave - self._tokens
        if missing > 0:
            return missing / self.per_s
        self._tokens -= 1
        return 0.0

    def hold(self, seconds: float) -> None:
        """Allow no calls for ``seconds``."""
        self._held_until = max(self._held_until, self.clock() + seconds)


@dataclass
class Backoff:
    """How long to wait before a retry: twice as long each time, with jitter."""

    first_s: float
    longest_s: float
    jitter: Callable[[], float]
    _tries: int = field(init=False, default=0)

    def next_s(self, *, at_least_s: float = 0.0) -> float:
        """Return the seconds to wait now; ``at_least_s`` is the pause that the other side asks for."""
        pause_s = min(self.first_s * 2.0 ** min(self._tries, 32), self.longest_s)
        self._tries += 1
        return max(pause_s * (0.75 + self.jitter() / 4), at_least_s)

    def reset(self) -> None:
        """Start over with the shortest pause."""
        self._tries = 0
