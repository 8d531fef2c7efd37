"""Is the bot ready? Every answer carries its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from bot.sender import Sender
    from bot.slack_socket import SlackSocket
    from bot.store.store import Store


@dataclass
class Health:
    """Gathers what readiness depends on; parts are filled in as the bot starts, and taken out as it stops."""

    store: Store
    sender: Sender | None = None
    """None until Slack has told us who we are."""
    socket: SlackSocket | None = None
    """None in HTTP mode."""

    async def problems(self) -> dict[str, str]:
        """Name what keeps the bot from being ready; empty when it is."""
        found = {"database": await self._database(), "slack": await self._slack()}
        return {part: problem for part, problem in found.items() if problem}

    async def _database(self) -> str:
        try:
            await self.store.check()
        except StoreUnavailable as error:
            return str(error)
        return ""

    async def _slack(self) -> str:
        if self.sender is None:
            return "not connected yet"
        if self.sender.auth_lost:
            return f"Slack refuses our token: {self.sender.auth_lost}"
        return await self.socket.problem() if self.socket else ""
