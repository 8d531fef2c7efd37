"""What a bot of many workspaces logs at DEBUG: no secret, no code, no state, nothing that people or strangers typed."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.local_flokit import WRITE_KEY
from tests.scenarios.conftest import held_to_promises, words
from tests.scenarios.test_debug_log import OUR_LINE, STRANGERS, TRICK, WORDS, besiege
from tests.scenarios.test_many_workspaces import BETA_KEY, CLIENT, ManyWorld

WRONG_KEY = "flo_a_key_that_nobody_has_12345"


async def use_everything(world):
    """Install, connect with wrong and right keys, work, disconnect, uninstall and install again; return the secrets."""
    secrets = [CLIENT.client_secret, world.master_key, WRITE_KEY, BETA_KEY, WRONG_KEY, "xoxb-pasted-by-mistake"]
    for workspace, key in ((world.acme, WRITE_KEY), (world.beta, BETA_KEY)):
        await world.install(workspace)
        secrets += [workspace.installation.tokens.bot]
        for wrong in (WRONG_KEY, "xoxb-pasted-by-mistake"):
            assert (await world.connect(workspace, wrong)).errors
        assert not (await world.connect(workspace, key)).errors
        told = await world.direct(workspace, "Optional: to hear about failures sooner")
        secrets.append(re.search(r"/webhooks/flokit/([\w-]+)", words(told))[1])
    async with httpx.AsyncClient(base_url=world.url) as http:
        assert (await http.post(f"/webhooks/flokit/{secrets[-1]}", json={})).status_code == 202
        page = await http.get("/slack/install")
        state = parse_qs(urlsplit(re.search(r'href="([^"]+oauth[^"]+)"', page.text)[1].replace("&amp;", "&")).query)[
            "state"
        ]
        await http.get("/slack/oauth_redirect", params={"code": STRANGERS, "state": state[0]})
        await http.get("/slack/oauth_redirect", params={"code": STRANGERS, "state": f"{STRANGERS}{TRICK}"})
        secrets += [*state, *page.cookies.values()]
    for text in (f"show {WORDS}{TRICK}", f"why {WORDS}"):
        assert (await world.beta.command("UANA", "C0DATA", text)).ok
    await world.ask(world.beta, "show int_1", "Beta's secret")
    await world.move_clock(seconds=2)  # an event's time has no fractions, and an older one is ignored
    world.slack.oauth.uninstall(world.beta)
    await world.logged_text("uninstalled")
    await world.move_clock(seconds=2)
    await world.install(world.beta)
    secrets += [world.beta.installation.tokens.bot]
    return secrets


class LoudWorld(ManyWorld):
    """Many workspaces, and a bot that logs as people read it."""

    async def logged_text(self, event):
        """Wait until an event is logged, in any format."""
        async with asyncio.timeout(15):
            while event not in self.bot.log:
                await self.get("/livez")


@pytest.mark.parametrize(("mode", "format_"), [("http", "json"), ("socket", "console")])
async def test_debug_of_many_workspaces_logs_no_secret_and_no_forged_line(tmp_path, mode, format_):
    """Every line is the bot's own; no token, key, code, state, cookie, address or typed word is in any of them."""
    world = LoudWorld(tmp_path, mode=mode, LOG_LEVEL="DEBUG", LOG_FORMAT=format_)
    await world.start_services()
    world.expected_refusals |= {"account_inactive", "invalid_code", "missing_scope"}
    world.beta_flokit.add("int_1", "stripe", status="error", error_message="Beta's secret is wrong")
    async with held_to_promises(world):
        await world.start_bot()
        secrets = await use_everything(world)
        await besiege(world)
        await world.settle()
        tokens = world.slack.installation.tokens
        log = world.bot.log
    for secret in (*secrets, tokens.app, tokens.signing_secret, "response/", "ticket=", WORDS, STRANGERS):
        assert secret not in log, log.partition(secret)[0][-300:]
    lines = log.splitlines()
    assert "uninstalled" in log
    assert len(lines) > 30
    if format_ == "json":
        assert all(isinstance(json.loads(line), dict) for line in lines)
    else:
        assert not [line for line in lines if not OUR_LINE.match(line)]
        assert log.replace("\n", "").isprintable()
