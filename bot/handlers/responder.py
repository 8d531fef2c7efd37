"""Answers what people asked: takes saved requests one by one and has the router do them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

import structlog

from bot.core.errors import ClaimLost, SlackError, StoreUnavailable
from bot.core.requests import Request
from bot.handlers.requests import Router
from bot.observability.telemetry import SILENT, Telemetry, following
from bot.store.ids import new_id
from bot.store.inbox import RequestClaim
from bot.store.store import Store

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 3

RENEWED_AT: Final = 1 / 3
"""The share of a lease after which it is renewed: two tries may fail before it ends."""


class Responder:
    """Does saved requests; one that fails unexpectedly is apologised for, under an id that is in the log."""

    def __init__(
        self, router: Router, store: Store, *, clock: Callable[[], datetime], telemetry: Telemetry = SILENT
    ) -> None:
        self._router = router
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._in_hand: set[str] = set()

    async def answer(self, claim: RequestClaim) -> None:
        """Answer one request, unless this process is just doing so: then its lease ended, and the claim renewed it."""
        if claim.request.id not in self._in_hand:
            async with self._holding(claim.request.id):
                await self._answer(claim)

    @contextlib.asynccontextmanager
    async def _holding(self, request_id: str) -> AsyncIterator[None]:
        """Renew the lease until the work is done: two slow look-ups at Slack take longer than it lasts."""
        self._in_hand.add(request_id)
        renewing = asyncio.create_task(self._keep_renewing(request_id))
        try:
            yield
        finally:
            self._in_hand.discard(request_id)
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _keep_renewing(self, request_id: str) -> None:
        while True:
            await asyncio.sleep(self._store.lease_s * RENEWED_AT)
            with contextlib.suppress(StoreUnavailable):  # the next try comes before the lease ends
                await self._store.inbox.renew(request_id, self._clock())

    async def _answer(self, claim: RequestClaim) -> None:
        request = claim.request
        origin = request.origin
        with following(
            self._telemetry, "answer", request.cause, user_id=origin.person.id, channel_id=origin.channel_id
        ):
            if claim.attempts > MAX_ATTEMPTS:
                reason = "the process ended each time while this was being answered"
                await self._apologise(request, new_id("err"), reason)
                return
            try:
                await self._router.answer(request)
            except (StoreUnavailable, ClaimLost):
                raise
            except Exception as error:
                if isinstance(error, SlackError) and error.retryable:
                    log.warning("request_postponed", code=error.code, error=str(error))
                    await self._router.postpone(request, getattr(error, "retry_after_s", None))
                    return
                error_id = new_id("err")
                self._telemetry.fault("request")
                log.exception("request_failed", error_id=error_id)
                await self._apologise(request, error_id, "see the traceback before this line")

    async def _apologise(self, request: Request, error_id: str, reason: str) -> None:
        log.error("request_given_up", error_id=error_id, reason=reason)
        await self._router.apologise(request, error_id)
