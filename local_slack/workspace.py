"""The state of the workspace: people, channels and messages, in memory.

It knows nothing of tokens, sockets and permissions. Messages are stored as the JSON objects that Slack returns, and
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
    """All that can be seen in the workspace, and who is told when it changes."""

    def __init__(
        self,
        app: App,
        workspace: Workspace,
        clock: Clock = time.time,
        *,
        most_records: int | None = None,
        most_messages: int | None = None,
    ) -> None:
        self.app = app
        self.id, self.name, self.domain = workspace.id, workspace.name, workspace.domain
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
        """What ``assistant.threads.setStatus`` shows, by (channel, thread_ts)."""
        self.moved: dict[str, str] = {}
        """The new IDs of channels that got another, by the old ones."""
        self.add_user(User(app.bot_user_id, app.name, is_bot=True))
        for user in workspace.users:
            self.add_user(user)
            self.open_im(user.id)
        for channel in workspace.channels:
            self.add_channel(copy.deepcopy(channel))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each change (the page's messages); return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, change: Json) -> None:
        """Hand one copy of a change to everybody who subscribed."""
        told = copy.deepcopy(change)
        for listener in tuple(self._listeners):
            listener(told)

    def now(self) -> float:
        """Return the Unix time in seconds, by the workspace's clock."""
        return self._clock()

    def new_ts(self) -> str:
        """Return a message id: the time in microseconds, never the same twice."""
        self._last_ts_us = max(int(self._clock() * 1_000_000), self._last_ts_us + 1)
        return f"{self._last_ts_us // 1_000_000}.{self._last_ts_us % 1_000_000:06d}"

    # people and channels

    def add_user(self, user: User) -> None:
        """Add a person, or replace the one with the same ID; an unnamed team is this workspace."""
        self.users[user.id] = replace(user, team_id=user.team_id or self.id, acts_in=user.acts_in or self.id)

    def add_channel(self, channel: Channel) -> None:
        """Add a conversation, or replace the one with the same id; its messages stay."""
        self.channels[channel.id] = channel
        self._versions.setdefault(channel.id, {})
        self.tell_channel(channel)

    def has_bot(self, channel: Channel) -> bool:
        """Return whether the bot is a member of a conversation."""
        return self.app.bot_user_id in channel.members

    def shows_to_bot(self, channel: Channel) -> bool:
        """Return whether the bot can see a conversation: any public one, and those it's in."""
        return channel.kind is ChannelKind.PUBLIC or self.has_bot(channel)

    def describe(self, channel: Channel) -> Json:
        """Return a conversation as subscribers get it."""
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
        """Give a conversation another id; its messages keep theirs, and nothing answers to the old id any more."""
        channel, versions = self.channels.pop(channel_id), self._versions.pop(channel_id)
        self.tell({"type": "channel_deleted", "channel": channel_id})
        channel.id = new_id
        self._versions[new_id] = versions
        self.moved[channel_id] = new_id
        self.add_channel(channel)
        for message in self.all_messages(new_id):
            self._tell_message(new_id, message)

    def open_im(self, user_id: str) -> Channel:
        """Return the direct message of a person and the bot, making it when there is none."""
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
        """The members of a message that say that the bot posted it."""
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
        """Make a new version of a message: a changed member of None is removed."""
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
        """Add a reaction; return False when that person already reacted so."""
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
        """Return a message as it is now, or None."""
        versions = self._versions.get(channel_id, {}).get(ts)
        return copy.deepcopy(versions[-1]) if versions else None

    def history(self, channel_id: str, ts: str) -> list[Json]:
        """Return every version that a message has had, oldest first."""
        return copy.deepcopy(list(self._versions[channel_id][ts]))

    def all_messages(self, channel_id: str) -> list[Json]:
        """Return roots and replies of a channel in the order of their ts."""
        return copy.deepcopy(list(self._current(channel_id)))

    def roots(self, channel_id: str) -> list[Json]:
        """Return what stands in the channel itself, oldest first."""
        return copy.deepcopy([message for message in self._current(channel_id) if is_root(message)])

    def replies(self, channel_id: str, root_ts: str) -> list[Json]:
        """Return a thread's replies without its root, oldest first."""
        return copy.deepcopy(self._replies(channel_id, root_ts))

    def _current(self, channel_id: str) -> Iterator[Json]:
        """Yield the stored messages themselves: they were added in the order of their ts."""
        return (versions[-1] for versions in self._versions[channel_id].values())

    def _replies(self, channel_id: str, root_ts: str) -> list[Json]:
        messages = self._current(channel_id)
        return [message for message in messages if message.get("thread_ts") == root_ts and not is_root(message)]

    def _drop_oldest(self, channel_id: str) -> None:
        """Forget the oldest messages of a channel beyond the limit, as if they'd never been there."""
        versions = self._versions[channel_id]
        while self._most_messages is not None and len(versions) > self._most_messages:
            ts = next(iter(versions))
            del versions[ts]
            self.tell({"type": "message_deleted", "channel": channel_id, "ts": ts})

    def _count_replies(self, channel_id: str, root_ts: str) -> None:
        if root_ts not in self._versions[channel_id]:
            return  # forgotten: see _drop_oldest
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
        """Show a message to one person only; it is gone when the person reloads Slack."""
        ts = self.new_ts()
        stored = {"type": "message", **copy.deepcopy(message), "ts": ts, "channel": channel_id}
        shown = self._ephemerals.setdefault(user_id, {})
        shown[ts] = stored
        if self._most_records is not None and len(shown) > self._most_records:
            self.delete_ephemeral(user_id, next(iter(shown)))
        self.tell({"type": "ephemeral", "user": user_id, "message": stored})
        return copy.deepcopy(stored)

    def edit_ephemeral(self, user_id: str, ts: str, changes: Json) -> None:
        """Replace parts of an ephemeral message: a changed member of None is removed."""
        merged = {**self._ephemerals[user_id][ts], **copy.deepcopy(changes)}
        self._ephemerals[user_id][ts] = {name: value for name, value in merged.items() if value is not None}
        self.tell({"type": "ephemeral", "user": user_id, "message": self._ephemerals[user_id][ts]})

    def delete_ephemeral(self, user_id: str, ts: str) -> None:
        """Take an ephemeral message away."""
        if self._ephemerals.get(user_id, {}).pop(ts, None) is not None:
            self.tell({"type": "ephemeral_deleted", "user": user_id, "ts": ts})

    def find_ephemeral(self, user_id: str, ts: str) -> Json | None:
        """Return an ephemeral message that a person sees, or None."""
        return copy.deepcopy(self._ephemerals.get(user_id, {}).get(ts))

    def ephemerals(self, user_id: str) -> list[Json]:
        """Return the ephemeral messages that a person sees, oldest first."""
        return copy.deepcopy(list(self._ephemerals.get(user_id, {}).values()))


def is_root(message: Json) -> bool:
    """Tell a message in the channel itself from a reply."""
    return bool(message.get("thread_ts", message["ts"]) == message["ts"])
