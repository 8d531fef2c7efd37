"""What people do to channels: archive one, bring it back, delete it, remove the bot and invite it; what the app hears.

Sources: https://docs.slack.dev/reference/events/channel_archive, channel_unarchive, channel_deleted, channel_left,
member_joined_channel and their counterparts for private channels. Whoever is removed hears ``channel_left`` only:
``member_left_channel`` is for those who stay (https://github.com/slackapi/node-slack-sdk/issues/931).
"""

from __future__ import annotations

from local_slack.config import Channel, ChannelKind
from local_slack.delivery import Courier
from local_slack.install import SCOPE_FAMILY, Installation


class ChannelActions:
    """People's hands on channels; what follows for the app is delivered in the background."""

    def __init__(self, app: Installation, courier: Courier) -> None:
        self._app = app
        self._courier = courier

    def archive(self, channel_id: str, user: str) -> None:
        """Archive a channel: nobody can post there any more.

        Raises:
            LookupError: it is archived already, or no channel.
        """
        channel = self._open_channel(channel_id)
        channel.is_archived = True
        self._app.workspace.tell_channel(channel)
        self._tell_app(channel, "archive", user=user)

    def unarchive(self, channel_id: str, user: str) -> None:
        """Bring an archived channel back.

        Raises:
            LookupError: it is not archived, or no channel.
        """
        channel = self._channel(channel_id)
        if not channel.is_archived:
            raise LookupError(f"#{channel.name} is not archived.")
        channel.is_archived = False
        self._app.workspace.tell_channel(channel)
        self._tell_app(channel, "unarchive", user=user)

    def delete(self, channel_id: str, user: str) -> None:
        """Delete a channel with all that was said there.

        Raises:
            LookupError: it is no channel.
        """
        channel = self._channel(channel_id)
        self._app.workspace.delete_channel(channel_id)
        self._tell_app(channel, "deleted", actor_id=user)

    def change_id(self, channel_id: str, new_id: str) -> None:
        """Give a channel another id, as sharing it does; the app hears of it where it saw the channel.

        Raises:
            LookupError: it is no channel, or the new id is taken.
        """
        channel = self._channel(channel_id)
        if new_id in self._app.workspace.channels:
            raise LookupError(f"There is a channel {new_id} already.")
        self._app.workspace.move_channel(channel_id, new_id)
        if self._app.workspace.shows_to_bot(channel) and self._app.hears("channel_id_changed"):
            event = {"type": "channel_id_changed", "old_channel_id": channel_id, "new_channel_id": new_id}
            self._courier.start_event({**event, "event_ts": self._app.workspace.new_ts()})

    def remove_bot(self, channel_id: str, user: str) -> None:
        """Remove the bot from a channel.

        Raises:
            LookupError: it is not in there, or this is no channel that is open.
        """
        channel = self._open_channel(channel_id)
        if not self._app.workspace.has_bot(channel):
            raise LookupError(f"The bot is not in #{channel.name}.")
        self._tell_app(channel, "left", actor_id=user)
        channel.members.remove(self._app.workspace.app.bot_user_id)
        self._app.workspace.tell_channel(channel)

    def invite_bot(self, channel_id: str, user: str) -> None:
        """Invite the bot into a channel.

        Raises:
            LookupError: it is in there already, or this is no channel that is open.
        """
        channel = self._open_channel(channel_id)
        if self._app.workspace.has_bot(channel):
            raise LookupError(f"The bot is in #{channel.name} already.")
        channel.members.add(self._app.workspace.app.bot_user_id)
        self._app.workspace.tell_channel(channel)
        if self._app.hears("member_joined_channel", _read_scope(channel)):
            joined = {
                "type": "member_joined_channel",
                "user": self._app.workspace.app.bot_user_id,
                "team": self._app.workspace.id,
                "inviter": user,
            }
            self._start(channel, {**joined, "channel_type": "C" if channel.kind is ChannelKind.PUBLIC else "G"})

    def _tell_app(self, channel: Channel, what: str, **members: str) -> None:
        """Tell the app what happened to a channel that it sees."""
        name = f"{'channel' if channel.kind is ChannelKind.PUBLIC else 'group'}_{what}"
        if self._app.workspace.shows_to_bot(channel) and self._app.hears(name, _read_scope(channel)):
            self._start(channel, {"type": name, **members})

    def _start(self, channel: Channel, event: dict[str, str]) -> None:
        self._courier.start_event({**event, "channel": channel.id, "event_ts": self._app.workspace.new_ts()})

    def _channel(self, channel_id: str) -> Channel:
        channel = self._app.workspace.channels.get(channel_id)
        if channel is None or channel.kind not in (ChannelKind.PUBLIC, ChannelKind.PRIVATE):
            raise LookupError(f"There is no channel {channel_id}.")
        return channel

    def _open_channel(self, channel_id: str) -> Channel:
        channel = self._channel(channel_id)
        if channel.is_archived:
            raise LookupError(f"#{channel.name} is archived.")
        return channel


def _read_scope(channel: Channel) -> str:
    return f"{SCOPE_FAMILY[channel.kind]}:read"
