"""Bringing payloads to the app and keeping account of it: what was sent, how it was acked, what is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from local_slack.newest import Newest
from local_slack.payloads import event_payload
from local_slack.workspace import Json, WorkspaceState

ACK_TIMEOUT_S: Final = 3.0

EVENT_RETRY_DELAYS_S: Final = (0.0, 60.0, 300.0)
"""https://docs.slack.dev/apis/events-api#retries: nearly at once, after a minute, after five."""


class EnvelopeKind(StrEnum):
    """Socket Mode's names for what Slack delivers."""

    COMMAND = "slash_commands"
    INTERACTION = "interactive"
    EVENT = "events_api"


class AckError(StrEnum):
    """Why an ack is not ok, in the words of Slack's clients."""

    NONE = ""
    TIMEOUT = "operation_timeout"
    FAILED = "dispatch_failed"
    BAD_RESPONSE = "invalid_command_response"
    """The app acked a command with a message that Slack refuses."""


@dataclass(frozen=True, slots=True)
class Ack:
    """How the app took a delivery. ``body`` is what it sent back with the ack, if anything."""

    ok: bool
    body: Json | str | None = None
    took_s: float = 0.0
    error: str = AckError.NONE
    may_retry: bool = True
    """False when the app sent ``X-Slack-No-Retry``."""


@dataclass(slots=True)
class Envelope:
    """One delivery, and how it was taken; ``ack`` is None while it is on its way."""

    kind: EnvelopeKind
    payload: Json
    retry_attempt: int = 0
    retry_reason: str = ""
    via: str = ""
    envelope_id: str = ""
    at: float = 0.0
    """When it was sent, in Unix seconds."""
    ack: Ack | None = None


class Route(Protocol):
    """A way to the app."""

    async def deliver(self, envelope: Envelope) -> Ack:
        """Bring the envelope to the app and return its ack, within three seconds."""


class Courier:
    """Delivers by whatever route there is at the moment, and repeats events (only events) that were not acked.

    Args:
        route: asked at each delivery.
        note_envelope: called with each envelope when it is sent, and again when it was taken or not.
    """

    def __init__(
        self,
        workspace: WorkspaceState,
        route: Callable[[], Route],
        note_envelope: Callable[[Envelope], None],
        most_envelopes: int | None = None,
    ) -> None:
        self._workspace = workspace
        self._route = route
        self._note_envelope = note_envelope
        self._background: set[asyncio.Task[object]] = set()
        self.event_retry_delays_s: tuple[float, ...] = EVENT_RETRY_DELAYS_S
        self.envelopes: Newest[Envelope] = Newest(most_envelopes)

    async def deliver(self, envelope: Envelope) -> Ack:
        """Deliver once."""
        envelope.at = self._workspace.now()
        self.envelopes.append(envelope)
        self._note_envelope(envelope)
        envelope.ack = await self._route().deliver(envelope)
        self._note_envelope(envelope)
        return envelope.ack

    async def deliver_event(self, event: Json) -> Ack:
        """Deliver an event and return the first ack; further attempts go on in the background."""
        payload = event_payload(self._workspace, event, int(self._workspace.now()))
        ack = await self.deliver(Envelope(EnvelopeKind.EVENT, payload))
        self._in_background(self._retry(payload, ack))
        return ack

    def start_event(self, event: Json) -> None:
        """Deliver an event in the background."""
        self._in_background(self.deliver_event(event))

    def start(self, envelope: Envelope) -> None:
        """Deliver once, in the background."""
        self._in_background(self.deliver(envelope))

    async def close(self) -> None:
        """Give up what is still to be delivered."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _retry(self, payload: Json, ack: Ack) -> None:
        for attempt, delay_s in enumerate(self.event_retry_delays_s, start=1):
            if ack.ok or not ack.may_retry:
                return
            await asyncio.sleep(delay_s)
            reason = "http_timeout" if ack.error == AckError.TIMEOUT else "http_error"
            ack = await self.deliver(Envelope(EnvelopeKind.EVENT, payload, attempt, reason))

    def _in_background(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
