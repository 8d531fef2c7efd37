"""Answers what people asked: takes saved requests one by one and has ``actions`` do them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from bot.core.errors import ClaimLost, StoreUnavailable
from bot.store.ids import new_id

if TYPE_CHECKING:
    from bot.actions import Actions
    from bot.core.requests import Request
    from bot.store.store import RequestClaim

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 3


class Responder:
    """Does saved requests; one that fails unexpectedly is apologised for, under an id that is in the log."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions

    async def answer(self, claim: RequestClaim) -> None:
        """Answer one request."""
        request = claim.request
        with structlog.contextvars.bound_contextvars(
            request_id=request.id, user_id=request.origin.person.id, channel_id=request.origin.channel_id
        ):
            if claim.attempts > MAX_ATTEMPTS:
                await self._apologise(request, "the process ended each time while this was being answered")
                return
            try:
                await self._actions.answer(request)
            except (StoreUnavailable, ClaimLost):
                raise
            except Exception:
                log.exception("request_failed")
                await self._apologise(request, "see the traceback before this line")

    async def _apologise(self, request: Request, reason: str) -> None:
        error_id = new_id("err")
        log.error("request_given_up", error_id=error_id, reason=reason)
        await self._actions.apologise(request, error_id)
