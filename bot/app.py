"""Where the parts are put together, started and stopped: the one place that knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import structlog
from slack_bolt.async_app import AsyncApp

from bot.core.errors import SettingsError, SlackAuthLost, SlackError, StoreRefused, StoreUnavailable
from bot.flokit.webhooks import make_receiver
from bot.handlers.doctor import Live
from bot.observability.pulse import feel_pulse
from bot.observability.telemetry import Tracer
from bot.ops.connections import raise_descriptor_limit
from bot.ops.health import Health, Running
from bot.ops.metrics import Metrics, Scraper, SocketState
from bot.ops.web import SLACK_PATH, WebServer
from bot.settings.network import DIRECT, Network
from bot.settings.policy_file import load_policy
from bot.settings.settings import Mode, Settings, wants_traces
from bot.slack.client import SlackClient
from bot.slack.http import SlackVerifier
from bot.slack.replies import Identity
from bot.slack.socket import SlackSocket
from bot.store import schema
from bot.store.database import Database
from bot.store.gauges import read_gauges
from bot.store.ids import new_id
from bot.store.replicas import Replicas
from bot.store.retention import Retention
from bot.store.store import Store
from bot.store.timers import Timers
from bot.workers.housekeeper import Housekeeper
from bot.workspace import Workspace, build_workspace

log = structlog.get_logger(__name__)

T = TypeVar("T")

DATABASE_RETRY_S: Final = 1.0
RELEASE_WITHIN_S: Final = 3.0
SEND_SHARE: Final = 0.4
"""The share of the lease that one call to Slack may take: a claim outlives its calls."""


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class Bot:
    """One process of the bot, from start to stop."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = now_utc) -> None:
        self._settings = settings
        self._policy = load_policy(settings.policy_file)
        self._clock = clock
        self._stop = asyncio.Event()
        self._telemetry = Metrics(_make_tracer(settings.network), run_deadline_s=settings.follow_up_deadline_s)
        self._database = Database(
            settings.database_url, pool_size=settings.database_pool_size, telemetry=self._telemetry
        )
        owner = f"{socket.gethostname()}:{new_id('bot')}"
        self._store = Store(self._database, owner=owner, lease_s=settings.lease_s)
        self._timers = Timers(self._database, owner=owner, lease_s=settings.lease_s)
        self._slack = SlackClient(
            settings.slack_bot_token.get_secret_value(),
            api_url=settings.slack_web_api_url,
            timeout_s=min(8.0, settings.lease_s * SEND_SHARE),
            telemetry=self._telemetry,
            network=settings.network,
        )
        self._replicas = Replicas(self._database, owner)
        self._health = Health(self._database)
        self._webhooks = make_receiver(settings, clock=clock)
        self._web = WebServer(
            self._health,
            host=settings.host,
            port=settings.port,
            slack=_make_verifier(settings),
            webhooks=self._webhooks,
            scraper=self._make_scraper(),
            telemetry=self._telemetry,
        )

    def stop(self) -> None:
        """Begin to stop: finish what is in hand, hand over the rest."""
        self._stop.set()

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            SettingsError: the database's schema is not this code's, the address is taken, or Slack refuses the token.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self.stop)
        async with contextlib.AsyncExitStack() as parts:  # closed in reverse, whatever happens to the others
            for close in (self._close_traces, self._store.close, self._slack.aclose, self._web.stop):
                parts.push_async_callback(close)
            self._database.make_folder()
            await self._listen()
            await self._prepare_database()
            identity = await self._identify()
            if identity:
                await self._work(identity)
        log.info("stopped")

    async def _close_traces(self) -> None:
        await asyncio.to_thread(self._telemetry.tracer.close)

    async def _prepare_database(self) -> None:
        """Bring the embedded database up to date; a shared one is only changed by ``flokit-bot migrate``.

        A server that is not there yet is waited for: it may be starting, too. So is one that can't be written, as in a
        failover, and a file that another process locks.

        Raises:
            SettingsError: no waiting helps.
        """
        while not self._stop.is_set():
            try:
                if self._database.is_sqlite:
                    await schema.upgrade(self._database)
                revision = await schema.current(self._database)
                if revision == schema.HEAD:
                    await self._replicas.note(self._clock())
            except StoreRefused as error:
                raise SettingsError([f"DATABASE_URL: {error}."]) from None
            except StoreUnavailable as error:
                log.warning("store_unavailable", worker="start", error=str(error))
                await self._sleep(DATABASE_RETRY_S)
            else:
                if revision != schema.HEAD:
                    problem = "DATABASE_URL: this database's tables are of another version; run flokit-bot migrate."
                    raise SettingsError([problem])
                return

    async def _listen(self) -> None:
        host, port = self._settings.host, self._settings.port
        raise_descriptor_limit()
        try:
            port = await self._web.start()
        except OSError as error:
            raise SettingsError(
                [f"HOST, PORT: can't listen on {host}:{port} ({error.strerror}); choose different values."]
            ) from error
        log.info("listening", host=host, port=port, url=f"http://{host}:{port}", slack_path=self._slack_path)

    @property
    def _slack_path(self) -> str | None:
        return SLACK_PATH if self._settings.mode is Mode.HTTP else None

    async def _identify(self) -> Identity | None:
        """Learn who we are, and that the socket may be opened; None when stopped meanwhile."""
        identity = await self._ask_slack(self._slack.fetch_identity, "SLACK_BOT_TOKEN")
        app_token = self._settings.slack_app_token
        if identity and app_token:
            # The SDK would try a refused token for ever.
            await self._ask_slack(lambda: self._slack.check_app_token(app_token.get_secret_value()), "SLACK_APP_TOKEN")
        return identity

    async def _ask_slack(self, ask: Callable[[], Awaitable[T]], token_name: str) -> T | None:
        """Ask until Slack answers, for as long as it takes; None when stopped meanwhile.

        Raises:
            SettingsError: Slack refuses the token for good.
        """
        pause_s = 0.5
        while not self._stop.is_set():
            try:
                return await ask()
            except SlackAuthLost as error:
                raise SettingsError(
                    [f"{token_name}: Slack refuses it ({error.code}); copy the current one."]
                ) from error
            except SlackError as error:
                pause_s = max(pause_s, getattr(error, "retry_after_s", 0.0))
                log.warning("slack_unreachable", error=str(error), next_try_in_s=pause_s)
            await self._sleep(pause_s)
            pause_s = min(pause_s * 2, 30.0)
        return None

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not longer than until the stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    async def _work(self, identity: Identity) -> None:
        workspace = build_workspace(
            self._settings,
            identity,
            policy=self._policy,
            database=self._database,
            store=self._store,
            timers=self._timers,
            slack=self._slack,
            clock=self._clock,
            telemetry=self._telemetry,
            live=Live(
                socket=lambda: self._health.socket,
                webhook_at=lambda: self._webhooks.last_at if self._webhooks else None,
            ),
        )
        try:
            async with contextlib.aclosing(workspace.flokit):
                await self._work_in(workspace, identity)
        finally:
            await self._release()

    async def _work_in(self, workspace: Workspace, identity: Identity) -> None:
        running = Running(
            workspace.bolt,
            workspace.sender,
            workspace.workers,
            on_hint=workspace.watcher.hint,
            socket=self._make_socket(workspace.bolt),
        )
        self._health.running = running
        async with asyncio.TaskGroup() as group:  # a loop that dies ends the process: it never goes quiet
            for worker in workspace.workers:
                group.create_task(worker.run())
            background = [group.create_task(self._make_housekeeper().run())]
            background.append(group.create_task(workspace.watcher.run()))
            background.append(group.create_task(feel_pulse(self._telemetry)))
            if running.socket:
                background.append(group.create_task(running.socket.keep_open()))
            log.info("started", team_id=identity.team_id, team=identity.team, mode=self._settings.mode)
            await self._stop.wait()
            for task in background:
                task.cancel()
            await self._hand_over(running)

    def _make_scraper(self) -> Scraper:
        return Scraper(
            self._telemetry,
            read_waiting=lambda: read_gauges(self._database, self._clock()),
            read_problems=self._health.findings,
            read_socket=self._read_socket,
        )

    async def _read_socket(self) -> SocketState | None:
        socket = self._health.socket
        if socket is None:
            return None
        return SocketState(not await socket.problem(), socket.age_s, max(socket.greetings - 1, 0))

    def _make_housekeeper(self) -> Housekeeper:
        return Housekeeper(
            self._replicas,
            Retention(self._database),
            keep=timedelta(days=self._settings.retention_days),
            clock=self._clock,
            connections=lambda: self._health.socket.connections if self._health.socket else None,
        )

    def _make_socket(self, bolt: AsyncApp) -> SlackSocket | None:
        """Make the Socket Mode connection; None in HTTP mode, where Slack calls the web server instead."""
        app_token = self._settings.slack_app_token
        if app_token is None:
            return None
        return SlackSocket(
            bolt,
            lambda: self._slack.fetch_socket_url(app_token.get_secret_value()),
            network=self._settings.network,
        )

    async def _hand_over(self, running: Running) -> None:
        """Accept no new requests and claim no new work; the workers finish the work they hold."""
        log.info("stopping")
        self._health.running = None
        if running.socket:
            await running.socket.close()
        for worker in running.workers:
            worker.stop()

    async def _release(self) -> None:
        """Give back what this process still holds, so that another goes on at once; leases run out by themselves."""
        try:
            async with asyncio.timeout(RELEASE_WITHIN_S):
                await self._store.release()
                await self._timers.release(self._clock())
                await self._replicas.leave()
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("not_released", error=str(error))


def _make_verifier(settings: Settings) -> SlackVerifier | None:
    """Make what tells Slack's requests from others, where they come over HTTP."""
    secret = settings.slack_signing_secret
    return SlackVerifier(secret.get_secret_value()) if secret and settings.mode is Mode.HTTP else None


def _make_tracer(network: Network = DIRECT) -> Tracer:
    """Make what the environment asks for; without OpenTelemetry nothing is imported, and nothing traced."""
    if not wants_traces():
        return Tracer()
    try:
        from bot.observability.traces import make_tracer  # noqa: PLC0415 - it is an extra

        return make_tracer(network)
    except ImportError as error:
        log.warning("traces_not_made", missing=error.name)
        return Tracer()


def build(settings: Settings, *, clock: Callable[[], datetime] = now_utc) -> Bot:
    """Put a bot together; nothing is asked or opened until it runs."""
    return Bot(settings, clock=clock)
