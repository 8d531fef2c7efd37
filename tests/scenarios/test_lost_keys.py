"""A FloKit key that stops working, and a master key that is lost: the right person hears of it, and nothing is lost."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing

import httpx
import pytest

from bot.settings.encryption_keys import new_encryption_key
from sandbox.local_flokit import WRITE_KEY
from tests.scenarios.conftest import buttons, words
from tests.scenarios.test_many_workspaces import BETA_KEY, both, home_of, many, mode

pytestmark = pytest.mark.usefixtures("mode")
__all__ = ["both", "many", "mode"]

REFUSED = "FloKit rejected the API key that you connected"
CONFIRMED_AFTER_S = 31


@pytest.fixture(autouse=True)
def may_not_look(many):
    """On a slow machine, a message may be in doubt; the app then asks for the history, which it has no scope for."""
    many.expected_refusals |= {"missing_scope"}


def told(world, part=REFUSED, workspace=None):
    """Return the direct messages to Ana that say something."""
    workspace = workspace or world.beta
    channel = workspace.workspace.open_im("UANA").id
    return [one for one in workspace.workspace.all_messages(channel) if part in words(one)]


def count_asked(world):
    """Count what FloKit was asked for Beta Corp."""
    return len(world.beta_flokit.requests)


async def has_asked(world, what):
    """Do something, and wait until FloKit was asked because of it and the answer was given."""
    before = count_asked(world)
    await what
    await world.beta_flokit.wait_for(lambda: count_asked(world) > before, 15)
    await world.settle()


async def hint(world):
    """Send a webhook to Beta Corp's newest address: no other request shares the check that follows."""
    told_address = told(world, "Optional: to hear about failures sooner")[-1]
    path = re.search(r"/webhooks/flokit/[\w-]+", words(told_address))[0]
    async with httpx.AsyncClient(base_url=world.url) as http:
        assert (await http.post(path, json={})).status_code == 202


async def refused_after(world, what):
    """Do something, and wait until the bot knows that FloKit refuses the key because of it."""
    before = sum(entry["event"] == "background_check_failed" for entry in world.log)
    await what
    await world.logged("background_check_failed", before + 1)
    await world.settle()


async def be_refused(world):
    """Have the bot ask FloKit, which refuses the key; it then asks once more, half a minute later."""
    await refused_after(world, hint(world))
    await refused_after(world, world.move_clock(seconds=CONFIRMED_AFTER_S))


async def test_whoever_connected_a_key_is_told_once_that_it_stopped_working(both):
    """By a direct message with a button, not again after a restart or by a flapping FloKit; a new key is new."""
    both.beta_flokit.keys = {}
    await be_refused(both)
    message = await both.direct(both.beta, REFUSED)
    assert "it ends with `rite`" in words(message)
    assert BETA_KEY not in words(message)
    assert [one["action_id"] for one in buttons(message)] == ["flokit_connect"]
    await both.settle()
    await both.restart()
    both.beta_flokit.keys = {BETA_KEY: "write"}
    await has_asked(both, hint(both))
    both.beta_flokit.keys = {}
    await be_refused(both)
    assert len(told(both)) == 1
    both.beta_flokit.keys = {BETA_KEY: "write"}
    await both.connect(both.beta, BETA_KEY)
    await both.slack.wait_for(lambda: len(told(both, "Optional: to hear")) == 2, 10, "the new address")
    await both.settle()
    both.beta_flokit.keys = {}
    await be_refused(both)
    await both.slack.wait_for(lambda: len(told(both)) == 2, 10, "a second message")
    assert not told(both, workspace=both.acme)


async def test_a_moment_of_refusal_notifies_nobody(both):
    """A proxy, or FloKit itself, may refuse a good key for some seconds."""
    both.beta_flokit.keys = {}
    await refused_after(both, hint(both))
    both.beta_flokit.keys = {BETA_KEY: "write"}
    await has_asked(both, both.move_clock(seconds=CONFIRMED_AFTER_S))
    assert not told(both)


async def test_the_button_of_that_message_opens_the_form(both):
    both.beta_flokit.keys = {}
    await be_refused(both)
    message = await both.direct(both.beta, REFUSED)
    channel = both.beta.workspace.open_im("UANA").id
    (button,) = buttons(message)
    ack = await both.beta.click("UANA", channel, message["ts"], "flokit_connect", value=button["value"])
    assert ack.ok
    await both.slack.wait_for(lambda: both.beta.views.modal("UANA"), 10, "the form")


async def lose_master_key(world):
    """Start the bot again with another master key."""
    world.master_key, lost = new_encryption_key(), world.master_key
    await world.restart()
    return lost


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_workspace_whose_token_cannot_be_decrypted_is_told_to_install_again(both):
    """By the answer to a command, to a click and in a form, for which no token is needed."""
    panel = await both.ask(both.beta, "status", "1 integration")
    form = await both.open_form(both.beta)
    await both.settle()
    await lose_master_key(both)
    again = f"{both.url}/slack/install"
    ack = await both.beta.command("UANA", "C0DATA", "show int_1")
    assert "Please install me again" in words(ack.body)
    assert again in words(ack.body)
    (button, *_) = [one for one in buttons(panel) if one["action_id"] == "flokit_resync"]
    ack = await both.beta.click("UANA", "C0DATA", panel["ts"], "flokit_resync", value=button["value"])
    assert ack.ok
    await both.slack.wait_for(
        lambda: any(again in words(one) for one in both.beta.ephemerals("UANA")), 10, "an answer to the click"
    )
    given = {"key": {"key": {"type": "plain_text_input", "value": BETA_KEY}}}
    await both.beta.views.submit("UANA", form["id"], given)
    assert again in words(both.beta.views.modal("UANA"))


async def parked(world):
    """Return how much work of Beta Corp is parked, and how much is due."""
    query = "SELECT sum(due_at > 29000000000), sum(due_at < 29000000000) FROM timers WHERE team_id = 'T0BETA'"
    with closing(sqlite3.connect(f"file:{world.folder / 'flokit.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchone()


async def until(world, expected):
    """Wait until so much is parked and due."""
    async with asyncio.timeout(15):
        while await parked(world) != expected:
            await world.logged("workspace_gone")
            await asyncio.sleep(0)


async def test_the_work_of_such_a_workspace_is_parked_and_comes_back_with_the_installation(both):
    """Its background check isn't tried again and again, Acme goes on, and the subscription is there afterwards."""
    await both.ask(both.beta, "subscribe all", "subscribed this channel")
    await both.settle()
    lost = await lose_master_key(both)
    await both.move_clock(seconds=70)
    await until(both, (1, 0))
    assert len([one for one in both.log if one["event"] == "workspace_gone"]) == 1
    await both.install(both.acme)
    await both.connect(both.acme, WRITE_KEY)
    await both.ask(both.acme, "show int_1", "Acme's secret")
    await both.install(both.beta)
    assert await parked(both) == (0, 1)
    assert both.master_key != lost
    await both.connect(both.beta, BETA_KEY)
    await both.ask(both.beta, "subscriptions", "This channel has 1 subscription.")


async def test_the_work_comes_back_when_the_master_key_is_back(both):
    """Whoever runs the bot may have forgotten a key for a moment; nobody has to install anything then."""
    await both.ask(both.beta, "subscribe all", "subscribed this channel")
    await both.settle()
    lost = await lose_master_key(both)
    await both.move_clock(seconds=70)
    await until(both, (1, 0))
    both.master_key = f"{both.master_key},{lost}"
    await both.restart()
    await both.logged("workspaces_resumed")
    assert await parked(both) == (0, 1)
    await both.ask(both.beta, "show int_1", "Beta's secret")


async def test_a_workspace_whose_flokit_key_cannot_be_decrypted_is_told_to_connect_again(both):
    """Once, to whoever connected it, and in the answer to every command and App Home; then it goes on."""
    with closing(sqlite3.connect(both.folder / "flokit.db")) as database:
        database.execute("UPDATE installations SET flokit_key = bot_token WHERE id = 'T0BETA'")
        database.commit()
    for _ in range(2):
        await both.settle()
        await both.restart()
        await both.ask(both.beta, "status", "Please connect FloKit again.")
    await both.settle()
    (message,) = told(both, "I can no longer decrypt the API key that you connected")
    assert [one["action_id"] for one in buttons(message)] == ["flokit_connect"]
    view = await home_of(both, both.beta, "UBEN", "Connect FloKit")
    assert "I can no longer decrypt this workspace's FloKit key. Please connect FloKit again." in words(view)
    assert "isn't connected" not in words(view)
    submitted = await both.connect(both.beta, BETA_KEY)
    assert not submitted.errors
    await both.ask(both.beta, "show int_1", "Beta's secret")
    await both.ask(both.acme, "show int_1", "Acme's secret")
