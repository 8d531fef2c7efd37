"""Checks everything that the bot depends on, for ``flokit-bot check`` and ``/flokit doctor``.

Nothing here changes anything, raises, or hangs: each check has its own timeout, and says if it couldn't be completed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import structlog

from bot import __version__
from bot.core import blocks
from bot.core.access.audit import Deed
from bot.core.access.policy import explain
from bot.core.blocks.samples import samples
from bot.core.commands.catalog import DoctorCommand
from bot.core.errors import FlokitError, SettingsError, SlackError, SlackNoAccess, SlackUnavailable, StoreUnavailable
from bot.core.health import judge
from bot.core.health.findings import Finding, fine, unknown, wrong
from bot.core.models import Message
from bot.core.requests import Request
from bot.flokit import Endpoint, FlokitClient, Listing
from bot.flokit.budget import Budget
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act
from bot.settings.policy_file import load_policy
from bot.settings.settings import Mode, Settings
from bot.slack.client import SlackClient
from bot.slack.scopes import BOT_SCOPES, OPTIONAL_SCOPES
from bot.slack.socket import SlackSocket
from bot.store.vitals import Vitals

log = structlog.get_logger(__name__)

WITHIN_S: Final = 8.0
"""How long one check may take on the command line, where several run at the same time."""

LIVE_WITHIN_S: Final = 5.0
LEASE_SHARE: Final = 0.5
"""In a running bot, it's less, and at most this share of the lease, because the answer is saved under the claim."""

RUNS_READ: Final = 20
VALIDATED_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Live:
    """What only a running bot knows about itself."""

    socket: Callable[[], SlackSocket | None]
    webhook_at: Callable[[], datetime | None]


class Doctor(Feature):
    """The ``doctor`` command of one workspace."""

    def __init__(self, services: Services, diagnosis: Diagnosis) -> None:
        super().__init__(services)
        self._diagnosis = diagnosis

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {DoctorCommand: self.show}

    async def show(self, request: Request, command: DoctorCommand) -> None:
        """Show the health checks only to the person who asked."""
        permitted = await self._permits.check(request, Act(Deed.LOOK))
        findings = await self._diagnosis.findings(request.origin.channel_id, blocks=command.blocks)
        await self._answers.tell_alone(permitted, blocks.doctor_message(findings, self._clock()))


class Diagnosis:
    """Runs the health checks.

    Args:
        settings: the bot's settings.
        slack: its Slack client.
        vitals: its database; None for a workspace that is served beside others: it is told only what is its own.
        endpoint: its FloKit; None for a process that serves many workspaces, which has neither a FloKit nor a Slack
            token of its own.
        clock: the time now, aware.
        live: what a running bot knows about itself; None on the command line.
        budget: the shared budget of FloKit requests; None: a separate one.
    """

    def __init__(
        self,
        settings: Settings,
        slack: SlackClient,
        vitals: Vitals | None,
        endpoint: Endpoint | None,
        *,
        clock: Callable[[], datetime],
        live: Live | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._settings = settings
        self._slack = slack
        self._vitals = vitals
        self._endpoint = endpoint
        # People in a workspace that is served beside others don't know the settings.
        names = ("SLACK_BOT_TOKEN", "FLOKIT_API_KEY", "FLOKIT_SYNC_API_KEY")
        self._token, self._key, self._sync_key = names if vitals else ("Slack token", "API key", "Sync key")
        self._clock = clock
        self._live = live
        self._budget = budget
        self._within_s = min(LIVE_WITHIN_S, settings.lease_s * LEASE_SHARE) if live else WITHIN_S

    async def findings(self, channel_id: str = "", *, blocks: bool = False) -> list[Finding]:
        """Run all checks at the same time.

        Args:
            channel_id: where someone asked; "" if not in a channel.
            blocks: also have Slack validate one message of every kind.
        """
        looks = dict(self._looks())
        if channel_id:
            looks["here"] = lambda: self._look_at_channel(channel_id)
        if blocks:
            looks["blocks"] = self._validate_blocks
        found = await asyncio.gather(*(self._in_time(name, look) for name, look in looks.items()))
        return [*(finding for some in found for finding in some), fine(f"version: {__version__}")]

    def _looks(self) -> Iterator[tuple[str, Callable[[], Awaitable[list[Finding]]]]]:
        vitals, endpoint = self._vitals, self._endpoint
        if vitals:
            yield "settings", self._look_at_settings
        if endpoint:
            yield "Slack", self._look_at_slack
        if vitals:
            yield "app token", self._look_at_way_in
        if endpoint:
            yield "FloKit", partial(self._look_at_flokit, endpoint)
        if vitals and endpoint:
            yield "policy", self._look_at_policy
        if vitals:
            yield "database", partial(self._look_at_database, vitals)

    async def _in_time(self, name: str, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
        try:
            async with asyncio.timeout(self._within_s):
                return await look()
        except TimeoutError:
            return [unknown(f"{name}: no answer within {self._within_s:g} s")]
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the other checks still run
            log.warning("probe_failed", part=name, error=type(error).__name__)
            return [wrong(f"{name}: this check hit a bug in the bot; report it with the log's probe_failed line")]

    async def _look_at_settings(self) -> list[Finding]:
        how = "Socket Mode" if self._settings.mode is Mode.SOCKET else "HTTP"
        found = [fine(f"settings: complete, Slack over {how}"), *self._ways()]
        secret = self._settings.flokit_webhook_secret
        if secret:
            found.append(judge.judge_webhook_secret(len(secret.get_secret_value())))
        if secret and self._live:
            found.append(judge.judge_webhooks(self._live.webhook_at(), self._clock()))
        return found

    def _ways(self) -> list[Finding]:
        """Say which proxy each host is reached through, if there are proxies."""
        proxies = self._settings.network.proxies
        ways = {urlsplit(url).hostname: proxies.way_to(url) for url in self._settings.urls} if proxies else {}
        return [fine(f"network: {host} {way}") for host, way in ways.items()]

    async def _look_at_policy(self) -> list[Finding]:
        """Say which policy applies or what's wrong with it; on the command line, also explain it."""
        try:
            policy = load_policy(self._settings.policy_file)
        except SettingsError as error:
            return [wrong(problem) for problem in error.problems]
        where = self._settings.policy_file or "not set; the built-in rules apply"
        explained = () if self._live else explain(policy)
        return [fine(f"POLICY_FILE: {where}"), *(fine(f"  {line}") for line in explained)]

    # Slack

    async def _look_at_slack(self) -> list[Finding]:
        try:
            identity = await self._slack.fetch_identity()
        except SlackUnavailable as error:
            return [wrong(f"{self._token}: {error}; can this machine reach Slack (SLACK_API_URL)?")]
        except SlackError as error:
            return [wrong(f"{self._token}: {error}; copy it from your app's OAuth & Permissions page")]
        return [
            judge.judge_scopes(identity.team, identity.scopes, BOT_SCOPES.keys() - OPTIONAL_SCOPES, named=self._token),
            *judge.judge_choices(identity.scopes, OPTIONAL_SCOPES),
            judge.judge_clock("Slack", identity.at, self._clock()),
        ]

    async def _look_at_way_in(self) -> list[Finding]:
        token = self._settings.slack_app_token
        if token is None:
            return [fine("SLACK_SIGNING_SECRET: set; Slack's first request will verify it")]
        if self._live:
            socket = self._live.socket()
            if socket is None:
                return [wrong("socket: not opened yet; ask again in a moment")]
            return [judge.judge_socket(await socket.problem(), socket.age_s)]
        try:
            await self._slack.check_app_token(token.get_secret_value())
        except SlackError as error:
            todo = "create one with connections:write under Basic Information, and turn on Socket Mode"
            return [wrong(f"SLACK_APP_TOKEN: {error}; {todo}")]
        return [fine("SLACK_APP_TOKEN: valid; a socket can be opened")]

    async def _look_at_channel(self, channel_id: str) -> list[Finding]:
        try:
            conversation = await self._slack.fetch_conversation(channel_id)
        except SlackNoAccess:
            return [judge.judge_conversation(None)]
        except SlackError as error:
            return [unknown(f"here: {error}")]
        return [judge.judge_conversation(conversation)]

    async def _validate_blocks(self) -> list[Finding]:
        """Have Slack validate one message of every kind; what it refuses is named."""
        slots = asyncio.Semaphore(VALIDATED_AT_ONCE)

        async def validate(name: str, content: Message | dict[str, object]) -> str:
            async with slots:
                problem = await self._slack.validate(content)
            return f"{name}: {problem}" if problem else ""

        every = samples(self._clock())
        try:
            problems = await asyncio.gather(*(validate(name, content) for name, content in every.items()))
        except SlackError as error:
            return [unknown(f"blocks: Slack couldn't validate them ({error})")]
        refused = [
            wrong(f"blocks: {problem}; please report this as a bug in the bot") for problem in problems if problem
        ]
        return refused or [fine(f"blocks: Slack accepts all {len(every)} kinds of message")]

    # FloKit

    async def _look_at_flokit(self, endpoint: Endpoint) -> list[Finding]:
        # A client of its own: what the second key sees must not be taken for what there is.
        flokit = FlokitClient(
            replace(endpoint, timeout_s=self._within_s),
            budget=self._budget,
            now=self._clock,
        )
        try:
            keys = await flokit.check_keys()
        finally:
            await flokit.aclose()
        sync = _seen_by(keys.sync) if keys.distinct else None
        found = [
            judge.judge_key(self._key, _seen_by(keys.look)),
            judge.judge_sync_key(sync, same_workspace=keys.same_workspace, named=self._sync_key),
        ]
        if not isinstance(keys.look, FlokitError):
            found.append(judge.judge_clock("FloKit", keys.look.vendor_at, self._clock()))
        return found

    # Database

    async def _look_at_database(self, vitals: Vitals) -> list[Finding]:
        if vitals.problem:
            return [wrong(f"DATABASE_URL: {vitals.problem}")]
        if vitals.is_missing:
            return [fine("DATABASE_URL: a file that the first start will create")]
        try:
            revision = await vitals.revision()
            took_ms = await vitals.latency_s() * 1000
            if await vitals.is_read_only():
                return [wrong("DATABASE_URL: the server is read-only right now, so nothing can be saved")]
            if revision != vitals.needed_revision:
                if problem := await vitals.obstacle():
                    return [wrong(f"DATABASE_URL: {problem}")]
                return [judge.judge_tables(revision, vitals.needed_revision, is_sqlite=vitals.is_sqlite)]
            now = self._clock()
            return [
                fine(f"DATABASE_URL: {vitals.kind} answers in {took_ms:.0f} ms, tables are current ({revision})"),
                judge.judge_replicas(
                    await vitals.alive(now), is_running=self._live is not None, in_file=vitals.is_sqlite
                ),
                judge.judge_rights(await vitals.newest_runs(RUNS_READ), now),
            ]
        except StoreUnavailable as error:
            return [wrong(f"DATABASE_URL: {error}")]


def _seen_by(found: Listing | FlokitError) -> int | FlokitError:
    return found if isinstance(found, FlokitError) else len(found.integrations)
