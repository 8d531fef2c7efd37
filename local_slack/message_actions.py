"""People's actions in messages: they use elements, and fill in inputs in between.

Source: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload. Input values are private
to a person and are sent to the app only with the next action.
"""

from __future__ import annotations

from collections.abc import Callable

from local_slack.config import Channel, User
from local_slack.delivery import Ack, Courier, Envelope, EnvelopeKind
from local_slack.install import Installation
from local_slack.payloads import Click, click_payload
from local_slack.response_url import Place
from local_slack.state import Values
from local_slack.use import Asked, use


class MessageActions:
    """A person's actions in the app's messages.

    Args:
        new_response_url: creates the URL for the app's responses at a place.
    """

    def __init__(
        self,
        app: Installation,
        courier: Courier,
        new_response_url: Callable[[Place], str],
        most_kept: int | None = None,
    ) -> None:
        self._most_kept = most_kept
        self._app = app
        self._courier = courier
        self._new_response_url = new_response_url
        self._kept: dict[tuple[str, str, str], Values] = {}

    async def click(self, user: User, channel: Channel, ts: str, asked: Asked, *, ephemeral: bool) -> Ack:
        """Use an element of a message.

        Raises:
            LookupError: the person doesn't see such a message or element.
        """
        self._app.expect_installed()
        workspace = self._app.workspace
        message = workspace.find_ephemeral(user.id, ts) if ephemeral else workspace.find(channel.id, ts)
        if message is None:
            raise LookupError(f"{user.id} can't see a message {ts} in {channel.id}")
        place = (user.id, channel.id, ts)
        used = use(message, asked, self._kept.get(place, {}))
        self._kept[place] = used.values
        if self._most_kept is not None and len(self._kept) > self._most_kept:
            del self._kept[next(iter(self._kept))]
        payload = click_payload(
            workspace,
            Click(user, channel, message, ephemeral, used),
            self._new_response_url(Place(channel.id, user.id, ts, ephemeral)),
            self._app.triggers.issue(user.id),
            workspace.new_ts(),
        )
        return await self._courier.deliver(Envelope(EnvelopeKind.INTERACTION, payload))
