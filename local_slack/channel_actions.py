"""What people do to channels (archive, unarchive, delete, remove or invite the bot), and the events it causes.

Sources: https://docs.slack.dev/reference/events/channel_archive, channel_unarchive, channel_deleted, channel_left,
member_joined_channel and their counterparts for private channels. A removed member gets only ``channel_left``;
``member_left_channel`` goes to those who stay (https://github.com/slackapi/node-slack-sdk/issues/931).
"""

from __future__ import annotations

from local_slack.config import Channel, ChannelKind
from local_slack.delivery import Courier
from local_slack.install import SCOPE_FAMILY, Installation
from local_slack.payloads import event_payload
from local_slack.workspace import Json


class ChannelActions:
    """People's actions on channels; the resulting events are delivered in the background."""

    def __init__(self, app: Installation, courier: Courier) -> None:
        self._app = app
        self._courier = courier

    def archive(self, channel_id: str, user: str) -> None:
        """Archive a channel, so that no one can post there.

        Raises:
            LookupError: it's already archived or doesn't exist.
        """
        channel = self._open_channel(channel_id)
        channel.is_archived = True
        self._app.workspace.tell_channel(channel)
        self._tell_app(channel, "archive", user=user)

    def unarchive(self, channel_id: str, user: str) -> None:
        """Unarchive a channel.

        Raises:
            LookupError: it isn't archived or doesn't exist.
        """
        channel = self._channel(channel_id)
        if not channel.is_archived:
            raise LookupError(f"#{channel.name} isn't archived.")
        channel.is_archived = False
        self._app.workspace.tell_channel(channel)
        self._tell_app(channel, "unarchive", user=user)

    def delete(self, channel_id: str, user: str) -> None:
        """Delete a channel and its messages.

        Raises:
            LookupError: it doesn't exist.
        """
        channel = self._channel(channel_id)
        self._app.workspace.delete_channel(channel_id)
        self._tell_app(channel, "deleted", actor_id=user)

    def change_id(self, channel_id: str, new_id: str) -> None:
        """Change a channel's ID, as sharing it does; the app is notified if it can see the channel.

        Raises:
            LookupError: it doesn't exist, or the new ID is taken.
        """
        channel = self._channel(channel_id)
        if new_id in self._app.workspace.channels:
            raise LookupError(f"The ID {new_id} is taken.")
        self._app.workspace.move_channel(channel_id, new_id)
        if self._app.workspace.shows_to_bot(channel) and self._app.hears("channel_id_changed"):
            event = {"type": "channel_id_changed", "old_channel_id": channel_id, "new_channel_id": new_id}
            self._start(event)

    def remove_bot(self, channel_id: str, user: str) -> None:
        """Remove the bot from a channel.

        Raises:
            LookupError: it isn't a member, or the channel is archived or doesn't exist.
        """
        channel = self._open_channel(channel_id)
        if not self._app.workspace.has_bot(channel):
            raise LookupError(f"The bot isn't in #{channel.name}.")
        self._tell_app(channel, "left", actor_id=user)
        channel.members.remove(self._app.workspace.app.bot_user_id)
        self._app.workspace.tell_channel(channel)

    def invite_bot(self, channel_id: str, user: str) -> None:
        """Invite the bot into a channel.

        Raises:
            LookupError: the app isn't installed, the bot is already a member, or the channel is archived or doesn't
                exist.
        """
        self._app.expect_installed()
        channel = self._open_channel(channel_id)
        if self._app.workspace.has_bot(channel):
            raise LookupError(f"The bot is already in #{channel.name}.")
        channel.members.add(self._app.workspace.app.bot_user_id)
        self._app.workspace.tell_channel(channel)
        if self._app.hears("member_joined_channel", _read_scope(channel)):
            joined = {
                "type": "member_joined_channel",
                "user": self._app.workspace.app.bot_user_id,
                "team": self._app.workspace.id,
                "inviter": user,
            }
            kind = "C" if channel.kind is ChannelKind.PUBLIC else "G"
            self._start({**joined, "channel": channel.id, "channel_type": kind})

    def _tell_app(self, channel: Channel, what: str, **members: str) -> None:
        """Send the app an event about a channel, if it can see it."""
        name = f"{'channel' if channel.kind is ChannelKind.PUBLIC else 'group'}_{what}"
        if self._app.workspace.shows_to_bot(channel) and self._app.hears(name, _read_scope(channel)):
            self._start({"type": name, **members, "channel": channel.id})

    def _start(self, event: Json) -> None:
        workspace = self._app.workspace
        self._courier.start_event(event_payload(workspace, {**event, "event_ts": workspace.new_ts()}))

    def _channel(self, channel_id: str) -> Channel:
        channel = self._app.workspace.channels.get(channel_id)
        if channel is None or channel.kind not in (ChannelKind.PUBLIC, ChannelKind.PRIVATE):
            raise LookupError(f"Unknown channel: {channel_id}.")
        return channel

    def _open_channel(self, channel_id: str) -> Channel:
        channel = self._channel(channel_id)
        if channel.is_archived:
            raise LookupError(f"#{channel.name} is archived.")
        return channel


def _read_scope(channel: Channel) -> str:
    return f"{SCOPE_FAMILY[channel.kind]}:read"
