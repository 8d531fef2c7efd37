"""What the whole bot logs at DEBUG: no secrets, no texts that people typed, no forged lines."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from urllib.parse import urlencode

import httpx
import pytest

from sandbox.local_flokit import READ_KEY, WRITE_KEY

WEBHOOK_SECRET = "a-webhook-secret/with+signs"
WORDS = "what-ana-typed"
STRANGERS = "what-a-stranger-sent"
FORGED = "2026-01-01T00:00:00.000000Z [info     ] forged_event"
TRICK = f"\n{FORGED}\r{FORGED}\u2028{FORGED}\x1b[31m\x1b[2K\u202e"
OUR_LINE = re.compile(r"20\d\d-\d\d-\d\dT[\d:.]+Z \[(debug|info|warning|error) *\]| {2}\| ")


def sign(world, body):
    """Sign as Slack does."""
    now = str(int(time.time()))
    secret = world.slack.installation.tokens.signing_secret.encode()
    digest = hmac.new(secret, f"v0:{now}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": f"v0={digest}"}


async def besiege(world):
    """Send what must not be logged, as people, as Slack and as strangers."""
    response_url = f"{world.slack.api_url}response/secret-{STRANGERS}"
    form = {"command": "/flokit", "text": f"{STRANGERS}{TRICK}", "response_url": response_url, "trigger_id": "t"}
    press = {"type": "block_actions", "response_url": response_url, "user": {"id": f"U{TRICK}"}, "actions": [{}]}
    odd = {"type": f"odd{TRICK}", "callback_id": f"{STRANGERS}{TRICK}", "trigger_id": "t"}
    bodies = [urlencode(form).encode(), *(urlencode({"payload": json.dumps(one)}).encode() for one in (press, odd))]
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(base_url=world.url) as http:
        for body in bodies:
            unsigned = {"X-Slack-Request-Timestamp": str(int(time.time())), "X-Slack-Signature": "v0=" + "a" * 64}
            await http.post("/slack/events", content=body, headers={**unsigned, **kind, "X-Trick": STRANGERS})
            await http.post("/webhooks/flokit", content=body, headers={"X-Webhook-Secret": STRANGERS})
            await http.post(f"/webhooks/flokit/{STRANGERS}", content=body)
            await http.get(f"/{STRANGERS}%0A{STRANGERS}")
            if world.mode == "http":
                await http.post("/slack/events", content=body, headers={**sign(world, body), **kind})
        hint = json.dumps({f"key{TRICK}": STRANGERS}).encode()
        await http.post("/webhooks/flokit", content=hint, headers={"X-Webhook-Secret": WEBHOOK_SECRET})


@pytest.mark.parametrize("mode", ["http", "socket"])
@pytest.mark.parametrize("format_", ["console", "json"])
async def test_debug_logs_no_secret_and_no_forged_line(make_world, mode, format_):
    """Every line is the bot's own, and none has a secret, an address or what someone typed."""
    options = {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": format_, "FLOKIT_WEBHOOK_SECRET": WEBHOOK_SECRET}
    async with make_world(mode=mode, **options) as world:
        world.flokit.add("int_a", "stripe")
        await world.start_bot()
        for text in (f"sync {WORDS}{TRICK}", f"show {WORDS}", f"why {WORDS}"):
            await world.note(text)
        panel = await world.status()
        await world.press(panel, "flokit_resync", "int_a")
        await world.outcomes(panel["ts"])
        await world.slack.say("UANA", world.slack.workspace.open_im("UANA").id, f"{WORDS} {TRICK}")
        await besiege(world)
        await world.settle()
        log = world.bot.log
        tokens = world.slack.installation.tokens
    for secret in (tokens.bot, tokens.app, tokens.signing_secret, READ_KEY, WRITE_KEY, WEBHOOK_SECRET, "response/"):
        assert secret not in log
    assert "ticket=" not in log
    assert WORDS not in log
    assert STRANGERS not in log
    lines = log.splitlines()
    assert len(lines) > 10
    if format_ == "json":
        assert all(isinstance(json.loads(line), dict) for line in lines)
    else:
        assert not [line for line in lines if not OUR_LINE.match(line)]
        assert log.replace("\n", "").isprintable()
        assert not [line for line in lines if line.startswith(FORGED)]
