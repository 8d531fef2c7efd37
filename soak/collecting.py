"""From what the stand-ins hold to evidence: nothing is judged here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_slack import ApiCall, LocalSlack
from sandbox.local_flokit import LocalFlokit, Request
from sandbox.slack import BOT_USER_ID
from soak.closing import Closing
from soak.evidence import Call, Evidence, Lookup, Post, Sent, Telling, Turn
from soak.fleet import Fleet
from soak.neighbors import MARK, Neighbors
from soak.noting import Faults
from soak.people import People
from soak.residents import Residents

if TYPE_CHECKING:  # soak.storm imports this module
    from soak.storm import Storm

OUTCOME_EVENT = "flokit_sync_outcome"
"""docs/message-metadata.md"""

POST_PATH = re.compile(r"/v1/integrations/([^/]+)/sync")
OUTCOME_RUN = re.compile(r"\brun_[0-9a-f]{8,}")
UNSURE = "may have been a sync of its own"
MENTION = re.compile(r"<@(\w+)>")


def collect(storm: Storm, people: People) -> Evidence:
    """Read what Slack and FloKit saw of the clicks."""
    slack, flokit = storm.slack, storm.flokit
    flokit.sources()  # has it notice the ends of syncs
    evidence = Evidence(
        rules=storm.settings.rules,
        clicks=people.clicks,
        several=people.several,
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
    return evidence


async def collect_all(
    storm: Storm, fleet: Fleet, people: People, residents: Residents, closing: Closing, faults: Faults
) -> Evidence:
    """Read everything. A part that can't be read is added to the faults; the others are kept."""
    evidence = Evidence(storm.settings.rules)
    with faults.noting("collecting clicks and outcomes"):
        evidence = collect(storm, people)
    with faults.noting("collecting incidents"):
        evidence.boards = residents.boards
    with faults.noting("collecting snoozes"):
        evidence.snoozed = closing.snoozed
    with faults.noting("collecting digests"):
        evidence.digests, evidence.due_digests = residents.digests, closing.due_digests
    evidence.wishes += closing.wishes
    evidence.missing += closing.missing
    for replica in fleet.replicas:
        with faults.noting(f"collecting from {replica.name}"):
            evidence.exits += replica.exits
            evidence.samples += replica.samples
            evidence.spans += replica.spans
            evidence.log += replica.log
    with faults.noting("counting deadlocks"):
        evidence.deadlocks = storm.database.deadlocks
    with faults.noting("measuring slow statements"):
        evidence.slow = await storm.database.slow()
    return evidence


def collect_apart(slack: LocalSlack, neighbors: Neighbors, evidence: Evidence) -> None:
    """Read what the bot sent to each workspace, and what it asked each one's FloKit."""
    evidence.sent = [_sent(call) for call in slack.calls]
    evidence.lookups = [
        Lookup(one.team_id, request.at.timestamp(), _run_id(request))
        for one in neighbors.all
        for request in one.flokit.requests
    ]
    evidence.absences, evidence.asked = neighbors.absences, neighbors.asked


def _run_id(request: Request) -> str:
    return request.idempotency_key or "" if POST_PATH.fullmatch(request.path) else ""


def _sent(call: ApiCall) -> Sent:
    content = json.dumps(call.args, default=str)
    run_ids = OUTCOME_RUN.findall(content)
    marks = frozenset(MARK.findall(content))
    return Sent(call.team_id, call.method, call.at, marks, run_ids[0] if run_ids else "", call.error)


def write_evidence(evidence: Evidence, path: Path) -> None:
    """Write all evidence but what other files hold: the logs and the calls."""
    evidence = replace(evidence, log=[], calls=[], sent=[], lookups=[])
    path.write_text(json.dumps(asdict(evidence), ensure_ascii=False, default=list, indent=1) + "\n")


def write_calls(storm: Storm, path: Path) -> None:
    """Write all requests to Slack and FloKit, and what Slack delivered, one JSON object per line.

    They're for whoever looks for a violation's cause.
    """
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
        *(
            {"at": one.at, "delivered": one.kind, "payload": one.payload, "attempt": one.retry_attempt, "ack": one.ack}
            for one in storm.slack.envelopes
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
        is_unsure=UNSURE in message["text"],
    )
