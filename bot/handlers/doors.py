"""The doors of workspaces that installed the app: how each is connected to its FloKit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from bot.core.errors import FlokitDenied, SecretUnreadable
from bot.core.installations import Connection, Installation
from bot.core.models import Person
from bot.core.requests import Origin, Request, RequestKind
from bot.flokit import Endpoint, FlokitClient, KeyCheck
from bot.flokit.http import FlokitHttp
from bot.handlers.connecting import Door
from bot.observability.context import Runtime
from bot.settings.settings import Settings
from bot.store.budget import SharedBudget
from bot.store.database import Database
from bot.store.inbox import Inbox
from bot.store.installations import Installations

log = structlog.get_logger(__name__)

KEY_UNREADABLE: Final = "I can no longer decrypt this workspace's FloKit key. Please connect FloKit again."


class Doors:
    """Connects workspaces to their FloKit.

    Args:
        settings: where FloKit is.
        runtime: the clock, and what is reported to.
        database: for the budget of each workspace.
        inbox: where requests to notify people are saved.
        installations: the workspaces' keys.
        http: the connections to FloKit, which all workspaces share.
        forget: has a workspace read again before it's used again.
        webhook_url: returns the address for a webhook's token.
    """

    def __init__(
        self,
        settings: Settings,
        runtime: Runtime,
        database: Database,
        inbox: Inbox,
        installations: Installations,
        http: FlokitHttp,
        *,
        forget: Callable[[str], None],
        webhook_url: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._database = database
        self._inbox = inbox
        self._installations = installations
        self._http = http
        self._forget = forget
        self._webhook_url = webhook_url

    def of(self, team_id: str, installation: Installation, connection: Connection | None) -> Door:
        """Return the door of a workspace."""
        return Door(
            installation.installed_by,
            connection.hint if connection else "",
            check=partial(self._check, team_id),
            webhook_url=self._webhook_url,
            keep=partial(self._connect, team_id),
            erase=partial(self._disconnect, team_id),
            changed=partial(self._forget, team_id),
        )

    def endpoint_of(self, connection: Connection | None) -> Endpoint:
        """Return where a workspace's FloKit is, with its keys."""
        key = connection.api_key if connection else ""
        return Endpoint(
            self._settings.flokit_api_url,
            key,
            (connection.sync_api_key or key) if connection else "",
            network=self._settings.network,
            key_lost=KEY_UNREADABLE if connection and not key else "",
        )

    async def connection_of(self, team_id: str, *, is_first: bool) -> Connection | None:
        """Return FloKit's keys; one without a key if they can't be decrypted."""
        try:
            return await self._installations.connections.of(team_id)
        except SecretUnreadable as error:
            log.warning("connection_unreadable", team_id=team_id, error=str(error))
        record = await self._installations.records.find(team_id)
        if record is None or record.connected_at is None:
            return None
        lost = Connection("", None, record.connected_by or "", record.connected_at)
        if is_first:
            await self.tell_lost(team_id, lost)
        return lost

    async def tell_lost(self, team_id: str, connection: Connection, denied: FlokitDenied | None = None) -> None:
        """Notify whoever connected FloKit that the key doesn't work: once, however often and wherever it's noticed.

        The notification stays in the inbox for `RETENTION_DAYS`; after connecting again, there can be another one.
        """
        record = await self._installations.records.find(team_id)
        if record is None or record.connected_at != connection.connected_at:
            self._forget(team_id)  # it was connected again meanwhile, or disconnected
            return
        origin = Origin(team_id, Person(connection.connected_by), "")
        id_ = f"key_lost:{team_id}:{connection.connected_at.isoformat()}"
        text = str(denied.http_status) if denied else ""
        now = self._runtime.clock()
        if await self._inbox.add(Request(id_, RequestKind.KEY_LOST, origin, now, text=text)):
            log.warning("flokit_key_lost", team_id=team_id, user_id=connection.connected_by, http_status=text)

    async def _connect(self, team_id: str, connection: Connection) -> str:
        token = await self._installations.connections.save(team_id, connection, self._runtime.clock())
        self._forget(team_id)
        return token

    async def _disconnect(self, team_id: str) -> None:
        await self._installations.connections.erase(team_id)
        self._forget(team_id)

    async def _check(self, team_id: str, key: str, sync_key: str) -> KeyCheck:
        """Have FloKit confirm two keys, on the workspace's own budget."""
        clock = self._runtime.clock
        client = FlokitClient(
            Endpoint(self._settings.flokit_api_url, key, sync_key),
            budget=SharedBudget(self._database, team_id, clock=clock),
            now=clock,
            telemetry=self._runtime.telemetry,
            http=self._http,
        )
        try:
            return await client.check_keys()
        finally:
            await client.aclose()
