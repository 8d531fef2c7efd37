"""The inspector: all traffic between the bot and the two stand-ins, as JSON fit to be shown.

It only listens. Tokens, keys and the secrets of OAuth are redacted, long bodies are clipped, and only the newest
entries are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from bot.core.forms.keys import KEY, SYNC_KEY
from bot.ops.web import WEBHOOK_PATH
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
"""Longer bodies, as JSON text, are clipped; the largest message is 13,000 characters."""

BLOT: Final = "•••"
SECRET_NAMES: Final = frozenset(
    {
        "access_token",
        "authorization",
        "client_secret",
        "password",
        "refresh_token",
        "secret",
        "state",
        "ticket",
        "token",
    }
)
SECRET_INPUTS: Final = frozenset({KEY, SYNC_KEY})
"""The inputs in which people type FloKit's keys, by ``block_id`` and ``action_id``."""

SECRET_TEXT: Final = re.compile(
    r"(?:xox[a-z]|xapp)[.-][\w.-]+|flo_[\w-]+|(?<=ticket=)[\w-]+|(?<=/response/)[\w.-]+"
    rf"|(?<={WEBHOOK_PATH}/)[\w-]+|\b\d+\.\d+\.[0-9a-f]{{64}}\b"
)
"""Slack's tokens, FloKit's keys, the ticket of a WebSocket, the secret part of a ``response_url`` and of the address
of a workspace's webhooks, and OAuth's codes."""

Record = ApiCall | Envelope | Request


@dataclass(slots=True)
class Entry:
    """One exchange. ``ok`` is None until there is a response; ``team`` is "" if it's about no workspace, or unknown."""

    id: int
    team: str
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
    """Keeps the newest entries, and notifies listeners of each request and response.

    Args:
        flokits: the FloKit of each workspace, by the workspace's ID.
    """

    def __init__(self, slack: LocalSlack, flokits: Mapping[str, LocalFlokit]) -> None:
        tokens = slack.installation.tokens
        keys = {key for flokit in flokits.values() for key in flokit.keys}
        # The app's bot token may be "", before it's installed.
        self._secrets = frozenset({tokens.app, tokens.signing_secret, *keys, *filter(None, [tokens.bot])})
        self._kept: dict[int, tuple[Entry, Record]] = {}
        self._next_id = 1
        self._listeners: list[Callable[[Json], None]] = []
        slack.on_record(lambda record: self._note(_team_of(record), record))
        for team_id, flokit in flokits.items():
            flokit.on_record(partial(self._note, team_id))

    def entries(self, most: int = SHOWN_AT_FIRST, *, team_id: str = "") -> list[Json]:
        """Return the newest entries, newest first: all, or a workspace's and those that are about none."""
        kept = (entry for entry, _ in reversed(self._kept.values()))
        return [asdict(entry) for entry in kept if not team_id or entry.team in {"", team_id}][:most]

    def subscribe(self, listener: Callable[[Json], None]) -> Callable[[], None]:
        """Call ``listener`` with each message for the page; return a function that unsubscribes."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _note(self, team_id: str, record: Record) -> None:
        """Add or update the entry of a record."""
        entry = self._describe(self._id_of(record), record)
        entry.team = team_id
        # The record is kept with its entry, so that its id() isn't reused.
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


def _team_of(record: ApiCall | Envelope) -> str:
    """Return the ID of the workspace that Slack's traffic is about; "" if it's about none, or unknown."""
    if isinstance(record, ApiCall):
        return record.team_id
    team = record.payload.get("team_id") or record.payload.get("team")
    return str(team.get("id", "") if isinstance(team, dict) else team or "")


def _of_call(entry_id: int, call: ApiCall) -> Entry:
    answered = call.took_s is not None
    return Entry(
        id=entry_id,
        team="",
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
    """Return why a call was refused: Slack's code and the validation messages."""
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
        team="",
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
    """Return an envelope's Socket Mode type and a summary of its payload."""
    detail = envelope.payload.get("command") or envelope.payload.get("event", envelope.payload).get("type", "")
    again = f" (attempt {envelope.retry_attempt + 1})" if envelope.retry_attempt else ""
    return f"{envelope.kind} {detail}{again}"


def _of_request(entry_id: int, request: Request) -> Entry:
    answered = request.took_s is not None
    body = request.response if isinstance(request.response, dict) else {}
    ok = request.status is not None and request.status < 400
    return Entry(
        id=entry_id,
        team="",
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
    """Return a copy without secrets: those recognized by name or format, and the given ones."""
    if isinstance(value, dict):
        return {name: _blotted_member(name, member, secrets) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [blotted(member, secrets) for member in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, BLOT)
    return SECRET_TEXT.sub(BLOT, value)


def _blotted_member(name: str, member: Any, secrets: Iterable[str]) -> Any:
    if isinstance(member, str) and name.lower() in SECRET_NAMES:
        return BLOT
    if name in SECRET_INPUTS and isinstance(member, dict) and member.get("value"):
        return {**member, "value": BLOT}
    return blotted(member, secrets)


def clipped(value: Any) -> Any:
    """Return the value, or the beginning of its JSON text if it's too large."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= BODY_CHARS:
        return json.loads(text)
    return {"clipped": text[:BODY_CHARS], "chars": len(text)}
