"""Where the parts are put together, started and stopped: the one place that knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot import listeners
from bot.actions import Actions
from bot.core.errors import SettingsError, SlackAuthLost, SlackError, StoreUnavailable
from bot.flokit import FlokitClient
from bot.follower import Follower
from bot.health import Health
from bot.housekeeper import Housekeeper
from bot.listeners.reception import Reception
from bot.responder import Responder
from bot.sender import Sender
from bot.settings import Mode
from bot.slack import SlackClient
from bot.slack_socket import SlackSocket
from bot.store import schema
from bot.store.budget import SharedBudget
from bot.store.database import Database
from bot.store.ids import new_id
from bot.store.replicas import Replicas
from bot.store.retention import Retention
from bot.store.snapshots import Snapshots
from bot.store.store import Store
from bot.web import SLACK_PATH, WebServer
from bot.webhooks import make_receiver
from bot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.settings import Settings
    from bot.slack import Identity

log = structlog.get_logger(__name__)

T = TypeVar("T")

RUN_SLOTS: Final = 32
MESSAGE_SLOTS: Final = 16
REQUEST_SLOTS: Final = 16
DATABASE_RETRY_S: Final = 1.0
RELEASE_WITHIN_S: Final = 3.0
LOOK_SHARE: Final = 0.8
SEND_SHARE: Final = 0.4
"""Shares of the lease that one call to FloKit and to Slack may take: a claim outlives its calls."""


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class Bot:
    """One process of the bot, from start to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._database = Database(settings.database_url)
        owner = f"{socket.gethostname()}:{new_id('bot')}"
        self._store = Store(self._database, owner=owner, lease_s=settings.lease_s)
        self._slack = SlackClient(
            settings.slack_bot_token.get_secret_value(),
            api_url=settings.slack_web_api_url,
            timeout_s=min(8.0, settings.lease_s * SEND_SHARE),
        )
        self._replicas = Replicas(self._database, owner)
        self._health = Health(self._store)
        self._web = WebServer(
            self._health,
            host=settings.host,
            port=settings.port,
            takes_slack=settings.mode is Mode.HTTP,
            webhooks=make_receiver(settings, clock=now_utc),
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
            for close in (self._store.close, self._slack.aclose, self._web.stop):
                parts.push_async_callback(close)
            self._database.make_folder()
            await self._listen()
            await self._prepare_database()
            identity = await self._identify()
            if identity:
                await self._work(identity)
        log.info("stopped")

    async def _prepare_database(self) -> None:
        """Bring the embedded database up to date; a shared one is only changed by ``flokit-bot migrate``.

        A server that is not there yet is waited for: it may be starting, too.
        """
        if self._database.is_sqlite:
            await schema.upgrade(self._database)
            return
        while not self._stop.is_set():
            try:
                revision = await schema.current(self._database)
            except StoreUnavailable as error:
                log.warning("store_unavailable", worker="start", error=str(error))
                await self._sleep(DATABASE_RETRY_S)
            else:
                if revision != schema.head():
                    problem = "DATABASE_URL: this database's tables are of another version; run flokit-bot migrate."
                    raise SettingsError([problem])
                return

    async def _listen(self) -> None:
        host, port = self._settings.host, self._settings.port
        try:
            port = await self._web.start()
        except OSError as error:
            raise SettingsError(
                [f"HOST, PORT: cannot listen on {host}:{port} ({error.strerror}); set others."]
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
        try:
            async with contextlib.aclosing(self._make_flokit(identity.team_id)) as flokit:
                await self._work_with(flokit, identity)
        finally:
            await self._release()

    async def _work_with(self, flokit: FlokitClient, identity: Identity) -> None:
        command = self._settings.flokit_command
        actions = Actions(
            self._store,
            flokit,
            Snapshots(self._database, identity.team_id),
            patience=self._settings.patience,
            clock=now_utc,
            command=command,
            bot_user_id=identity.bot_user_id,
        )
        sender = Sender(self._store, self._slack, clock=now_utc, bot_user_id=identity.bot_user_id, command=command)
        self._health.sender = sender
        bolt = self._make_bolt(identity, Reception(actions, self._slack, team_id=identity.team_id, clock=now_utc))
        workers = self._make_workers(Responder(actions), Follower(self._store, flokit, clock=now_utc), sender)
        async with asyncio.TaskGroup() as group:  # a loop that dies ends the process: it never goes quiet
            for worker in workers:
                group.create_task(worker.run())
            background = [group.create_task(self._make_housekeeper().run())]
            if way_in := self._open_way_in(group, bolt):
                background.append(way_in)
            log.info("started", team_id=identity.team_id, team=identity.team, mode=self._settings.mode)
            await self._stop.wait()
            for task in background:
                task.cancel()
            await self._hand_over(workers)

    def _make_flokit(self, team_id: str) -> FlokitClient:
        settings = self._settings
        return FlokitClient(
            api_url=settings.flokit_api_url,
            look_key=settings.flokit_api_key.get_secret_value(),
            sync_key=settings.sync_key.get_secret_value(),
            timeout_s=min(8.0, settings.lease_s * LOOK_SHARE),
            budget=SharedBudget(self._database, team_id, clock=now_utc),
            max_pause_s=settings.follow_up_max_interval_s,
        )

    def _make_housekeeper(self) -> Housekeeper:
        return Housekeeper(
            self._replicas,
            Retention(self._database),
            keep=timedelta(days=self._settings.retention_days),
            clock=now_utc,
            connections=lambda: self._health.socket.connections if self._health.socket else None,
        )

    def _make_bolt(self, identity: Identity, reception: Reception) -> AsyncApp:
        async def authorize(**_: Any) -> AuthorizeResult:
            # The one seam for many workspaces: today there is one, and who we are in it is known since the start.
            return AuthorizeResult(
                enterprise_id=None,
                team_id=identity.team_id,
                bot_token=self._settings.slack_bot_token.get_secret_value(),
                bot_id=identity.bot_id,
                bot_user_id=identity.bot_user_id,
            )

        secret = self._settings.slack_signing_secret
        bolt = AsyncApp(
            logger=logging.getLogger("slack_bolt"),
            client=self._slack.web,
            authorize=authorize,
            signing_secret=secret.get_secret_value() if secret else "",
            process_before_response=True,  # the ack leaves with the listener's return: ten times sooner
            request_verification_enabled=self._settings.mode is Mode.HTTP,
        )

        @bolt.middleware
        async def introduce(context: dict[str, Any], next_: Any) -> None:
            context["reception"] = reception
            await next_()

        listeners.register(bolt, command=self._settings.flokit_command)
        return bolt

    def _make_workers(self, responder: Responder, follower: Follower, sender: Sender) -> list[Worker[Any]]:
        store = self._store
        return [
            Worker(
                "responder",
                claim=store.claim_requests,
                work=responder.answer,
                next_due_at=store.next_request_at,
                bell=store.requests_rang,
                clock=now_utc,
                slots=REQUEST_SLOTS,
            ),
            Worker(
                "follower",
                claim=store.claim_runs,
                work=follower.follow,
                next_due_at=store.next_run_at,
                bell=store.runs_rang,
                clock=now_utc,
                slots=RUN_SLOTS,
            ),
            Worker(
                "sender",
                claim=store.claim_outbox,
                work=sender.send,
                next_due_at=store.next_message_at,
                bell=store.outbox_rang,
                clock=now_utc,
                slots=MESSAGE_SLOTS,
            ),
        ]

    def _open_way_in(self, group: asyncio.TaskGroup, bolt: AsyncApp) -> asyncio.Task[None] | None:
        """Let Slack reach us: through a socket that is kept open, or through the HTTP route."""
        app_token = self._settings.slack_app_token
        if app_token is None:
            self._web.bolt = bolt
            return None
        self._health.socket = SlackSocket(bolt, app_token.get_secret_value())
        return group.create_task(self._health.socket.keep_open())

    async def _hand_over(self, workers: list[Worker[Any]]) -> None:
        """Take nothing new, and finish what is in hand."""
        log.info("stopping")
        self._health.sender = None
        self._web.bolt = None
        if self._health.socket:
            await self._health.socket.close()
        for worker in workers:
            worker.stop()

    async def _release(self) -> None:
        """Give back what this process still holds, so that another goes on at once; leases run out by themselves."""
        try:
            async with asyncio.timeout(RELEASE_WITHIN_S):
                await self._store.release()
                await self._replicas.leave()
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("not_released", error=str(error))


def build(settings: Settings) -> Bot:
    """Put a bot together; nothing is asked or opened until it runs."""
    return Bot(settings)
