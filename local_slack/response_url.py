"""``response_url``: answers a click or command, even where the bot can't post.

Source: https://docs.slack.dev/interactivity/handling-user-interaction#message_responses. It needs no token and no
membership, works five times within thirty minutes, and never posts in a thread.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from local_slack.content import read_content
from local_slack.refusal import RefusalError
from local_slack.workspace import Clock, Json, WorkspaceState

USES: Final = 5
LIFETIME_S: Final = 30 * 60


@dataclass(slots=True)
class Place:
    """Where a response goes: the channel, the person, and the clicked message, if any."""

    channel_id: str
    user_id: str
    original_ts: str = ""
    original_is_ephemeral: bool = False


@dataclass(slots=True)
class _Issued:
    place: Place
    at: float
    uses: int = 0


def read_response(body: str) -> Json | None:
    """Return the posted JSON object, or None."""
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


class ResponseUrls:
    """Issues response URLs and handles posts to them."""

    def __init__(self, workspace: WorkspaceState, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._issued: dict[str, _Issued] = {}
        self.team_id = workspace.id

    def issue(self, place: Place) -> str:
        """Return the last path segment of a new response URL; like Slack's URLs, it names the workspace."""
        token = f"{self.team_id}.{secrets.token_urlsafe(18)}"
        now = self._clock()
        for old in [known for known, issued in self._issued.items() if now - issued.at > LIFETIME_S]:
            del self._issued[old]
        self._issued[token] = _Issued(place, now)
        return token

    def use(self, token: str, payload: Json | None) -> None:
        """Handle a post to a response URL.

        Args:
            payload: None if it wasn't valid JSON.

        Raises:
            RefusalError: ``expired_url`` and ``used_url`` (a 404 in Slack), or the message's error.
        """
        issued = self._issued.get(token)
        if issued is None or self._clock() - issued.at > LIFETIME_S:
            raise RefusalError("expired_url")
        if issued.uses >= USES:
            raise RefusalError("used_url")
        if payload is None:
            raise RefusalError("invalid_payload")
        self.respond(issued.place, payload)
        issued.uses += 1

    def respond(self, place: Place, payload: Json) -> None:
        """Show a response, including one from an ack's body.

        Raises:
            RefusalError: the message is invalid.
        """
        if place.channel_id in self._workspace.moved:
            place = replace(place, channel_id=self._workspace.moved[place.channel_id])
        if place.channel_id not in self._workspace.channels:
            raise RefusalError("channel_not_found")
        if payload.get("delete_original") and place.original_ts:
            self._delete_original(place)
            return
        content = read_content(payload)
        if payload.get("replace_original") and place.original_ts:
            self._replace_original(place, content)
        elif payload.get("response_type") == "in_channel":
            self._workspace.post(place.channel_id, {**self._workspace.bot_author, **content})
        else:
            self._workspace.show_ephemeral(place.user_id, place.channel_id, {**self._workspace.bot_author, **content})

    def _replace_original(self, place: Place, content: Mapping[str, object]) -> None:
        changes = {"blocks": None, **content}
        if place.original_is_ephemeral:
            if self._workspace.find_ephemeral(place.user_id, place.original_ts) is None:
                raise RefusalError("message_not_found")
            self._workspace.edit_ephemeral(place.user_id, place.original_ts, changes)
            return
        if self._workspace.find(place.channel_id, place.original_ts) is None:
            raise RefusalError("message_not_found")
        self._workspace.edit(place.channel_id, place.original_ts, changes, editor=self._workspace.app.bot_user_id)

    def _delete_original(self, place: Place) -> None:
        if place.original_is_ephemeral:
            self._workspace.delete_ephemeral(place.user_id, place.original_ts)
        elif self._workspace.find(place.channel_id, place.original_ts) is not None:
            self._workspace.delete(place.channel_id, place.original_ts)
