"""``flokit-bot sandbox`` without its page: what the fault panel does to the real bot."""

from __future__ import annotations

import aiohttp

from sandbox import run
from sandbox.clock import WorldClock
from tests.scenarios.test_browser import running_sandbox, turn


async def test_alerts_can_be_tried_in_the_sandbox():
    """The bot accepts the panel's webhook, also after a restart, and uses the clock that the panel moved."""
    async with running_sandbox() as url, aiohttp.ClientSession(url) as session:
        await turn(url, action="webhook")
        async with session.ws_connect("/page/live") as feed:
            first = await feed.receive_json(timeout=10)
            await turn(url, action="kill_bot")
            await heard(feed, lambda one: one["type"] == "control" and not one["control"]["bot"]["connected"])
            await heard(feed, lambda one: one["type"] == "control" and one["control"]["bot"]["connected"])
            await turn(url, action="webhook")
            await turn(url, action="move_clock", step="day")
            typed = {"user": "UANA", "channel": "C0DATA", "text": "/flokit status"}
            async with session.post("/page/command", json=typed) as answer:
                assert (await answer.json())["ok"]
            answer = await heard(feed, lambda one: one["type"] == "message")
    assert first["control"]["clock_moved_s"] == 0
    as_of = [int(part.split("^")[0]) for part in str(answer["message"]["blocks"]).split("<!date^")[1:]]
    assert abs(max(as_of) - float(answer["message"]["ts"])) < 60
    assert float(answer["message"]["ts"]) - first["log"][0]["at"] > 23 * 3600


def test_the_tokens_are_new_at_every_start(tmp_path):
    """A website can't know any token, key or secret of the sandbox."""
    seen = set()
    for name in ("a", "b"):
        slack, flokits, webhook_secret = run.make_services(WorldClock(tmp_path / name))
        settings = run.bot_settings(slack, flokits["T0SANDBOX"], tmp_path, webhook_secret)
        secrets = {value for name, value in settings.items() if name.endswith(("_TOKEN", "_KEY", "_SECRET"))}
        seen |= {*secrets, slack.installation.tokens.signing_secret}
    assert len(seen) == 2 * 6


async def heard(feed, fits):
    """Return the next message of the live feed that matches."""
    while True:
        message = await feed.receive_json(timeout=20)
        if fits(message):
            return message
