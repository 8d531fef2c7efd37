"""Opening forms, and looking up whoever submits one while Slack waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

import structlog

from bot.core import blocks
from bot.core.commands.presses import fits_in_a_button
from bot.core.errors import SlackError
from bot.core.models import Message
from bot.core.requests import Request
from bot.handlers.answers import Answers
from bot.slack.client import SlackClient

log = structlog.get_logger(__name__)

T = TypeVar("T")

DECIDED_WITHIN_S: Final = 0.7
"""How long Slack may take to say who submits a form; it was asked when the form was opened, too."""

NOT_OPENED: Final = "The form didn't open in time. Please try again."
SLOW_SLACK: Final = "I couldn't look you up in Slack in time, so nothing was saved. Please try again."


class Forms:
    """Opens forms, which answers the requests for them."""

    def __init__(self, slack: SlackClient, answers: Answers) -> None:
        self._slack = slack
        self._answers = answers

    async def open(
        self,
        request: Request,
        view: dict[str, object],
        *,
        is_kept: bool = False,
        on_top: bool = False,
        otherwise: Message | None = None,
    ) -> None:
        """Open a form.

        Args:
            request: the click or the command.
            view: https://docs.slack.dev/reference/views/modal-views
            is_kept: the form refers to the request, which is kept for when it's submitted.
            on_top: the request is a click in another form, which stays open below.
            otherwise: the answer if it's too late to open a form.
        """
        could_be_kept = fits_in_a_button(request.id) or not is_kept
        if could_be_kept and await self._shows(request, view, on_top=on_top):
            await self._answers.none(request, is_kept=is_kept)
        else:
            await self._answers.note(request, otherwise or blocks.plain_message(NOT_OPENED))

    async def _shows(self, request: Request, view: dict[str, object], *, on_top: bool) -> bool:
        show = self._slack.push_view if on_top else self._slack.open_view
        try:
            await show(request.id, view)
        except SlackError as error:
            log.info("form_not_opened", code=error.code)
            return False
        return True


async def in_time(lookup: Awaitable[T]) -> T | None:
    """Look up in Slack who submits a form; None if Slack doesn't answer in time."""
    try:
        async with asyncio.timeout(DECIDED_WITHIN_S):
            return await lookup
    except (SlackError, TimeoutError):
        return None
