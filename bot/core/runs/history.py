"""How past runs ended, and how long syncs take. Only comparable runs are measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.models import Outcome, SyncRun


@dataclass(frozen=True, slots=True)
class Durations:
    """How long ``count`` comparable runs took."""

    count: int
    median_s: float
    p90_s: float


def took_s(run: SyncRun) -> float | None:
    """Return how long a sync took from FloKit's acceptance to its proof; None if that can't be compared.

    Left out are failures (they may have happened long before they were seen), syncs that were already running at the
    click, and late results, which are checked for rarely.
    """
    if run.outcome is not Outcome.SUCCEEDED or run.overlapped or run.late_until is not None:
        return None
    if run.accepted_at is None or run.ended_at is None:
        return None
    return max(0.0, (run.ended_at - run.accepted_at).total_seconds())


def durations(runs: Sequence[SyncRun]) -> Durations | None:
    """Measure the comparable runs; None if there are none. The p90 is the nearest rank: a duration that occurred."""
    taken = sorted(seconds for run in runs if (seconds := took_s(run)) is not None)
    if not taken:
        return None
    return Durations(len(taken), statistics.median(taken), taken[math.ceil(0.9 * len(taken)) - 1])


def by_integration(runs: Sequence[SyncRun]) -> dict[str, list[SyncRun]]:
    """Group runs, newest first; the integration that was synced last comes first."""
    groups: dict[str, list[SyncRun]] = {}
    for run in runs:
        groups.setdefault(run.integration_id, []).append(run)
    return groups
