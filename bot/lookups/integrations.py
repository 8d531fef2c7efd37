"""What is known of FloKit's integrations: asked now when it answers in time, and otherwise as it was known last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bot.core.blocks.names import Name, name_of
from bot.core.errors import FlokitDenied, FlokitError
from bot.core.models import Integration
from bot.core.panels import Panel, PanelKind
from bot.flokit import FlokitClient, Priority
from bot.store.ids import new_id
from bot.store.snapshots import Snapshots

PATIENCE_S: Final = 2.0
"""How long a person's look may take before older knowledge is shown."""

SAVED_AGAIN_AFTER: Final = timedelta(seconds=30)
"""What has not changed is saved again after this time: a later "as of" is worth a write, but not every second."""

NAMES_LAST_S: Final = 24 * 3600.0
"""Integrations come and go seldom: a list to choose from need not be newer."""


@dataclass(frozen=True, slots=True)
class Known:
    """The integrations as FloKit showed them at ``as_of``; ``stale_reason`` is set when it could not be asked now."""

    integrations: tuple[Integration, ...]
    as_of: datetime
    stale_reason: str = ""


class Knowledge:
    """What is known of one workspace."""

    def __init__(self, flokit: FlokitClient, snapshots: Snapshots) -> None:
        self._flokit = flokit
        self._snapshots = snapshots
        self._last_known: Known | None = None
        self._saved: Known | None = None

    async def look(self, *, priority: Priority = Priority.CLICK, max_age_s: float | None = None) -> Known:
        """Ask for all integrations; older knowledge is better than none when FloKit does not answer in time.

        Raises:
            FlokitDenied: FloKit refuses the key.
            FlokitError: it cannot be asked, and nothing older is known.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                listing = await self._flokit.fetch_integrations(
                    priority=priority, max_age_s=max_age_s, patience_s=PATIENCE_S
                )
        except FlokitDenied:
            raise
        except (FlokitError, TimeoutError) as error:
            last_known = await self._recall()
            if last_known is None:
                raise error if isinstance(error, FlokitError) else _no_answer() from error
            return replace(last_known, stale_reason=str(error) or "no answer in time")
        self._last_known = Known(listing.integrations, listing.as_of)
        await self._remember(self._last_known)
        return self._last_known

    async def recalled(self) -> Known:
        """Ask for all integrations; what was known last is good enough, also while FloKit refuses the key.

        Raises:
            FlokitError: FloKit cannot be asked, and nothing older is known.
        """
        try:
            return await self.look()
        except FlokitError as error:
            last_known = await self._recall()
            if last_known is None:
                raise
            return replace(last_known, stale_reason=str(error))

    async def last(self, max_age_s: float, now: datetime) -> Known | None:
        """Return what is known without asking, unless it is older than that."""
        known = await self._recall()
        return known if known and now - known.as_of < timedelta(seconds=max_age_s) else None

    async def last_names(self, now: datetime) -> tuple[Integration, ...]:
        """Return the integrations as they were known within a day, without asking where that is possible."""
        known = await self.last(NAMES_LAST_S, now)
        return known.integrations if known else await self.names()

    async def last_name(self, integration: Integration, now: datetime) -> Name:
        """Name an integration among those that were known last: a start must not wait for FloKit."""
        return name_of(integration, await self.last_names(now))

    async def last_of(self, integration_id: str, now: datetime) -> Integration:
        """Find an integration as it was known last; one that nothing is known of has its id alone."""
        known = await self.last_names(now)
        return next((one for one in known if one.id == integration_id), Integration(integration_id))

    async def look_at(self, integration_id: str) -> Known:
        """Ask for one integration, with its event counts.

        Raises:
            FlokitMissing: there is none of this id.
            FlokitError: it cannot be asked.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                detail = await self._flokit.fetch_integration(
                    integration_id, priority=Priority.CLICK, patience_s=PATIENCE_S
                )
        except TimeoutError as error:
            raise _no_answer() from error
        return Known((detail.integration,), detail.as_of)

    async def names(self) -> tuple[Integration, ...]:
        """Return the integrations for the sake of their names; what was known last will do, and so will nothing."""
        try:
            return (await self.recalled()).integrations
        except FlokitError:
            return ()

    async def _remember(self, known: Known) -> None:
        """Keep what FloKit said for other replicas and after a restart; the same again only now and then."""
        saved = self._saved
        if saved and saved.integrations == known.integrations and known.as_of - saved.as_of < SAVED_AGAIN_AFTER:
            return
        await self._snapshots.save(known.integrations, known.as_of)
        self._saved = known

    async def _recall(self) -> Known | None:
        """Return the newest that is known; another replica may know more."""
        saved = await self._snapshots.load()
        if saved and (self._last_known is None or saved[1] > self._last_known.as_of):
            return Known(*saved)
        return self._last_known


def panel_of(kind: PanelKind, known: Known, shown: Sequence[Integration], *, query: str = "") -> Panel:
    """Make a message that shows some of what is known."""
    return Panel(new_id("pnl"), kind, tuple(shown), known.as_of, query=query, stale_reason=known.stale_reason)


def _no_answer() -> FlokitError:
    return FlokitError(f"FloKit didn't respond within {PATIENCE_S:g} s.")
