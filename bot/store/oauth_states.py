"""The states of installations under way: each is good once, for ten minutes, in the browser that asked for it.

Only hashes are stored, so someone who reads the table can't finish another person's installation.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select

from bot.store.database import Database
from bot.store.locks import chosen
from bot.store.tables import oauth_states
from bot.store.transactions import retried

GOOD_FOR: Final = timedelta(minutes=10)
"""As long as Slack's code: https://docs.slack.dev/authentication/installing-with-oauth"""

CLEARED_AT_ONCE: Final = 100


class OAuthStates:
    """The states that were issued. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def issue(self, browser: str, now: datetime) -> str:
        """Make a state for a browser, and forget some that have expired.

        Args:
            browser: a random value that only this browser has, in a cookie.
            now: the time.

        Raises:
            StoreUnavailable: the database is away.
        """
        state = secrets.token_urlsafe(32)
        row = {"id": _hash(state), "browser_hash": _hash(browser), "expires_at": now + GOOD_FOR}
        expired = select(oauth_states.c.id).where(oauth_states.c.expires_at <= now)
        some = expired.order_by(oauth_states.c.expires_at).limit(CLEARED_AT_ONCE).with_for_update(skip_locked=True)
        async with self._database.begin() as connection:
            await connection.execute(delete(oauth_states).where(chosen(oauth_states, some)))
            await connection.execute(oauth_states.insert(), row)
        return state

    @retried
    async def consume(self, state: str, browser: str, now: datetime) -> bool:
        """Use a state up; False if it was used, has expired, isn't ours, or belongs to another browser.

        Raises:
            StoreUnavailable: the database is away; the state wasn't used up.
        """
        async with self._database.begin() as connection:
            used = await connection.execute(
                delete(oauth_states).where(
                    oauth_states.c.id == _hash(state),
                    oauth_states.c.browser_hash == _hash(browser),
                    oauth_states.c.expires_at > now,
                )
            )
        return used.rowcount == 1


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
