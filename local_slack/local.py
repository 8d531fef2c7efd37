"""A strict local stand-in for Slack, for the sandbox and for tests.

Apps connect to it with Slack's own SDK, over HTTP and WebSockets. It refuses what Slack refuses, with Slack's error
codes. It never contacts Slack, and nothing outlives the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import aiohttp
from aiohttp import web

from local_slack.config import App, Workspace
from local_slack.delivery import Courier, Envelope, Route
from local_slack.faults import Faults
from local_slack.guard import NAMES, guard
from local_slack.local_workspace import LocalWorkspace, Shared, brief
from local_slack.loopback import EXPOSED, require_loopback
from local_slack.newest import Newest
from local_slack.oauth.local_oauth import LocalOAuth
from local_slack.rates import Rates
from local_slack.signed_http import SignedHttp
from local_slack.socket_mode import SocketMode
from local_slack.waiting import Changes
from local_slack.web import ApiCall, WebApi
from local_slack.workspace import Clock
from local_slack.workspaces import Workspaces

T = TypeVar("T")

DUMPED: Final = 8
"""How many of the newest calls, envelopes and messages a failed ``wait_for`` shows."""


class LocalSlack(LocalWorkspace):
    """A workspace with the app installed, served on one local port; ``add_workspace`` adds others."""

    def __init__(
        self,
        app: App,
        workspace: Workspace = Workspace(),  # noqa: B008 - frozen
        *,
        clock: Clock = time.time,
        most_records: int | None = 1000,
        most_messages: int | None = 10_000,
    ) -> None:
        """Install the app in a workspace. It doesn't listen until ``start``.

        Args:
            clock: returns the Unix time in seconds.
            most_records: how many calls, envelopes, warnings, unused socket tickets, half-filled messages, versions of
                one message and ephemeral messages of one person are kept: the newest of each. None keeps them all.
            most_messages: how many messages are kept per channel; older ones are dropped.
        """
        courier = Courier(clock, self._route, self._note_record, most_records)
        self._app = app
        self._shared = Shared(clock, courier, Newest(most_records), most_records, most_messages)
        super().__init__(app, workspace, self._shared)
        self._oauth = None if app.oauth is None else LocalOAuth(self, app, app.oauth, self._shared)
        self.workspaces = Workspaces(self) if self._oauth is None else self._oauth.workspaces
        self.faults = Faults()
        self.rates = Rates(clock)
        self.request_url: str | None = None
        self.server = web.Application(middlewares=[guard])
        self.server[NAMES] = set()
        """Routes, such as the page's, can be added before ``start``."""
        self._changes = Changes()
        self._record_listeners: list[Callable[[ApiCall | Envelope], None]] = []
        self._sockets = SocketMode(app.id, self._note_connections, most_records)
        self._web_api = WebApi(
            self.workspaces,
            self.faults,
            self.rates,
            self._new_socket_url,
            self._note_record,
            most_records,
        )
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.subscribe(lambda _change: self.note_change())
        self._add_routes()
        if self._oauth is not None:
            self._oauth.serve(self._web_api, self.server.router)

    # start and stop

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, exposed: bool = False) -> None:
        """Listen; port 0 picks a free one.

        Raises:
            ValueError: other machines could reach the address, and ``exposed`` isn't set.
        """
        if not exposed:
            require_loopback(host)
        self.server[EXPOSED] = exposed
        self._session = aiohttp.ClientSession()
        self._runner = web.AppRunner(self.server, shutdown_timeout=1.0, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        here = "127.0.0.1" if host in {"0.0.0.0", ""} else f"[{host}]" if ":" in host else host  # noqa: S104 - compared
        for one in self.workspaces:
            one.installation.url = f"http://{here}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close everything; hanging calls are dropped."""
        await self._courier.close()
        self._web_api.close()
        await self._sockets.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def add_workspace(self, workspace: Workspace) -> LocalWorkspace:
        """Add another workspace. Tokens, people, channels and messages of one are unknown in the others.

        Raises:
            ValueError: its ID or its bot token is taken.
        """
        added = LocalWorkspace(self._app, workspace, self._shared)
        self.workspaces.add(added)
        added.installation.url = self.url
        added.installation.is_distributed = self.is_distributed
        added.subscribe(lambda _change: self.note_change())
        return added

    @property
    def url(self) -> str:
        """``http://host:port``; empty before ``start``."""
        return self.installation.url

    @property
    def api_url(self) -> str:
        """The base URL for Slack's SDK."""
        return f"{self.url}/api/"

    @property
    def oauth(self) -> LocalOAuth:
        """How people install the app and uninstall it.

        Raises:
            LookupError: the app has no ``App.oauth``, and is installed from the start.
        """
        if self._oauth is None:
            raise LookupError("The app isn't installed by OAuth: give it App(oauth=OAuth(…)).")
        return self._oauth

    async def drop_sockets(self) -> None:
        """Close every Socket Mode connection abruptly."""
        self._sockets.drop()

    async def refresh_sockets(self, reason: str = "refresh_requested") -> None:
        """Ask every Socket Mode client to reconnect."""
        await self._sockets.ask_to_reconnect(reason)

    @property
    def calls(self) -> list[ApiCall]:
        """Every call of the Web API, in all workspaces."""
        return self._web_api.calls

    @property
    def post_rate(self) -> tuple[float, int]:
        """Posts a second in one channel, and how many may come in a burst."""
        return self.rates.post_rate

    @post_rate.setter
    def post_rate(self, rate: tuple[float, int]) -> None:
        self.rates.post_rate = rate

    @property
    def is_distributed(self) -> bool:
        """Whether the app is distributed outside the Marketplace, with tighter limits on reading history."""
        return self.installation.is_distributed

    @is_distributed.setter
    def is_distributed(self, is_so: bool) -> None:
        for one in self.workspaces:
            one.installation.is_distributed = is_so

    @property
    def envelopes(self) -> list[Envelope]:
        """Every delivery, in all workspaces, with its ack."""
        return self._courier.envelopes

    @property
    def event_retry_delays_s(self) -> tuple[float, ...]:
        """The delays before each retry of an event that wasn't acked."""
        return self._courier.event_retry_delays_s

    @event_retry_delays_s.setter
    def event_retry_delays_s(self, delays_s: tuple[float, ...]) -> None:
        self._courier.event_retry_delays_s = delays_s

    @property
    def bot_is_reachable(self) -> bool:
        """Whether there is a route to the app."""
        return self.request_url is not None or self.connections > 0

    @property
    def connections(self) -> int:
        """How many Socket Mode connections are open."""
        return self._sockets.connections

    def on_record(self, listener: Callable[[ApiCall | Envelope], None]) -> None:
        """Call ``listener`` with each call and envelope, and again when it's answered."""
        self._record_listeners.append(listener)

    # waiting

    def note_change(self) -> None:
        """Re-evaluate every ``wait_for``; for predicates that depend on more than this Slack."""
        self._changes.note()

    async def wait_for(self, predicate: Callable[[], T], timeout_s: float = 5.0, what: str = "") -> T:
        """Return the predicate's first truthy value; it's evaluated again after every change.

        Raises:
            NotYet: it stayed falsy; the message shows the current state.
        """
        return await self._changes.wait_for(predicate, timeout_s, lambda: f"{what or predicate}\n{self.dump()}")

    async def wait_connected(self, timeout_s: float = 10) -> None:
        """Wait for the first Socket Mode connection."""
        await self.wait_for(lambda: self.connections, timeout_s, "a Socket Mode connection")

    def dump(self) -> str:
        """Describe the newest calls, envelopes and messages, for a failed test."""
        lines = [f"connections: {self.connections}, warnings: {self.warnings}"]
        lines += [
            f"{call.method} {call.status} {call.error or 'ok'} {brief(call.args)}" for call in self.calls[-DUMPED:]
        ]
        lines += [f"{e.kind} {e.ack} {brief(e.payload.get('text', ''))}" for e in self.envelopes[-DUMPED:]]
        for one in self.workspaces:
            lines += one.dump_messages(DUMPED)
        return "\n".join(lines)

    # internals

    def _add_routes(self) -> None:
        self.server.router.add_route("*", "/api/{method}", self._web_api.handle)
        self.server.router.add_get("/link/", self._sockets.handle)
        self.server.router.add_post("/response/{token}", self._web_api.handle_response)

    def _new_socket_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/link/?ticket={self._sockets.new_ticket()}"

    def _route(self) -> Route:
        if self.request_url is None or self._session is None:
            return self._sockets
        secret = self.installation.tokens.signing_secret
        return SignedHttp(self.request_url, secret, self._session)

    def _note_record(self, record: ApiCall | Envelope) -> None:
        for listener in self._record_listeners:
            listener(record)
        self.note_change()

    def _note_connections(self) -> None:
        for one in self.workspaces:
            one.workspace.tell({"type": "bot", "connected": self.bot_is_reachable})
