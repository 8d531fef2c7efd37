"""Follows runs from click to outcome: claim, look or trigger, decide, save. It asks FloKit; it never talks to Slack."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from bot.core.errors import (
    ClaimLost,
    FlokitBudgetSpent,
    FlokitDenied,
    FlokitError,
    FlokitMissing,
    FlokitNotSent,
    FlokitRateLimited,
    FlokitRefused,
    FlokitUnreachable,
    StoreUnavailable,
)
from bot.core.models import (
    Decision,
    Denied,
    Look,
    Missing,
    Outcome,
    Phase,
    Seen,
    SyncRun,
    TriggerDenied,
    TriggerLost,
    TriggerNotSent,
    TriggerRefused,
    TriggerReply,
    Unreachable,
)
from bot.core.outcome import attempt, decide, postpone, stumble
from bot.flokit import SHARED_WITHIN_S, Priority
from bot.store.ids import new_id
from bot.telemetry import SILENT, following

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from bot.core.models import Observation
    from bot.flokit import FlokitClient, Listing
    from bot.store.runs import RunClaim
    from bot.store.store import Store
    from bot.telemetry import Telemetry

log = structlog.get_logger(__name__)


Batch: TypeAlias = "Sequence[RunClaim]"
"""Runs that one look serves."""


class SharedListing:
    """Lists a workspace's integrations when the first run asks; all others of the batch get the same, or its error."""

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, Listing]]) -> None:
        self._fetch = fetch
        self._task: asyncio.Task[Listing] | None = None

    async def get(self) -> Listing:
        """Return the listing."""
        if self._task is None:
            self._task = asyncio.create_task(self._fetch())
        return await self._task


class Follower:
    """Acts on what the worker hands it. Runs of a batch share a look; each is decided and saved for itself."""

    def __init__(
        self, store: Store, flokit: FlokitClient, *, clock: Callable[[], datetime], telemetry: Telemetry = SILENT
    ) -> None:
        self._telemetry = telemetry
        self._store = store
        self._flokit = flokit
        self._clock = clock

    async def claim(self, now: datetime, limit: int) -> list[Batch]:
        """Take what is due: a click's run alone, the others of a workspace together."""
        batches: dict[str, list[RunClaim]] = {}
        for claim in await self._store.claim_runs(now, limit):
            run = claim.run
            batches.setdefault(run.team_id if run.is_watched else run.id, []).append(claim)
        return list(batches.values())

    async def follow(self, batch: Batch) -> None:
        """Take each run of a batch one step further and save what follows from it.

        Raises:
            ExceptionGroup: what went wrong with some of them; the others are saved.
        """
        listing = SharedListing(partial(self._list, batch)) if len(batch) > 1 else None
        ended = await asyncio.gather(*(self._follow(claim, listing) for claim in batch), return_exceptions=True)
        errors = [error for error in ended if isinstance(error, Exception)]
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(batch)} runs were not saved", errors)

    async def _follow(self, claim: RunClaim, listing: SharedListing | None) -> None:
        run = claim.run
        with following(self._telemetry, "follow", run.cause, run_id=run.id, integration_id=run.integration_id):
            await self._step_safely(claim, listing)

    async def _step_safely(self, claim: RunClaim, listing: SharedListing | None) -> None:
        """Take the step; a fault of ours is shown with its id, and must not end the watch."""
        try:
            await self._step(claim, listing)
        except (StoreUnavailable, ClaimLost):
            raise
        except Exception:
            error_id = new_id("err")
            self._telemetry.fault("run")
            log.exception("run_failed", error_id=error_id)
            await self._save(claim, stumble(claim.run, error_id, self._clock()))

    async def _step(self, claim: RunClaim, listing: SharedListing | None) -> None:
        run = claim.run
        try:
            seen = await self._look(run, listing)
        except FlokitBudgetSpent as error:
            await self._save(claim, postpone(run, error.retry_after_s or 1.0, str(error), self._clock()))
            return
        decision = self._decide(run, seen)
        if decision.run.outcome is Outcome.SUCCEEDED:
            decision = await self._with_statistics(run, decision)
        if decision.run.phase is Phase.TRIGGER:
            claim, decision = await self._attempt(claim, decision.run)
        await self._save(claim, decision)

    async def _attempt(self, claim: RunClaim, run: SyncRun) -> tuple[RunClaim, Decision]:
        """Send the POST, once its attempt is saved: whoever finds the run after a crash knows that it may be out."""
        now = self._clock()
        attempted = attempt(run, now)
        claim = await self._store.save(claim, Decision(attempted, now), now, keep_claim=True)
        if self._clock() >= claim.lease_until:  # this process stood still: another may have taken over
            raise ClaimLost("the lease ended before the POST")
        reply = await self._trigger(attempted)
        log.info("sync_triggered", reply=type(reply).__name__, attempt=attempted.attempts)
        return claim, self._decide(attempted, reply)

    def _decide(self, run: SyncRun, observation: Observation) -> Decision:
        with self._telemetry.tracer.span("decide", about={"observation": type(observation).__name__}):
            decision = decide(run, observation, self._clock())
            self._telemetry.tracer.note(phase=decision.run.phase, outcome=decision.run.outcome)
            return decision

    async def _save(self, claim: RunClaim, decision: Decision) -> None:
        await self._store.save(claim, decision, self._clock())
        run = decision.run
        if run.outcome and run.outcome is not claim.run.outcome:
            log.info("sync_ended", outcome=run.outcome)
            took = (run.ended_at or self._clock()) - run.requested_at
            self._telemetry.run_ended(run.outcome, run.integration_type, took.total_seconds())

    # FloKit's answers as observations

    async def _look(self, run: SyncRun, listing: SharedListing | None) -> Look:
        try:
            if listing:
                return await self._look_in(await listing.get(), run)
            return await self._look_at_one(run)
        except FlokitMissing:
            return Missing()
        except FlokitDenied as error:
            return Denied(error.http_status, str(error))
        except FlokitBudgetSpent:
            raise
        except FlokitUnreachable as error:
            return Unreachable(str(error), error.retry_after_s)
        except FlokitError as error:
            return Unreachable(str(error))

    async def _list(self, batch: Batch) -> Listing:
        max_age_s = min(_max_age_s(claim.run) for claim in batch)
        return await self._flokit.fetch_integrations(priority=Priority.FOLLOW_UP, max_age_s=max_age_s)

    async def _look_in(self, listing: Listing, run: SyncRun) -> Seen:
        """Find a run in a listing. One that is not there is asked for by name before it counts as gone."""
        for integration in listing.integrations:
            if integration.id == run.integration_id:
                return Seen(integration, listing.vendor_at)
        return await self._look_at_one(run)

    async def _look_at_one(self, run: SyncRun) -> Seen:
        priority = Priority.CLICK if run.phase is Phase.BASELINE else Priority.FOLLOW_UP
        detail = await self._flokit.fetch_integration(run.integration_id, priority=priority, max_age_s=_max_age_s(run))
        return Seen(detail.integration, detail.vendor_at)

    async def _with_statistics(self, run: SyncRun, decision: Decision) -> Decision:
        """A listing carries no event counts: ask once for them, so that the outcome can tell how many came in."""
        seen = decision.run.last_seen
        if run.baseline is None or run.baseline.stats is None or seen is None or seen.stats is not None:
            return decision
        try:
            detail = await self._flokit.fetch_integration(run.integration_id, priority=Priority.FOLLOW_UP)
        except FlokitError:
            return decision
        return replace(decision, run=replace(decision.run, last_seen=replace(seen, stats=detail.integration.stats)))

    async def _trigger(self, run: SyncRun) -> TriggerReply:
        try:
            return await self._flokit.trigger_sync(run.integration_id, idempotency_key=run.id)
        except FlokitMissing:
            return Missing()
        except FlokitDenied as error:
            return TriggerDenied(error.http_status, str(error))
        except (FlokitNotSent, FlokitRateLimited) as error:
            return TriggerNotSent(str(error), error.retry_after_s)
        except FlokitRefused as error:
            return TriggerRefused(error.http_status, str(error))
        except FlokitError as error:
            return TriggerLost(str(error))


def _max_age_s(run: SyncRun) -> float:
    """How old a look may be that others share with us: a baseline must not be older than the decision to trigger."""
    return 0.0 if run.phase is Phase.BASELINE else min(SHARED_WITHIN_S, run.patience.first_look_s / 2)
