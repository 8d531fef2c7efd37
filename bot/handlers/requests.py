"""Leads what people ask for to the handler that does it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bot.core import blocks
from bot.core.blocks.phrases import went_wrong
from bot.core.commands.catalog import Command, HelpCommand, command_name
from bot.core.commands.presses import Press
from bot.core.commands.text import parse_command, parse_mention
from bot.core.errors import FlokitDenied, FlokitError
from bot.core.requests import Request, RequestKind
from bot.handlers import Handlers
from bot.handlers.answers import Answers
from bot.observability.telemetry import SILENT, Telemetry
from bot.store.store import Store

REQUEST_LIVES: Final = timedelta(minutes=25)
"""An older request is not acted on any more: its response_url is about to end, and the world has moved."""

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
"""Between two tries to look up who asks, while Slack cannot be asked."""

TOO_LATE: Final = (
    "I was offline when you sent this, and it's too old to act on now. Nothing was started; please try again."
)

NEWS: Final = frozenset({RequestKind.CHANNEL, RequestKind.HOME})
"""What is never too late to act on, and what nobody waits to be answered."""


class Router:
    """Answers the requests of one workspace."""

    def __init__(
        self,
        store: Store,
        answers: Answers,
        handlers: Handlers,
        *,
        clock: Callable[[], datetime],
        command: str,
        bot_user_id: str,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self._store = store
        self._answers = answers
        self._handlers: Handlers = {**handlers, HelpCommand: self._help}
        self._clock = clock
        self._command = command
        self._bot_user_id = bot_user_id
        self._telemetry = telemetry

    async def answer(self, request: Request) -> None:
        """Do what a saved request asks for, and save the answer.

        Raises:
            SlackError: who asks cannot be looked up now; ``retryable``. Nothing was done.
        """
        if request.kind not in NEWS and self._clock() - request.received_at > REQUEST_LIVES:
            await self._answers.note(request, blocks.plain_message(TOO_LATE))
            return
        asked = request.press or self._read(request)
        key = asked.action if isinstance(asked, Press) else type(asked) if asked else request.kind
        try:
            await self._handlers[key](request, asked)
        except FlokitDenied as error:
            await self._answers.note(request, blocks.access_lost_message(str(error)))
        except FlokitError as error:
            await self._answers.note(request, blocks.flokit_away_message(str(error)))
        self._count(request, asked)

    def _read(self, request: Request) -> Command | None:
        if request.kind is RequestKind.MENTION:
            return parse_mention(request.text, self._bot_user_id, command=self._command)
        if request.kind is RequestKind.COMMAND:
            return parse_command(request.text, command=self._command, bot_user_id=self._bot_user_id)
        return None

    def _count(self, request: Request, asked: Command | Press | None) -> None:
        if isinstance(asked, Press):
            self._telemetry.asked(button=asked.action)
        elif asked:
            self._telemetry.asked(command=command_name(asked))
        elif request.kind is RequestKind.FORM:
            self._telemetry.asked(command="subscribe")

    async def _help(self, request: Request, command: HelpCommand) -> None:
        await self._answers.note(request, blocks.help_message(command, command=self._command))

    async def apologise(self, request: Request, error_id: str) -> None:
        """Answer a request that an unexpected error ended; the id is in the log."""
        if request.kind in NEWS:
            await self._answers.none(request)
            return
        await self._answers.note(request, blocks.plain_message(went_wrong(error_id, "Nothing was started.")))

    async def postpone(self, request: Request, after_s: float | None = None) -> None:
        """Answer a request later: who asks could not be looked up, and nobody is let in for that reason."""
        waited_s = (self._clock() - request.received_at).total_seconds()
        pause_s = max(after_s or 0.0, min(max(waited_s, FIRST_PAUSE_S), LONGEST_PAUSE_S))
        await self._store.inbox.retry(request.id, self._clock() + timedelta(seconds=pause_s))
