"""One workspace of a local Slack: what people do and see there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from local_slack import payloads
from local_slack.channel_actions import ChannelActions
from local_slack.config import HOME_ZONE, App, Channel, ChannelKind, User, Workspace
from local_slack.delivery import Ack, AckError, Courier, Envelope, EnvelopeKind
from local_slack.install import Installation, LostRoots, Tokens, Triggers
from local_slack.message_actions import MessageActions
from local_slack.newest import Newest
from local_slack.refusal import RefusalError
from local_slack.response_url import Place, ResponseUrls
from local_slack.state import Values
from local_slack.use import Asked
from local_slack.view_actions import ViewActions
from local_slack.view_store import Views
from local_slack.workspace import Clock, Json, Listener, WorkspaceState


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workspaces of a local Slack use."""

    clock: Clock
    courier: Courier
    warnings: Newest[str]
    most_records: int | None
    most_messages: int | None


class LocalWorkspace:
    """One workspace, with the app installed unless that takes OAuth."""

    def __init__(self, app: App, workspace: Workspace, shared: Shared) -> None:
        self.workspace = WorkspaceState(
            app, workspace, shared.clock, most_records=shared.most_records, most_messages=shared.most_messages
        )
        self.installation = Installation(
            self.workspace,
            Tokens(self.workspace.app.bot_token if app.oauth is None else "", app.app_token, app.signing_secret),
            app.scopes if app.oauth is None else frozenset(),
            Triggers(shared.clock),
            Views(self.workspace),
            app.home_tab,
            app.events,
            is_installed=app.oauth is None,
            is_distributed=app.is_distributed,
            warnings=shared.warnings,
        )
        self._courier = shared.courier
        self.views = ViewActions(self.installation, self._courier)
        """People's actions in modals and App Home."""
        self.response_urls = ResponseUrls(self.workspace, shared.clock)
        self._channels = ChannelActions(self.installation, self._courier)
        self._messages = MessageActions(self.installation, self._courier, self._new_response_url, shared.most_records)

    # people's actions

    async def command(self, user: str, channel: str, text: str = "", command: str = "") -> Ack:
        """Type a slash command, by default the app's. As in Slack, a message in the ack is shown.

        Raises:
            LookupError: the person isn't in the channel, it's archived, or the app isn't installed.
        """
        self.installation.expect_installed()
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
            value: the value of the button, the chosen option, or the picked or entered value; a list if the element
                takes several.
            raw_value: sent instead of the button's own value.
            values: the values of all inputs so far; if they include this element, ``value`` can be omitted.

        Raises:
            LookupError: the person doesn't see such a message or element.
        """
        where = self._channel_of(user, channel)
        asked = Asked(action_id, block_id, value, values or {}, raw_value)
        return await self._messages.click(self.workspace.users[user], where, ts, asked, ephemeral=ephemeral)

    async def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Post as a person and return the ts; the resulting events are delivered in the background."""
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
            self._courier.start_event(payloads.event_payload(self.workspace, event))
        return str(stored["ts"])

    async def event(self, event: Json, event_time: int | None = None) -> Ack:
        """Deliver any event and return the first ack; as in Slack, it's retried until acked.

        Args:
            event_time: when it happened, in Unix seconds, if it comes late.
        """
        payload = payloads.event_payload(self.workspace, event)
        return await self._courier.deliver_event({**payload, "event_time": event_time or payload["event_time"]})

    def archive(self, channel: str, user: str = "") -> None:
        """Archive a channel, so that no one can post there, and notify the app."""
        self._channels.archive(channel, user or self._first_person)

    def unarchive(self, channel: str, user: str = "") -> None:
        """Unarchive a channel."""
        self._channels.unarchive(channel, user or self._first_person)

    def delete_channel(self, channel: str, user: str = "") -> None:
        """Delete a channel and its messages."""
        self._channels.delete(channel, user or self._first_person)

    def change_channel_id(self, channel: str, new_id: str) -> None:
        """Change a channel's ID, as sharing it does."""
        self._channels.change_id(channel, new_id)

    def remove_bot(self, channel: str, user: str = "") -> None:
        """Remove the bot from a channel."""
        self._channels.remove_bot(channel, user or self._first_person)

    def invite_bot(self, channel: str, user: str = "") -> None:
        """Invite the bot into a channel."""
        self._channels.invite_bot(channel, user or self._first_person)

    # workspace changes

    def add_user(self, user_id: str, name: str, zone: str = HOME_ZONE) -> None:
        """Add a person."""
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

    def admit(self, scopes: frozenset[str], bot_token: str, *, is_org_wide: bool) -> None:
        """Take note that the app was installed or got more scopes; see ``LocalSlack.oauth`` for how people do it."""
        self.workspace.is_org_install = is_org_wide
        tokens = self.installation.tokens
        tokens.bot, tokens.bot_revoked = bot_token, tokens.bot_revoked and tokens.bot == bot_token
        self.installation.scopes = scopes
        if not self.installation.is_installed:
            self.installation.is_installed = True
            self.workspace.admit_bot()
            self.workspace.tell({"type": "installed", "installed": True})

    def expel(self) -> None:
        """Take note that the app was uninstalled."""
        self.installation.scopes, self.installation.tokens.bot = frozenset(), ""
        self.installation.is_installed = self.workspace.is_org_install = False
        self.installation.views.clear_all()
        self.workspace.expel_bot()
        self.workspace.tell({"type": "installed", "installed": False})

    def revoke_token(self) -> None:
        """Revoke the bot token, so that every call fails."""
        self.installation.tokens.bot_revoked = True

    # reading

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
        """Return every version of a message."""
        return self.workspace.history(channel, ts)

    def ephemerals(self, user: str) -> list[Json]:
        """Return a person's ephemeral messages."""
        return self.workspace.ephemerals(user)

    @property
    def warnings(self) -> list[str]:
        """What Slack accepts and a careful bot never does."""
        return self.installation.warnings

    @property
    def lost_roots(self) -> LostRoots:
        """What happens to a reply to a deleted message."""
        return self.installation.lost_roots

    @lost_roots.setter
    def lost_roots(self, what: LostRoots) -> None:
        self.installation.lost_roots = what

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every change to the workspace; return a function that unsubscribes."""
        return self.workspace.subscribe(listener)

    def dump_messages(self, most: int) -> list[str]:
        """Describe the newest messages, for a failed test."""
        lines = []
        for channel in self.workspace.channels:
            lines += [f"{channel} {brief(message)}" for message in self.workspace.all_messages(channel)[-most:]]
        for user in self.workspace.users:
            lines += [f"only {user} {brief(message)}" for message in self.ephemerals(user)[-most:]]
        return lines

    # internals

    @property
    def _first_person(self) -> str:
        return next(user.id for user in self.workspace.users.values() if not user.is_bot)

    def _channel_of(self, user: str, channel: str) -> Channel:
        where = self.workspace.channels.get(channel)
        if where is None or user not in where.members:
            raise LookupError(f"{user} is not in {channel}")
        return where

    def _open_channel_of(self, user: str, channel: str) -> Channel:
        where = self._channel_of(user, channel)
        if where.is_archived:
            raise LookupError(f"#{where.name} is archived.")
        return where

    def _new_response_url(self, place: Place) -> str:
        return f"{self.installation.url}/response/{self.response_urls.issue(place)}"

    def _show_response(self, place: Place, ack: Ack) -> Ack:
        """Show the message in a command's ack, if any."""
        if not ack.ok or not ack.body:
            return ack
        try:
            self.response_urls.respond(place, ack.body if isinstance(ack.body, dict) else {"text": ack.body})
        except RefusalError as refusal:
            self.warnings.append(f"the ack of a command was refused: {refusal.reply()}")
            return replace(ack, ok=False, error=AckError.BAD_RESPONSE)
        return ack


def brief(value: object) -> str:
    """Return a value as short JSON, for people."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else f"{text[:300]}…"
