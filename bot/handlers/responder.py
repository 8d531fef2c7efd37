"""Answers what people asked: takes saved requests one by one and has ``actions`` do them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from bot.core.errors import ClaimLost, SlackError, StoreUnavailable
from bot.observability.telemetry import SILENT, following
from bot.store.ids import new_id

if TYPE_CHECKING:
    from bot.core.requests import Request
    from bot.handlers.requests import Actions
    from bot.observability.telemetry import Telemetry
    from bot.store.store import RequestClaim

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 3


class Responder:
    """Does saved requests; one that fails unexpectedly is apologised for, under an id that is in the log."""

    def __init__(self, actions: Actions, *, telemetry: Telemetry = SILENT) -> None:
        self._actions = actions
        self._telemetry = telemetry

    async def answer(self, claim: RequestClaim) -> None:
        """Answer one request."""
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
                await self._actions.answer(request)
            except (StoreUnavailable, ClaimLost):
                raise
            except Exception as error:
                if isinstance(error, SlackError) and error.retryable:
                    log.warning("request_postponed", code=error.code, error=str(error))
                    await self._actions.postpone(request, getattr(error, "retry_after_s", None))
                    return
                error_id = new_id("err")
                self._telemetry.fault("request")
                log.exception("request_failed", error_id=error_id)
                await self._apologise(request, error_id, "see the traceback before this line")

    async def _apologise(self, request: Request, error_id: str, reason: str) -> None:
        log.error("request_given_up", error_id=error_id, reason=reason)
        await self._actions.apologise(request, error_id)
