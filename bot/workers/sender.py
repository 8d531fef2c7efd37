"""Shows in Slack what the outbox says must be shown: posts, edits, and does what helps when Slack refuses.

A message that may have been posted already is looked for before it's posted again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeAlias

import structlog

from bot.core import blocks
from bot.core.blocks.phrases import went_wrong
from bot.core.errors import (
    ClaimLost,
    SlackAstray,
    SlackAuthLost,
    SlackError,
    SlackMessageGone,
    SlackNoAccess,
    StoreUnavailable,
)
from bot.core.incidents.reactions import Bulletin
from bot.core.models import Message
from bot.core.subscriptions.subscriptions import PauseReason
from bot.lookups.nicknames import Naming
from bot.observability.context import Context
from bot.observability.telemetry import following
from bot.slack.client import PACED, SlackClient
from bot.store import codec
from bot.store.ids import new_id
from bot.store.outbox_rows import PACED as PACED_KINDS
from bot.store.outbox_rows import Address, OutboxItem, OutboxKind
from bot.store.store import Store
from bot.workers.remedies import (
    Direct,
    Drop,
    GiveUp,
    Later,
    LeaveThread,
    Loss,
    PauseChannel,
    Plain,
    PostAnew,
    Privately,
    Remedy,
    is_blind,
    must_look_first,
    pause_s,
    remedy,
)

log = structlog.get_logger(__name__)

MESSAGE_EVENT: Final = "flokit_message"
"""Metadata of messages that have none of their own: with it, any post can be found again."""

MAX_FAULTS: Final = 3
_REDRAWN: Final = frozenset({OutboxKind.PROGRESS, OutboxKind.PANEL, OutboxKind.BULK})
"""What changes after it was posted: when it's found again, it may be out of date."""

RENEWED_AT: Final = 1 / 3
"""The share of a lease after which it's renewed: two attempts may fail before it ends."""

TAKEOVER_CHECKS: Final = 20
TAKEOVER_CHECK_S: Final = 0.5
"""How often, and how many seconds apart, we check whether the process that took a message over has posted it."""

CLOCK_TOLERANCE_S: Final = 60.0
"""Slack's clock may differ from ours, so we look for a post from this much earlier. Slack returns few messages at a
time, so no more than this; ``doctor`` reports a clock that is further off."""


OnClosed: TypeAlias = "Callable[[str, PauseReason], Awaitable[None]]"
"""Called with a channel in which the bot can no longer post what the channel subscribed to."""

OnRefused: TypeAlias = "Callable[[str], Awaitable[bool]]"
"""Called with a channel whose ID Slack refuses; returns True if everything due there moved to the channel's new ID."""


NOBODY: Final = frozenset({"user_not_found", "users_not_found"})
"""What Slack answers if there's no such person: nothing is lost that somebody would miss."""


class Sender:
    """Sends one claimed outbox row at a time, as often as the worker hands it one."""

    def __init__(
        self,
        store: Store,
        slack: SlackClient,
        context: Context,
        naming: Naming,
        *,
        on_closed: OnClosed,
        on_refused: OnRefused,
        ticket: str = "",
    ) -> None:
        self._telemetry = context.telemetry
        self._store = store
        self._slack = slack
        self._naming = naming
        self._clock = context.clock
        self._bot_user_id = context.bot_user_id
        self._on_closed = on_closed
        self._on_refused = on_refused
        self._command = context.command
        self._ticket = ticket
        self.auth_lost = ""
        """Slack's error code while it refuses our token; readiness reports it."""

    async def send(self, item: OutboxItem) -> None:
        """Show one row's newest version."""
        async with self._holding(item):
            await self._send(item)

    @contextlib.asynccontextmanager
    async def _holding(self, item: OutboxItem) -> AsyncIterator[None]:
        """Renew the lease until the message is shown: on a busy machine each attempt may take longer than it lasts."""
        shown = asyncio.Event()
        renewing = asyncio.create_task(self._keep_renewing(item, shown))
        try:
            yield
        finally:
            shown.set()  # a renewal that's under way ends first: canceled, it would cost a connection
            await asyncio.gather(renewing, return_exceptions=True)

    async def _keep_renewing(self, item: OutboxItem, shown: asyncio.Event) -> None:
        while not shown.is_set():
            try:
                async with asyncio.timeout(self._store.lease_s * RENEWED_AT):
                    await shown.wait()
            except TimeoutError:
                pass
            else:
                return
            try:
                await self._store.outbox.renew(item, self._clock())
            except ClaimLost:
                return
            except StoreUnavailable:
                continue  # the next attempt comes before the lease ends

    async def _send(self, item: OutboxItem) -> None:
        with structlog.contextvars.bound_contextvars(outbox_id=item.id, run_id=item.run_id, channel_id=item.channel_id):
            try:
                message = await self._render(item)
                if message is None:
                    await self._store.outbox.give_up(item)
                    return
                with following(self._telemetry, "show", message.cause, outbox_id=item.id, kind=item.kind):
                    await self._show_or_remedy(item, message)
            except (StoreUnavailable, ClaimLost):
                raise
            except Exception:
                error_id = new_id("err")
                self._telemetry.fault("message")
                log.exception("message_failed", error_id=error_id, kind=item.kind)
                await self._survive(item, error_id)

    async def _show_or_remedy(self, item: OutboxItem, message: Message) -> None:
        try:
            await self._show(item, message)
            if item.ts or not item.ephemeral:  # a response_url works without the token
                self.auth_lost = ""
        except SlackError as error:
            _log_refusal(item, error)
            if isinstance(error, SlackAuthLost):
                self.auth_lost = error.code
            if isinstance(error, SlackNoAccess) and item.channel_id and await self._on_refused(item.channel_id):
                return  # it's due in another channel now
            await self._apply(remedy(error, item, has_blocks=bool(message.blocks)), item, message, error.code)

    async def _apply(self, chosen: Remedy, item: OutboxItem, message: Message, code: str) -> None:
        match chosen:
            case Later():
                await self._postpone(item, chosen)
            case Plain():
                log.error("blocks_refused", kind=item.kind, code=code)
                await self._show_or_remedy(item, replace(message, blocks=()))
            case LeaveThread():
                if await self._belongs_in_thread_only(item):
                    await self._store.outbox.drop(item)
                else:
                    address = Address(item.team_id, item.channel_id, None, item.user_id)
                    await self._store.outbox.readdress(item, address, self._clock())
            case Privately():
                await self._answer_privately(item, message)
            case Direct():
                await self._send_directly(item)
            case PauseChannel(reason=reason):
                await (self._store.outbox.hold_back(item) if item.ts else self._store.outbox.give_up(item))
                await self._on_closed(item.channel_id or "", reason)
            case GiveUp(loss=Loss.UPDATE):
                log.warning("message_not_updated", kind=item.kind, code=code)
                await self._store.outbox.hold_back(item)
            case GiveUp(loss=loss):
                if loss is Loss.MESSAGE and code in NOBODY:
                    log.warning("reader_not_found", kind=item.kind, user_id=item.user_id)
                elif loss is Loss.MESSAGE:
                    log.error("message_not_shown", kind=item.kind, user_id=item.user_id)
                await self._store.outbox.give_up(item)
            case Drop():
                await self._store.outbox.drop(item)
            case PostAnew(in_thread=in_thread, otherwise=otherwise):
                if not await self._store.outbox.post_incident_again(item, self._clock(), in_thread=in_thread):
                    await self._apply(otherwise, item, message, code)

    async def _postpone(self, item: OutboxItem, later: Later) -> None:
        due_at = self._clock() + timedelta(seconds=later.seconds)
        await self._store.outbox.postpone(item, due_at, in_doubt=later.in_doubt, failed=later.counts)

    async def _survive(self, item: OutboxItem, error_id: str) -> None:
        """Try again after a bug of ours; if that doesn't help, show the error ID instead."""
        if item.failures + 1 < MAX_FAULTS:
            await self._postpone(item, Later(pause_s(item), in_doubt=item.ts is None))
            return
        then = f"Run {self._command} status for the current state."
        sentence = went_wrong(error_id, then, while_="I wrote this message")
        await self._show_or_remedy(item, blocks.plain_message(sentence))

    # Rendering

    async def _render(self, item: OutboxItem) -> Message | None:
        """Build the message as it must read now; None when there is nothing left to show."""
        now, nicknames = self._clock(), await self._naming.current()
        match item.kind:
            case OutboxKind.PROGRESS:
                view = await self._store.outbox.load_progress(item)
                if view is None or (not view.run.is_active and item.ts is None and not item.in_doubt):
                    return None  # it ended before its progress was posted: the outcome says it all
                progress = blocks.progress_message(
                    view.run, view.joined_by, now, nicknames, outbox_id=item.id, joined_here=view.joined_here
                )
                return replace(progress, cause=view.run.cause)
            case OutboxKind.OUTCOME:
                view = await self._store.outbox.load_outcome(item)
                ended = blocks.outcome_message(view.run, view.joined_by, now, nicknames, outbox_id=item.id)
                return replace(ended, cause=view.run.cause)
            case OutboxKind.PANEL | OutboxKind.BULK:
                drawn = await self._store.panels.load_view(item.panel_id or "")
                if drawn is None:
                    return None
                panel = blocks.panel_message(
                    *drawn, now, nicknames, command=self._command, outbox_id=item.id, ticket=self._ticket
                )
                return replace(panel, cause=drawn[0].cause)
            case OutboxKind.NOTE:
                return codec.load(Message, item.data or "")
            case OutboxKind.NEWS:
                return blocks.bulletin_message(codec.load(Bulletin, item.data or ""), now, nicknames)

    # Showing

    async def _show(self, item: OutboxItem, message: Message) -> None:
        if item.ts:
            await self._edit(item, item.channel_id or "", item.ts, message)
        elif item.ephemeral:
            await self._respond(item, message)
        else:
            await self._post(item, message)

    async def _edit(self, item: OutboxItem, channel_id: str, ts: str, message: Message) -> None:
        ends = message.metadata if item.kind is OutboxKind.BULK else None
        is_progress = item.kind in PACED_KINDS and not ends
        await self._slack.update(channel_id, ts, message, spare=is_progress, metadata=ends)
        await self._store.outbox.mark_shown(item, self._clock())

    async def _respond(self, item: OutboxItem, message: Message) -> None:
        """Show a message that only one person sees; without a living response_url it can no longer be changed."""
        if item.response_url is None:
            await self._store.outbox.give_up(item)
            return
        if item.panel_id and not message.only_for_one:
            message = blocks.with_invite_hint(message, self._bot_user_id, command=self._command)
        await self._slack.respond(item.response_url, message, replace=item.is_shown)
        await self._store.outbox.mark_shown(item, self._clock(), ephemeral=True)

    async def _post(self, item: OutboxItem, message: Message) -> None:
        channel_id = item.channel_id or await self._slack.open_direct(item.user_id or "")
        if item.in_doubt and await self._settle_doubt(item, channel_id):
            return
        if self._ends_soon(item):  # the look for it took long, or the machine is busy; the next claim would be as late
            item = await self._store.outbox.renew(item, self._clock())
        if self._ends_soon(item):
            return  # too late to post under this lease, too: the next process to claim it checks first
        if message.metadata is None:
            metadata: dict[str, object] = {"event_type": MESSAGE_EVENT, "event_payload": {"outbox_id": item.id}}
            message = replace(message, metadata=metadata)
        try:
            ts = await self._slack.post(
                channel_id, message, thread_ts=item.thread_ts, in_time=lambda: self._clock() < item.lease_until
            )
            await self._record(item, channel_id, ts)
        except SlackAstray as astray:
            await self._record_astray(item, channel_id, astray.ts)

    def _ends_soon(self, item: OutboxItem) -> bool:
        """Whether a lease may end before a post does, its turn included."""
        return self._clock() >= item.lease_until - timedelta(seconds=self._slack.longest_call_s)

    async def _record(self, item: OutboxItem, channel_id: str, ts: str) -> None:
        try:
            await self._store.outbox.mark_posted(item, channel_id, ts, self._clock())
        except ClaimLost:
            await self._take_back(item, channel_id, ts)
            raise

    async def _record_astray(self, item: OutboxItem, channel_id: str, ts: str) -> None:
        """Keep a reply that Slack put into the channel, and go on below it; or take it back if it isn't worth that.

        What can't be taken back is kept, too: then it is at least brought up to date.
        """
        if await self._belongs_in_thread_only(item):
            try:
                await self._slack.delete(channel_id, ts)
            except SlackMessageGone:
                pass
            except SlackError as error:
                log.warning("stray_reply_kept", kind=item.kind, code=error.code, error=str(error))
                await self._record(replace(item, thread_ts=None), channel_id, ts)
                return
            await self._store.outbox.drop(item)
            return
        await self._record(replace(item, thread_ts=None), channel_id, ts)

    async def _take_back(self, item: OutboxItem, channel_id: str, ts: str) -> None:
        """Take back what we posted after standing still: another took over meanwhile, and may have posted, too."""
        for _ in range(TAKEOVER_CHECKS):
            recorded = await self._store.outbox.load_ts(item.id)
            if recorded:
                break
            await asyncio.sleep(TAKEOVER_CHECK_S)
        else:
            return  # no process has posted it since: it will be found, and recorded
        if recorded != ts:
            log.warning("duplicate_deleted", ts=ts, recorded=recorded)
            await self._slack.delete(channel_id, ts)

    async def _settle_doubt(self, item: OutboxItem, channel_id: str) -> bool:
        """Look whether an earlier attempt did post the message; False when it must be posted now."""
        # As it read then: what changes is edited next.
        found = replace(item, version=0) if item.kind in _REDRAWN else item
        try:
            ts = await self._look_for(item, channel_id)
        except SlackAstray as astray:
            await self._record_astray(found, channel_id, astray.ts)
            return True
        if ts:
            await self._store.outbox.mark_posted(found, channel_id, ts, self._clock())
        elif item.kind is OutboxKind.PROGRESS and await self._has_ended(item):
            await self._store.outbox.give_up(item)
        else:
            return False
        return True

    async def _look_for(self, item: OutboxItem, channel_id: str) -> str | None:
        """Return the ts of what an earlier attempt posted; None if it isn't there, or we may not look."""
        if is_blind(item):
            log.info("message_not_looked_for", kind=item.kind, code="", error="no attempt to look worked so far")
            return None
        since_s = item.created_at.timestamp() - CLOCK_TOLERANCE_S
        try:
            return await self._slack.find(channel_id, item.thread_ts, item.id, since_s=since_s)
        except SlackAstray:
            raise
        except SlackError as error:
            if must_look_first(error, item):
                raise
            log.info("message_not_looked_for", kind=item.kind, code=error.code, error=str(error))
            return None

    async def _has_ended(self, item: OutboxItem) -> bool:
        view = await self._store.outbox.load_progress(item)
        return view is None or not view.run.is_active

    async def _belongs_in_thread_only(self, item: OutboxItem) -> bool:
        """Progress isn't worth a message in the channel, nor is a reply about an incident that has its own message."""
        return item.kind is OutboxKind.PROGRESS or (
            item.kind is OutboxKind.NEWS and await self._store.outbox.has_incident_message(item)
        )

    async def _answer_privately(self, item: OutboxItem, message: Message) -> None:
        try:
            if not await self._store.outbox.is_root(item):
                await self._respond(item, message)
                return
            hint = blocks.plain_message("I can't post here, so I've sent you a DM.")
            private = blocks.with_invite_hint(hint, self._bot_user_id, command=self._command)
            await self._slack.respond(item.response_url or "", private)
        except SlackError as error:
            log.warning("response_url_refused", code=error.code, error=str(error))
        await self._send_directly(item)

    async def _send_directly(self, item: OutboxItem) -> None:
        await self._store.outbox.readdress(item, Address(item.team_id, user_id=item.user_id), self._clock())


def _log_refusal(item: OutboxItem, error: SlackError) -> None:
    if error.code == PACED:
        log.debug("rate_paced", kind=item.kind)
    else:
        log.warning("slack_refused", kind=item.kind, code=error.code, error=str(error), failures=item.failures)
