"""What every listener does with a request: save it, or answer the person if that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog

from bot.core import blocks
from bot.core.blocks.phrases import went_wrong
from bot.core.errors import BotError, SlackAstray, SlackError, StoreInDoubt, StoreUnavailable
from bot.core.forms.form import CheckedForm
from bot.core.models import Message
from bot.core.requests import Origin, Request
from bot.observability.context import Context
from bot.observability.telemetry import following
from bot.slack.client import SlackClient
from bot.store.ids import new_id

log = structlog.get_logger(__name__)

NOT_SAVED: Final = "I can't save this right now, so nothing was started. Please try again in a minute."

IN_DOUBT: Final = (
    "My database went away while I was saving this, so I don't know yet whether it went through. If it did, "
    "I'll let you know once the database is back; if you hear nothing within a few minutes, please try again."
)


class Reception:
    """Takes requests from the listeners of one workspace.

    If a request can't be saved, the refusal is sent from memory. It's the only thing here that a crash may lose, and it
    says that nothing was started, or that this isn't known.

    Args:
        save: saves a request, or raises StoreUnavailable (StoreInDoubt if it isn't known).
        slack: for refusals that can't be saved.
        context: the workspace.
        preview: shows in an open form what its choices would have reported.
        save_form: checks what is filled in a form and saves it, or returns what's wrong by input.
    """

    def __init__(
        self,
        save: Callable[[Request], Awaitable[object]],
        slack: SlackClient,
        context: Context,
        *,
        preview: Callable[[Origin, str, dict[str, Any]], Awaitable[None]],
        save_form: Callable[[CheckedForm, Request, Any], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._telemetry = context.telemetry
        self._save = save
        self._show_preview = preview
        self._save_form = save_form
        self._slack = slack
        self.context = context
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, request: Request) -> str:
        """Save a request and return ""; if that fails, return an error message for the person."""
        request = replace(request, traceparent=self._telemetry.tracer.traceparent())
        with following(self._telemetry, "take", request.cause):
            try:
                await self._save(request)
            except StoreInDoubt as error:
                log.warning("request_in_doubt", error=str(error))
                return IN_DOUBT
            except StoreUnavailable as error:
                log.warning("request_not_saved", error=str(error))
                return NOT_SAVED
            except Exception:
                self._telemetry.fault("listener")
                error_id = new_id("err")
                log.exception("request_not_taken", error_id=error_id)
                return went_wrong(error_id, "Nothing was started.")
            return ""

    async def save_form(self, form: CheckedForm, request: Request, filled: object) -> Mapping[str, str]:
        """Check and save what's filled in, while Slack waits; return error messages by input, {} if it worked."""
        with following(self._telemetry, form.name, request.cause):
            return await self._checked(self._save_form(form, request, filled), form.first)

    async def _checked(self, check: Awaitable[Mapping[str, str]], first: str) -> Mapping[str, str]:
        """Return what is wrong with an open form; trouble of our own is shown below its first input."""
        try:
            return await check
        except StoreInDoubt as error:
            log.warning("request_in_doubt", error=str(error))
            return {first: IN_DOUBT}
        except StoreUnavailable as error:
            log.warning("request_not_saved", error=str(error))
            return {first: NOT_SAVED}
        except Exception:
            self._telemetry.fault("listener")
            error_id = new_id("err")
            log.exception("request_not_taken", error_id=error_id)
            return {first: went_wrong(error_id, "Nothing was saved.")}

    def answer_soon(self, request: Request, sentence: str) -> None:
        """Send the person a message after an ack that can't carry one."""
        self._soon(self._answer(request, blocks.plain_message(sentence)))

    def preview_soon(self, origin: Origin, asked_id: str, view: dict[str, Any]) -> None:
        """Update a form's preview; failures are ignored."""
        self._soon(self._preview(origin, asked_id, view))

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _preview(self, origin: Origin, asked_id: str, view: dict[str, Any]) -> None:
        try:
            await self._show_preview(origin, asked_id, view)
        except BotError as error:
            log.info("preview_not_shown", error=str(error))
        except Exception:
            self._telemetry.fault("listener")
            log.exception("preview_failed")

    async def _answer(self, request: Request, message: Message) -> None:
        origin = request.origin
        try:
            if origin.response_url:
                await self._slack.respond(origin.response_url, message)
            else:
                await self._slack.post(origin.channel_id, message, thread_ts=origin.thread_ts)
        except SlackAstray:
            return  # the thread is gone, but the channel shows it
        except (SlackError, BotError) as error:
            log.warning("refusal_not_told", request_id=request.id, error=str(error))
