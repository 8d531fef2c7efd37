"""Who installed the app, and who uninstalled it: one row per workspace or organization.

A workspace that an org-wide installation covers has a row, too: without a token, but with its own FloKit keys.
Uninstalling erases all secrets of a row and its data key at once; the row stays as a tombstone until its data goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from bot.core.errors import SecretUnreadable
from bot.core.installations import Installation
from bot.store import parking
from bot.store.database import Database
from bot.store.erasure import erase_data
from bot.store.installations.connections import Connections
from bot.store.installations.records import Records
from bot.store.installations.tokens import Tokens
from bot.store.installations.vault import NO_CONNECTION, NO_SECRETS, Vault, covered, facts_of, sealed_tokens
from bot.store.locks import in_order, locked
from bot.store.sealing import DataKey, MasterKeys
from bot.store.statements import constant
from bot.store.tables import installations, policies
from bot.store.transactions import retried

ERASED_TOGETHER: Final = 100
"""Workspaces whose data is erased in one pass over the tables."""

Stamp: TypeAlias = tuple[Any, ...]

_of: Final = installations.c
_org: Final = installations.alias("org")
_NEWEST_POLICY: Final = select(func.max(policies.c.version)).where(policies.c.team_id == bindparam("of_id"))
_STAMP: Final = constant(
    select(
        *(_of.generation, _of.installed_at, _of.uninstalled_at, _of.connected_at),
        *(_org.c.generation, _org.c.installed_at, _org.c.uninstalled_at),
        _NEWEST_POLICY.scalar_subquery(),
    )
    .select_from(installations.outerjoin(_org, _org.c.id == _of.enterprise_id))
    .where(_of.id == bindparam("of_id"))
)


class Installations:
    """The installations. Each method is one transaction or a few short ones.

    All of them raise StoreUnavailable when the database is away, which never means that the app isn't installed.

    Args:
        database: where they are.
        keys: the master keys that wrap the data keys.
    """

    def __init__(self, database: Database, keys: MasterKeys) -> None:
        self._database = database
        self._vault = Vault(keys)
        self.connections = Connections(database, self._vault)
        self.tokens = Tokens(database, self._vault)
        self.records = Records(database, self._vault)

    @retried
    async def save(self, installation: Installation, now: datetime) -> Installation:
        """Save a new installation, or one that replaces an earlier one, and return it as saved.

        Its ``generation`` and ``installed_at`` are set here. FloKit's keys stay, unless they can no longer be
        decrypted; whatever the workspace had before it uninstalled is there again, except for its secrets.
        """
        id_ = installation.id
        async with self._database.begin() as connection:
            await connection.lock(f"installation {id_}")  # a row that isn't there yet can't be locked
            before = await self._vault.lock(connection, id_)
            saved = replace(installation, generation=before.generation + 1 if before else 1, installed_at=now)
            key = self._vault.key_if_readable(before)
            values = facts_of(saved) | {"uninstalled_at": None, "refresh_until": None}
            if key is None:
                key = DataKey.new(id_)
                values |= NO_CONNECTION | self._vault.wrapped(key)
            values |= sealed_tokens(key, saved)
            if before:
                await connection.execute(update(installations).where(_of.id == id_).values(values))
            else:
                await connection.execute(installations.insert(), values)
            back = [id_]
            if before and before.uninstalled_at and installation.is_enterprise:
                together = and_(
                    _of.enterprise_id == id_, _of.bot_token.is_(None), _of.uninstalled_at == before.uninstalled_at
                )
                back += await connection.scalars(locked(installations, together))
                await connection.execute(
                    update(installations).where(in_order(installations, together)).values(uninstalled_at=None)
                )
        for team_id in back if before else ():
            await parking.resume(self._database, team_id, now)
        return saved

    async def resume_left_behind(self, now: datetime) -> int:
        """Resume parked work of workspaces in which the app is installed; return of how many.

        `save` does so itself, unless the process dies meanwhile. For a token that couldn't be decrypted, the master key
        may be back.
        """
        resumed, after = 0, ""
        while page := await parking.left_behind(self._database, self._vault.keys.ids, after):
            for team_id in page:
                try:
                    if await self.find(team_id) is None:
                        continue
                except SecretUnreadable:
                    continue
                await parking.resume(self._database, team_id, now)
                resumed += 1
            after = page[-1]
        return resumed

    async def find(
        self, team_id: str, enterprise_id: str | None = None, *, is_enterprise: bool = False
    ) -> Installation | None:
        """Find the installation that serves a workspace: its own one, or else its organization's.

        Args:
            team_id: the workspace; "" for the organization itself.
            enterprise_id: the organization that it belongs to, as Slack says.
            is_enterprise: Slack says that this is about the org-wide installation, so that one goes first.

        Returns:
            None if the app isn't installed there, or was uninstalled.

        Raises:
            SecretUnreadable: it is installed, but its token can't be decrypted; installing again helps.
        """
        async with self._database.read() as connection:
            own = await self._vault.load(connection, team_id)
            enterprise_id = enterprise_id or (own.enterprise_id if own else None)
            is_served_by_own = own is not None and own.bot_token is not None and not is_enterprise
            org = None if is_served_by_own else await self._vault.load(connection, enterprise_id or "")
        org = org if org and org.is_enterprise and not org.uninstalled_at else None
        if own and own.bot_token and not own.uninstalled_at and not (is_enterprise and org):
            return self._vault.read(own)
        if org is None or (own and own.uninstalled_at and own.uninstalled_at >= org.installed_at):
            return None
        is_noted = not team_id or (own is not None and not own.uninstalled_at)
        if not is_noted and not await self.grant(team_id, org.id, org.installed_at):
            return None
        return self._vault.read(org)

    async def stamp_of(self, team_id: str) -> Stamp | None:
        """Return what changes whenever a workspace's token, FloKit keys or policy do; None if it has no installation.

        It takes one statement and opens no secret, unlike reading them.
        """
        async with self._database.read() as connection:
            row = (await connection.execute(_STAMP, {"of_id": team_id})).first()
        return tuple(row) if row else None

    @retried
    async def grant(self, team_id: str, enterprise_id: str, now: datetime) -> bool:
        """Note that an org-wide installation covers a workspace, perhaps again: Slack's ``team_access_granted``.

        `find` does so for a workspace that it sees for the first time, so that uninstalling erases its data, too.

        Returns:
            False if the app isn't installed in that organization (anymore).
        """
        row = facts_of(covered(team_id, enterprise_id, now))
        again = {"uninstalled_at": None, "enterprise_id": enterprise_id, "installed_at": now}
        async with self._database.begin() as connection:
            await connection.lock(f"installation {team_id}")  # its work may be parked at this moment
            if await self._vault.lock_org(connection, enterprise_id) is None:
                return False
            await connection.execute(
                insert(installations)
                .values(row)
                .on_conflict_do_update(index_elements=["id"], set_=again, where=_of.bot_token.is_(None))
            )
        await parking.resume(self._database, team_id, now)
        return True

    async def revoke(
        self,
        team_id: str,
        enterprise_id: str | None = None,
        *,
        before: datetime,
        is_enterprise: bool = False,
        generation: int | None = None,
    ) -> bool:
        """Note that the app was uninstalled or its token revoked, and erase the secrets and the data key at once.

        A workspace whose own token was revoked stays covered by an org-wide installation, if there is one.

        Args:
            team_id: the workspace; "" for the whole organization.
            enterprise_id: the organization, if there is one.
            before: when it happened (Slack's ``event_time``); an installation newer than this stays.
            is_enterprise: it's about the org-wide installation and all workspaces that it covers.
            generation: of the installation whose token Slack refused; a newer one stays. None: whichever is there.

        Returns:
            Whether this changed anything; False if it was uninstalled already, is newer, or isn't known.
        """
        is_org = is_enterprise or not team_id
        is_changed = (
            await self._revoke_org(enterprise_id or "", before, generation)
            if is_org
            else await self._revoke_team(team_id, enterprise_id, before, generation)
        )
        if is_changed:
            await self._database.forget_erased()
        if is_changed and not is_org:
            await parking.park(self._database, team_id)  # unless an org-wide installation covers it
        return is_changed

    @retried
    async def _revoke_team(
        self, team_id: str, enterprise_id: str | None, before: datetime, generation: int | None
    ) -> bool:
        async with self._database.begin() as connection:
            org = await self._vault.lock_org(connection, enterprise_id) if enterprise_id else None
            own = await self._vault.lock(connection, team_id)
            serving = own if own and own.bot_token else org
            if generation is not None and serving and serving.generation != generation:
                return False
            if own is None and org and org.installed_at <= before:
                row = facts_of(covered(team_id, enterprise_id, before)) | {"uninstalled_at": before}
                await connection.execute(installations.insert(), row)
                return True
            if own is None or own.uninstalled_at or own.installed_at > before:
                return False
            stays_covered = org is not None and own.bot_token is not None
            uninstalled_at = None if stays_covered else before
            await connection.execute(
                update(installations).where(_of.id == team_id).values(NO_SECRETS | {"uninstalled_at": uninstalled_at})
            )
        return True

    @retried
    async def _revoke_org(self, enterprise_id: str, before: datetime, generation: int | None) -> bool:
        async with self._database.begin() as connection:
            org = await self._vault.lock_org(connection, enterprise_id)
            if org is None or org.installed_at > before or generation not in (None, org.generation):
                return False
            covered = and_(_of.enterprise_id == enterprise_id, _of.bot_token.is_(None), _of.uninstalled_at.is_(None))
            await connection.execute(
                update(installations)
                .where(in_order(installations, or_(_of.id == enterprise_id, covered)))
                .values(NO_SECRETS | {"uninstalled_at": before})
            )
        return True

    async def give_up(self, id_: str, now: datetime) -> list[str]:
        """Note that a workspace is to be erased, or an organization with all workspaces that it covers.

        The secrets are erased at once, and from now on nothing is sent or looked at; the app stays installed in Slack.

        Returns:
            The IDs of the installations that are gone now; [] if it isn't known.
        """
        record = await self.records.find(id_)
        if record is None:
            return []
        named = record.team_id, record.enterprise_id
        while await self.revoke(*named, before=now, is_enterprise=record.is_enterprise):
            pass  # a workspace with a token of its own may be covered by an organization, too
        covered = and_(_of.enterprise_id == id_, _of.bot_token.is_(None), _of.uninstalled_at.is_not(None))
        gone = covered if record.is_enterprise else _of.id == id_
        async with self._database.read() as connection:
            return list(await connection.scalars(select(_of.id).where(or_(_of.id == id_, gone))))

    async def erase(self, ids: Sequence[str], cutoff: datetime) -> int:
        """Delete all data of workspaces that uninstalled before ``cutoff``, and then their rows; return how many.

        It goes through the tables in small batches. One that is installed again meanwhile keeps the rest.
        """
        await erase_data(self._database, ids, cutoff)
        erased = await self._forget(ids, cutoff)
        await self._database.forget_erased()
        return erased

    async def erase_expired(self, now: datetime, keep: timedelta) -> int:
        """Erase all workspaces that uninstalled longer ago; return how many."""
        erased, cutoff = 0, now - keep
        expired = select(_of.id).where(_of.uninstalled_at <= cutoff).order_by(_of.uninstalled_at)
        while True:
            async with self._database.read() as connection:
                ids = await connection.scalars(expired.limit(ERASED_TOGETHER))
            if not ids:
                return erased
            erased += await self.erase(ids, cutoff)

    @retried
    async def _forget(self, ids: Sequence[str], cutoff: datetime) -> int:
        still = and_(_of.id.in_(ids), _of.uninstalled_at <= cutoff)
        async with self._database.begin() as connection:
            gone = await connection.execute(installations.delete().where(in_order(installations, still)))
        return gone.rowcount
