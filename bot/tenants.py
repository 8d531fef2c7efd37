"""The workspaces that installed the app: each is built when it's first needed, and dropped when it's idle.

What a workspace is built of (its token, its FloKit keys, its policy) is read again at most a minute later, so that an
uninstall, a new key or a new policy reaches every replica. Whoever changes it in this process makes it be read again
at once, and without a key it's read each time: nobody should wait for a minute after connecting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, Final

import structlog
from slack_bolt.context.async_context import AsyncBoltContext

from bot.core.access.policy import Policy, Rule, Verb
from bot.core.access.policy_form import PolicyVersion
from bot.core.errors import InstallationLost, NotInstalled, SecretUnreadable
from bot.core.installations import KNOWN_FOR_S, Connection, Installation
from bot.core.models import Person
from bot.core.requests import Origin, Request, RequestKind
from bot.flokit.http import FlokitHttp
from bot.handlers.doors import Doors
from bot.listeners.observed import Addressee
from bot.listeners.payloads import parse_access_news
from bot.ops.install import InstallPages
from bot.ops.install_pages import About
from bot.ops.web import WEBHOOK_PATH
from bot.serving import Spawn
from bot.settings.policy_file import read_policy
from bot.slack.client import SlackClient
from bot.slack.oauth import OAuthApp, Rotation, authorize_url_of
from bot.slack.replies import Identity
from bot.store.installations import Installations, Stamp
from bot.store.oauth_states import OAuthStates
from bot.store.policies import Policies
from bot.workers.installations import InstallationKeeper
from bot.workers.revocations import Revocations
from bot.workspace import Base, Tenant, Workspace, build_workspace

log = structlog.get_logger(__name__)

IDLE_S: Final = 3600.0
SWEEP_S: Final = 60.0

UNREADABLE: Final = Policy(
    (Rule("this workspace's policy can't be read; an admin must save it again", False, frozenset(Verb)),)
)
"""What applies until someone who may change the policy does."""

INSTALL_AGAIN: Final = (
    "I can no longer read this workspace's installation, so I can't do anything here. Please install me again: {url} "
    "Subscriptions and history stay. You may have to connect FloKit again."
)
"""The token can't be decrypted: https://docs.slack.dev/interactivity/handling-user-interaction needs none to answer."""


@dataclass(slots=True)
class _Slot:
    """A workspace that is in memory, or is being built."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    workspace: Workspace | None = None
    built_of: tuple[Installation, Connection | None, PolicyVersion | None] | None = None
    stamp: Stamp | None = None
    known_until: float = 0.0
    changes: int = 0
    """Grows when what it's built of may have changed: what was read before that isn't known anymore."""
    used_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Shared:
    """The connections that all workspaces use."""

    slack: SlackClient
    """A client without a token."""
    flokit: FlokitHttp
    send_within_s: float


class InstalledWorkspaces:
    """The workspaces that installed the app.

    Args:
        base: what the process has once.
        installations: who installed it.
        shared: the connections that all of them use.
    """

    def __init__(self, base: Base, installations: Installations, shared: Shared) -> None:
        settings = base.settings
        self._base = base
        self._installations = installations
        self._shared = shared
        self._slots: dict[str, _Slot] = {}
        self._spawn: Spawn | None = None
        self._app = OAuthApp(
            settings.slack_client_id or "",
            settings.slack_client_secret.get_secret_value() if settings.slack_client_secret else "",
            settings.public_url or "",
            authorize_url=authorize_url_of(settings.slack_web_api_url),
        )
        self._revocations = Revocations(installations, self._forget_all, clock=base.runtime.clock)
        self._doors = Doors(
            settings,
            base.runtime,
            base.database,
            base.store.inbox,
            installations,
            shared.flokit,
            forget=self.forget,
            webhook_url=lambda token: f"{settings.public_url}{WEBHOOK_PATH}/{token}",
        )

    sender = None

    def note_webhook(self) -> None:
        """Do nothing: each workspace has an address of its own."""

    @property
    def names(self) -> dict[str, str]:
        """They are too many to name."""
        return {}

    def start(self, spawn: Spawn) -> None:
        """Start to watch what is built from now on, and to drop what is idle."""
        self._spawn = spawn
        spawn(self._sweep())
        keeper = InstallationKeeper(
            self._installations,
            Rotation(self._app, self._shared.slack.web),
            keep=timedelta(days=self._base.settings.uninstalled_retention_days),
            clock=self._base.runtime.clock,
            changed=self.forget_id,
        )
        spawn(keeper.run())

    async def aclose(self) -> None:
        """Close all connections."""
        self._revocations.stop()
        for team_id in tuple(self._slots):
            await self._drop(team_id)
        await self._shared.flokit.aclose()

    async def of(self, team_id: str, enterprise_id: str | None = None, *, is_enterprise: bool = False) -> Workspace:
        """Return a workspace; see ``Workspaces.of``. The rest of the arguments are those of ``Installations.find``."""
        slot = self._slots.setdefault(team_id, _Slot())
        slot.used_at = _now_s()
        if slot.workspace and slot.used_at < slot.known_until:
            return slot.workspace
        async with slot.lock:
            if slot.workspace and _now_s() < slot.known_until:
                return slot.workspace
            changes, stamp = slot.changes, await self._installations.stamp_of(team_id)
            if slot.workspace and slot.stamp == stamp:
                return self._keep(slot, slot.workspace, changes)
            try:
                installation = await self._installations.find(team_id, enterprise_id, is_enterprise=is_enterprise)
            except SecretUnreadable as error:
                log.warning("installation_unreadable", team_id=team_id, error=str(error))
                await self._drop(team_id)
                raise InstallationLost(INSTALL_AGAIN.format(url=self._app.install_url)) from None
            if installation is None:
                await self._drop(team_id)
                raise NotInstalled(f"the app isn't installed in {team_id}")
            slot.stamp = stamp  # read before the rest, so that what changes meanwhile is noticed next time
            return await self._refresh(slot, team_id, installation, changes)

    async def _refresh(self, slot: _Slot, team_id: str, installation: Installation, changes: int) -> Workspace:
        policies = Policies(self._base.database, team_id)
        connection = await self._doors.connection_of(team_id, is_first=slot.workspace is None)
        built_of = installation, connection, await policies.current()
        if slot.workspace is None or slot.built_of != built_of:
            policy = await _policy_of(team_id, built_of[2])
            await self._stop(slot)
            slot.workspace = build_workspace(self._base, self._tenant(team_id, *built_of[:2], policy))
            slot.built_of = built_of
            if self._spawn:
                slot.workspace.watcher.start(self._spawn)
        return self._keep(slot, slot.workspace, changes)

    def _keep(self, slot: _Slot, workspace: Workspace, changes: int) -> Workspace:
        """Return a workspace that was read a moment ago, when there had been so many changes."""
        connection = slot.built_of[1] if slot.built_of else None
        is_known = connection is not None and connection.api_key and slot.changes == changes
        slot.known_until = _now_s() + KNOWN_FOR_S if is_known else 0.0
        return workspace

    # Installing

    def make_pages(self) -> InstallPages:
        """Make the pages on which people install the app."""
        settings = self._base.settings
        return InstallPages(
            self._app,
            client=self._shared.slack.web,
            states=OAuthStates(self._base.database),
            on_installed=self.install,
            about=About(
                self._app.public_url,
                self._app.scopes,
                settings.retention_days,
                settings.uninstalled_retention_days,
                settings.support_url or "",
                settings.privacy_url or "",
            ),
            clock=self._base.runtime.clock,
        )

    async def install(self, installation: Installation) -> None:
        """Save that the app was installed, and have the person greeted who did.

        Raises:
            StoreUnavailable: it wasn't saved, or that isn't known.
        """
        now = self._base.runtime.clock()
        saved = await self._installations.save(installation, now)
        self._forget_all(saved.id, is_enterprise=saved.is_enterprise)
        log.info("installed", team_id=saved.team_id, enterprise_id=saved.enterprise_id, user_id=saved.installed_by)
        if saved.team_id:  # an organization has no direct messages of its own
            origin = Origin(saved.team_id, Person(saved.installed_by), "")
            greeting = Request(f"installed:{saved.id}:{saved.generation}", RequestKind.INSTALLED, origin, now)
            await self._base.store.inbox.add(greeting)

    async def hint(self, token: str) -> bool:
        """Check a workspace soon, because a webhook came to its address; False if there is no such address.

        Raises:
            StoreUnavailable: that isn't known now.
        """
        team_id = await self._installations.connections.team_of_webhook(token)
        try:
            workspace = await self.of(team_id) if team_id else None
        except NotInstalled:
            workspace = None
        if workspace:
            workspace.watcher.hint()
        return workspace is not None

    # Slack's requests

    async def addressee(self, context: AsyncBoltContext, body: Mapping[str, Any]) -> Addressee | None:
        """Return the workspace that one of Slack's requests is for; see ``Workspaces.addressee``."""
        team_id, enterprise_id = context.team_id or "", context.enterprise_id
        is_enterprise = bool(context.is_enterprise_install)
        if news := parse_access_news(body):
            await self._revocations.follow(news, team_id, enterprise_id, is_enterprise=is_enterprise)
            return None
        if not team_id:
            return None
        try:
            workspace = await self.of(team_id, enterprise_id, is_enterprise=is_enterprise)
        except InstallationLost:
            raise
        except NotInstalled:
            return None
        return workspace.addressee

    def forget_id(self, installation_id: str) -> None:
        """Have all workspaces read again that an installation serves."""
        self._forget_all(installation_id, is_enterprise=installation_id not in self._slots)

    def _forget_all(self, team_id: str, *, is_enterprise: bool) -> None:
        for one in tuple(self._slots) if is_enterprise else (team_id,):
            self.forget(one)

    def forget(self, team_id: str) -> None:
        """Have a workspace's installation and connection read again before it's used again."""
        if slot := self._slots.get(team_id):
            slot.known_until = 0.0
            slot.changes += 1

    # Building

    def _tenant(
        self, team_id: str, installation: Installation, connection: Connection | None, policy: Policy
    ) -> Tenant:
        settings, runtime = self._base.settings, self._base.runtime
        slack = SlackClient(
            installation.bot_token,
            api_url=settings.slack_web_api_url,
            timeout_s=self._shared.send_within_s,
            telemetry=runtime.telemetry,
            network=settings.network,
            session=self._shared.slack.session,
            on_refusal=partial(self._revocations.note_refusal, team_id, installation),
        )
        identity = Identity(
            team_id,
            installation.team_name,
            installation.bot_user_id,
            installation.bot_id,
            _set_of(installation.scopes),
        )
        return Tenant(
            identity,
            installation.bot_token,
            slack,
            self._doors.endpoint_of(connection),
            policy,
            http=self._shared.flokit,
            door=self._doors.of(team_id, installation, connection),
            key_refused=partial(self._doors.tell_lost, team_id, connection)
            if connection and connection.api_key
            else None,
        )

    # Dropping

    async def _sweep(self) -> None:
        """Drop what was not used for an hour, so that an idle workspace takes no memory."""
        while True:
            await asyncio.sleep(SWEEP_S)
            idle_since = _now_s() - IDLE_S
            for team_id in [one for one, slot in self._slots.items() if slot.used_at < idle_since]:
                await self._drop(team_id)

    async def _drop(self, team_id: str) -> None:
        if slot := self._slots.pop(team_id, None):
            await self._stop(slot)

    async def _stop(self, slot: _Slot) -> None:
        if slot.workspace:
            await slot.workspace.watcher.stop()
        slot.workspace = slot.built_of = slot.stamp = None


async def _policy_of(team_id: str, version: PolicyVersion | None) -> Policy:
    """Return a workspace's policy; one that this version of the bot can't read allows nothing to anyone."""
    if version is None:
        return Policy()
    found = await asyncio.to_thread(read_policy, version.text)
    if isinstance(found, Policy):
        return found
    log.error("policy_unreadable", team_id=team_id, version=version.number, error=found[0].sentence)
    return UNREADABLE


@lru_cache(maxsize=64)
def _set_of(scopes: tuple[str, ...]) -> frozenset[str]:
    """Return scopes as a set; workspaces that have the same share it."""
    return frozenset(scopes)


def _now_s() -> float:
    return time.monotonic()
