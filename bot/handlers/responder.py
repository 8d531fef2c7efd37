"""Answers requests: takes them from the inbox one by one, and passes each to its handler."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog

from bot.core import blocks
from bot.core.blocks.phrases import went_wrong
from bot.core.commands.catalog import Command, HelpCommand, StatusCommand, command_name
from bot.core.commands.presses import Press
from bot.core.commands.text import parse_command, parse_mention
from bot.core.errors import ClaimLost, FlokitDenied, FlokitError, FlokitNotConnected, SlackError, StoreUnavailable
from bot.core.incidents.sample import is_sample
from bot.core.nicknames import Nicknames
from bot.core.requests import Request, RequestKind
from bot.core.typed import readings
from bot.handlers.answers import Answers
from bot.handlers.feature import Asked, Handler
from bot.handlers.permits import Answered
from bot.observability.context import Context
from bot.observability.telemetry import following
from bot.store.ids import new_id
from bot.store.inbox import RequestClaim
from bot.store.store import Store

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 5
"""How often a request is taken up without an end: it may be what ends the process each time."""

RENEWED_AT: Final = 1 / 3
"""The share of a lease after which it's renewed: two attempts can fail before it expires."""

REQUEST_LIVES: Final = timedelta(minutes=25)
"""An older request isn't acted on anymore: its response_url is about to expire, and the situation has changed."""

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
"""Between two attempts, while Slack can't say who asks; the first also after the database couldn't be reached."""

TOO_LATE: Final = (
    "I was offline when you sent this, and it's too old to act on now. Nothing was started; please try again."
)

NEWS: Final = frozenset(
    {RequestKind.CHANNEL, RequestKind.HOME, RequestKind.INSTALLED, RequestKind.CONNECTED, RequestKind.KEY_LOST}
)
"""Requests that are never too old, and whose answer no one waits for."""


class Responder:
    """Answers the saved requests of one workspace. If one fails unexpectedly, the person gets the error's ID.

    Args:
        store, answers, context: what it works with.
        find: returns the function for a request other than ``help``.
        nicknames: returns what people call the integrations.
        of_many: whether it's one of many workspaces, which have commands more.
    """

    def __init__(
        self,
        store: Store,
        answers: Answers,
        find: Callable[[Asked], Handler],
        context: Context,
        *,
        nicknames: Callable[[], Awaitable[Nicknames]],
        of_many: bool = False,
    ) -> None:
        self._store = store
        self._answers = answers
        self._find = find
        self._nicknames = nicknames
        self._of_many = of_many
        self._context = context
        self._clock = context.clock
        self._telemetry = context.telemetry
        self._in_hand: set[str] = set()

    async def answer(self, claim: RequestClaim) -> None:
        """Answer one request, unless this process is already doing so: then the claim renewed its expired lease."""
        if claim.request.id not in self._in_hand:
            async with self._holding(claim.request.id):
                await self._answer(claim)

    @contextlib.asynccontextmanager
    async def _holding(self, request_id: str) -> AsyncIterator[None]:
        """Renew the lease until the work is done: two slow lookups in Slack take longer than a lease."""
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
            with contextlib.suppress(StoreUnavailable):  # the next attempt comes before the lease expires
                await self._store.inbox.renew(request_id, self._clock())

    async def _answer(self, claim: RequestClaim) -> None:
        request, origin = claim.request, claim.request.origin
        with following(
            self._telemetry, "answer", request.cause, user_id=origin.person.id, channel_id=origin.channel_id
        ):
            if claim.attempts > MAX_ATTEMPTS:
                await self._give_up(request, new_id("err"), f"it was taken up {MAX_ATTEMPTS} times and never finished")
                return
            try:
                await self._handle(request)
            except StoreUnavailable:
                with contextlib.suppress(StoreUnavailable):  # then it's claimed again when its lease expires
                    await self._store.inbox.retry(request.id, self._clock() + timedelta(seconds=FIRST_PAUSE_S))
                raise
            except ClaimLost:
                raise
            except Exception as error:
                if isinstance(error, SlackError) and error.retryable:
                    log.warning("request_postponed", code=error.code, error=str(error))
                    await self._postpone(request, getattr(error, "retry_after_s", None))
                    return
                error_id = new_id("err")
                self._telemetry.fault("request")
                log.exception("request_failed", error_id=error_id)
                await self._give_up(request, error_id, "see the traceback before this line")

    async def _handle(self, request: Request) -> None:
        if request.kind not in NEWS and self._clock() - request.received_at > REQUEST_LIVES:
            await self._answers.note(request, blocks.plain_message(TOO_LATE))
            return
        asked = request.press or await self._read_name(self._read(request))
        key: Asked = asked.action if isinstance(asked, Press) else type(asked) if asked else request.kind
        if isinstance(asked, Press) and is_sample(asked):
            await self._answers.note(request, blocks.plain_message(blocks.SAMPLE))
            return
        handler: Handler = self._help if key is HelpCommand else self._find(key)
        try:
            await handler(request, asked)
        except Answered:
            pass
        except FlokitNotConnected as error:
            await self._answers.note(
                request, blocks.not_connected_message(error.sentence, command=self._context.command)
            )
        except FlokitDenied as error:
            await self._answers.note(request, blocks.access_lost_message(error.sentence, error.vendor_words))
        except FlokitError as error:
            await self._answers.note(request, blocks.flokit_away_message(error.sentence, error.vendor_words))
        self._count(request, asked)

    def _read(self, request: Request) -> Command | None:
        bot_user_id, command = self._context.bot_user_id, self._context.command
        if request.kind is RequestKind.MENTION:
            return parse_mention(request.text, bot_user_id, command=command)
        if request.kind is RequestKind.COMMAND:
            return parse_command(request.text, command=command, bot_user_id=bot_user_id)
        return None

    async def _read_name(self, command: Command | None) -> Command | None:
        """Read a name alone as a filter, as a type alone is read."""
        if isinstance(command, HelpCommand) and command.not_understood:
            nicknames = await self._nicknames()
            for reading in readings(command.not_understood):
                if nicknames.called(reading):
                    return StatusCommand(reading)
        return command

    def _count(self, request: Request, asked: Command | Press | None) -> None:
        if isinstance(asked, Press):
            self._telemetry.asked(button=asked.action)
        elif asked:
            self._telemetry.asked(command=command_name(asked))
        elif request.kind is RequestKind.FORM:
            self._telemetry.asked(command="subscribe")

    async def _help(self, request: Request, command: HelpCommand) -> None:
        await self._answers.note(
            request, blocks.help_message(command, command=self._context.command, of_many=self._of_many)
        )

    async def _give_up(self, request: Request, error_id: str, reason: str) -> None:
        log.error("request_given_up", error_id=error_id, reason=reason)
        if request.kind in NEWS:
            await self._answers.none(request)
        else:
            await self._answers.note(request, blocks.plain_message(went_wrong(error_id, "Nothing was started.")))

    async def _postpone(self, request: Request, after_s: float | None) -> None:
        """Answer later, because it isn't known who asks, and no one gets access for that reason."""
        waited_s = (self._clock() - request.received_at).total_seconds()
        pause_s = max(after_s or 0.0, min(max(waited_s, FIRST_PAUSE_S), LONGEST_PAUSE_S))
        await self._store.inbox.retry(request.id, self._clock() + timedelta(seconds=pause_s))
