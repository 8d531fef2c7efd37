"""Installs the app in many workspaces at once: their rows as the bot's own OAuth flow and form leave them, in bulk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks.slack import BOT_ID, BOT_USER_ID, SIGNING_SECRET, bot_token_of
from bot.settings.encryption_keys import new_encryption_key
from bot.store.database import Database
from bot.store.sealing import DataKey, MasterKeys
from bot.store.tables import installations

BATCH: Final = 1000
CLIENT_ID: Final = "1.2"
SCOPES: Final = "app_mentions:read chat:write commands im:write users:read"


def team(number: int) -> str:
    """Return the ID of a workspace."""
    return f"T{number:06d}"


def key_of(team_id: str) -> str:
    """Return the FloKit key of a workspace; the local FloKit counts its calls by key, and reads its mood from it."""
    return f"flo-{team_id}"


class Installer:
    """Installs workspaces in a database, with one master key."""

    def __init__(self) -> None:
        self._master_key = new_encryption_key()
        self._keys = MasterKeys.parse(self._master_key)

    def settings(self, port: int) -> Mapping[str, str]:
        """Return what a bot needs to serve them; "" unsets what it has for one workspace."""
        return {
            "SLACK_BOT_TOKEN": "",
            "FLOKIT_API_KEY": "",
            "SLACK_CLIENT_ID": CLIENT_ID,
            "SLACK_CLIENT_SECRET": "benchmark-client-secret",
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "ENCRYPTION_KEYS": self._master_key,
        }

    async def install(self, database: Database, team_ids: Sequence[str]) -> None:
        """Install the app in workspaces, and connect each to FloKit."""
        now = datetime.now(UTC)
        for first in range(0, len(team_ids), BATCH):
            rows = [self._row(team_id, now) for team_id in team_ids[first : first + BATCH]]
            async with database.begin() as connection:
                await connection.execute(installations.insert(), rows)

    def _row(self, team_id: str, now: datetime) -> dict[str, Any]:
        key = DataKey.new(team_id)
        return {
            "id": team_id,
            "team_id": team_id,
            "team_name": f"Workspace {team_id}",
            "app_id": "A0BENCH",
            "bot_id": BOT_ID,
            "bot_user_id": BOT_USER_ID,
            "scopes": SCOPES,
            "installed_by": "UANA",
            "installed_at": now,
            "data_key": self._keys.wrap(key),
            "data_key_id": self._keys.first_id,
            "bot_token": key.seal(bot_token_of(team_id), "bot_token"),
            "flokit_key": key.seal(key_of(team_id), "flokit_key"),
            "key_hint": team_id[-4:],
            "connected_by": "UANA",
            "connected_at": now,
            "webhook_hash": f"hash of {team_id}",
        }
