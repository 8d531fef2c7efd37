"""The state of the workspace: people, channels and messages, in memory.

Tokens, sockets and permissions are handled elsewhere. Messages are stored as the JSON objects that Slack returns, and
callers always get copies.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from local_slack.config import App, Channel, ChannelKind, User, Workspace
from local_slack.newest import Newest

Json: TypeAlias = dict[str, Any]
Clock: TypeAlias = Callable[[], float]
Listener: TypeAlias = Callable[[Json], None]


class WorkspaceState:
    """The workspace's contents, and the subscribers to its changes."""

    def __init__(
        self,
        app: App,
        workspace: Workspace,
        clock: Clock = time.time,
        *,
        most_records: int | None = None,
        most_messages: int | None = None,
    ) -> None:
        self.app = replace(
            app,
            bot_token=workspace.bot_token or app.bot_token,
            bot_id=workspace.bot_id or app.bot_id,
            bot_user_id=workspace.bot_user_id or app.bot_user_id,
        )
        self.id, self.name, self.domain, self.org = workspace.id, workspace.name, workspace.domain, workspace.org
        self.is_org_install = False
        """Whether the app is here because the whole organization installed it."""
        self._most_records = most_records
        self._most_messages = most_messages
        self._clock = clock
        self._last_ts_us = 0
        self._versions: dict[str, dict[str, Newest[Json]]] = {}
        self._ephemerals: dict[str, dict[str, Json]] = {}
        self._listeners: list[Listener] = []
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.usergroups: dict[str, list[str]] = {}
        self.statuses: dict[tuple[str, str], str] = {}
        """The statuses set by ``assistant.threads.setStatus``, by (channel, thread_ts)."""
        self.moved: dict[str, str] = {}
        """New channel IDs by old ones."""
        if app.oauth is None:
            self.admit_bot()
        for user in workspace.users:
            self.add_user(user)
            if app.oauth is None:
                self.open_im(user.id)
        for channel in workspace.channels:
            added = copy.deepcopy(channel)
            if app.oauth is not None:
                added.members.discard(self.app.bot_user_id)
            self.add_channel(added)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each change; return a function that unsubscribes."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, change: Json) -> None:
        """Send a copy of a change to every subscriber."""
        told = copy.deepcopy(change)
        for listener in tuple(self._listeners):
            listener(told)

    def now(self) -> float:
        """Return the Unix time in seconds, by the workspace's clock."""
        return self._clock()

    def new_ts(self) -> str:
        """Return a unique message ID: the time in microseconds."""
        self._last_ts_us = max(int(self._clock() * 1_000_000), self._last_ts_us + 1)
        return f"{self._last_ts_us // 1_000_000}.{self._last_ts_us % 1_000_000:06d}"

    # people and channels

    def add_user(self, user: User) -> None:
        """Add a person, or replace the one with the same ID; an unnamed team is this workspace."""
        if self.org is not None and not user.is_bot and not user.org_id:
            user = replace(user, org_id=self.org.id, org_teams=user.org_teams or (self.id,))
        self.users[user.id] = replace(user, team_id=user.team_id or self.id, acts_in=user.acts_in or self.id)

    def add_channel(self, channel: Channel) -> None:
        """Add a conversation, or replace the one with the same ID; its messages stay."""
        self.channels[channel.id] = channel
        self._versions.setdefault(channel.id, {})
        self.tell_channel(channel)

    def admit_bot(self) -> None:
        """Add the bot user, and a direct message with it for each person."""
        people = [user.id for user in self.users.values() if not user.is_bot]
        self.add_user(User(self.app.bot_user_id, self.app.name, is_bot=True))
        for user_id in people:
            self.open_im(user_id)

    def expel_bot(self) -> None:
        """Remove the bot user from all channels; direct messages stay to be read."""
        for channel in self.channels.values():
            if channel.kind is not ChannelKind.IM and self.has_bot(channel):
                channel.members.remove(self.app.bot_user_id)
                self.tell_channel(channel)

    def org_of(self, user: User) -> Json | None:
        """Return the organization that payloads name for a person's action: this workspace's, or the person's."""
        if self.org is not None:
            return {"id": self.org.id, "name": self.org.name}
        return {"id": user.org_id, "name": user.org_id.title()} if user.org_id else None

    def has_bot(self, channel: Channel) -> bool:
        """Whether the bot is a member of a conversation."""
        return self.app.bot_user_id in channel.members

    def shows_to_bot(self, channel: Channel) -> bool:
        """Whether the bot can see a conversation: any public one, and those it's in."""
        return channel.kind is ChannelKind.PUBLIC or self.has_bot(channel)

    def describe(self, channel: Channel) -> Json:
        """Return a conversation in the subscribers' format."""
        return {
            "id": channel.id,
            "name": channel.name,
            "kind": channel.kind.value,
            "members": sorted(channel.members),
            "bot_is_member": self.has_bot(channel),
            "is_archived": channel.is_archived,
        }

    def tell_channel(self, channel: Channel) -> None:
        """Notify subscribers that a channel changed."""
        self.tell({"type": "channel", "channel": self.describe(channel)})

    def delete_channel(self, channel_id: str) -> None:
        """Remove a conversation and its messages."""
        del self.channels[channel_id], self._versions[channel_id]
        self.tell({"type": "channel_deleted", "channel": channel_id})

    def move_channel(self, channel_id: str, new_id: str) -> None:
        """Change a conversation's ID; its messages keep theirs, and the old ID becomes invalid."""
        channel, versions = self.channels.pop(channel_id), self._versions.pop(channel_id)
        self.tell({"type": "channel_deleted", "channel": channel_id})
        channel.id = new_id
        self._versions[new_id] = versions
        self.moved[channel_id] = new_id
        self.add_channel(channel)
        for message in self.all_messages(new_id):
            self._tell_message(new_id, message)

    def open_im(self, user_id: str) -> Channel:
        """Return the direct message of a person and the bot, creating it if needed."""
        members = {user_id, self.app.bot_user_id}
        for channel in self.channels.values():
            if channel.kind is ChannelKind.IM and channel.members == members:
                return channel
        channel = Channel("D0" + user_id.removeprefix("U"), self.users[user_id].name, ChannelKind.IM, members)
        self.add_channel(channel)
        return channel

    # messages

    @property
    def bot_author(self) -> Json:
        """The message members that identify the bot as the author."""
        app = self.app
        return {"user": app.bot_user_id, "bot_id": app.bot_id, "app_id": app.id, "team": self.id}

    def post(self, channel_id: str, message: Json) -> Json:
        """Store a message under a new ts. ``thread_ts`` must be the ts of a root in the channel."""
        ts = self.new_ts()
        stored = {"type": "message", **copy.deepcopy(message), "ts": ts}
        versions: Newest[Json] = Newest(self._most_records)
        versions.append(stored)
        self._versions[channel_id][ts] = versions
        self._tell_message(channel_id, stored)
        if "thread_ts" in stored:
            self._count_replies(channel_id, stored["thread_ts"])
        self._drop_oldest(channel_id)
        return copy.deepcopy(stored)

    def edit(self, channel_id: str, ts: str, changes: Json, *, editor: str) -> Json:
        """Edit a message; members set to None are removed."""
        versions = self._versions[channel_id][ts]
        edited = {"user": editor, "ts": self.new_ts()}
        merged = {**versions[-1], **copy.deepcopy(changes), "edited": edited}
        version = {name: value for name, value in merged.items() if value is not None}
        versions.append(version)
        self._tell_message(channel_id, version)
        return copy.deepcopy(version)

    def delete(self, channel_id: str, ts: str) -> None:
        """Remove a message; a root with replies leaves a tombstone, as in Slack."""
        versions = self._versions[channel_id][ts]
        if self._replies(channel_id, ts):
            tombstone = {"type": "message", "subtype": "tombstone", "ts": ts, "thread_ts": ts}
            versions.append({**tombstone, "text": "This message was deleted.", "user": "USLACKBOT"})
            self._tell_message(channel_id, versions[-1])
            return
        deleted = self._versions[channel_id].pop(ts)[-1]
        if not is_root(deleted):
            self._count_replies(channel_id, deleted["thread_ts"])
        self.tell({"type": "message_deleted", "channel": channel_id, "ts": ts})

    def react(self, channel_id: str, ts: str, name: str, user_id: str) -> bool:
        """Add a reaction; return False if that person already added it."""
        message = self._versions[channel_id][ts][-1]
        reactions: list[Json] = message.setdefault("reactions", [])
        reaction = next((known for known in reactions if known["name"] == name), None)
        if reaction is None:
            reaction = {"name": name, "users": [], "count": 0}
            reactions.append(reaction)
        if user_id in reaction["users"]:
            return False
        reaction["users"].append(user_id)
        reaction["count"] += 1
        self._tell_message(channel_id, message)
        return True

    def find(self, channel_id: str, ts: str) -> Json | None:
        """Return the current version of a message, or None."""
        versions = self._versions.get(channel_id, {}).get(ts)
        return copy.deepcopy(versions[-1]) if versions else None

    def history(self, channel_id: str, ts: str) -> list[Json]:
        """Return every version of a message, oldest first."""
        return copy.deepcopy(list(self._versions[channel_id][ts]))

    def all_messages(self, channel_id: str) -> list[Json]:
        """Return roots and replies of a channel in the order of their ts."""
        return copy.deepcopy(list(self._current(channel_id)))

    def roots(self, channel_id: str) -> list[Json]:
        """Return the channel's root messages, oldest first."""
        return copy.deepcopy([message for message in self._current(channel_id) if is_root(message)])

    def replies(self, channel_id: str, root_ts: str) -> list[Json]:
        """Return a thread's replies without its root, oldest first."""
        return copy.deepcopy(self._replies(channel_id, root_ts))

    def _current(self, channel_id: str) -> Iterator[Json]:
        """Yield the stored messages in the order of their ts."""
        return (versions[-1] for versions in self._versions[channel_id].values())

    def _replies(self, channel_id: str, root_ts: str) -> list[Json]:
        messages = self._current(channel_id)
        return [message for message in messages if message.get("thread_ts") == root_ts and not is_root(message)]

    def _drop_oldest(self, channel_id: str) -> None:
        """Drop a channel's oldest messages beyond the limit."""
        versions = self._versions[channel_id]
        while self._most_messages is not None and len(versions) > self._most_messages:
            ts = next(iter(versions))
            del versions[ts]
            self.tell({"type": "message_deleted", "channel": channel_id, "ts": ts})

    def _count_replies(self, channel_id: str, root_ts: str) -> None:
        if root_ts not in self._versions[channel_id]:
            return  # dropped: see _drop_oldest
        root = self._versions[channel_id][root_ts][-1]
        replies = self._replies(channel_id, root_ts)
        root["thread_ts"] = root_ts
        root["reply_count"] = len(replies)
        root["reply_users"] = sorted({reply["user"] for reply in replies})
        root["latest_reply"] = max((reply["ts"] for reply in replies), default="")
        self._tell_message(channel_id, root)

    def _tell_message(self, channel_id: str, message: Json) -> None:
        self.tell({"type": "message", "channel": channel_id, "message": message})

    # ephemerals

    def show_ephemeral(self, user_id: str, channel_id: str, message: Json) -> Json:
        """Show a message to one person only, until they reload Slack."""
        ts = self.new_ts()
        stored = {"type": "message", **copy.deepcopy(message), "ts": ts, "channel": channel_id}
        shown = self._ephemerals.setdefault(user_id, {})
        shown[ts] = stored
        if self._most_records is not None and len(shown) > self._most_records:
            self.delete_ephemeral(user_id, next(iter(shown)))
        self.tell({"type": "ephemeral", "user": user_id, "message": stored})
        return copy.deepcopy(stored)

    def edit_ephemeral(self, user_id: str, ts: str, changes: Json) -> None:
        """Edit an ephemeral message; members set to None are removed."""
        merged = {**self._ephemerals[user_id][ts], **copy.deepcopy(changes)}
        self._ephemerals[user_id][ts] = {name: value for name, value in merged.items() if value is not None}
        self.tell({"type": "ephemeral", "user": user_id, "message": self._ephemerals[user_id][ts]})

    def delete_ephemeral(self, user_id: str, ts: str) -> None:
        """Delete an ephemeral message."""
        if self._ephemerals.get(user_id, {}).pop(ts, None) is not None:
            self.tell({"type": "ephemeral_deleted", "user": user_id, "ts": ts})

    def find_ephemeral(self, user_id: str, ts: str) -> Json | None:
        """Return a person's ephemeral message, or None."""
        return copy.deepcopy(self._ephemerals.get(user_id, {}).get(ts))

    def ephemerals(self, user_id: str) -> list[Json]:
        """Return a person's ephemeral messages, oldest first."""
        return copy.deepcopy(list(self._ephemerals.get(user_id, {}).values()))


def is_root(message: Json) -> bool:
    """Whether a message is a root, not a reply."""
    return bool(message.get("thread_ts", message["ts"]) == message["ts"])
