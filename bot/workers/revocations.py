"""Workspaces that the app isn't installed in anymore: Slack sends an event, or refuses the token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

import structlog

from bot.core.errors import SecretUnreadable, StoreUnavailable
from bot.core.installations import AccessNews, Installation
from bot.store.installations import Installations

log = structlog.get_logger(__name__)

REVOKED: Final = frozenset({"account_inactive", "token_revoked", "invalid_auth"})
"""What Slack answers to a token whose installation is gone; it doesn't always send an event about that."""

NO_TEAM_ACCESS: Final = "team_access_not_granted"
"""An org-wide installation doesn't cover the workspace anymore."""


class Forget(Protocol):
    """Has a workspace read again before it's used again, or all of them that an organization's installation serves."""

    def __call__(self, team_id: str, *, is_enterprise: bool) -> None:
        """Do that."""


class Revocations:
    """Follows the end of installations, and which workspaces an org-wide one covers."""

    def __init__(self, installations: Installations, forget: Forget, *, clock: Callable[[], datetime]) -> None:
        self._installations = installations
        self._forget = forget
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Stop erasing; the next call that Slack refuses starts it again."""
        for task in tuple(self._tasks):
            task.cancel()

    async def follow(self, news: AccessNews, team_id: str, enterprise_id: str | None, *, is_enterprise: bool) -> None:
        """Follow an event about the installation itself."""
        if news.kind == "team_granted":
            for one in news.team_ids:
                await self._installations.grant(one, enterprise_id or "", news.at)
        elif news.kind == "team_revoked":
            for one in news.team_ids:
                await self._revoke(one, enterprise_id, news)
        elif news.kind == "uninstalled" or await self._names_us(news, team_id, enterprise_id):
            await self._revoke(team_id, enterprise_id, news, is_enterprise=is_enterprise)

    async def _names_us(self, news: AccessNews, team_id: str, enterprise_id: str | None) -> bool:
        """Whether revoked tokens include ours: the event's list may name other bots, or only people."""
        try:
            installation = await self._installations.find(team_id, enterprise_id)
        except SecretUnreadable:
            return bool(news.bot_user_ids)
        return installation is not None and installation.bot_user_id in news.bot_user_ids

    async def _revoke(
        self, team_id: str, enterprise_id: str | None, news: AccessNews, *, is_enterprise: bool = False
    ) -> None:
        if await self._installations.revoke(team_id, enterprise_id, before=news.at, is_enterprise=is_enterprise):
            log.info("uninstalled", team_id=team_id, enterprise_id=enterprise_id, reason=news.kind)
        self._forget(team_id, is_enterprise=is_enterprise)

    def note_refusal(self, team_id: str, installation: Installation, code: str) -> None:
        """Note that Slack refuses the token for good. It's erased, unless the app was installed again meanwhile."""
        if code in REVOKED or code == NO_TEAM_ACCESS:
            task = asyncio.create_task(self._give_up(team_id, installation, code))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _give_up(self, team_id: str, installation: Installation, code: str) -> None:
        is_enterprise = installation.is_enterprise and code != NO_TEAM_ACCESS
        try:
            if await self._installations.revoke(
                "" if is_enterprise else team_id,
                installation.enterprise_id,
                before=self._clock(),
                is_enterprise=is_enterprise,
                generation=None if code == NO_TEAM_ACCESS else installation.generation,
            ):
                log.warning("uninstalled", team_id=team_id, enterprise_id=installation.enterprise_id, reason=code)
            self._forget(team_id, is_enterprise=is_enterprise)
        except StoreUnavailable as error:
            log.warning("store_unavailable", worker="revocation", error=str(error))  # the next call finds it again
