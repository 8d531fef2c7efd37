"""Who installed the app, and their secrets: one row per workspace or organization, sealed with a data key of its own.

A workspace that an org-wide installation covers has a row, too: without a token, but with its own FloKit keys.
Uninstalling erases all secrets of a row and its data key at once; the row stays as a tombstone until its data goes.

A secret that can't be decrypted raises `SecretUnreadable` for its own workspace only, and never ends a batch.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from bot.core.access.audit import AuditEntry
from bot.core.errors import ClaimLost, MasterKeyMissing, NotInstalled, SecretUnreadable
from bot.core.installations import Connection, Installation, InstallationRecord
from bot.store import audit, parking
from bot.store.database import Database
from bot.store.erasure import erase_data
from bot.store.locks import chosen, in_order, locked, locked_rows
from bot.store.sealing import DataKey, MasterKeys
from bot.store.statements import Row, constant
from bot.store.tables import UtcTime, installations, policies
from bot.store.transactions import Transaction, retried

REFRESH_AHEAD: Final = timedelta(hours=2)
"""How long before a token expires it's refreshed; it lives for twelve hours.

https://docs.slack.dev/authentication/using-token-rotation
"""

REFRESH_LEASE: Final = timedelta(minutes=1)
"""How long one replica alone refreshes a token; after a failure, it's also the pause before the next try."""

ERASED_TOGETHER: Final = 100
"""Workspaces whose data is erased in one pass over the tables."""

Stamp: TypeAlias = tuple[Any, ...]

_TOKENS: Final = ("bot_token", "refresh_token")
_KEYS: Final = ("flokit_key", "flokit_sync_key")

_NO_CONNECTION: Final[dict[str, Any]] = dict.fromkeys(
    (*_KEYS, "key_hint", "connected_by", "connected_at", "webhook_hash")
)
_NO_SECRETS: Final[dict[str, Any]] = _NO_CONNECTION | dict.fromkeys(
    (*_TOKENS, "token_expires_at", "refresh_until", "data_key", "data_key_id")
)

_of: Final = installations.c
_LOAD: Final = constant(select(installations).where(_of.id == bindparam("of_id")))
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
_BY_WEBHOOK: Final = constant(select(_of.id).where(_of.webhook_hash == bindparam("hash"), _of.uninstalled_at.is_(None)))
_EXPIRING: Final = (
    select(_of.id)
    .where(
        _of.token_expires_at <= bindparam("soon", type_=UtcTime),
        _of.uninstalled_at.is_(None),
        or_(_of.refresh_until.is_(None), _of.refresh_until <= bindparam("now", type_=UtcTime)),
    )
    .order_by(_of.token_expires_at)
    .limit(1)
    .with_for_update(skip_locked=True, key_share=True)
)
"""Built once: that takes longer than running it."""


class Installations:
    """The installations. Each method is one transaction or a few short ones.

    All of them raise StoreUnavailable when the database is away, which never means that the app isn't installed.

    Args:
        database: where they are.
        keys: the master keys that wrap the data keys.
    """

    def __init__(self, database: Database, keys: MasterKeys) -> None:
        self._database = database
        self._keys = keys

    # --- installing -------------------------------------------------------------------------------------------

    @retried
    async def save(self, installation: Installation, now: datetime) -> Installation:
        """Save a new installation, or one that replaces an earlier one, and return it as saved.

        Its ``generation`` and ``installed_at`` are set here. FloKit's keys stay, unless they can no longer be
        decrypted; whatever the workspace had before it uninstalled is there again, except for its secrets.
        """
        id_ = installation.id
        async with self._database.begin() as connection:
            await connection.lock(f"installation {id_}")  # a row that isn't there yet can't be locked
            before = await self._lock(connection, id_)
            saved = replace(installation, generation=before.generation + 1 if before else 1, installed_at=now)
            key = self._key_if_readable(before)
            values = _facts(saved) | {"uninstalled_at": None, "refresh_until": None}
            if key is None:
                key = DataKey.new(id_)
                values |= _NO_CONNECTION | self._wrapped(key)
            values |= _sealed_tokens(key, saved)
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
        while page := await parking.left_behind(self._database, self._keys.ids, after):
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
            own = await self._load(connection, team_id)
            enterprise_id = enterprise_id or (own.enterprise_id if own else None)
            is_served_by_own = own is not None and own.bot_token is not None and not is_enterprise
            org = None if is_served_by_own else await self._load(connection, enterprise_id or "")
        org = org if org and org.is_enterprise and not org.uninstalled_at else None
        if own and own.bot_token and not own.uninstalled_at and not (is_enterprise and org):
            return self._read(own)
        if org is None or (own and own.uninstalled_at and own.uninstalled_at >= org.installed_at):
            return None
        is_noted = not team_id or (own is not None and not own.uninstalled_at)
        if not is_noted and not await self.grant(team_id, org.id, org.installed_at):
            return None
        return self._read(org)

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
        row = _facts(_covered(team_id, enterprise_id, now))
        again = {"uninstalled_at": None, "enterprise_id": enterprise_id, "installed_at": now}
        async with self._database.begin() as connection:
            await connection.lock(f"installation {team_id}")  # its work may be parked at this moment
            if await self._lock_org(connection, enterprise_id) is None:
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
            org = await self._lock_org(connection, enterprise_id) if enterprise_id else None
            own = await self._lock(connection, team_id)
            serving = own if own and own.bot_token else org
            if generation is not None and serving and serving.generation != generation:
                return False
            if own is None and org and org.installed_at <= before:
                row = _facts(_covered(team_id, enterprise_id, before)) | {"uninstalled_at": before}
                await connection.execute(installations.insert(), row)
                return True
            if own is None or own.uninstalled_at or own.installed_at > before:
                return False
            stays_covered = org is not None and own.bot_token is not None
            uninstalled_at = None if stays_covered else before
            await connection.execute(
                update(installations).where(_of.id == team_id).values(_NO_SECRETS | {"uninstalled_at": uninstalled_at})
            )
        return True

    @retried
    async def _revoke_org(self, enterprise_id: str, before: datetime, generation: int | None) -> bool:
        async with self._database.begin() as connection:
            org = await self._lock_org(connection, enterprise_id)
            if org is None or org.installed_at > before or generation not in (None, org.generation):
                return False
            covered = and_(_of.enterprise_id == enterprise_id, _of.bot_token.is_(None), _of.uninstalled_at.is_(None))
            await connection.execute(
                update(installations)
                .where(in_order(installations, or_(_of.id == enterprise_id, covered)))
                .values(_NO_SECRETS | {"uninstalled_at": before})
            )
        return True

    async def give_up(self, id_: str, now: datetime) -> list[str]:
        """Note that a workspace is to be erased, or an organization with all workspaces that it covers.

        The secrets are erased at once, and from now on nothing is sent or looked at; the app stays installed in Slack.

        Returns:
            The IDs of the installations that are gone now; [] if it isn't known.
        """
        record = await self.record(id_)
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

    # --- FloKit -----------------------------------------------------------------------------------------------

    @retried
    async def connect(self, team_id: str, flokit: Connection, now: datetime) -> str:
        """Save a workspace's FloKit keys, in place of earlier ones.

        Returns:
            The token for the address of its webhooks: new each time, and not to be had again.

        Raises:
            NotInstalled: the app isn't installed there.
            SecretUnreadable: neither is its Slack token readable, so it has to be installed again first.
        """
        token = secrets.token_urlsafe(32)
        async with self._database.begin() as connection:
            row = await self._lock(connection, team_id)
            if row is None or row.uninstalled_at:
                raise NotInstalled(f"the app isn't installed in {team_id}")
            key, values = self._key_if_readable(row), {}
            if key is None:
                if row.bot_token:
                    self._key_of(row)  # raises
                key = DataKey.new(team_id)
                values = self._wrapped(key)
            values |= {
                "flokit_key": key.seal(flokit.api_key, "flokit_key"),
                "flokit_sync_key": flokit.sync_api_key and key.seal(flokit.sync_api_key, "flokit_sync_key"),
                "key_hint": flokit.hint,
                "connected_by": flokit.connected_by,
                "connected_at": now,
                "webhook_hash": _hash(token),
            }
            await connection.execute(update(installations).where(_of.id == team_id).values(values))
        return token

    async def connection_of(self, team_id: str) -> Connection | None:
        """Return a workspace's FloKit keys; None if it isn't connected or no longer installed.

        Raises:
            SecretUnreadable: it is connected, but the keys can't be decrypted; connecting again helps.
        """
        async with self._database.read() as connection:
            row = await self._load(connection, team_id)
        if row is None or row.uninstalled_at or row.flokit_key is None:
            return None
        key = self._key_of(row)
        sync_key = key.open(row.flokit_sync_key, "flokit_sync_key") if row.flokit_sync_key else None
        return Connection(key.open(row.flokit_key, "flokit_key"), sync_key, row.connected_by, row.connected_at)

    async def disconnect(self, team_id: str, *, entry: AuditEntry | None = None) -> bool:
        """Erase a workspace's FloKit keys and its webhooks' address; return whether there were any.

        ``entry`` goes to the audit log if so.
        """
        is_changed = await self._disconnect(team_id, entry)
        if is_changed:
            await self._database.forget_erased()
        return is_changed

    @retried
    async def _disconnect(self, team_id: str, entry: AuditEntry | None) -> bool:
        connected = and_(_of.id == team_id, _of.flokit_key.is_not(None))
        async with self._database.begin() as connection:
            gone = await connection.execute(update(installations).where(connected).values(_NO_CONNECTION))
            if gone.rowcount == 1:
                await audit.add(connection, entry)
        return gone.rowcount == 1

    async def team_of_webhook(self, token: str) -> str | None:
        """Return the workspace that an address of webhooks belongs to; None if there is none (anymore)."""
        async with self._database.read() as connection:
            id_: str | None = await connection.scalar(_BY_WEBHOOK, {"hash": _hash(token)})
        return id_

    # --- token rotation ---------------------------------------------------------------------------------------

    @retried
    async def claim_refresh(self, now: datetime) -> Installation | None:
        """Claim an installation whose token expires soon, for `REFRESH_LEASE`; None if there is none.

        Raises:
            SecretUnreadable: its token can't be decrypted; the lease keeps others from it, so ask again for the next.
        """
        claim = (
            update(installations)
            .where(chosen(installations, _EXPIRING))
            .values(refresh_until=now + REFRESH_LEASE)
            .returning(installations)
        )
        async with self._database.begin() as connection:
            row = (await connection.execute(claim, {"now": now, "soon": now + REFRESH_AHEAD})).first()
        return self._read(row) if row else None

    @retried
    async def save_token(
        self, id_: str, generation: int, bot_token: str, refresh_token: str, expires_at: datetime
    ) -> int:
        """Save a refreshed token, and return the new generation.

        A refresh token works once, so whoever used it must save what came of it, even after the lease ended: only a
        newer generation refuses it.

        Args:
            id_: the `Installation.id`.
            generation: the one that was refreshed.
            bot_token: the new token.
            refresh_token: the new refresh token.
            expires_at: when the new token expires.

        Raises:
            ClaimLost: another replica was faster, or it was installed again or uninstalled meanwhile.
        """
        async with self._database.begin() as connection:
            row = await self._lock(connection, id_)
            if row is None or row.uninstalled_at or row.bot_token is None or row.generation != generation:
                raise ClaimLost(f"the token of {id_} has changed meanwhile")
            key = self._key_of(row)
            values = {
                "bot_token": key.seal(bot_token, "bot_token"),
                "refresh_token": key.seal(refresh_token, "refresh_token"),
                "token_expires_at": expires_at,
                "refresh_until": None,
                "generation": generation + 1,
            }
            await connection.execute(update(installations).where(_of.id == id_).values(values))
        return generation + 1

    # --- for those who run it ---------------------------------------------------------------------------------

    async def all(self, limit: int, after: str = "") -> list[InstallationRecord]:
        """List installations by ID, from the one after ``after`` on; no secret is opened."""
        page = select(installations).where(_of.id > after).order_by(_of.id).limit(limit)
        async with self._database.read() as connection:
            return [_record(row) for row in await connection.execute(page)]

    async def record(self, id_: str) -> InstallationRecord | None:
        """Return what is known of one installation, uninstalled or not; no secret is opened."""
        async with self._database.read() as connection:
            row = await self._load(connection, id_)
        return _record(row) if row else None

    async def count_by_key(self) -> dict[str, int]:
        """Count the installations whose secrets need each master key, by the key's ID."""
        known = _of.data_key_id.is_not(None)
        counts = select(_of.data_key_id, func.count().label("needing")).where(known).group_by(_of.data_key_id)
        async with self._database.read(is_long=True) as connection:
            return {row.data_key_id: row.needing for row in await connection.execute(counts)}

    async def rewrap(self, limit: int) -> int:
        """Wrap some data keys with the first master key, and return how many; 0 if none is left that can be read.

        The secrets themselves stay as they are, and the bot can run meanwhile.
        """
        done = 0
        for key_id in self._keys.ids[1:]:
            after = ""
            while done < limit:
                rewrapped, last = await self._rewrap(key_id, after, limit - done)
                if not last:
                    break
                done, after = done + rewrapped, last
        return done

    @retried
    async def _rewrap(self, key_id: str, after: str, limit: int) -> tuple[int, str]:
        """Rewrap one batch; return how many, and the last ID, "" if there was none."""
        wrapped_by = and_(_of.data_key_id == key_id, _of.id > after)
        batch = select(_of.id, _of.data_key, _of.data_key_id).where(wrapped_by).order_by(_of.id).limit(limit)
        done, last = 0, ""
        async with self._database.begin() as connection:
            for row in (await connection.execute(batch.with_for_update(key_share=True))).all():
                last = row.id
                try:
                    key = self._key_of(row)
                except SecretUnreadable:
                    continue
                await connection.execute(update(installations).where(_of.id == row.id).values(self._wrapped(key)))
                done += 1
        return done, last

    # --- rows -------------------------------------------------------------------------------------------------

    async def _load(self, connection: Transaction, id_: str) -> Row | None:
        return (await connection.execute(_LOAD, {"of_id": id_})).first() if id_ else None

    async def _lock_org(self, connection: Transaction, enterprise_id: str) -> Row | None:
        """Hold an organization's row, if the app is installed there; it goes before those of its workspaces.

        Slack's IDs of organizations begin with E, and those of workspaces with T: that is the order of the keys.
        """
        row = await self._lock(connection, enterprise_id)
        return row if row and row.is_enterprise and not row.uninstalled_at else None

    async def _lock(self, connection: Transaction, id_: str) -> Row | None:
        return (await connection.execute(locked_rows(installations, _of.id == id_))).first()

    def _key_of(self, row: Row) -> DataKey:
        if row.data_key is None:
            raise MasterKeyMissing("")
        return self._keys.unwrap(row.data_key, row.data_key_id or "", row.id)

    def _key_if_readable(self, row: Row | None) -> DataKey | None:
        if row is None or row.data_key is None:
            return None
        try:
            return self._key_of(row)
        except SecretUnreadable:
            return None

    def _wrapped(self, key: DataKey) -> dict[str, Any]:
        return {"data_key": self._keys.wrap(key), "data_key_id": self._keys.first_id}

    def _read(self, row: Row) -> Installation:
        key = self._key_of(row)
        return Installation(
            row.team_id,
            row.team_name,
            row.enterprise_id,
            row.is_enterprise,
            row.app_id,
            row.bot_id,
            row.bot_user_id,
            key.open(row.bot_token, "bot_token"),
            tuple(row.scopes.split()),
            row.installed_by,
            row.installed_at,
            row.generation,
            key.open(row.refresh_token, "refresh_token") if row.refresh_token else None,
            row.token_expires_at,
        )


def _covered(team_id: str, enterprise_id: str | None, at: datetime) -> Installation:
    """Return a workspace that an org-wide installation covers: it has nothing of its own yet."""
    return Installation(team_id, "", enterprise_id, False, "", "", "", "", (), "", at)


def _facts(installation: Installation) -> dict[str, Any]:
    """Return what is stored as it is."""
    return {
        "id": installation.id,
        "team_id": installation.team_id,
        "team_name": installation.team_name,
        "enterprise_id": installation.enterprise_id,
        "is_enterprise": installation.is_enterprise,
        "app_id": installation.app_id,
        "bot_id": installation.bot_id,
        "bot_user_id": installation.bot_user_id,
        "scopes": " ".join(installation.scopes),
        "installed_by": installation.installed_by,
        "installed_at": installation.installed_at,
        "generation": installation.generation,
        "token_expires_at": installation.token_expires_at,
    }


def _sealed_tokens(key: DataKey, installation: Installation) -> dict[str, Any]:
    refresh_token = installation.refresh_token
    return {
        "bot_token": key.seal(installation.bot_token, "bot_token"),
        "refresh_token": key.seal(refresh_token, "refresh_token") if refresh_token else None,
    }


def _record(row: Row) -> InstallationRecord:
    return InstallationRecord(
        row.id,
        row.team_id,
        row.team_name,
        row.enterprise_id,
        row.is_enterprise,
        row.bot_token is not None,
        tuple(row.scopes.split()),
        row.installed_by,
        row.installed_at,
        row.generation,
        row.data_key_id,
        row.uninstalled_at,
        row.key_hint,
        row.connected_by,
        row.connected_at,
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
