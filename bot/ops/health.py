"""Liveness and readiness, with the reasons."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slack_bolt.async_app import AsyncApp

from bot.core.errors import StoreUnavailable
from bot.slack.socket import SlackSocket
from bot.store import schema
from bot.store.database import Database
from bot.workers.sender import Sender
from bot.workers.worker import Worker

STUCK_AFTER_S: Final = 60.0
"""A worker runs every two seconds, even while the database is down; its longest wait is five seconds."""

ANSWER_WITHIN_S: Final = 3.0
"""How long a probe waits for the database; in our manifests, Kubernetes waits four seconds."""


@dataclass(frozen=True, slots=True)
class Running:
    """The parts that serve Slack, from the sign-in until the stop."""

    bolt: AsyncApp
    sender: Sender | None
    """None if the process has no token of its own, because it serves many workspaces."""
    workers: Sequence[Worker[Any]] = ()
    on_hint: Callable[[], None] = lambda: None
    """Called for each new webhook. It must return immediately."""
    socket: SlackSocket | None = None
    """None in HTTP mode."""


@dataclass
class Health:
    """Reports whether the bot is alive and ready."""

    database: Database
    running: Running | None = None
    """None before Slack has accepted the token, and once the bot stops."""

    @property
    def socket(self) -> SlackSocket | None:
        """The Socket Mode connection; None in HTTP mode, and while nothing is running."""
        return self.running.socket if self.running else None

    def stuck(self) -> dict[str, str]:
        """Return the workers that stopped, each with the reason; a stuck event loop can't answer at all."""
        still = {worker.name: worker.still_for_s for worker in (self.running.workers if self.running else ())}
        return {name: f"hasn't run for {s:.0f} s" for name, s in still.items() if s > STUCK_AFTER_S}

    async def problems(self) -> dict[str, str]:
        """Return the reasons why the bot isn't ready; empty if it is."""
        return {part: problem for part, problem in (await self.findings()).items() if problem}

    async def findings(self) -> dict[str, str]:
        """Return what is wrong with each part that readiness depends on, or ""."""
        return {**await self._database(), "slack": await self._slack()}

    async def _database(self) -> dict[str, str]:
        if self.database.is_gone:
            return {"database": f"the file {self.database.file} was deleted or replaced", "migrations": ""}
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                revision = await schema.current(self.database)
                is_read_only = await self.database.is_read_only()
        except StoreUnavailable as error:
            return {"database": str(error), "migrations": ""}
        except TimeoutError:
            return {"database": f"the database didn't answer within {ANSWER_WITHIN_S:g} s", "migrations": ""}
        reason = "the server is read-only right now" if is_read_only else self.database.not_saving
        saving = f"nothing can be saved: {reason}" if reason else ""
        if revision == schema.HEAD:
            return {"database": saving, "migrations": ""}
        found = f"revision {revision}" if revision else "no revision"
        return {"database": saving, "migrations": f"the tables are at {found}, but this version needs {schema.HEAD}"}

    async def _slack(self) -> str:
        if self.running is None:
            return "not connected yet"
        if self.running.sender and self.running.sender.auth_lost:
            return f"Slack refuses our token: {self.running.sender.auth_lost}"
        return await self.socket.problem() if self.socket else ""
