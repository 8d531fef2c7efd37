"""Builds, starts and stops all parts of the bot."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from slack_bolt.async_app import AsyncApp

from bot.core.errors import SettingsError, SlackAuthLost, SlackError, StoreRefused, StoreUnavailable
from bot.flokit import Endpoint, endpoint_of
from bot.flokit.http import FlokitHttp
from bot.flokit.webhooks import make_receiver
from bot.handlers.doctor import Live
from bot.observability.context import Runtime
from bot.observability.pulse import feel_pulse
from bot.observability.telemetry import Tracer
from bot.ops.connections import raise_descriptor_limit
from bot.ops.health import Health, Running
from bot.ops.metrics import Metrics, Scraper, SocketState
from bot.ops.web import SLACK_PATH, WebServer
from bot.serving import OneWorkspace, Workspaces, make_bolt, make_workers
from bot.settings.network import DIRECT, Network
from bot.settings.policy_file import load_policy
from bot.settings.settings import Mode, Settings, wants_traces
from bot.slack.client import SlackClient
from bot.slack.http import SlackVerifier
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
from bot.workspace import Base, Tenant, build_workspace

if TYPE_CHECKING:
    from bot.tenants import InstalledWorkspaces

log = structlog.get_logger(__name__)

T = TypeVar("T")

DATABASE_RETRY_S: Final = 1.0
RELEASE_WITHIN_S: Final = 3.0
SEND_SHARE: Final = 0.4
LOOK_SHARE: Final = 0.8
"""The shares of the lease that one call to Slack and one to FloKit may take, so that a claim outlives its calls."""


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class Bot:
    """One process of the bot, from start to stop."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = now_utc) -> None:
        self._settings = settings
        self._policy = load_policy(settings.policy_file)
        self._clock = clock
        self._send_within_s = min(8.0, settings.lease_s * SEND_SHARE)
        self._look_within_s = min(8.0, settings.lease_s * LOOK_SHARE)
        self._stop = asyncio.Event()
        self._telemetry = Metrics(_make_tracer(settings.network), run_deadline_s=settings.follow_up_deadline_s)
        self._database = Database(
            settings.database_url, pool_size=settings.database_pool_size, telemetry=self._telemetry
        )
        owner = f"{socket.gethostname()}:{new_id('bot')}"
        self._store = Store(self._database, owner=owner, lease_s=settings.lease_s)
        self._timers = Timers(self._database, owner=owner, lease_s=settings.lease_s)
        self._slack = SlackClient(
            "" if settings.is_distributed else settings.bot_token.get_secret_value(),
            api_url=settings.slack_web_api_url,
            timeout_s=self._send_within_s,
            telemetry=self._telemetry,
            network=settings.network,
        )
        self._base = Base(
            settings,
            self._database,
            self._store,
            self._timers,
            Live(
                socket=lambda: self._health.socket,
                webhook_at=lambda: self._webhooks.last_at if self._webhooks else None,
            ),
            Runtime(clock, settings.flokit_command, self._telemetry),
        )
        self._replicas = Replicas(self._database, owner)
        self._health = Health(self._database)
        self._webhooks = make_receiver(settings, clock=clock)
        self._many = self._make_many() if settings.is_distributed else None
        self._web = WebServer(
            self._health,
            host=settings.host,
            port=settings.port,
            slack=_make_verifier(settings),
            webhooks=self._webhooks,
            install=self._many.make_pages() if self._many else None,
            hint=self._many.hint if self._many else None,
            scraper=self._make_scraper(),
            telemetry=self._telemetry,
        )

    def stop(self) -> None:
        """Begin to stop: finish current work, release the rest."""
        self._stop.set()

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            SettingsError: the database has another schema version, the address is taken, or Slack refuses the token.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self.stop)
        async with contextlib.AsyncExitStack() as parts:  # closed in reverse order, even if closing one fails
            for close in (self._close_traces, self._store.close, self._slack.aclose, self._web.stop):
                parts.push_async_callback(close)
            self._database.make_folder()
            await self._listen()
            await self._prepare_database()
            workspaces = await self._open_workspaces()
            if workspaces:
                parts.push_async_callback(workspaces.aclose)
                await self._work(workspaces)
        log.info("stopped")

    async def _close_traces(self) -> None:
        await asyncio.to_thread(self._telemetry.tracer.close)

    async def _prepare_database(self) -> None:
        """Bring the embedded database up to date; a shared one is only changed by ``flokit-bot migrate``.

        Waits for a server that isn't up or is read-only, as in a failover, and for a file locked by another process.

        Raises:
            SettingsError: waiting won't help.
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

    async def _open_workspaces(self) -> Workspaces | None:
        """Open the workspaces, and check that the socket can be opened; None if stopped in the meantime."""
        workspaces = self._many or await self._open_one()
        app_token = self._settings.slack_app_token
        if workspaces and app_token:
            # The SDK would retry a refused token forever.
            await self._ask_slack(lambda: self._slack.check_app_token(app_token.get_secret_value()), "SLACK_APP_TOKEN")
        return workspaces

    async def _open_one(self) -> OneWorkspace | None:
        settings = self._settings
        identity = await self._ask_slack(self._slack.fetch_identity, "SLACK_BOT_TOKEN")
        if identity is None:
            return None
        endpoint = endpoint_of(settings, timeout_s=self._look_within_s)
        tenant = Tenant(identity, settings.bot_token.get_secret_value(), self._slack, endpoint, self._policy)
        return OneWorkspace(build_workspace(self._base, tenant))

    def _make_many(self) -> InstalledWorkspaces:
        from bot.store.installations import Installations  # noqa: PLC0415 - only these need cryptography
        from bot.store.sealing import MasterKeys  # noqa: PLC0415
        from bot.tenants import InstalledWorkspaces, Shared  # noqa: PLC0415

        settings = self._settings
        endpoint = Endpoint(settings.flokit_api_url, "", "", self._look_within_s, settings.network)
        shared = Shared(self._slack, FlokitHttp(endpoint), self._send_within_s)
        installations = Installations(self._database, MasterKeys.parse(settings.master_keys))
        return InstalledWorkspaces(self._base, installations, shared)

    async def _ask_slack(self, ask: Callable[[], Awaitable[T]], token_name: str) -> T | None:
        """Retry until Slack answers; None if stopped in the meantime.

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
        """Sleep, at most until the stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    async def _work(self, workspaces: Workspaces) -> None:
        bolt = make_bolt(self._base, workspaces, self._slack)
        running = Running(
            bolt,
            workspaces.sender,
            tuple(make_workers(self._base, workspaces)),
            on_hint=workspaces.note_webhook,
            socket=self._make_socket(bolt),
        )
        self._health.running = running
        background: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.TaskGroup() as group:  # if a loop dies, the process exits instead of going quiet

                def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
                    task = group.create_task(work)
                    background.add(task)
                    task.add_done_callback(background.discard)
                    return task

                for worker in running.workers:
                    group.create_task(worker.run())
                spawn(self._make_housekeeper().run())
                spawn(feel_pulse(self._telemetry))
                workspaces.start(spawn)
                if running.socket:
                    spawn(running.socket.keep_open())
                log.info("started", **workspaces.names, mode=self._settings.mode)
                await self._stop.wait()
                for task in tuple(background):
                    task.cancel()
                await self._hand_over(running)
        finally:
            await self._release()

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
        """Create the Socket Mode connection; None in HTTP mode, where Slack calls the web server."""
        app_token = self._settings.slack_app_token
        if app_token is None:
            return None
        return SlackSocket(
            bolt,
            lambda: self._slack.fetch_socket_url(app_token.get_secret_value()),
            network=self._settings.network,
        )

    async def _hand_over(self, running: Running) -> None:
        """Accept no new requests and claim no new work; workers finish what they hold."""
        log.info("stopping")
        self._health.running = None
        if running.socket:
            await running.socket.close()
        for worker in running.workers:
            worker.stop()

    async def _release(self) -> None:
        """Release what this process still holds, so that another can continue before the leases expire."""
        try:
            async with asyncio.timeout(RELEASE_WITHIN_S):
                await self._store.release()
                await self._timers.release(self._clock())
                await self._replicas.leave()
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("not_released", error=str(error))


def _make_verifier(settings: Settings) -> SlackVerifier | None:
    """Create the verifier of Slack's signatures; None in Socket Mode."""
    secret = settings.slack_signing_secret
    return SlackVerifier(secret.get_secret_value()) if secret and settings.mode is Mode.HTTP else None


def _make_tracer(network: Network = DIRECT) -> Tracer:
    """Create the tracer that the environment asks for; without one, OpenTelemetry isn't imported."""
    if not wants_traces():
        return Tracer()
    try:
        from bot.observability.traces import make_tracer  # noqa: PLC0415 - it is an extra

        return make_tracer(network)
    except ImportError as error:
        log.warning("traces_not_made", missing=error.name)
        return Tracer()


def build(settings: Settings, *, clock: Callable[[], datetime] = now_utc) -> Bot:
    """Build a bot; nothing is fetched or opened until it runs."""
    return Bot(settings, clock=clock)
