"""A strict local stand-in for Slack, for the demo and for the scenario tests.

The real bot connects to it with Slack's own SDK, over HTTP and WebSockets. It refuses what Slack refuses, with Slack's
error codes; it never talks to Slack, and nothing outlives the process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import aiohttp
from aiohttp import web

from local_slack import payloads
from local_slack.channel_actions import ChannelActions
from local_slack.config import HOME_ZONE, App, Channel, ChannelKind, User, Workspace
from local_slack.delivery import Ack, AckError, Courier, Envelope, EnvelopeKind, Route
from local_slack.faults import Faults
from local_slack.guard import NAMES, guard
from local_slack.install import Installation, LostRoots, Tokens, Triggers
from local_slack.loopback import EXPOSED, require_loopback
from local_slack.message_actions import MessageActions
from local_slack.newest import Newest
from local_slack.rates import Rates
from local_slack.refusal import RefusalError
from local_slack.response_url import Place, ResponseUrls
from local_slack.signed_http import SignedHttp
from local_slack.socket_mode import SocketMode
from local_slack.state import Values
from local_slack.use import Asked
from local_slack.view_actions import ViewActions
from local_slack.view_store import Views
from local_slack.waiting import Changes
from local_slack.web import ApiCall, WebApi
from local_slack.workspace import Clock, Json, Listener, WorkspaceState

T = TypeVar("T")

DUMPED: Final = 8
"""How many of the newest calls, envelopes and messages a failed ``wait_for`` shows."""


class LocalSlack:
    """One workspace with the bot installed, served on one local port."""

    def __init__(
        self,
        app: App,
        workspace: Workspace = Workspace(),  # noqa: B008 - frozen
        *,
        clock: Clock = time.time,
        most_records: int | None = 1000,
        most_messages: int | None = 10_000,
    ) -> None:
        """Install the app in a workspace. Nothing listens before ``start``.

        Args:
            clock: returns the Unix time in seconds.
            most_records: how many calls, envelopes, warnings, unused socket tickets, half-filled messages, versions of
                one message and ephemeral messages of one person are kept: the newest of each. None keeps them all, for
                a test that reads them.
            most_messages: how many messages are kept in one channel; older ones are forgotten.
        """
        self.workspace = WorkspaceState(app, workspace, clock, most_records=most_records, most_messages=most_messages)
        self.installation = Installation(
            self.workspace,
            Tokens(app.bot_token, app.app_token, app.signing_secret),
            app.scopes,
            Triggers(clock),
            Views(self.workspace),
            app.home_tab,
            app.events,
            warnings=Newest(most_records),
        )
        self.faults = Faults()
        self.rates = Rates(clock)
        self.request_url: str | None = None
        self.server = web.Application(middlewares=[guard])
        self.server[NAMES] = set()
        """Further routes, such as the page's, may be added before ``start``."""
        self._changes = Changes()
        self._record_listeners: list[Callable[[ApiCall | Envelope], None]] = []
        self._sockets = SocketMode(app.id, self._note_connections, most_records)
        self._courier = Courier(self.workspace, self._route, self._note_record, most_records)
        self.views = ViewActions(self.installation, self._courier)
        """What people do with modals and App Home."""
        self._channels = ChannelActions(self.installation, self._courier)
        self._response_urls = ResponseUrls(self.workspace, clock)
        self._messages = MessageActions(self.installation, self._courier, self._new_response_url, most_records)
        self._web_api = WebApi(
            self.installation,
            self.faults,
            self.rates,
            self._response_urls,
            self._new_socket_url,
            self._note_record,
            most_records,
        )
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.workspace.subscribe(lambda _change: self.note_change())
        self._add_routes()

    # life

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, exposed: bool = False) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            ValueError: other machines could reach the address, and it is not ``exposed`` on purpose.
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
        self.installation.url = f"http://{here}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close everything; what hangs is let go."""
        await self._courier.close()
        self._web_api.close()
        await self._sockets.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    @property
    def url(self) -> str:
        """``http://host:port``; empty before ``start``."""
        return self.installation.url

    @property
    def api_url(self) -> str:
        """The base URL for Slack's SDK."""
        return f"{self.url}/api/"

    # what people do

    async def command(self, user: str, channel: str, text: str = "", command: str = "") -> Ack:
        """Type a slash command, by default the app's own. A message in the ack is shown, as in Slack.

        Raises:
            LookupError: the person isn't in the channel, or it's archived.
        """
        place = Place(channel, user)
        payload = payloads.command_payload(
            self.workspace,
            self.workspace.users[user],
            self._open_channel_of(user, channel),
            command or self.workspace.app.command,
            text,
            self._new_response_url(place),
            self.installation.triggers.issue(user),
        )
        ack = await self._courier.deliver(Envelope(EnvelopeKind.COMMAND, payload))
        return self._show_response(place, ack)

    async def click(
        self,
        user: str,
        channel: str,
        ts: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: str | Sequence[str] | None = None,
        ephemeral: bool = False,
        raw_value: str | None = None,
        values: Values | None = None,
    ) -> Ack:
        """Use a button, a menu, a picker or an input of a message.

        Args:
            value: which of several buttons, or what was chosen, picked or written; several where the element takes
                several.
            raw_value: sent instead of the button's own value.
            values: what is filled in by now; where it tells of the element itself, ``value`` may be left out.

        Raises:
            LookupError: the person does not see such a message or such an element.
        """
        where = self._channel_of(user, channel)
        asked = Asked(action_id, block_id, value, values or {}, raw_value)
        return await self._messages.click(self.workspace.users[user], where, ts, asked, ephemeral=ephemeral)

    async def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Post as a person and return the ts; the events that follow are delivered in the background."""
        where = self._open_channel_of(user, channel)
        if thread_ts is not None and self.workspace.find(channel, thread_ts) is None:
            raise LookupError(f"no message {thread_ts} in {channel}")
        person = self.workspace.users[user]
        message: Json = {"user": user, "team": person.said_team, "text": text}
        if person.org_id:
            message["user_team"] = person.said_team
        if thread_ts is not None:
            message["thread_ts"] = thread_ts
        stored = self.workspace.post(channel, message)
        for event in payloads.message_events(stored, where, self.installation):
            self._courier.start_event(event)
        return str(stored["ts"])

    async def event(self, event: Json) -> Ack:
        """Deliver any event and return the first ack; what is not acked comes again, as from Slack."""
        return await self._courier.deliver_event(event)

    def archive(self, channel: str, user: str = "") -> None:
        """Archive a channel: nobody can post there any more, and the app hears of it."""
        self._channels.archive(channel, user or self._first_person)

    def unarchive(self, channel: str, user: str = "") -> None:
        """Bring an archived channel back."""
        self._channels.unarchive(channel, user or self._first_person)

    def delete_channel(self, channel: str, user: str = "") -> None:
        """Delete a channel with all that was said there."""
        self._channels.delete(channel, user or self._first_person)

    def change_channel_id(self, channel: str, new_id: str) -> None:
        """Give a channel another id, as sharing it does."""
        self._channels.change_id(channel, new_id)

    def remove_bot(self, channel: str, user: str = "") -> None:
        """Remove the bot from a channel."""
        self._channels.remove_bot(channel, user or self._first_person)

    def invite_bot(self, channel: str, user: str = "") -> None:
        """Invite the bot into a channel."""
        self._channels.invite_bot(channel, user or self._first_person)

    # what happens to the workspace

    def add_user(self, user_id: str, name: str, zone: str = HOME_ZONE) -> None:
        """Add a person, who lives in a time zone."""
        self.workspace.add_user(User(user_id, name, zone=zone))

    def add_channel(
        self,
        channel_id: str,
        name: str,
        kind: str = "public",
        members: Iterable[str] = (),
        *,
        bot_is_member: bool = False,
    ) -> None:
        """Add a conversation."""
        everybody = {*members, self.workspace.app.bot_user_id} if bot_is_member else set(members)
        self.workspace.add_channel(Channel(channel_id, name, ChannelKind(kind), everybody))

    def delete_message(self, channel: str, ts: str) -> None:
        """Delete a message, as an admin can."""
        self.workspace.delete(channel, ts)

    def revoke_token(self) -> None:
        """Revoke the bot token: every call from now on fails."""
        self.installation.tokens.bot_revoked = True

    async def drop_sockets(self) -> None:
        """Cut every Socket Mode connection without a goodbye."""
        self._sockets.drop()

    async def refresh_sockets(self, reason: str = "refresh_requested") -> None:
        """Ask every Socket Mode client to reconnect."""
        await self._sockets.ask_to_reconnect(reason)

    # what can be seen

    def messages(self, channel: str, thread_ts: str | None = None) -> list[Json]:
        """Return a channel's roots, or a thread's replies without the root, oldest first."""
        if thread_ts is None:
            return self.workspace.roots(channel)
        return self.workspace.replies(channel, thread_ts)

    def message(self, channel: str, ts: str) -> Json:
        """Return one message.

        Raises:
            LookupError: there is none.
        """
        message = self.workspace.find(channel, ts)
        if message is None:
            raise LookupError(f"no message {ts} in {channel}")
        return message

    def history(self, channel: str, ts: str) -> list[Json]:
        """Return every version that a message has had."""
        return self.workspace.history(channel, ts)

    def ephemerals(self, user: str) -> list[Json]:
        """Return the ephemeral messages that a person sees."""
        return self.workspace.ephemerals(user)

    @property
    def calls(self) -> list[ApiCall]:
        """Every call of the Web API."""
        return self._web_api.calls

    @property
    def warnings(self) -> list[str]:
        """What Slack lets pass and a careful bot does not do."""
        return self.installation.warnings

    @property
    def post_rate(self) -> tuple[float, int]:
        """Posts a second in one channel, and how many may come in a burst."""
        return self.rates.post_rate

    @post_rate.setter
    def post_rate(self, rate: tuple[float, int]) -> None:
        self.rates.post_rate = rate

    @property
    def lost_roots(self) -> LostRoots:
        """What becomes of a reply to a message that was deleted."""
        return self.installation.lost_roots

    @lost_roots.setter
    def lost_roots(self, what: LostRoots) -> None:
        self.installation.lost_roots = what

    @property
    def is_distributed(self) -> bool:
        """Whether the app is one that others install from outside the Marketplace: it reads little history."""
        return self.installation.is_distributed

    @is_distributed.setter
    def is_distributed(self, is_so: bool) -> None:
        self.installation.is_distributed = is_so

    @property
    def envelopes(self) -> list[Envelope]:
        """Everything that was delivered, and how it was taken."""
        return self._courier.envelopes

    @property
    def event_retry_delays_s(self) -> tuple[float, ...]:
        """How long after each attempt an event that was not acked comes again."""
        return self._courier.event_retry_delays_s

    @event_retry_delays_s.setter
    def event_retry_delays_s(self, delays_s: tuple[float, ...]) -> None:
        self._courier.event_retry_delays_s = delays_s

    @property
    def bot_is_reachable(self) -> bool:
        """Whether a command has somewhere to go."""
        return self.request_url is not None or self.connections > 0

    @property
    def connections(self) -> int:
        """How many Socket Mode connections are open."""
        return self._sockets.connections

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every change that the page shows; return what ends that."""
        return self.workspace.subscribe(listener)

    def on_record(self, listener: Callable[[ApiCall | Envelope], None]) -> None:
        """Call ``listener`` with each call and each envelope when it comes, and again when it is answered."""
        self._record_listeners.append(listener)

    # waiting

    def note_change(self) -> None:
        """Let every ``wait_for`` look again; for predicates that look at more than this Slack."""
        self._changes.note()

    async def wait_for(self, predicate: Callable[[], T], timeout_s: float = 5.0, what: str = "") -> T:
        """Return the predicate's first truthy value; it is asked again at every change.

        Raises:
            NotYet: it stayed falsy; says what there was instead.
        """
        return await self._changes.wait_for(predicate, timeout_s, lambda: f"{what or predicate}\n{self.dump()}")

    async def wait_connected(self, timeout_s: float = 10) -> None:
        """Wait for the first Socket Mode connection."""
        await self.wait_for(lambda: self.connections, timeout_s, "a Socket Mode connection")

    def dump(self) -> str:
        """Describe the newest of everything, for a failed test."""
        lines = [f"connections: {self.connections}, warnings: {self.warnings}"]
        lines += [
            f"{call.method} {call.status} {call.error or 'ok'} {_brief(call.args)}" for call in self.calls[-DUMPED:]
        ]
        lines += [f"{e.kind} {e.ack} {_brief(e.payload.get('text', ''))}" for e in self.envelopes[-DUMPED:]]
        for channel in self.workspace.channels:
            lines += [f"{channel} {_brief(message)}" for message in self.workspace.all_messages(channel)[-DUMPED:]]
        for user in self.workspace.users:
            lines += [f"only {user} {_brief(message)}" for message in self.ephemerals(user)[-DUMPED:]]
        return "\n".join(lines)

    # inside

    @property
    def _first_person(self) -> str:
        return next(user.id for user in self.workspace.users.values() if not user.is_bot)

    def _add_routes(self) -> None:
        self.server.router.add_route("*", "/api/{method}", self._web_api.handle)
        self.server.router.add_get("/link/", self._sockets.handle)
        self.server.router.add_post("/response/{token}", self._web_api.handle_response)

    def _channel_of(self, user: str, channel: str) -> Channel:
        where = self.workspace.channels.get(channel)
        if where is None or user not in where.members:
            raise LookupError(f"{user} is not in {channel}")
        return where

    def _open_channel_of(self, user: str, channel: str) -> Channel:
        where = self._channel_of(user, channel)
        if where.is_archived:
            raise LookupError(f"#{where.name} is archived: nobody can write there.")
        return where

    def _new_socket_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/link/?ticket={self._sockets.new_ticket()}"

    def _new_response_url(self, place: Place) -> str:
        return f"{self.url}/response/{self._response_urls.issue(place)}"

    def _show_response(self, place: Place, ack: Ack) -> Ack:
        """Show what came back with the ack of a command."""
        if not ack.ok or not ack.body:
            return ack
        try:
            self._response_urls.respond(place, ack.body if isinstance(ack.body, dict) else {"text": ack.body})
        except RefusalError as refusal:
            self.warnings.append(f"the ack of a command was refused: {refusal.reply()}")
            return replace(ack, ok=False, error=AckError.BAD_RESPONSE)
        return ack

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
        self.workspace.tell({"type": "bot", "connected": self.bot_is_reachable})


def _brief(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else f"{text[:300]}…"
