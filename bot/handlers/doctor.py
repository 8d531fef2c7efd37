"""Looks at everything that the bot depends on: for ``flokit-bot check`` and for ``/flokit doctor``.

Nothing here changes anything, raises, or hangs: each look has a limit of its own, and what cannot be found out is told
as that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import structlog

from bot import __version__
from bot.core.access.policy import explain
from bot.core.blocks.samples import samples
from bot.core.errors import FlokitError, SettingsError, SlackError, SlackNoAccess, SlackUnavailable, StoreUnavailable
from bot.core.health import judge
from bot.core.health.findings import Finding, fine, unknown, wrong
from bot.core.models import Message
from bot.flokit import FlokitClient, Listing
from bot.flokit.budget import Budget
from bot.settings.policy_file import load_policy
from bot.settings.settings import Mode, Settings
from bot.slack.client import SlackClient
from bot.slack.scopes import BOT_SCOPES, OPTIONAL_SCOPES
from bot.slack.socket import SlackSocket
from bot.store.vitals import Vitals

log = structlog.get_logger(__name__)

WITHIN_S: Final = 8.0
"""How long one look may take on the command line, where several are on their way at the same time."""

RUNS_READ: Final = 20
VALIDATED_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Live:
    """What only a running bot knows of itself."""

    socket: Callable[[], SlackSocket | None]
    webhook_at: Callable[[], datetime | None]


class Diagnosis:
    """Finds out how the bot is.

    Args:
        settings: what it runs with.
        slack: its Slack client.
        vitals: its database.
        clock: the time now, aware.
        live: what a running bot knows of itself; None on the command line.
        budget: the allowance of requests to FloKit to share; None: one of its own.
        within_s: how long one look may take.
    """

    def __init__(
        self,
        settings: Settings,
        slack: SlackClient,
        vitals: Vitals,
        *,
        clock: Callable[[], datetime],
        live: Live | None = None,
        budget: Budget | None = None,
        within_s: float = WITHIN_S,
    ) -> None:
        self._settings = settings
        self._slack = slack
        self._vitals = vitals
        self._clock = clock
        self._live = live
        self._budget = budget
        self._within_s = within_s

    async def findings(self, channel_id: str = "", *, blocks: bool = False) -> list[Finding]:
        """Look at everything at the same time.

        Args:
            channel_id: where somebody asked; "" when not in a channel.
            blocks: have Slack validate one message of every kind, too.
        """
        looks: dict[str, Callable[[], Awaitable[list[Finding]]]] = {
            "settings": self._look_at_settings,
            "Slack": self._look_at_slack,
            "app token": self._look_at_way_in,
            "FloKit": self._look_at_flokit,
            "policy": self._look_at_policy,
            "database": self._look_at_database,
        }
        if channel_id:
            looks["here"] = lambda: self._look_at_channel(channel_id)
        if blocks:
            looks["blocks"] = self._validate_blocks
        found = await asyncio.gather(*(self._in_time(name, look) for name, look in looks.items()))
        return [*(finding for some in found for finding in some), fine(f"version: {__version__}")]

    async def _in_time(self, name: str, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
        try:
            async with asyncio.timeout(self._within_s):
                return await look()
        except TimeoutError:
            return [unknown(f"{name}: no answer within {self._within_s:g} s")]
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the rest is still found out
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
        """Say through which proxy each host is reached, where any is named at all."""
        proxies = self._settings.network.proxies
        ways = {urlsplit(url).hostname: proxies.way_to(url) for url in self._settings.urls} if proxies else {}
        return [fine(f"network: {host} {way}") for host, way in ways.items()]

    async def _look_at_policy(self) -> list[Finding]:
        """Say which policy holds or what is wrong with it; on the command line also who may do what."""
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
            return [wrong(f"SLACK_BOT_TOKEN: {error}; can this machine reach Slack (SLACK_API_URL)?")]
        except SlackError as error:
            return [wrong(f"SLACK_BOT_TOKEN: {error}; copy it from your app's OAuth & Permissions")]
        return [
            judge.judge_scopes(identity.team, identity.scopes, BOT_SCOPES.keys() - OPTIONAL_SCOPES),
            *judge.judge_choices(identity.scopes, OPTIONAL_SCOPES),
            judge.judge_clock("Slack", identity.at, self._clock()),
        ]

    async def _look_at_way_in(self) -> list[Finding]:
        token = self._settings.slack_app_token
        if token is None:
            return [fine("SLACK_SIGNING_SECRET: set; Slack's first request will prove it")]
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
        """Have Slack judge one message of every kind; what it refuses is named."""
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

    async def _look_at_flokit(self) -> list[Finding]:
        # A client of its own: what the second key sees must not be taken for what there is.
        flokit = FlokitClient(
            network=self._settings.network,
            api_url=self._settings.flokit_api_url,
            look_key=self._settings.flokit_api_key.get_secret_value(),
            sync_key=self._settings.sync_key.get_secret_value(),
            timeout_s=self._within_s,
            budget=self._budget,
            now=self._clock,
        )
        try:
            keys = await flokit.check_keys()
        finally:
            await flokit.aclose()
        sync = _seen_by(keys.sync) if keys.distinct else None
        found = [
            judge.judge_key("FLOKIT_API_KEY", _seen_by(keys.look)),
            judge.judge_sync_key(sync, same_workspace=keys.same_workspace),
        ]
        if not isinstance(keys.look, FlokitError):
            found.append(judge.judge_clock("FloKit", keys.look.vendor_at, self._clock()))
        return found

    # Database

    async def _look_at_database(self) -> list[Finding]:
        vitals = self._vitals
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
