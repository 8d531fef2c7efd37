"""Slack's rate limits: https://docs.slack.dev/apis/web-api/rate-limits."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Final

from local_slack.workspace import Clock

READS_HISTORY: Final = frozenset({"conversations.history", "conversations.replies"})
"""Methods that distributed apps outside the Marketplace can call once a minute."""

PER_MINUTE: Final[Mapping[str, int]] = {"t1": 1, "t2": 20, "t3": 100, "t4": 200}
"""Slack guarantees at least 1, 20, 50 and 100 a minute and tolerates bursts; here, tiers 3 and 4 allow twice that."""

POST_RATE: Final = (1.0, 5)
"""Posts per second in one channel, and the burst size."""

WINDOW_S: Final = 60.0


class Rates:
    """Counts calls by workspace and method, and posts by workspace and channel."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._posts: dict[tuple[str, str], tuple[float, float]] = {}
        self.post_rate: tuple[float, int] = POST_RATE
        self.per_minute: dict[str, int] = dict(PER_MINUTE)
        self.enforced = True

    def call_wait_s(self, team_id: str, method: str, tier: str) -> int:
        """Count a call; return the seconds to wait if it's over the limit, else 0."""
        limit = self.per_minute.get(tier)
        if limit is None or not self.enforced:
            return 0
        now, calls = self._clock(), self._calls[team_id, method]
        while calls and calls[0] <= now - WINDOW_S:
            calls.popleft()
        if len(calls) >= limit:
            return max(1, math.ceil(calls[0] + WINDOW_S - now))
        calls.append(now)
        return 0

    def post_wait_s(self, team_id: str, channel_id: str) -> int:
        """Count a post in a channel (a bucket that refills); return the seconds to wait, or 0."""
        if not self.enforced:
            return 0
        per_s, burst = self.post_rate
        now, place = self._clock(), (team_id, channel_id)
        level, at = self._posts.get(place, (float(burst), now))
        level = min(float(burst), level + (now - at) * per_s)
        if level < 1:
            self._posts[place] = (level, now)
            return max(1, math.ceil((1 - level) / per_s))
        self._posts[place] = (level - 1, now)
        return 0
