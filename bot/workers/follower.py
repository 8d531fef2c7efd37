"""Follows runs from click to outcome: claim, check or trigger, decide, save. It calls FloKit, and never Slack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

import structlog

from bot.core.errors import (
    ClaimLost,
    FlokitAway,
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
    Integration,
    Listed,
    Look,
    Missing,
    Observation,
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
from bot.core.runs.outcome import attempt, decide, is_hidden_by, needs_proof, postpone, probe_of, stumble
from bot.flokit import SHARED_WITHIN_S, FlokitClient, Listing, Priority
from bot.observability.context import Context
from bot.observability.telemetry import following
from bot.store.ids import new_id
from bot.store.run_rows import RunClaim
from bot.store.store import Store

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

Batch: TypeAlias = "Sequence[RunClaim]"
"""How many runs one check serves."""


class Once(Generic[_T]):
    """Runs something when it's first needed; later callers get the same result, or its error."""

    def __init__(self, do: Callable[[], Coroutine[Any, Any, _T]]) -> None:
        self._do = do
        self._task: asyncio.Task[_T] | None = None

    async def get(self) -> _T:
        """Return the result."""
        if self._task is None:
            self._task = asyncio.create_task(self._do())
        return await self._task


class Overview:
    """The requests that a batch shares: a list, and one integration by itself, which shows what the list may hide."""

    def __init__(
        self,
        runs: Sequence[SyncRun],
        fetch_list: Callable[[], Coroutine[Any, Any, Listing]],
        fetch_page: Callable[[SyncRun], Coroutine[Any, Any, Seen]],
        clock: Callable[[], datetime],
    ) -> None:
        probe = probe_of(runs)
        self._probe = probe or runs[0]
        self._clock = clock
        self.probe_id = probe.id if probe else ""
        """The run whose page is read whatever the list says."""
        self.listing = Once(fetch_list)
        self.page = Once(partial(fetch_page, self._probe))
        self._hides = Once(self._compare)
        self._page_works = Once(self._try_page)

    async def hides(self) -> bool:
        """Return whether the list hides something: then all integrations must be fetched by themselves."""
        return bool(self.probe_id) and await self._hides.get()

    async def fails_alone(self) -> bool:
        """Return whether FloKit returns single integrations although it returns no list."""
        return await self._page_works.get()

    async def _compare(self) -> bool:
        try:
            seen = await self.page.get()
        except FlokitError:
            return False
        hint = find(await self.listing.get(), self._probe)
        return is_hidden_by(hint, self._probe, seen, self._clock())

    async def _try_page(self) -> bool:
        try:
            await self.page.get()
        except FlokitMissing:
            return True
        except FlokitError:
            return False
        return True


def find(listing: Listing, run: SyncRun) -> Integration | None:
    """Find a run's integration in a list."""
    return next((one for one in listing.integrations if one.id == run.integration_id), None)


async def claim_batches(store: Store, now: datetime, limit: int, full: Collection[str] = ()) -> list[Batch]:
    """Take what is due: a click's run alone, the others of a workspace together."""
    batches: dict[str, list[RunClaim]] = {}
    for claim in await store.runs.claim(now, limit, full):
        run = claim.run
        batches.setdefault(run.team_id if run.is_watched else run.id, []).append(claim)
    return list(batches.values())


class Follower:
    """Handles what the worker claims. Runs of a batch share a check; each is decided and saved separately."""

    def __init__(self, store: Store, flokit: FlokitClient, context: Context) -> None:
        self._telemetry = context.telemetry
        self._store = store
        self._flokit = flokit
        self._clock = context.clock

    async def follow(self, batch: Batch) -> None:
        """Take each run of a batch one step further and save the result.

        Raises:
            ExceptionGroup: what went wrong with some of them; the others are saved.
        """
        overview = self._overview(batch) if len(batch) > 1 else None
        ended = await asyncio.gather(*(self._follow(claim, overview) for claim in batch), return_exceptions=True)
        errors = [error for error in ended if isinstance(error, Exception)]
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(batch)} runs were not saved", errors)

    async def _follow(self, claim: RunClaim, overview: Overview | None) -> None:
        run = claim.run
        with following(self._telemetry, "follow", run.cause, run_id=run.id, integration_id=run.integration_id):
            await self._safely(claim, partial(self._step, claim, overview))

    async def _safely(self, claim: RunClaim, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take a step under a claim; a bug is shown with its ID, and must not stop the follow-up."""
        try:
            await step()
        except (StoreUnavailable, ClaimLost):
            raise
        except Exception:
            error_id = new_id("err")
            self._telemetry.fault("run")
            log.exception("run_failed", error_id=error_id)
            await self._save(claim, stumble(claim.run, error_id, self._clock()))

    async def _step(self, claim: RunClaim, overview: Overview | None) -> None:
        run = claim.run
        try:
            seen = await self._look(run, overview)
        except FlokitBudgetSpent as error:
            await self._save(claim, postpone(run, error.retry_after_s or 1.0, str(error), self._clock()))
            return
        decision = self._decide(run, seen)
        if decision.run.phase is Phase.TRIGGER:
            claim = await self._save_attempt(claim, decision.run)
            await self._safely(claim, partial(self._attempt, claim))  # the earlier claim can no longer save
        else:
            await self._save(claim, decision)

    async def _save_attempt(self, claim: RunClaim, run: SyncRun) -> RunClaim:
        """Save that a POST is about to be sent: after a crash, the next process knows that it may have been."""
        now = self._clock()
        return await self._store.runs.save(claim, Decision(attempt(run, now), now), now, keep_claim=True)

    async def _attempt(self, claim: RunClaim) -> None:
        """Send the POST, and save what its reply means."""
        if self._clock() >= claim.lease_until:  # this process froze: another may have taken over
            raise ClaimLost("the lease ended before the POST")
        reply = await self._trigger(claim.run)
        log.info("sync_triggered", reply=type(reply).__name__, attempt=claim.run.attempts)
        await self._save(claim, self._decide(claim.run, reply))

    def _decide(self, run: SyncRun, observation: Observation) -> Decision:
        with self._telemetry.tracer.span("decide", about={"observation": type(observation).__name__}):
            decision = decide(run, observation, self._clock())
            self._telemetry.tracer.note(phase=decision.run.phase, outcome=decision.run.outcome)
            return decision

    async def _save(self, claim: RunClaim, decision: Decision) -> None:
        await self._store.runs.save(claim, decision, self._clock())
        run = decision.run
        if run.outcome and run.outcome is not claim.run.outcome:
            log.info("sync_ended", outcome=run.outcome)
            took = (run.ended_at or self._clock()) - run.requested_at
            self._telemetry.run_ended(run.outcome, run.integration_type, took.total_seconds())

    # FloKit's answers as observations

    async def _look(self, run: SyncRun, overview: Overview | None) -> Look:
        try:
            return await (self._look_in(overview, run) if overview else self._look_at_page(run))
        except FlokitMissing:
            return Missing()
        except FlokitDenied as error:
            return Denied(error.http_status, error.sentence, error.vendor_words)
        except FlokitBudgetSpent:
            raise
        except FlokitUnreachable as error:
            return Unreachable(error.sentence, error.retry_after_s, error.vendor_words)
        except FlokitError as error:
            return Unreachable(error.sentence, vendor_words=error.vendor_words)

    def _overview(self, batch: Batch) -> Overview:
        runs = [claim.run for claim in batch]
        return Overview(runs, partial(self._list, runs), partial(self._look_at_page, max_age_s=0.0), self._clock)

    async def _list(self, runs: Sequence[SyncRun]) -> Listing:
        max_age_s = min(map(_max_age_s, runs))
        return await self._flokit.fetch_integrations(priority=Priority.FOLLOW_UP, max_age_s=max_age_s)

    async def _look_in(self, overview: Overview, run: SyncRun) -> Seen | Listed:
        """Find a run in a list; if only the integration itself can prove something, or it's missing, fetch that."""
        try:
            listing = await overview.listing.get()
        except (FlokitRateLimited, FlokitAway):
            raise
        except FlokitError:
            if not await overview.fails_alone():
                raise
            return await self._look_at_page(run)
        hint = find(listing, run)
        if run.id == overview.probe_id:
            seen = await overview.page.get()
        elif hint is None or needs_proof(run, hint, self._clock()) or await overview.hides():
            seen = await self._look_at_page(run, max_age_s=0.0)  # cached data is older than the hint
        else:
            return Listed(hint, listing.vendor_at)
        return replace(seen, hinted=hint)

    async def _look_at_page(self, run: SyncRun, max_age_s: float | None = None) -> Seen:
        detail = await self._flokit.fetch_integration(
            run.integration_id,
            priority=Priority.CLICK if run.phase is Phase.BASELINE and not run.is_patient else Priority.FOLLOW_UP,
            max_age_s=_max_age_s(run) if max_age_s is None else max_age_s,
        )
        return Seen(detail.integration, detail.vendor_at)

    async def _trigger(self, run: SyncRun) -> TriggerReply:
        try:
            priority = Priority.FOLLOW_UP if run.is_patient else Priority.CLICK
            return await self._flokit.trigger_sync(run.integration_id, idempotency_key=run.id, priority=priority)
        except FlokitMissing as error:
            return await self._understand_404(run, error)
        except FlokitDenied as error:
            return TriggerDenied(error.http_status, error.sentence, error.vendor_words)
        except (FlokitNotSent, FlokitRateLimited) as error:
            return TriggerNotSent(error.sentence, error.retry_after_s)
        except FlokitRefused as error:
            return TriggerRefused(error.http_status, error.sentence, error.vendor_words)
        except FlokitError as error:
            return TriggerLost(error.sentence, error.vendor_words)

    async def _understand_404(self, run: SyncRun, error: FlokitMissing) -> TriggerReply:
        """Return whether an integration is gone, or FloKit shows it but has no way to sync it."""
        try:
            await self._look_at_page(run, max_age_s=0.0)
        except FlokitMissing:
            return Missing()
        except FlokitError:
            return TriggerNotSent(error.sentence)
        return TriggerRefused(404, "FloKit shows this integration, but has no sync for it (404).")


def _max_age_s(run: SyncRun) -> float:
    """Return how old a shared check can be: a baseline must not be older than the decision to trigger."""
    return 0.0 if run.phase is Phase.BASELINE else min(SHARED_WITHIN_S, run.patience.first_look_s / 2)
