"""Keeps installations in order: refreshes tokens, resumes work that was left parked, and erases what is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.core.errors import ClaimLost, SecretUnreadable, SlackError, StoreUnavailable
from bot.core.installations import Installation
from bot.slack.oauth import Rotation
from bot.store.installations import Installations

log = structlog.get_logger(__name__)

TURN_S: Final = 60.0
ERASE_EVERY: Final = timedelta(hours=1)


class InstallationKeeper:
    """Runs in the background of each process; what it does is claimed, so that replicas don't do it twice.

    Args:
        installations: the installations.
        rotation: exchanges a refresh token at Slack.
        keep: how long the data of a workspace stays after it uninstalled the app.
        clock: the time now, aware.
        changed: called with the ID of an installation that has a new token.
    """

    def __init__(
        self,
        installations: Installations,
        rotation: Rotation,
        *,
        keep: timedelta,
        clock: Callable[[], datetime],
        changed: Callable[[str], None],
    ) -> None:
        self._installations = installations
        self._rotation = rotation
        self._keep = keep
        self._clock = clock
        self._changed = changed
        self._erase_at = clock()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.turn()
            except StoreUnavailable as error:
                log.warning("store_unavailable", worker="installations", error=str(error))
            await asyncio.sleep(TURN_S)

    async def turn(self) -> None:
        """Do what is due now."""
        while await self._refresh_one():
            pass
        if resumed := await self._installations.resume_left_behind(self._clock()):
            log.info("workspaces_resumed", count=resumed)
        if self._clock() >= self._erase_at:
            self._erase_at = self._clock() + ERASE_EVERY
            if erased := await self._installations.erase_expired(self._clock(), self._keep):
                log.info("workspaces_erased", count=erased)

    async def _refresh_one(self) -> bool:
        """Refresh one token; return whether there was one to refresh."""
        try:
            installation = await self._installations.tokens.claim(self._clock())
        except SecretUnreadable:
            return True  # it's leased now, so the next one comes
        if installation is None:
            return False
        await self._refresh(installation)
        return True

    async def _refresh(self, installation: Installation) -> None:
        try:
            fresh = await self._rotation.refresh(installation.refresh_token or "", self._clock())
        except SlackError as error:
            log.warning("token_not_refreshed", team_id=installation.id, code=error.code, error=str(error))
            return
        try:
            await self._installations.tokens.save(
                installation.id, installation.generation, fresh.token, fresh.refresh_token, fresh.expires_at
            )
        except ClaimLost as error:
            log.info("claim_lost", worker="installations", error=str(error))
        self._changed(installation.id)
