"""Slack's rate limits: https://docs.slack.dev/apis/web-api/rate-limits."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Final

from local_slack.workspace import Clock

READS_HISTORY: Final = frozenset({"conversations.history", "conversations.replies"})
"""What distributed apps outside the Marketplace may call once a minute."""

PER_MINUTE: Final[Mapping[str, int]] = {"t1": 1, "t2": 20, "t3": 100, "t4": 200}
"""Slack promises at least 1, 20, 50 and 100 a minute and lets bursts pass: the stand-in allows t3 and t4 twice that."""

POST_RATE: Final = (1.0, 5)
"""Posts a second in one channel, and how many may come in a burst."""

WINDOW_S: Final = 60.0


class Rates:
    """Counts calls by method, and posts by channel."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[str, deque[float]] = defaultdict(deque)
        self._posts: dict[str, tuple[float, float]] = {}
        self.post_rate: tuple[float, int] = POST_RATE
        self.per_minute: dict[str, int] = dict(PER_MINUTE)
        self.enforced = True

    def call_wait_s(self, method: str, tier: str) -> int:
        """Count a call; return the seconds to wait when it is one too many, otherwise 0."""
        limit = self.per_minute.get(tier)
        if limit is None or not self.enforced:
            return 0
        now, calls = self._clock(), self._calls[method]
        while calls and calls[0] <= now - WINDOW_S:
            calls.popleft()
        if len(calls) >= limit:
            return max(1, math.ceil(calls[0] + WINDOW_S - now))
        calls.append(now)
        return 0

    def post_wait_s(self, channel_id: str) -> int:
        """Count a post in a channel (a bucket that refills); return the seconds to wait, or 0."""
        if not self.enforced:
            return 0
        per_s, burst = self.post_rate
        now = self._clock()
        level, at = self._posts.get(channel_id, (float(burst), now))
        level = min(float(burst), level + (now - at) * per_s)
        if level < 1:
            self._posts[channel_id] = (level, now)
            return max(1, math.ceil((1 - level) / per_s))
        self._posts[channel_id] = (level - 1, now)
        return 0
