"""From what the stand-ins hold to evidence: nothing is judged here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_slack import LocalSlack
from sandbox.local_flokit import LocalFlokit
from sandbox.slack import BOT_USER_ID
from soak.evidence import Call, Evidence, Post, Telling, Turn
from soak.fleet import Fleet
from soak.people import People
from soak.residents import Residents

if TYPE_CHECKING:  # soak.storm imports this module
    from soak.storm import Storm

OUTCOME_EVENT = "flokit_sync_outcome"
"""docs/message-metadata.md"""

POST_PATH = re.compile(r"/v1/integrations/([^/]+)/sync")
MENTION = re.compile(r"<@(\w+)>")


def collect(storm: Storm, fleet: Fleet | None, people: People, residents: Residents | None) -> Evidence:
    """Read everything; without a fleet only what Slack and FloKit saw."""
    slack, flokit = storm.slack, storm.flokit
    flokit.sources()  # has it notice the ends of syncs
    evidence = Evidence(
        rules=storm.settings.rules,
        clicks=people.clicks,
        posts=list(_posts(flokit)),
        requests=[request.at.timestamp() for request in flokit.requests],
        denials=[request.at.timestamp() for request in flokit.requests if request.status in (401, 403)],
        turns=[
            Turn(turn.integration_id, turn.at.timestamp(), turn.source.status if turn.source else None, turn.ending)
            for turn in flokit.turns
        ],
        spans=list(storm.database.away),
        calls=[Call(call.method, call.error, call.at) for call in slack.calls],
        warnings=list(slack.warnings),
    )
    _read_messages(slack, evidence)
    evidence.spans += storm.jumps
    if residents:
        evidence.boards, evidence.snoozed, evidence.digests = residents.boards, residents.snoozed, residents.digests
    if fleet:
        evidence.deadlocks = storm.database.deadlocks
        evidence.slow = storm.database.slow
        for replica in fleet.replicas:
            evidence.exits += replica.exits
            evidence.samples += replica.samples
            evidence.spans += replica.spans
            evidence.log += replica.log
    return evidence


def write_calls(storm: Storm, path: Path) -> None:
    """Write what Slack and FloKit were asked, one JSON object a line, for whoever looks for a violation's cause."""
    calls = [
        *(
            {"at": call.at, "slack": call.method, "args": call.args, "reply": call.response}
            for call in storm.slack.calls
        ),
        *(
            {
                "at": one.at.timestamp(),
                "flokit": f"{one.method} {one.path}",
                "status": one.status,
                "reply": one.response,
            }
            for one in storm.flokit.requests
        ),
    ]
    lines = [json.dumps(call, ensure_ascii=False, default=str) for call in sorted(calls, key=lambda call: call["at"])]
    path.write_text("\n".join(lines) + "\n")


def _posts(flokit: LocalFlokit) -> Iterator[Post]:
    for request in flokit.requests:
        match = POST_PATH.fullmatch(request.path)
        if request.method == "POST" and match:
            is_usable = isinstance(request.response, dict) and request.response.get("status") == "ok"
            yield Post(
                run_id=request.idempotency_key or "",
                integration_id=match[1],
                at=request.at.timestamp(),
                status=request.status,
                is_usable=is_usable,
                took_s=request.took_s or 0.0,
            )


def _read_messages(slack: LocalSlack, evidence: Evidence) -> None:
    for channel in slack.workspace.channels:
        for message in slack.workspace.all_messages(channel):
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if message.get("user") != BOT_USER_ID or not payload.get("outbox_id"):
                continue
            evidence.outbox_ids.append(payload["outbox_id"])
            if metadata["event_type"] == OUTCOME_EVENT:
                versions = len(slack.history(channel, message["ts"]))
                evidence.tellings.append(_telling(channel, message, payload, versions))


def _telling(channel: str, message: dict[str, Any], payload: dict[str, str], versions: int) -> Telling:
    return Telling(
        channel=channel,
        thread_ts=message.get("thread_ts", message["ts"]),
        at=float(message["ts"]),
        run_id=payload["run_id"],
        integration_id=payload["integration_id"],
        outcome=payload["outcome"],
        finished_at=datetime.fromisoformat(payload["finished_at"]).timestamp(),
        mentions=frozenset(MENTION.findall(message["text"])),
        versions=versions,
    )
