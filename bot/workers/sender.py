"""Shows in Slack what the outbox says must be shown: posts, edits, and finds another way when one is closed.

A post that may have gone out is looked for before it is repeated; each refusal of Slack has its own remedy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import structlog

from bot.core import blocks
from bot.core.errors import (
    ClaimLost,
    SlackArchived,
    SlackAstray,
    SlackAuthLost,
    SlackError,
    SlackMessageGone,
    SlackNoAccess,
    SlackRateLimited,
    SlackRefusedContent,
    SlackUnavailable,
    StoreUnavailable,
)
from bot.core.models import Message
from bot.core.subscriptions.subscriptions import PauseReason
from bot.observability.telemetry import SILENT, Telemetry, following
from bot.slack.client import PACED, SlackClient
from bot.store import codec
from bot.store.ids import new_id
from bot.store.outbox import Address, OutboxItem, OutboxKind
from bot.store.store import Store

log = structlog.get_logger(__name__)

MESSAGE_EVENT: Final = "flokit_message"
"""Metadata of what carries none of its own: any post can be recognised after a doubt."""

RETRY_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses after a call without a usable answer; the last one repeats."""

AUTH_RETRY_S: Final = 60.0
MAX_REFUSALS: Final = 3
MAX_FAULTS: Final = 3
_REDRAWN: Final = frozenset({OutboxKind.PROGRESS, OutboxKind.PANEL})
"""What changes after it was posted: found after a doubt, it may be out of date."""

SETTLED_AFTER_LOOKS: Final = 20
SETTLED_LOOK_S: Final = 0.5
"""How often, and how many seconds apart, is looked what became of a message that another process took over."""

CLOCK_TOLERANCE_S: Final = 60.0
"""Slack's clock may differ from ours: a doubtful post is looked for from this much earlier. A look brings few messages,
so not from much earlier; the doctor names a clock that is further off."""

BLIND_EVERY: Final = 5
"""Each fifth try posts without looking: where no look ever works, telling twice is better than not telling."""

SHORT_WAIT_S: Final = 5.0
"""A look that Slack allows so soon is waited for; otherwise the message goes out without it."""

LIMITED_LOOKS: Final = 3
"""After so many failures a look is waited for all the same: lost replies would repeat the message on and on."""


OnClosed: TypeAlias = "Callable[[str, PauseReason], Awaitable[None]]"
"""Called with a channel that can no longer be posted in, when what was to be posted is what it subscribed to."""

OnRefused: TypeAlias = "Callable[[str], Awaitable[bool]]"
"""Called with a channel whose id Slack refuses; True when all that is due there moved to the channel's new id."""


class Sender:
    """Sends one claimed outbox row at a time, as often as the worker hands it one."""

    def __init__(
        self,
        store: Store,
        slack: SlackClient,
        *,
        clock: Callable[[], datetime],
        bot_user_id: str,
        on_closed: OnClosed,
        on_refused: OnRefused,
        command: str = "/flokit",
        telemetry: Telemetry = SILENT,
    ) -> None:
        self._telemetry = telemetry
        self._store = store
        self._slack = slack
        self._clock = clock
        self._bot_user_id = bot_user_id
        self._on_closed = on_closed
        self._on_refused = on_refused
        self._command = command
        self.auth_lost = ""
        """Slack's error code while it refuses our token: readiness tells."""

    async def send(self, item: OutboxItem) -> None:
        """Show one row's newest version."""
        with structlog.contextvars.bound_contextvars(outbox_id=item.id, run_id=item.run_id, channel_id=item.channel_id):
            try:
                message = await self._render(item)
                if message is None:
                    await self._store.give_up(item)
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
            await self._remedy(item, message, error)

    async def _survive(self, item: OutboxItem, error_id: str) -> None:
        """Try again after a fault of ours; when that does not help, the id of the fault is shown instead."""
        if item.failures + 1 < MAX_FAULTS:
            await self._later(item, _pause_s(item), in_doubt=item.ts is None)
            return
        sentence = (
            f"Something went wrong on my end while I wrote this message (error ID {error_id}). "
            f"Run {self._command} status for the current state."
        )
        await self._show_or_remedy(item, blocks.plain_message(sentence))

    # Rendering

    async def _render(self, item: OutboxItem) -> Message | None:
        """Build the message as it must read now; None when there is nothing left to show."""
        now = self._clock()
        match item.kind:
            case OutboxKind.PROGRESS:
                view = await self._store.load_progress(item)
                if view is None or (not view.run.is_active and item.ts is None and not item.in_doubt):
                    return None  # it ended before its progress was posted: the outcome says it all
                progress = blocks.progress_message(
                    view.run, view.joined_by, now, outbox_id=item.id, joined_here=view.joined_here
                )
                return replace(progress, cause=view.run.cause)
            case OutboxKind.OUTCOME:
                view = await self._store.load_outcome(item)
                ended = blocks.outcome_message(view.run, view.joined_by, now, outbox_id=item.id)
                return replace(ended, cause=view.run.cause)
            case OutboxKind.PANEL:
                drawn = await self._store.load_panel_view(item.panel_id or "")
                if drawn is None:
                    return None
                return replace(blocks.panel_message(*drawn, now, command=self._command), cause=drawn[0].cause)
            case OutboxKind.NOTE:
                return codec.load_message(item.data or "")
            case OutboxKind.NEWS:
                return blocks.bulletin_message(codec.load_bulletin(item.data or ""), now)

    # Showing

    async def _show(self, item: OutboxItem, message: Message) -> None:
        if item.ts:
            await self._edit(item, item.channel_id or "", item.ts, message)
        elif item.ephemeral:
            await self._respond(item, message)
        else:
            await self._post(item, message)

    async def _edit(self, item: OutboxItem, channel_id: str, ts: str, message: Message) -> None:
        await self._slack.update(channel_id, ts, message, spare=item.kind is OutboxKind.PROGRESS)
        await self._store.mark_shown(item, self._clock())

    async def _respond(self, item: OutboxItem, message: Message) -> None:
        """Show a message that only one person sees; without a living response_url it can no longer be changed."""
        if item.response_url is None:
            await self._store.give_up(item)
            return
        if item.kind is OutboxKind.PANEL and not message.only_for_one:
            message = blocks.with_invite_hint(message, self._bot_user_id, command=self._command)
        await self._slack.respond(item.response_url, message, replace=item.is_shown)
        await self._store.mark_shown(item, self._clock(), ephemeral=True)

    async def _post(self, item: OutboxItem, message: Message) -> None:
        channel_id = item.channel_id or await self._slack.open_direct(item.user_id or "")
        if item.in_doubt and await self._settle_doubt(item, channel_id):
            return
        if self._clock() >= item.lease_until - timedelta(seconds=self._slack.longest_call_s):
            return  # too late to post under this lease: whoever claims it next looks first
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

    async def _record(self, item: OutboxItem, channel_id: str, ts: str) -> None:
        try:
            await self._store.mark_posted(item, channel_id, ts, self._clock())
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
            await self._store.drop(item)
            return
        await self._record(replace(item, thread_ts=None), channel_id, ts)

    async def _take_back(self, item: OutboxItem, channel_id: str, ts: str) -> None:
        """Take back what we posted after standing still: another took over meanwhile, and may have posted, too."""
        for _ in range(SETTLED_AFTER_LOOKS):
            recorded = await self._store.load_ts(item.id)
            if recorded:
                break
            await asyncio.sleep(SETTLED_LOOK_S)
        else:
            return  # nobody posted it since: it will be found, and recorded
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
            await self._store.mark_posted(found, channel_id, ts, self._clock())
        elif item.kind is OutboxKind.PROGRESS and await self._has_ended(item):
            await self._store.give_up(item)
        else:
            return False
        return True

    async def _look_for(self, item: OutboxItem, channel_id: str) -> str | None:
        """Return the ts of what an earlier attempt posted; None when it isn't there, or can't be looked for."""
        if item.failures and item.failures % BLIND_EVERY == 0:
            return None
        since_s = item.created_at.timestamp() - CLOCK_TOLERANCE_S
        try:
            return await self._slack.find(channel_id, item.thread_ts, item.id, since_s=since_s)
        except (SlackAstray, SlackUnavailable):
            raise
        except SlackError as error:
            if isinstance(error, SlackRateLimited) and (
                error.retry_after_s <= SHORT_WAIT_S
                or item.failures > LIMITED_LOOKS
                or item.kind is OutboxKind.PROGRESS  # nobody misses it for a while
            ):
                raise
            log.info("message_not_looked_for", kind=item.kind, code=error.code, error=str(error))
            return None

    async def _has_ended(self, item: OutboxItem) -> bool:
        view = await self._store.load_progress(item)
        return view is None or not view.run.is_active

    # Remedies

    async def _remedy(self, item: OutboxItem, message: Message, error: SlackError) -> None:
        """Do what helps against a refusal; never the same thing again at once."""
        if error.code == PACED:
            log.debug("rate_paced", kind=item.kind)
        else:
            log.warning("slack_refused", kind=item.kind, code=error.code, error=str(error), failures=item.failures)
        if isinstance(error, SlackNoAccess) and item.channel_id and await self._on_refused(item.channel_id):
            return  # it is due in another channel now
        match error:
            case SlackRateLimited(retry_after_s=seconds):
                # A look that waits counts: there is one try in five that doesn't look.
                counts = item.in_doubt and error.code != PACED
                await self._later(item, seconds, in_doubt=item.in_doubt, failed=counts)
            case SlackUnavailable():
                await self._later(item, _pause_s(item), in_doubt=True)
            case SlackAuthLost():
                self.auth_lost = error.code
                await self._later(item, AUTH_RETRY_S, in_doubt=item.in_doubt)
            case SlackMessageGone() if item.ts:
                await self._let_go(item, is_deleted=error.code == "message_not_found")
            case SlackMessageGone() if item.thread_ts:
                await self._leave_thread(item)
            case SlackNoAccess() | SlackArchived() if item.is_unasked:
                await self._store.give_up(item)
                archived = isinstance(error, SlackArchived)
                await self._on_closed(item.channel_id or "", PauseReason.ARCHIVED if archived else PauseReason.REMOVED)
            case SlackNoAccess() | SlackArchived() if item.ts:
                # An edit only, where we can write no more: an outcome is a message of its own, and goes to the person.
                log.warning("message_not_updated", kind=item.kind, code=error.code)
                await self._store.give_up(item)
            case SlackNoAccess() | SlackArchived():
                await self._go_direct(item, message)
            case SlackRefusedContent() if message.blocks:
                log.error("blocks_refused", kind=item.kind, code=error.code)
                await self._show_plainly(item, message)
            case _:
                await self._count_refusal(item, message)

    async def _later(self, item: OutboxItem, seconds: float, *, in_doubt: bool, failed: bool = True) -> None:
        due_at = self._clock() + timedelta(seconds=seconds)
        await self._store.postpone(item, due_at, in_doubt=in_doubt, failed=failed)

    async def _show_plainly(self, item: OutboxItem, message: Message) -> None:
        """Slack refused the blocks: the sentence still goes out."""
        plain = replace(message, blocks=())
        try:
            await self._show(item, plain)
        except SlackError as error:
            await self._remedy(item, plain, error)

    async def _count_refusal(self, item: OutboxItem, message: Message) -> None:
        if item.failures + 1 < MAX_REFUSALS:
            await self._later(item, _pause_s(item), in_doubt=item.in_doubt)
        elif not (item.ts and await self._store.post_alert_anew(item, self._clock())):
            await self._go_direct(item, message)

    async def _let_go(self, item: OutboxItem, *, is_deleted: bool) -> None:
        """The message can no longer be edited. What matters is told in a message of its own, so that is all.

        But the message of an incident is posted anew: in its thread, unless somebody deleted the root.
        """
        if await self._store.post_alert_anew(item, self._clock(), in_thread=not is_deleted):
            return
        if item.kind is OutboxKind.PROGRESS:
            await self._store.drop(item)
        else:
            await self._store.give_up(item)

    async def _leave_thread(self, item: OutboxItem) -> None:
        """The thread is gone: an outcome is told in the channel instead."""
        if await self._belongs_in_thread_only(item):
            await self._store.drop(item)
            return
        address = Address(item.team_id, item.channel_id, None, item.user_id)
        await self._store.readdress(item, address, self._clock())

    async def _belongs_in_thread_only(self, item: OutboxItem) -> bool:
        """Tell what isn't worth a message in the channel: progress.

        Nor is a reply about an incident whose own message says the same: that one is posted anew.
        """
        return item.kind is OutboxKind.PROGRESS or (
            item.kind is OutboxKind.NEWS and await self._store.has_incident_message(item)
        )

    async def _go_direct(self, item: OutboxItem, message: Message) -> None:
        """The conversation is closed to us: answer the person, by response_url or by direct message."""
        if item.channel_id is None or item.user_id is None or item.ts or (item.ephemeral and item.is_shown):
            log.error("message_not_shown", kind=item.kind, user_id=item.user_id)
            await self._store.give_up(item)
            return
        if item.kind is OutboxKind.PROGRESS:
            await self._store.give_up(item)
        elif item.response_url and not item.ephemeral:
            await self._answer_privately(item, message)
        else:
            await self._store.readdress(item, Address(item.team_id, user_id=item.user_id), self._clock())

    async def _answer_privately(self, item: OutboxItem, message: Message) -> None:
        """Answer a command where the bot cannot post; the root of a follow-up goes to the person's direct messages."""
        try:
            if await self._store.is_root(item):
                hint = blocks.plain_message("I can't post here, so I've sent you a DM.")
                private = blocks.with_invite_hint(hint, self._bot_user_id, command=self._command)
                await self._slack.respond(item.response_url or "", private)
                await self._store.readdress(item, Address(item.team_id, user_id=item.user_id), self._clock())
            else:
                await self._respond(item, message)
        except SlackError as error:
            log.warning("response_url_refused", code=error.code, error=str(error))
            await self._store.readdress(item, Address(item.team_id, user_id=item.user_id), self._clock())


def _pause_s(item: OutboxItem) -> float:
    return RETRY_S[min(item.failures, len(RETRY_S) - 1)]
