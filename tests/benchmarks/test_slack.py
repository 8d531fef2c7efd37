"""The Slack that generates load: it accepts every call, however it's made."""

from __future__ import annotations

import aiohttp
import pytest

from benchmarks.slack import LoadSlack


@pytest.mark.parametrize(
    ("verb", "how"), [("GET", "params"), ("POST", "data"), ("POST", "json")], ids=["query", "form", "json"]
)
async def test_every_call_is_answered(verb, how):
    """Arguments are found wherever they are: the SDK puts those of some methods into the query."""
    slack, seen = LoadSlack(), []
    slack.on_call = lambda method, arguments, _ts, _at: seen.append((method, arguments["user"]))
    await slack.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.request(verb, f"{slack.api_url}users.info", **{how: {"user": "UANA"}}) as reply,
        ):
            assert (await reply.json())["ok"] is True
    finally:
        await slack.stop()
    assert seen == [("users.info", "UANA")]
