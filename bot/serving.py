"""What every process runs: the loops that claim work, and Bolt. Each piece and each request goes to its workspace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext

from bot import listeners
from bot.core.errors import InstallationLost, NotInstalled
from bot.listeners.faults import Faults
from bot.listeners.observed import Addressee, ObservedApp
from bot.settings.settings import Mode
from bot.slack.client import SlackClient
from bot.store.bell import Work
from bot.store.inbox import RequestClaim
from bot.store.outbox_rows import OutboxItem
from bot.store.parking import park
from bot.store.timers import TimerClaim
from bot.workers.follower import Batch, claim_batches
from bot.workers.sender import Sender
from bot.workers.worker import Worker
from bot.workspace import Base, Workspace

log = structlog.get_logger(__name__)

RUN_SLOTS: Final = 32
MESSAGE_SLOTS: Final = 16
REQUEST_SLOTS: Final = 16
TIMER_SLOTS: Final = 8


Spawn: TypeAlias = "Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]"
"""Starts what runs until the process stops; if it ends with an error, so does the process."""


class Workspaces(Protocol):
    """The workspaces that a process serves."""

    async def of(self, team_id: str) -> Workspace:
        """Return the workspace with this ID.

        Raises:
            NotInstalled: it's none of ours, or not anymore. InstallationLost: its token can't be decrypted.
            StoreUnavailable: that isn't known now.
        """

    async def addressee(self, context: AsyncBoltContext, body: Mapping[str, Any]) -> Addressee | None:
        """Return the workspace that one of Slack's requests is for; None if it's none of ours, or needs no answer.

        Raises:
            InstallationLost: nothing can be done there until the app is installed again.
            StoreUnavailable: that isn't known now.
        """

    @property
    def sender(self) -> Sender | None:
        """The sender whose token decides whether the process is ready; None if there's no such token."""

    @property
    def names(self) -> dict[str, str]:
        """What the log says of them at the start."""

    def note_webhook(self) -> None:
        """Check soon: a webhook came to the address that is for one workspace only."""

    def start(self, spawn: Spawn) -> None:
        """Start what runs beside the loops."""

    async def aclose(self) -> None:
        """Close the connections."""


class OneWorkspace:
    """The workspace whose tokens are in the settings. All requests and all work are its own."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def of(self, team_id: str) -> Workspace:  # noqa: ARG002 - there is no other
        """Return it."""
        return self._workspace

    async def addressee(self, context: AsyncBoltContext, body: Mapping[str, Any]) -> Addressee:  # noqa: ARG002
        """Return it; in a channel that is shared with other workspaces, a request may name one of those."""
        return self._workspace.addressee

    @property
    def sender(self) -> Sender:
        """Its sender."""
        return self._workspace.sender

    @property
    def names(self) -> dict[str, str]:
        """Its ID and its name."""
        identity = self._workspace.addressee.identity
        return {"team_id": identity.team_id, "team": identity.team}

    def note_webhook(self) -> None:
        """Check soon."""
        self._workspace.watcher.hint()

    def start(self, spawn: Spawn) -> None:
        """Start watching."""
        self._workspace.watcher.start(spawn)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._workspace.flokit.aclose()


def make_workers(base: Base, workspaces: Workspaces) -> Iterator[Worker[Any]]:
    """Return the loops, one per kind of work."""
    store, timers = base.store, base.timers
    waiting: dict[Work, tuple[str, Any, Callable[[Any], str], Any, int]] = {
        Work.REQUESTS: ("responder", store.inbox.claim, _team_of_request, store.inbox.next_at, REQUEST_SLOTS),
        Work.RUNS: ("follower", partial(claim_batches, store), _team_of_batch, store.runs.next_at, RUN_SLOTS),
        Work.MESSAGES: ("sender", store.outbox.claim, _team_of_row, store.outbox.next_at, MESSAGE_SLOTS),
        Work.TIMERS: ("timer", timers.claim, _team_of_row, timers.next_at, TIMER_SLOTS),
    }
    for kind, (name, claim, team_of, next_at, slots) in waiting.items():
        yield Worker(
            name,
            base.runtime,
            claim=claim,
            work=_dispatch(base, workspaces, kind, team_of),
            next_due_at=next_at,
            bell=base.database.bells[kind],
            slots=slots,
            lease=None if kind is Work.TIMERS else store.lease,
            team_of=None if isinstance(workspaces, OneWorkspace) else team_of,
        )


def _dispatch(
    base: Base, workspaces: Workspaces, kind: Work, team_of: Callable[[Any], str]
) -> Callable[[Any], Awaitable[None]]:
    async def work(piece: Any) -> None:
        team_id = team_of(piece)
        try:
            workspace = await workspaces.of(team_id)
        except NotInstalled as gone:
            log.info("workspace_gone", team_id=team_id, kind=kind)
            await park(base.database, team_id, is_lost=isinstance(gone, InstallationLost))
            return
        await workspace.work[kind](piece)

    return work


def _team_of_request(claim: RequestClaim) -> str:
    return claim.request.origin.team_id


def _team_of_batch(batch: Batch) -> str:
    return batch[0].run.team_id


def _team_of_row(row: OutboxItem | TimerClaim) -> str:
    return row.team_id


def make_bolt(base: Base, workspaces: Workspaces, slack: SlackClient) -> AsyncApp:
    """Make Bolt with all listeners; ``slack`` answers for those that raise."""
    settings, runtime = base.settings, base.runtime
    secret = settings.slack_signing_secret
    faults = Faults(slack, runtime.telemetry)
    bolt = ObservedApp(
        runtime,
        workspaces.addressee,
        tell=faults.tell_soon,
        logger=logging.getLogger("slack_bolt"),
        client=slack.web,
        signing_secret=secret.get_secret_value() if secret else "",
        process_before_response=True,  # send the ack when the listener returns, ten times sooner
        request_verification_enabled=settings.mode is Mode.HTTP,
    )
    listeners.register(bolt, command=settings.flokit_command)
    bolt.error(faults.answer)
    return bolt
