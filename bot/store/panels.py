"""Panels: what a message shows, stored so that it can be rendered again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select, update

from bot.core.access.audit import AuditEntry
from bot.core.panels import Panel, RowRun
from bot.core.requests import Request
from bot.store import alerts, audit, bulks, codec, inbox, outbox_rows, run_rows
from bot.store.database import Database
from bot.store.locks import in_order
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.statements import constant
from bot.store.tables import outbox, panels
from bot.store.transactions import Transaction, retried

_ADD: Final = constant(panels.insert())
_LOAD: Final = constant(select(panels.c.data, panels.c.team_id).where(panels.c.id == bindparam("panel_id")))
_HOME: Final = constant(
    select(outbox.c.channel_id, outbox.c.user_id, outbox.c.ephemeral)
    .where(outbox.c.panel_id == bindparam("panel_id"), outbox.c.team_id == bindparam("team"))
    .order_by(outbox.c.created_at.desc())
    .limit(1)
)
"""Built once, because building it takes longer than running it."""


@dataclass(frozen=True, slots=True)
class PanelHome:
    """Where a panel's message is; ``reader_id`` is the only person who sees it, "" if a whole channel does."""

    channel_id: str
    reader_id: str = ""


async def add_panel(connection: Transaction, panel: Panel, address: Address, now: datetime) -> None:
    """Add a panel and the message that shows it, inside the caller's transaction."""
    row = {"id": panel.id, "team_id": address.team_id, "data": codec.dump(panel), "created_at": now}
    await connection.execute(_ADD, row)
    await outbox_rows.add_row(connection, OutboxKind.PANEL, address, now, panel_id=panel.id)


class Panels:
    """What messages show. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def add(
        self,
        request: Request,
        panel: Panel,
        address: Address,
        now: datetime,
        *,
        entry: AuditEntry | None = None,
    ) -> None:
        """Answer a request with a panel, and write ``entry`` to the audit log."""
        async with self._database.begin() as connection:
            await add_panel(connection, replace(panel, cause=request.cause), address, now)
            await inbox.finish(connection, request.id)
            await audit.add(connection, entry)

    @retried
    async def redraw(self, request: Request, panel_id: str, change: Callable[[Panel], Panel], now: datetime) -> None:
        """Answer a request by changing what a message shows; what others changed in the meantime stays."""
        origin = request.origin
        async with self._database.begin() as connection:
            panel = await alerts.load_panel(connection, origin.team_id, panel_id)
            if panel:
                await alerts.save(connection, replace(change(panel), cause=request.cause))
            if origin.ephemeral and origin.response_url:
                await self._renew_response_url(connection, panel_id, origin.response_url, now)
            await outbox_rows.bump_panels(connection, [panel_id], now)
            await inbox.finish(connection, request.id)

    async def load(self, team_id: str, panel_id: str) -> Panel | None:
        """Read a panel of a workspace; None when it was never there or is purged."""
        async with self._database.read() as connection:
            row = (await connection.execute(_LOAD, {"panel_id": panel_id})).first()
        return codec.load(Panel, row.data) if row and row.team_id == team_id else None

    async def home_of(self, team_id: str, panel_id: str) -> PanelHome | None:
        """Return where a panel's message is; None if that's unknown."""
        async with self._database.read() as connection:
            row = (await connection.execute(_HOME, {"panel_id": panel_id, "team": team_id})).first()
        if row is None:
            return None
        return PanelHome(row.channel_id or "", row.user_id or "" if row.ephemeral or not row.channel_id else "")

    async def load_view(self, panel_id: str) -> tuple[Panel, dict[str, RowRun]] | None:
        """Return a panel with the runs that override its rows."""
        async with self._database.read() as connection:
            row = (await connection.execute(_LOAD, {"panel_id": panel_id})).first()
            if row is None:
                return None
            panel = codec.load(Panel, row.data)
            ids = [integration.id for integration in panel.integrations]
            rows = await run_rows.rows_since(connection, row.team_id, ids, panel.as_of)
            if panel.plan or panel.bulk:
                started = tuple(await bulks.started_from(connection, row.team_id, panel_id))
                return bulks.seen(panel, started, rows)
        return panel, run_rows.newest_of(rows)

    async def _renew_response_url(
        self, connection: Transaction, panel_id: str, response_url: str, now: datetime
    ) -> None:
        """Save the response_url of a new press: an ephemeral message can only be changed with a fresh one."""
        await connection.execute(
            update(outbox)
            .where(in_order(outbox, outbox.c.panel_id == panel_id, outbox.c.ephemeral.is_(True)))
            .values(response_url=response_url, response_until=now + outbox_rows.RESPONSE_URL_LIVES)
        )
