"""Payloads in which each field is replaced in turn: each is answered, and nothing goes wrong."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest
from structlog.testing import capture_logs

from bot import listeners
from bot.core.access import policy_form
from bot.core.commands.presses import Action
from bot.core.forms import naming
from bot.core.forms.form import OpenedFor
from bot.core.subscriptions.form import ALL, CALLBACK_ID, DAYS, NEWS, WHAT, action_id
from bot.listeners.faults import Faults
from bot.listeners.observed import ObservedApp
from bot.listeners.payloads import ID_CHARS
from bot.listeners.reception import Reception
from bot.observability.context import Runtime
from bot.observability.telemetry import SILENT
from bot.store.codec import dump
from tests.adapters.conftest import finding

LONG = "x" * 60_000
OTHER_VALUES = (
    *(None, [], {}, [[]], [None], [{"id": None}], {"id": {"id": 1}}, 0, -1.5, 10**40, True, float("inf")),
    *("", LONG, "\ud800x", "a\0b", "../../x", "\n\x1b[31m"),
)
WHO = {"user": {"id": "UANA", "username": "ana", "team_id": "T1"}, "team": {"id": "T1"}, "trigger_id": "t"}
CHOICES = {
    WHAT: {action_id(WHAT): {"selected_option": {"value": ALL}}},
    NEWS: {action_id(NEWS): {"selected_options": [{"value": "failing"}]}},
    DAYS: {action_id(DAYS): {"selected_option": {"value": "weekdays"}}},
}
FORM = {
    "id": "V1",
    "type": "modal",
    "callback_id": CALLBACK_ID,
    "private_metadata": json.dumps({"channel": "C1", "asked": "t0"}),
    "state": {"values": CHOICES},
    "app_installed_team_id": "T1",
}

POLICY = {
    "id": "V2",
    "type": "modal",
    "callback_id": policy_form.FORM.callback_id,
    "private_metadata": policy_form.write_metadata(1),
    "state": {"values": {policy_form.FIRST: {policy_form.FIRST: {"type": "plain_text_input", "value": "rules: []"}}}},
    "app_installed_team_id": "T1",
}

NAME = {
    "id": "V3",
    "type": "modal",
    "callback_id": naming.FORM.callback_id,
    "private_metadata": OpenedFor("int_1", "t0", "p").as_metadata(),
    "state": {"values": {"name": {"name_name": {"type": "plain_text_input", "value": "Money"}}}},
    "app_installed_team_id": "T1",
}


def event(**members):
    """Wrap an event as Slack does."""
    installed = [{"enterprise_id": None, "team_id": "T1", "user_id": "UBOT", "is_bot": True}]
    envelope = {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "authorizations": installed}
    return {**envelope, "event": {"user": "UANA", "channel": "C1", "ts": "1.0", **members}}


def press(action, value):
    """Press a button."""
    return {
        "type": "block_actions",
        **WHO,
        "container": {"type": "message", "message_ts": "1.0", "channel_id": "C1", "is_ephemeral": False},
        "channel": {"id": "C1"},
        "message": {"ts": "1.0", "thread_ts": "1.0"},
        "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [{"action_id": action, "block_id": "b", "type": "button", "value": value}],
    }


IDS = json.dumps({"panel": "p", "integration": "int_1", "run": "r", "incident": "i", "subscription": "s", "page": 1})
PAYLOADS = {
    "command": {
        "command": "/flokit",
        "text": "status",
        "trigger_id": "t",
        "user_id": "UANA",
        "user_name": "ana",
        "channel_id": "C1",
        "team_id": "T1",
        "response_url": "https://hooks.slack.com/commands/T1/1/x",
    },
    "form": {"type": "view_submission", **WHO, "view": FORM},
    "policy": {"type": "view_submission", **WHO, "view": POLICY},
    "name": {"type": "view_submission", **WHO, "view": NAME},
    "closed form": {"type": "view_closed", **WHO, "view": FORM},
    "choice": {
        "type": "block_actions",
        **WHO,
        "view": FORM,
        "container": {"type": "view", "view_id": "V1"},
        "actions": [{"action_id": action_id(NEWS), "type": "checkboxes", "selected_options": [{"value": "failing"}]}],
    },
    "direct message": event(type="message", channel_type="im", text="status"),
    "mention": event(type="app_mention", text="<@UBOT> status", thread_ts="1.0"),
    "home": event(type="app_home_opened", tab="home"),
    "joined": event(type="member_joined_channel", user="UBOT"),
    "moved": event(type="channel_id_changed", old_channel_id="C1", new_channel_id="C2"),
    "archived": event(type="channel_archive"),
    "unknown event": event(type="tokens_revoked", tokens={"bot": ["UBOT"]}),
    "shortcut": {"type": "shortcut", "callback_id": "x", **WHO},
    "suggestion": {"type": "block_suggestion", "action_id": "x", "block_id": "b", "value": "v", **WHO},
    **{f"press of {action}": press(action, IDS) for action in Action},
}


def paths(tree, at=()):
    """Return the path of every value in a payload."""
    places = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in places:
        yield (*at, key)
        yield from paths(value, (*at, key))


def swapped(payload, path, value):
    """Replace the value at one path of a payload."""
    changed = deepcopy(payload)
    *way, last = path
    place = changed
    for key in way:
        place = place[key]
    place[last] = value
    return changed


class Nobody:
    """Replaces the Slack client that answers after the ack."""

    async def respond(self, _response_url, _message):
        """Accept an answer."""

    post = respond


class Saving:
    """Saves requests as the store writes them, and keeps their JSON."""

    def __init__(self):
        self.requests = []

    async def __call__(self, request):
        """Save one request."""
        dump(request)
        self.requests.append(request)


async def no_preview(*_):
    """Return no preview."""


async def no_fault(*_):
    """Accept any form."""
    return {}


@pytest.fixture
def saving():
    """A reception that keeps requests."""
    return Saving()


@pytest.fixture
def app(saving):
    """A Bolt app of a workspace, with all its listeners."""
    runtime = Runtime(lambda: datetime.now(UTC))
    reception = Reception(
        saving,
        Nobody(),
        runtime.of("T1", "UBOT"),
        preview=no_preview,
        save_form=no_fault,
    )
    app = ObservedApp(runtime, finding(reception), process_before_response=True)
    listeners.register(app, command="/flokit")
    app.error(Faults(Nobody(), SILENT).answer)
    return app


@pytest.mark.parametrize("kind", PAYLOADS)
async def test_any_field_may_be_anything(app, saving, caplog, kind):
    """Whatever is in any one field, the payload is answered, no error is logged, and no library logs the payload."""
    with capture_logs() as logs:
        for path in paths(PAYLOADS[kind]):
            for value in OTHER_VALUES:
                payload = swapped(PAYLOADS[kind], path, value)
                try:
                    request = AsyncBoltRequest(body=payload, mode="socket_mode")
                except (AttributeError, TypeError, LookupError):
                    continue  # Bolt raised, and the web server refuses the request: see test_web.py.
                assert (await app.async_dispatch(request)).status in {200, 400, 404}, (path, value)
                assert not [line for line in logs if line["log_level"] == "error"], (path, value, logs)
    assert not [record for record in caplog.records if record.name.startswith("slack_bolt")]
    ids = [
        found
        for request in saving.requests
        for found in (request.id, request.origin.person.id, request.origin.channel_id, request.origin.thread_ts or "")
    ]
    assert max(map(len, ids), default=0) <= ID_CHARS
