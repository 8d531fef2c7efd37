"""Claims under any order of work, claims, answers and pauses: stateful tests on both databases."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, func, select

from bot.core.errors import ClaimLost
from bot.core.models import Decision, Message
from bot.store.database import Database
from bot.store.inbox import RequestClaim
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.store import Store
from bot.store.tables import inbox, metadata, outbox, runs, threads, timers
from bot.store.timers import TimerKind, Timers
from tests.adapters.conftest import TEAM, Make, VirtualClock, start

OWNERS = ("a", "b", "c")
LEASE_S = 10.0
KINDS = ("request", "message", "timer")
TABLES = (runs, outbox, inbox, timers)


class Processes(RuleBasedStateMachine):
    """Three processes that share one database."""

    url = ""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.make = Make(self.clock)
        self.stores, self.timers = {}, {}

    def run(self, work):
        """Run a coroutine."""
        return self.runner.run(work)

    @initialize()
    def open(self):
        """Begin with an empty database."""

        async def opened():
            stores = {owner: Store(Database(self.url), owner=owner, lease_s=LEASE_S) for owner in OWNERS}
            for table in reversed(metadata.sorted_tables):
                async with stores["a"]._database.begin() as connection:
                    await connection.execute(delete(table))
            return stores

        self.stores = self.run(opened())
        self.timers = {
            owner: Timers(store._database, owner=owner, lease_s=LEASE_S) for owner, store in self.stores.items()
        }

    def teardown(self):
        """Close everything."""

        async def closed():
            for store in self.stores.values():
                await store.close()

        self.run(closed())
        # aiosqlite's threads report their end to the event loop, which must still be running.
        for thread in threading.enumerate():
            if "_connection_worker_thread" in thread.name:
                self.run(asyncio.to_thread(thread.join, 5))
        self.runner.close()

    async def everything(self, store):
        """Return everything that an answer could have changed."""
        async with store._database.begin() as connection:
            return [sorted(map(repr, (await connection.execute(select(table))).all())) for table in TABLES]

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.9, 10.0, 30.0]))
    def wait(self, seconds):
        """Move the clock."""
        self.clock.advance(seconds)


class Claims(Processes):
    """Claims of runs; the model knows which process has the newest claim of a run."""

    def __init__(self):
        super().__init__()
        self.version, self.held, self.claims, self.active = {}, {}, [], {}
        self.due, self.along, self.team = {}, {}, {}
        self.ended = set()

    @rule(
        owner=st.sampled_from(OWNERS), n=st.integers(0, 2), thread=st.integers(1, 3), team=st.sampled_from(["T1", "T2"])
    )
    def click(self, owner, n, thread, team):
        """Start or join: a click joins exactly if there's an active run."""
        request = self.make.press(message_ts=f"{thread}.0")
        request = replace(request, origin=replace(request.origin, team_id=team))
        opened = self.run(start(self.stores[owner], self.make, request, integration=f"int_{n}"))
        assert opened.joined == ((team, n) in self.active)
        run_id = opened.run.id
        if opened.joined:
            assert run_id == self.active[team, n]
        else:
            self.due[run_id], self.along[run_id], self.team[run_id] = self.clock.now, None, team
        self.active[team, n] = run_id

    @rule(owner=st.sampled_from(OWNERS), limit=st.integers(1, 3))
    def claim(self, owner, limit):
        """A claim gets nothing that another process holds, and no more than its limit and what may be taken along."""
        now = self.clock.now
        claims = self.run(self.stores[owner].runs.claim(now, limit))
        for claim in claims:
            assert self.held.get(claim.run.id, now) <= now
            assert claim.version > self.version.get(claim.run.id, -1)
        ids = [claim.run.id for claim in claims]
        due, along = ids[:limit], ids[limit:]
        along += [due.pop() for run_id in reversed(ids[:limit]) if self.due[run_id] > now]
        looked_at = {self.team[claim.run.id] for claim in claims if claim.run.id in due and claim.run.is_watched}
        assert {self.team[run_id] for run_id in along} <= looked_at
        assert all(self.along[run_id] <= now for run_id in along)
        left = {run_id for run_id in self.due if run_id not in self.ended and self.held.get(run_id, now) <= now} - {
            *ids
        }
        assert len(due) == limit or not [run_id for run_id in left if self.due[run_id] <= now]
        assert not [
            run_id
            for run_id in left
            if self.team[run_id] in looked_at and self.along[run_id] and self.along[run_id] <= now
        ]
        for claim in claims:
            self.note(owner, claim, now + timedelta(seconds=LEASE_S))

    def note(self, owner, claim, until):
        """Record the newest claim of a run."""
        self.version[claim.run.id] = claim.version
        self.held[claim.run.id] = until
        self.claims.append((owner, claim))

    @precondition(lambda self: self.claims)
    @rule(
        pick=st.randoms(use_true_random=False),
        ends=st.booleans(),
        keep=st.booleans(),
        in_s=st.sampled_from([1.0, 8.0, 20.0]),
        along_share=st.sampled_from([None, 0.5]),
    )
    def save(self, pick, ends, keep, in_s, along_share):
        """The newest claim can save; every older one is refused and changes nothing."""
        owner, claim = pick.choice(self.claims)
        run = claim.run
        along_s = along_share and in_s * along_share
        decision = self.make.ended(run) if ends else self.make.watching(run, in_s=in_s, along_s=along_s)
        store = self.stores[owner]
        if claim.version != self.version[run.id]:
            before = self.run(self.everything(store))
            with pytest.raises(ClaimLost):
                self.run(store.runs.save(claim, decision, self.clock.now, keep_claim=keep))
            assert self.run(self.everything(store)) == before
            return
        if run.id in self.ended:
            decision = Decision(run, None)
        saved = self.run(store.runs.save(claim, decision, self.clock.now, keep_claim=keep))
        self.claims.remove((owner, claim))
        self.note(owner, saved, self.clock.now + timedelta(seconds=LEASE_S) if keep else self.clock.now)
        if decision.run.outcome:
            self.ended.add(run.id)
            self.active = {where: run_id for where, run_id in self.active.items() if run_id != run.id}
        self.due[run.id], self.along[run.id] = decision.next_look_at, decision.along_at

    @rule(owner=st.sampled_from(OWNERS))
    def release(self, owner):
        """A stopping process releases what it holds."""
        self.run(self.stores[owner].release())
        newest = {
            claim.run.id for who, claim in self.claims if who == owner and claim.version == self.version[claim.run.id]
        }
        for run_id in newest:
            self.held[run_id] = self.clock.now

    @invariant()
    def one_active_run(self):
        """Each integration has at most one active run, which clicks join."""
        if not self.stores:
            return

        async def active():
            async with self.stores["a"]._database.begin() as connection:
                return set(await connection.scalars(select(runs.c.id).where(runs.c.outcome.is_(None))))

        assert self.run(active()) == set(self.active.values())

    @invariant()
    def each_thread_has_one_outcome(self):
        """Every thread of a run that ended has exactly one outcome to post; other threads have none."""
        if not self.stores:
            return

        async def saved_outcomes():
            async with self.stores["a"]._database.begin() as connection:
                of_run = select(threads.c.run_id, func.count()).group_by(threads.c.run_id)
                outcomes = select(outbox.c.run_id, func.count()).where(outbox.c.kind == OutboxKind.OUTCOME)
                return (
                    dict((await connection.execute(of_run)).all()),
                    dict((await connection.execute(outcomes.group_by(outbox.c.run_id))).all()),
                )

        of_run, outcomes = self.run(saved_outcomes())
        assert outcomes == {run_id: of_run[run_id] for run_id in self.ended}


def row_of(claim):
    """Return the ID of the row that a claim holds."""
    return claim.request.id if isinstance(claim, RequestClaim) else claim.id


class Pieces(Processes):
    """Claims of requests, messages or timers; the model knows who holds which row, and what's left to do."""

    kind = ""

    def __init__(self):
        super().__init__()
        self.held, self.newest, self.claims = {}, {}, []
        self.waiting = set()
        self.asked = set()
        """Timers that were put while a process held them: they stay due when it finishes."""
        self.added = count(1)

    @rule(owner=st.sampled_from(OWNERS), n=st.integers(0, 1))
    def add(self, owner, n):
        """Add work; a timer may be added while a process acts on it."""
        store = self.stores[owner]
        if self.kind == "timer":
            self.run(self.timers[owner].put(TimerKind.WATCH, TEAM, f"T{n}", self.clock.now))
            row = f"watch:T{n}"
            self.waiting.add(row)
            if self.held.get(row, self.clock.now) > self.clock.now:
                self.asked.add(row)
            return
        request = self.make.command()
        self.run(store.inbox.add(request))
        if self.kind == "request":
            self.waiting.add(request.id)
        else:
            text = f"message {next(self.added)}"
            self.run(store.outbox.add_note(request, Message(text), Address(TEAM, "C0DATA"), self.clock.now))
            self.waiting.add(self.run(self.row_that_says(store, text)))

    async def row_that_says(self, store, text):
        """Return a message's row."""
        async with store._database.begin() as connection:
            rows = (await connection.execute(select(outbox.c.id, outbox.c.data))).all()
        return next(row.id for row in rows if f'"{text}"' in row.data)

    @precondition(lambda self: self.waiting)
    @rule(owner=st.sampled_from(OWNERS), limit=st.integers(1, 3), full=st.sampled_from([(), ("T9",), ("T8", TEAM)]))
    def claim(self, owner, limit, full):
        """A claim gets only free work, all of it up to its limit, and none of a full workspace."""
        self.take(owner, limit, full)

    @precondition(lambda self: self.claims)
    @rule(other=st.sampled_from(OWNERS))
    def stand_still(self, other):
        """Freeze the process that holds something until another one can take it over, and let it."""
        self.clock.advance(LEASE_S)
        self.take(other, 3)

    def take(self, owner, limit, full=()):
        """Claim, as a worker does."""
        now, store = self.clock.now, self.stores[owner]
        claim_due = {"request": store.inbox.claim, "message": store.outbox.claim, "timer": self.timers[owner].claim}
        claims = self.run(claim_due[self.kind](now, limit, full))
        free = {row for row in self.waiting if self.held.get(row, now) <= now}
        rows = [row_of(claim) for claim in claims]
        assert len(rows) == len({*rows}) == (0 if TEAM in full else min(limit, len(free)))
        assert {*rows} <= free
        for row, claim in zip(rows, claims, strict=True):
            self.held[row], self.newest[row] = now + timedelta(seconds=LEASE_S), claim
            self.claims.append((owner, claim))
            self.asked.discard(row)

    @precondition(lambda self: self.claims)
    @rule(pick=st.randoms(use_true_random=False), other=st.sampled_from(OWNERS), asked=st.booleans())
    def answer(self, pick, other, asked):
        """Its holder completes a row; earlier holders write nothing, and a request gets only one answer."""
        entry = pick.choice(self.claims)
        self.claims.remove(entry)
        owner, claim = entry
        row, store = row_of(claim), self.stores[owner]
        if self.kind == "timer" and asked:  # by a process that doesn't know that it's being done
            self.run(self.timers[other].put(TimerKind.WATCH, TEAM, claim.subject, self.clock.now))
            self.waiting.add(row)
        done = row not in self.waiting
        lost = done if self.kind == "request" else self.newest[row] is not claim
        before = self.run(self.everything(store))
        if lost:
            with pytest.raises(ClaimLost):
                self.run(self.end(owner, claim))
            assert self.run(self.everything(store)) == before
            return
        self.run(self.end(owner, claim))
        self.held[row] = self.clock.now
        if not (self.kind == "timer" and asked) and row not in self.asked:
            self.waiting.discard(row)
        self.asked.discard(row)

    async def end(self, owner, claim):
        """Complete the claimed work."""
        if self.kind == "request":
            await self.stores[owner].inbox.finish(claim.request.id)
        elif self.kind == "message":
            await self.stores[owner].outbox.mark_posted(claim, "C0DATA", f"{claim.id}.1", self.clock.now)
        else:
            await self.timers[owner].finish(claim, None)

    @rule(owner=st.sampled_from(OWNERS))
    def release(self, owner):
        """A stopping process releases what it holds."""
        self.run(self.stores[owner].release())
        self.run(self.timers[owner].release(self.clock.now))
        for who, claim in self.claims:
            if who == owner and self.newest[row_of(claim)] is claim:
                self.held[row_of(claim)] = self.clock.now
                if self.kind == "timer":  # a released timer has no holder
                    self.newest[row_of(claim)] = None


def hold(machine, **attributes):
    """Run a state machine on a database."""
    run_state_machine_as_test(
        type(machine.__name__, (machine,), attributes),
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_claims_hold_whatever_happens(database_url):
    """A process can't save a run that another one took over, and each thread gets its outcome once."""
    hold(Claims, url=database_url)


@pytest.mark.parametrize("kind", KINDS)
def test_each_piece_of_work_has_one_holder(database_url, kind):
    """No two processes hold a request, message or timer, and a frozen process writes nothing."""
    hold(Pieces, url=database_url, kind=kind)
