"""The inspector: everything that passed between the bot and the two stand-ins, as JSON that may be shown.

It only listens. Tokens and keys are blotted out, long bodies are clipped, and only the newest entries are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from local_slack import LocalSlack
from local_slack.delivery import Envelope
from local_slack.faults import RESPONSE_URL
from local_slack.web import ApiCall
from local_slack.workspace import Json
from sandbox.local_flokit import LocalFlokit, Request

KEPT: Final = 500
SHOWN_AT_FIRST: Final = 200
"""How many entries a page gets when it opens."""

BODY_CHARS: Final = 20_000
"""A body beyond this, as JSON text, is clipped; the largest message is 13 000."""

BLOT: Final = "•••"
SECRET_NAMES: Final = frozenset({"token", "ticket", "authorization", "password", "secret"})
SECRET_TEXT: Final = re.compile(r"(?:xox[a-z]|xapp)-[\w-]+|(?<=ticket=)[\w-]+|(?<=/response/)[\w-]+")
"""Slack's tokens, the ticket of a WebSocket, the secret part of a ``response_url``."""

Record = ApiCall | Envelope | Request


@dataclass(slots=True)
class Entry:
    """One exchange. ``ok`` is None while there is no answer."""

    id: int
    at: float
    kind: str
    title: str
    ok: bool | None
    status: int | None
    error: str
    took_ms: float | None
    request: Any
    response: Any


class Inspector:
    """Keeps the newest entries, and tells each of them when it comes and when it is answered."""

    def __init__(self, slack: LocalSlack, flokit: LocalFlokit) -> None:
        self._secrets = frozenset(
            {slack.installation.tokens.app, slack.installation.tokens.bot, slack.installation.tokens.signing_secret}
            | flokit.keys.keys()
        )
        self._kept: dict[int, tuple[Entry, Record]] = {}
        self._next_id = 1
        self._listeners: list[Callable[[Json], None]] = []
        slack.on_record(self._note)
        flokit.on_record(self._note)

    def entries(self, most: int = SHOWN_AT_FIRST) -> list[Json]:
        """Return the newest entries, newest first."""
        return [asdict(entry) for entry, _ in reversed(self._kept.values())][:most]

    def subscribe(self, listener: Callable[[Json], None]) -> Callable[[], None]:
        """Call ``listener`` with each message for the page; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _note(self, record: Record) -> None:
        """Keep a record that is new, or that changed since."""
        entry = self._describe(self._id_of(record), record)
        # The record is kept with its entry: as long as it is, no other has its id().
        self._kept[id(record)] = entry, record
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        for listener in tuple(self._listeners):
            listener({"type": "log", "entry": asdict(entry)})

    def _id_of(self, record: Record) -> int:
        kept = self._kept.get(id(record))
        if kept is not None:
            return kept[0].id
        self._next_id += 1
        return self._next_id - 1

    def _describe(self, entry_id: int, record: Record) -> Entry:
        match record:
            case ApiCall():
                entry = _of_call(entry_id, record)
            case Envelope():
                entry = _of_envelope(entry_id, record)
            case Request():
                entry = _of_request(entry_id, record)
        entry.request = clipped(blotted(entry.request, self._secrets))
        entry.response = clipped(blotted(entry.response, self._secrets))
        return entry


def _of_call(entry_id: int, call: ApiCall) -> Entry:
    answered = call.took_s is not None
    return Entry(
        id=entry_id,
        at=call.at,
        kind="response_url" if call.method == RESPONSE_URL else "web_api",
        title=call.method,
        ok=call.ok if answered else None,
        status=call.status or None,
        error=_why(call) if answered else "",
        took_ms=_ms(call.took_s),
        request=call.args,
        response=call.response,
    )


def _why(call: ApiCall) -> str:
    """Say why a call was refused: Slack's code, and the places it complains about."""
    if call.ok:
        return ""
    if not call.status:
        return "no answer"
    body = call.response if isinstance(call.response, dict) else {}
    messages = body.get("response_metadata", {}).get("messages", [])
    details = [f"{error['pointer']}: {error['message']}" for error in body.get("errors", [])]
    needed = [f"needed: {body['needed']}"] if "needed" in body else []
    reasons = "; ".join([*messages, *details, *needed])
    code = call.error or f"HTTP {call.status}"
    return f"{code}: {reasons}" if reasons else code


def _of_envelope(entry_id: int, envelope: Envelope) -> Entry:
    ack = envelope.ack
    return Entry(
        id=entry_id,
        at=envelope.at,
        kind="envelope",
        title=_title(envelope),
        ok=ack.ok if ack else None,
        status=None,
        error=str(ack.error) if ack else "",
        took_ms=_ms(ack.took_s) if ack else None,
        request=envelope.payload,
        response=ack.body if ack else None,
    )


def _title(envelope: Envelope) -> str:
    """Name an envelope as Socket Mode does, and what is in it."""
    detail = envelope.payload.get("command") or envelope.payload.get("event", envelope.payload).get("type", "")
    again = f" (attempt {envelope.retry_attempt + 1})" if envelope.retry_attempt else ""
    return f"{envelope.kind} {detail}{again}"


def _of_request(entry_id: int, request: Request) -> Entry:
    answered = request.took_s is not None
    body = request.response if isinstance(request.response, dict) else {}
    ok = request.status is not None and request.status < 400
    return Entry(
        id=entry_id,
        at=request.at.timestamp(),
        kind="flokit",
        title=f"{request.method} {request.path}",
        ok=ok if answered else None,
        status=request.status,
        error="" if ok or not answered else str(body.get("message") or _http(request.status)),
        took_ms=_ms(request.took_s),
        request={"query": request.query, "idempotency_key": request.idempotency_key},
        response=request.response,
    )


def _http(status: int | None) -> str:
    return "no answer" if status is None else f"HTTP {status}"


def _ms(took_s: float | None) -> float | None:
    return None if took_s is None else round(took_s * 1000, 1)


def blotted(value: Any, secrets: Iterable[str]) -> Any:
    """Return a copy without the secrets: those known by their name, by their look, and the given ones."""
    if isinstance(value, dict):
        return {
            name: BLOT if isinstance(member, str) and name.lower() in SECRET_NAMES else blotted(member, secrets)
            for name, member in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [blotted(member, secrets) for member in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, BLOT)
    return SECRET_TEXT.sub(BLOT, value)


def clipped(value: Any) -> Any:
    """Return a value that is small enough to be shown; a large one becomes the beginning of its text."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= BODY_CHARS:
        return json.loads(text)
    return {"clipped": text[:BODY_CHARS], "chars": len(text)}
