"""FloKit's integrations: fetched now or, if FloKit doesn't answer in time, the last known ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bot.core.blocks.names import Name, name_of
from bot.core.errors import FlokitDenied, FlokitError
from bot.core.models import Integration
from bot.core.panels import Panel, PanelKind
from bot.flokit import FlokitClient, Priority
from bot.lookups.nicknames import Naming
from bot.store.ids import new_id
from bot.store.snapshots import Snapshots

PATIENCE_S: Final = 2.0
"""How long to wait for FloKit before showing older data."""

SAVED_AGAIN_AFTER: Final = timedelta(seconds=30)
"""Unchanged data is saved again after this time, for a newer "as of"."""

NAMES_LAST_S: Final = 24 * 3600.0
"""Integrations rarely change, so a list to choose from can be this old."""


@dataclass(frozen=True, slots=True)
class Known:
    """The integrations as of ``as_of``; ``stale_reason`` is set if FloKit is unreachable now."""

    integrations: tuple[Integration, ...]
    as_of: datetime
    stale_reason: str = ""


class Knowledge:
    """The integrations of one workspace."""

    def __init__(
        self, flokit: FlokitClient, snapshots: Snapshots, naming: Naming, clock: Callable[[], datetime]
    ) -> None:
        self._flokit = flokit
        self._snapshots = snapshots
        self._naming = naming
        self._clock = clock
        self._last_known: Known | None = None
        self._saved: Known | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the workspace has a FloKit to ask."""
        return self._flokit.is_connected

    @property
    def why_not_connected(self) -> str:
        """A sentence for people of a workspace that has no FloKit to ask."""
        return self._flokit.not_connected.sentence

    async def look(self, *, priority: Priority = Priority.CLICK, max_age_s: float | None = None) -> Known:
        """Fetch all integrations; if FloKit doesn't answer in time, return older data.

        Raises:
            FlokitDenied: FloKit refuses the key.
            FlokitError: FloKit is unreachable, and there's no older data.
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
        """Fetch all integrations, or return older data, even if FloKit refuses the key.

        Raises:
            FlokitError: FloKit is unreachable, and there's no older data.
        """
        try:
            return await self.look()
        except FlokitError as error:
            last_known = await self._recall()
            if last_known is None:
                raise
            return replace(last_known, stale_reason=str(error))

    async def last(self, max_age_s: float) -> Known | None:
        """Return known data without fetching, unless it's older than ``max_age_s``."""
        known = await self._recall()
        return known if known and self._clock() - known.as_of < timedelta(seconds=max_age_s) else None

    async def last_names(self) -> tuple[Integration, ...]:
        """Return the integrations as known within the last day, if possible without fetching."""
        known = await self.last(NAMES_LAST_S)
        return known.integrations if known else await self.names()

    async def last_name(self, integration: Integration) -> Name:
        """Name an integration among the last known ones, because starting a sync must not wait for FloKit."""
        return name_of(integration, await self.last_names(), await self._naming.current())

    async def last_of(self, integration_id: str) -> Integration:
        """Return an integration as last known; an unknown one has only its ID."""
        known = await self.last_names()
        return next((one for one in known if one.id == integration_id), Integration(integration_id))

    async def look_at(self, integration_id: str) -> Known:
        """Fetch one integration, with its event counts.

        Raises:
            FlokitMissing: it doesn't exist.
            FlokitError: FloKit is unreachable.
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
        """Return the integrations for their names; older data, or none, is fine."""
        try:
            return (await self.recalled()).integrations
        except FlokitError:
            return ()

    async def _remember(self, known: Known) -> None:
        """Save data for other replicas and restarts; unchanged data only occasionally."""
        saved = self._saved
        if saved and saved.integrations == known.integrations and known.as_of - saved.as_of < SAVED_AGAIN_AFTER:
            return
        await self._snapshots.save(known.integrations, known.as_of)
        self._saved = known

    async def _recall(self) -> Known | None:
        """Return the newest known data, possibly from another replica."""
        saved = await self._snapshots.load()
        if saved and (self._last_known is None or saved[1] > self._last_known.as_of):
            return Known(*saved)
        return self._last_known


def panel_of(kind: PanelKind, known: Known, shown: Sequence[Integration], *, query: str = "") -> Panel:
    """Return a panel that shows some of the integrations."""
    return Panel(new_id("pnl"), kind, tuple(shown), known.as_of, query=query, stale_reason=known.stale_reason)


def _no_answer() -> FlokitError:
    return FlokitError(f"FloKit didn't respond within {PATIENCE_S:g} s.")
