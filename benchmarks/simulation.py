"""Simulates many follow-ups in many workspaces with the bot's own decisions, without sockets, on a virtual clock.

Each workspace always follows the same number of syncs: when one ends, someone clicks on another integration. It starts
in the middle of this state, with syncs that have been running for a while, so nothing has to settle first. FloKit
answers immediately.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Final

from benchmarks.delays import BEFORE, BETWEEN_INTEGRATIONS, HISTORY, START, TYPES
from bot.core.budget import BUSY_S, PER_MINUTE, Priority, slots_of
from bot.core.models import (
    Decision,
    Integration,
    Listed,
    Outcome,
    Person,
    Phase,
    Seen,
    Status,
    SyncRun,
    TriggerAccepted,
    TriggerNotSent,
)
from bot.core.runs.durations import learn
from bot.core.runs.outcome import attempt, decide, needs_proof, postpone, probe_of
from bot.flokit import SHARED_WITHIN_S

NAIVE_S: Final = 10.0
"""Seconds between the async naive bot's checks of a sync."""

DELAY_STEP_S: Final = 0.1
"""The step in which delays are counted, in seconds."""

ROOM: Final = 5
"""Integrations per running follow-up, so that there's a choice for the next click."""

LOOKS_BEGIN_AT: Final = START - timedelta(seconds=20)
"""Checks start this long before counting, so that they have settled."""
FIRST_WITHIN_S: Final = 10.0

ALL: Final = ""
"""The budget key of a list request."""


@dataclass(frozen=True, slots=True)
class Load:
    """The simulated load.

    Args:
        workspaces: how many.
        per_workspace: running follow-ups in each.
        seconds: how long to count.
        seed: the random seed.
    """

    workspaces: int
    per_workspace: int = 20
    seconds: float = 60.0
    seed: int = 11

    @property
    def follow_ups(self) -> int:
        """All running follow-ups."""
        return self.workspaces * self.per_workspace


@dataclass(slots=True)
class Tally:
    """The counts, which can be added up.

    Args:
        clicks: follow-ups that started, each with its check before the POST, and the POST.
        batches: checks of a workspace, each for one run or for many.
        looks: runs that were checked in them.
        calls: requests to FloKit.
        postponed: runs that waited because the budget was spent.
        outcomes: follow-ups that ended, by their outcome.
        late: outcomes by delay, in steps of the delay.
        naive_calls: the requests of a bot that checks each sync every ten seconds.
        naive_late: the same for that bot.
    """

    clicks: int = 0
    batches: int = 0
    looks: int = 0
    calls: int = 0
    postponed: int = 0
    naive_calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)
    naive_late: Counter[int] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        """Add everything up."""
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def middle_s(late: Counter[int]) -> float:
    """Return the median delay, in seconds."""
    half = sum(late.values()) / 2
    for step, many in sorted(late.items()):
        half -= many
        if half <= 0:
            return step * DELAY_STEP_S
    raise ValueError("no delays")


class Budget:
    """A workspace's budget. Gives the same answers as ``bot.flokit.budget.LocalBudget``, but faster."""

    def __init__(self, per_minute: int = PER_MINUTE) -> None:
        shared = slots_of(Priority.FOLLOW_UP, per_minute)
        self._shared: deque[datetime] = deque([BEFORE] * shared)
        self._for_clicks: deque[datetime] = deque([BEFORE] * (per_minute - shared))

    def take(self, priority: Priority, now: datetime) -> float:
        """Take a slot and return 0, or return the seconds until one is free."""
        usable = [self._for_clicks, self._shared] if priority is Priority.CLICK else [self._shared]
        for slots in usable:
            if slots and slots[0] <= now:
                slots.popleft()
                slots.append(now + timedelta(seconds=BUSY_S))
                return 0.0
        return min((slots[0] - now).total_seconds() for slots in usable if slots)


@dataclass(slots=True)
class _Integration:
    id: str
    type: str
    median_s: float
    spread: float
    durations_s: list[float]
    last_synced_at: datetime = BEFORE
    ends_at: datetime | None = None

    def draw_s(self, rng: random.Random, *, met_under_way: bool = False) -> float:
        """Return a random duration. Syncs that are running at a random moment are more often long than short."""
        shift = self.spread**2 if met_under_way else 0.0
        return self.median_s * math.exp(rng.gauss(shift, self.spread))

    @property
    def mean_s(self) -> float:
        return self.median_s * math.exp(self.spread**2 / 2)

    def at(self, moment: datetime) -> Integration:
        """Return it as FloKit shows it."""
        if self.ends_at and moment < self.ends_at:
            return Integration(self.id, self.type, Status.SYNCING, self.last_synced_at)
        return Integration(self.id, self.type, Status.CONNECTED, self.ends_at or self.last_synced_at)


@dataclass(slots=True)
class _Followed:
    run: SyncRun
    due_at: datetime
    takes_s: float
    """How long its sync takes after the POST."""
    along_at: datetime | None = None


class _Workspace:
    def __init__(self, number: int, load: Load, tally: Tally) -> None:
        self._rng = rng = random.Random(load.seed * 1_000_003 + number)
        self._team_id = f"T{number}"
        self._ends_at = START + timedelta(seconds=load.seconds)
        self._tally = tally
        self._budget = Budget()
        self._asked_at: dict[str, datetime] = {}
        self._numbers = 0
        self._integrations = {
            f"{type_}-{one}": _Integration(
                f"{type_}-{one}", type_, median_s * math.exp(rng.gauss(0, BETWEEN_INTEGRATIONS)), spread, []
            )
            for type_, (median_s, spread) in TYPES.items()
            for one in range(max(1, ROOM * load.per_workspace // len(TYPES)))
        }
        self.followed: dict[str, _Followed] = {}
        for _ in range(load.per_workspace):
            self._meet_under_way()
        for one in sorted(self.followed.values(), key=lambda each: each.due_at):
            if one.due_at < LOOKS_BEGIN_AT:
                self._skip(one)

    def act(self, integration_id: str, now: datetime) -> list[tuple[datetime, str]]:
        """Do what's due for a run, and for those that share the check. Return what's due next, and when."""
        first = self.followed.get(integration_id)
        if first is None or first.due_at != now:
            return []  # another check served it
        if not first.run.is_watched:
            return [self._note(first, self._trigger(first, now), now)]
        return self._look(now)

    def _look(self, now: datetime) -> list[tuple[datetime, str]]:
        batch = [one for one in self.followed.values() if self._is_served(one, now)]
        as_of, wait_s = self._ask(ALL if len(batch) > 1 else batch[0].run.integration_id, Priority.FOLLOW_UP, now)
        if wait_s:
            self._count(postponed=len(batch), now=now)
            return [self._note(one, postpone(one.run, wait_s, "", now), now) for one in batch]
        self._count(batches=1, looks=len(batch), now=now)
        if len(batch) == 1:
            shown = self._integrations[batch[0].run.integration_id].at(as_of)
            return [self._note(batch[0], decide(batch[0].run, Seen(shown), now), now)]
        probe = probe_of([one.run for one in batch])
        decided = [(one, self._look_in_list(one, as_of, now, is_probe=one.run is probe)) for one in batch]
        return [self._note(one, decision, now) for one, decision in decided]

    def _look_in_list(self, one: _Followed, as_of: datetime, now: datetime, *, is_probe: bool) -> Decision:
        """Decide from a list, and from the integration's own page where the follower reads it."""
        integration = self._integrations[one.run.integration_id]
        hint = integration.at(as_of)
        if not is_probe and not needs_proof(one.run, hint, now):
            return decide(one.run, Listed(hint), now)
        as_of, wait_s = self._ask(integration.id, Priority.FOLLOW_UP, now, max_age_s=0.0)
        if wait_s:
            self._count(postponed=1, now=now)
            return postpone(one.run, wait_s, "", now)
        return decide(one.run, Seen(integration.at(as_of), hinted=hint), now)

    @staticmethod
    def _is_served(one: _Followed, now: datetime) -> bool:
        """Return whether this run shares the check, as ``bot.store.runs.claim`` decides."""
        return one.run.is_watched and (one.due_at <= now or (one.along_at is not None and one.along_at <= now))

    def _trigger(self, one: _Followed, now: datetime) -> Decision:
        """Check before the POST, and send it."""
        integration = self._integrations[one.run.integration_id]
        as_of, wait_s = self._ask(integration.id, Priority.CLICK, now, max_age_s=0.0)
        if wait_s:
            self._count(postponed=1, now=now)
            return postpone(one.run, wait_s, "", now)
        decision = decide(one.run, Seen(integration.at(as_of)), now)
        if decision.run.phase is not Phase.TRIGGER:
            return decision
        run = attempt(decision.run, now)
        if wait_s := self._take(Priority.CLICK, now):
            self._count(postponed=1, now=now)
            return decide(run, TriggerNotSent("", wait_s), now)
        integration.last_synced_at = integration.ends_at or integration.last_synced_at
        integration.ends_at = now + timedelta(seconds=one.takes_s)
        self._asked_at.pop(
            ALL, None
        )  # as the client does: an observation before the POST says nothing about the time after it
        self._asked_at.pop(integration.id, None)
        self._count_naive(now, one.takes_s)
        return decide(run, TriggerAccepted(None), now)

    def _ask(
        self, what: str, priority: Priority, now: datetime, max_age_s: float = SHARED_WITHIN_S
    ) -> tuple[datetime, float]:
        """Return the time of the last list and 0, or the seconds until the budget allows a request."""
        asked_at = self._asked_at.get(what)
        if asked_at and (now - asked_at).total_seconds() < max_age_s:
            return asked_at, 0.0
        wait_s = self._take(priority, now)
        if not wait_s:
            self._asked_at[what] = now
        return now, wait_s

    def _take(self, priority: Priority, now: datetime) -> float:
        wait_s = self._budget.take(priority, now)
        if not wait_s:
            self._count(calls=1, now=now)
        return wait_s

    def _note(self, one: _Followed, decision: Decision, now: datetime) -> tuple[datetime, str]:
        """Store a decided run, and replace one that ended."""
        one.run = decision.run
        if decision.run.outcome or decision.next_look_at is None:
            return now, self._end(one, now)
        one.due_at, one.along_at = decision.next_look_at, decision.along_at
        return one.due_at, one.run.integration_id

    def _end(self, one: _Followed, now: datetime) -> str:
        integration = self._integrations[one.run.integration_id]
        if now >= START:
            self._tally.outcomes[one.run.outcome or ""] += 1
        if one.run.outcome is Outcome.SUCCEEDED and one.run.accepted_at and integration.ends_at:
            integration.durations_s.append((now - one.run.accepted_at).total_seconds())
            if now >= START:
                late_s = (now - integration.ends_at).total_seconds()
                self._tally.late[round(late_s / DELAY_STEP_S)] += 1
                naive_s = math.ceil(one.takes_s / NAIVE_S) * NAIVE_S - one.takes_s
                self._tally.naive_late[round(naive_s / DELAY_STEP_S)] += 1
        del self.followed[one.run.integration_id]
        fresh = self._rng.choice([id_ for id_ in self._integrations if id_ not in self.followed])
        self._click(self._integrations[fresh], now, self._integrations[fresh].draw_s(self._rng))
        return fresh

    def _meet_under_way(self) -> None:
        """Start with a sync as found at a random moment: more often a long one, at any point of its way."""
        free = [one for one in self._integrations.values() if one.id not in self.followed]
        [integration] = self._rng.choices(free, [one.mean_s for one in free])
        takes_s = integration.draw_s(self._rng, met_under_way=True)
        self._click(integration, START - timedelta(seconds=takes_s * self._rng.random()), takes_s)

    def _skip(self, one: _Followed) -> None:
        """Skip the checks of a sync that started long ago: simulate only its click and its POST."""
        self._note(one, self._trigger(one, one.due_at), one.due_at)
        one.due_at = LOOKS_BEGIN_AT + timedelta(seconds=FIRST_WITHIN_S * self._rng.random())
        one.along_at = None

    def _click(self, integration: _Integration, now: datetime, takes_s: float) -> None:
        if not integration.durations_s:
            integration.durations_s = [integration.draw_s(self._rng) for _ in range(HISTORY)]
        self._numbers += 1
        run = SyncRun(
            f"run_{self._team_id}_{self._numbers}",
            self._team_id,
            integration.id,
            integration.type,
            now,
            Person("U1"),
            expected=learn(integration.durations_s[-HISTORY:]),
        )
        self.followed[integration.id] = _Followed(run, now, takes_s)
        self._count(clicks=1, now=now)

    def _count(self, *, now: datetime, **many: int) -> None:
        if now >= START:
            for name, number in many.items():
                setattr(self._tally, name, getattr(self._tally, name) + number)

    def _count_naive(self, posted_at: datetime, takes_s: float) -> None:
        """Count the naive bot's POST and checks within the counted time."""
        begins_s, until_s = ((at - posted_at).total_seconds() / NAIVE_S for at in (START, self._ends_at))
        last = min(math.ceil(takes_s / NAIVE_S), math.ceil(until_s) - 1)
        first = max(1, math.ceil(begins_s))
        self._tally.naive_calls += max(0, last - first + 1) + (posted_at >= START)


def simulate(load: Load, numbers: Sequence[int] | None = None) -> Tally:
    """Simulate the workspaces with these numbers (all by default) independently of each other. Return the counts."""
    tally = Tally()
    workspaces = {number: _Workspace(number, load, tally) for number in numbers or range(load.workspaces)}
    due = [(one.due_at, number, id_) for number, space in workspaces.items() for id_, one in space.followed.items()]
    heapq.heapify(due)
    until = START + timedelta(seconds=load.seconds)
    while due[0][0] < until:
        now, number, integration_id = heapq.heappop(due)
        for due_at, next_id in workspaces[number].act(integration_id, now):
            heapq.heappush(due, (due_at, number, next_id))
    return tally
