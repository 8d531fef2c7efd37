"""The names, owners and links that people gave to the integrations of one workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from bot.core.access.audit import AuditEntry
from bot.core.models import Cause, Message
from bot.core.nicknames import Nickname, Nicknames, nicknames_of
from bot.core.typed import name_key
from bot.core.volumes.expectations import Expectation
from bot.store import alerts, audit, codec, homes, inbox, outbox_rows
from bot.store.database import Database
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.statements import Row, constant
from bot.store.tables import alerts as alerts_table
from bot.store.tables import incidents, nicknames
from bot.store.transactions import Transaction, retried

_ALL: Final = constant(select(nicknames).where(nicknames.c.team_id == bindparam("team")))

_ROW: Final = insert(nicknames)
_KEEP: Final = _ROW.on_conflict_do_update(
    index_elements=["team_id", "integration_id"],
    set_={
        name: _ROW.excluded[name] for name in ("name", "name_key", "owner", "link", "every_s", "per_day", "changed_at")
    },
)


@dataclass(frozen=True, slots=True)
class Change:
    """What follows from a wish to change one: ``after`` is kept, unless it's None; ``entry`` goes to the audit log.

    ``message`` is the answer, to ``address``. ``problem`` says why nothing is kept.
    """

    after: Nickname | None
    message: Message | None = None
    address: Address | None = None
    entry: AuditEntry | None = None
    problem: str = ""


class NicknameRows:
    """What people added to the integrations of one workspace.

    All methods raise StoreUnavailable when the database is away.
    """

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    async def all(self) -> Nicknames:
        """Return all of them."""
        async with self._database.read() as connection:
            return await self._all(connection)

    @retried
    async def change(
        self,
        decide: Callable[[Nicknames], Change],
        now: datetime,
        *,
        cause: Cause,
        request_id: str = "",
        panel_id: str = "",
    ) -> Change:
        """Change one, as decided from all of them while nobody else changes any.

        Open App Homes, the messages of its open incidents and the message ``panel_id`` are redrawn. If the change
        answers a saved request, that's ``request_id``.
        """
        async with self._database.begin() as connection:
            await connection.lock(f"nicknames {self._team_id}")
            change = decide(await self._all(connection))
            if change.after:
                await self._keep(connection, change.after, now)
                await self._redraw(connection, change.after.integration_id, panel_id, now)
            if change.message and change.address:
                data = codec.dump(replace(change.message, cause=cause))
                await outbox_rows.add_row(connection, OutboxKind.NOTE, change.address, now, data=data)
            if change.after:
                await homes.changed(connection, self._team_id, now)
            if request_id:
                await inbox.finish(connection, request_id)
            await audit.add(connection, change.entry)
        return change

    async def _all(self, connection: Transaction) -> Nicknames:
        return nicknames_of(_read(row) for row in await connection.execute(_ALL, {"team": self._team_id}))

    async def _keep(self, connection: Transaction, after: Nickname, now: datetime) -> None:
        if after.is_blank:
            which = nicknames.c.team_id == self._team_id, nicknames.c.integration_id == after.integration_id
            await connection.execute(delete(nicknames).where(*which))
            return
        row = {
            "team_id": self._team_id,
            "integration_id": after.integration_id,
            "name": after.name,
            "name_key": name_key(after.name) if after.name else None,
            "owner": after.owner,
            "link": after.link,
            "every_s": after.expected.every_s,
            "per_day": after.expected.per_day,
            "changed_at": now,
        }
        await connection.execute(_KEEP, row)

    async def _redraw(self, connection: Transaction, integration_id: str, panel_id: str, now: datetime) -> None:
        open_ones = (
            select(alerts_table.c.id)
            .join(incidents, incidents.c.id == alerts_table.c.incident_id)
            .where(
                incidents.c.team_id == self._team_id,
                incidents.c.integration_id == integration_id,
                incidents.c.closed_at.is_(None),
            )
        )
        shown: Sequence[str] = await connection.scalars(open_ones)
        if panel_id and await alerts.load_panel(connection, self._team_id, panel_id):
            shown = [*shown, panel_id]
        await outbox_rows.bump_panels(connection, shown, now)


def _read(row: Row) -> Nickname:
    expected = Expectation(row.every_s, row.per_day)
    return Nickname(row.integration_id, row.name, row.owner, row.link, expected)
