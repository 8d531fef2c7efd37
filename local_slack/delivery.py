"""Delivers payloads to the app, records them and their acks, and retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from local_slack.newest import Newest
from local_slack.workspace import Clock, Json

ACK_TIMEOUT_S: Final = 3.0

EVENT_RETRY_DELAYS_S: Final = (0.0, 60.0, 300.0)
"""https://docs.slack.dev/apis/events-api#retries: almost immediately, after one minute, after five."""


class EnvelopeKind(StrEnum):
    """Socket Mode's names for what Slack delivers."""

    COMMAND = "slash_commands"
    INTERACTION = "interactive"
    EVENT = "events_api"


class AckError(StrEnum):
    """Why an ack failed, in the terms of Slack's clients."""

    NONE = ""
    TIMEOUT = "operation_timeout"
    FAILED = "dispatch_failed"
    BAD_RESPONSE = "invalid_command_response"
    """The app acked a command with an invalid message."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The result of a delivery. ``body`` is the ack's payload, if any."""

    ok: bool
    body: Json | str | None = None
    took_s: float = 0.0
    error: str = AckError.NONE
    may_retry: bool = True
    """False if the app sent ``X-Slack-No-Retry``."""


@dataclass(slots=True)
class Envelope:
    """One delivery and its ack; ``ack`` is None while it's in flight."""

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
        """Deliver the envelope and return its ack, within three seconds."""


class Courier:
    """Delivers by the current route, and retries events (only events) that weren't acked.

    Args:
        route: called at each delivery.
        note_envelope: called with each envelope when it's sent, and again with its ack.
    """

    def __init__(
        self,
        clock: Clock,
        route: Callable[[], Route],
        note_envelope: Callable[[Envelope], None],
        most_envelopes: int | None = None,
    ) -> None:
        self._clock = clock
        self._route = route
        self._note_envelope = note_envelope
        self._background: set[asyncio.Task[object]] = set()
        self.event_retry_delays_s: tuple[float, ...] = EVENT_RETRY_DELAYS_S
        self.envelopes: Newest[Envelope] = Newest(most_envelopes)

    async def deliver(self, envelope: Envelope) -> Ack:
        """Deliver once."""
        envelope.at = self._clock()
        self.envelopes.append(envelope)
        self._note_envelope(envelope)
        envelope.ack = await self._route().deliver(envelope)
        self._note_envelope(envelope)
        return envelope.ack

    async def deliver_event(self, payload: Json) -> Ack:
        """Deliver an event and return the first ack; retries continue in the background."""
        ack = await self.deliver(Envelope(EnvelopeKind.EVENT, payload))
        self._in_background(self._retry(payload, ack))
        return ack

    def start_event(self, payload: Json) -> None:
        """Deliver an event in the background."""
        self._in_background(self.deliver_event(payload))

    def start(self, envelope: Envelope) -> None:
        """Deliver once, in the background."""
        self._in_background(self.deliver(envelope))

    async def close(self) -> None:
        """Cancel pending deliveries."""
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
