"""Token rotation: which tokens expire soon, and what they were refreshed to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, or_, select, update

from bot.core.errors import ClaimLost
from bot.core.installations import Installation
from bot.store.database import Database
from bot.store.installations.vault import Vault
from bot.store.locks import chosen
from bot.store.tables import UtcTime, installations
from bot.store.transactions import retried

REFRESH_AHEAD: Final = timedelta(hours=2)
"""How long before a token expires it's refreshed; it lives for twelve hours.

https://docs.slack.dev/authentication/using-token-rotation
"""

REFRESH_LEASE: Final = timedelta(minutes=1)
"""How long one replica alone refreshes a token; after a failure, it's also the pause before the next try."""

_of: Final = installations.c
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


class Tokens:
    """The tokens of installations that rotate them. Each method is one transaction."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @retried
    async def claim(self, now: datetime) -> Installation | None:
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
        return self._vault.read(row) if row else None

    @retried
    async def save(self, id_: str, generation: int, bot_token: str, refresh_token: str, expires_at: datetime) -> int:
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
            row = await self._vault.lock(connection, id_)
            if row is None or row.uninstalled_at or row.bot_token is None or row.generation != generation:
                raise ClaimLost(f"the token of {id_} has changed meanwhile")
            key = self._vault.key_of(row)
            values = {
                "bot_token": key.seal(bot_token, "bot_token"),
                "refresh_token": key.seal(refresh_token, "refresh_token"),
                "token_expires_at": expires_at,
                "refresh_until": None,
                "generation": generation + 1,
            }
            await connection.execute(update(installations).where(_of.id == id_).values(values))
        return generation + 1
