"""Someone is on an incident: everyone sees who, and since when."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

from local_slack import payloads
from local_slack.delivery import Envelope, EnvelopeKind
from local_slack.response_url import Place
from local_slack.use import Use
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import running_world, words
from tests.scenarios.test_home import home, press
from tests.scenarios.watching import fail, incident, incidents, repair


async def click(world, message, action, user="UANA", channel="C0DATA", value=None):
    """Use one of the elements that say who is on an incident, as the message shows it now."""
    shown = world.slack.message(channel, message["ts"])
    found = element(shown, action)
    ack = await world.slack.click(user, channel, message["ts"], found["action_id"], value=value or found.get("value"))
    assert ack.ok, world.bot.log


def direct(world, user):
    """Return the direct messages to a person."""
    return world.slack.messages(world.slack.workspace.open_im(user).id)


async def told(world, user, part):
    """Wait for what a person is told in private, in the channel or as a direct message."""

    def found():
        return next((one for one in [*world.slack.ephemerals(user), *direct(world, user)] if part in words(one)), None)

    return await world.slack.wait_for(found, 10, f"{user} is told {part!r}")


def element(message, action):
    """Return the element of a message with an action."""
    return next(
        one
        for block in message["blocks"]
        for one in block.get("elements", [])
        if one.get("action_id", "").partition(":")[0] == action
    )


def audited(world):
    """Return who did what with which result about who is on incidents, from the audit log."""
    with closing(sqlite3.connect(f"file:{world.folder / 'flokit.db'}?mode=ro", uri=True)) as database:
        query = (
            "SELECT user_id, channel_id, action, integration_id, result FROM audit "
            "WHERE action IN ('on_it', 'hand_over', 'let_go') ORDER BY id"
        )
        return database.execute(query).fetchall()


async def test_someone_is_on_it_until_they_let_go(board):
    """Both are shown in the message, and noted in the audit log."""
    fail(board)
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it")
    shown = await incident(board, "ana is on it, since")
    assert "ana is on it" in shown["text"]
    await told(board, "UANA", "You're on Stripe now")
    await click(board, message, "flokit_let_go")
    await board.slack.wait_for(lambda: "is on it" not in words(incidents(board)[0]), 10, "no one on it")
    await told(board, "UANA", "You're no longer on Stripe")
    assert audited(board) == [
        ("UANA", "C0DATA", "on_it", "int_stripe", ""),
        ("UANA", "C0DATA", "let_go", "int_stripe", "it was ana"),
    ]


async def test_two_clicks_at_once_have_one_winner(world):
    """Both people are told, and the one who was late can take over; over both ways in."""
    await start(world)
    message = await incident(world, "is failing")
    await asyncio.gather(click(world, message, "flokit_on_it", "UANA"), click(world, message, "flokit_on_it", "UBEN"))
    shown = await incident(world, "is on it, since")
    first, late = ("UANA", "UBEN") if "ana is on it" in words(shown) else ("UBEN", "UANA")
    await told(world, first, "You're on Stripe now")
    answer = await told(world, late, "Someone was faster")
    assert "Take over" in words(answer)
    take = element(answer, "flokit_on_it")
    ack = await world.slack.click(late, "C0DATA", answer["ts"], take["action_id"], value=take["value"], ephemeral=True)
    assert ack.ok, world.bot.log
    await told(world, first, "instead of you")
    assert [(one[0], one[2]) for one in audited(world)] == [(first, "on_it"), (late, "on_it")]


async def start(world):
    """Subscribe a channel to a Stripe that fails."""
    world.flokit.add("int_stripe", "stripe", status="error", error_message="no")
    await world.status("subscribe all")


async def test_whoever_is_asked_is_on_it_once_they_say_so(board):
    """Until then no one is: the message says who asked whom, and the answer is told."""
    fail(board)
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it")
    await incident(board, "ana is on it")
    await click(board, message, "flokit_hand_over", value="UBEN")
    await incident(board, "no one is on it yet")
    asked = await told(board, "UBEN", "ana asks you to be on Stripe")
    yes, direct_id = element(asked, "flokit_on_it"), board.slack.workspace.open_im("UBEN").id
    ack = await board.slack.click("UBEN", direct_id, asked["ts"], yes["action_id"], value=yes["value"])
    assert ack.ok, board.bot.log
    await incident(board, "ben is on it, since")
    await told(board, "UANA", "ben is on Stripe now, as you asked")
    assert [one[2:] for one in audited(board)] == [
        ("on_it", "int_stripe", ""),
        ("hand_over", "int_stripe", "asked UBEN; it was ana"),
        ("on_it", "int_stripe", "UBEN was asked"),
    ]


async def test_a_bot_cannot_be_asked(board):
    fail(board)
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it")
    await incident(board, "ana is on it")
    await click(board, message, "flokit_hand_over", value=board.slack.workspace.app.bot_user_id)
    await told(board, "UANA", "I'm a bot, and can't fix it")
    assert "ana is on it" in words(incidents(board)[0])


async def test_the_end_is_one_line_in_the_thread(board):
    """How long it lasted, what fixed it, and who was on it; also after the process dies right then."""
    fail(board)
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it")
    await incident(board, "ana is on it")
    repair(board)
    await incident(board, "recovered after")
    await board.restart()
    line = await board.reply(message["ts"], "recovered after")
    assert "FloKit's own sync succeeded" in words(line)
    assert "ana was on it" in words(line)
    await board.settle()
    assert len(board.slack.messages("C0DATA", message["ts"])) == 1


async def test_a_resync_in_the_thread_says_what_fixed_it(board):
    """Its outcome is in the thread, so one line more is posted only to say who was on the incident."""
    fail(board)
    board.flokit.plan("int_stripe", Plan(0.1, 0.5, "succeeded"))
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it", "UBEN")
    await incident(board, "ben is on it")
    await board.press(message, "flokit_resync", "int_stripe")
    await board.reply(message["ts"], "ben was on it")
    await board.settle()
    said = [words(one) for one in board.slack.messages("C0DATA", message["ts"])]
    assert sum("recovered after" in one for one in said) == 1
    assert len(board.outcome_messages(message["ts"])) == 1


async def test_open_incidents_are_listed(world):
    """Since when, who is on it, and what was tried; and a button to take one. Over both ways in."""
    await start(world)
    world.flokit.plan("int_stripe", Plan(0.1, 0.3, "failed"))
    message = await incident(world, "is failing")
    listed = await world.note("incidents", user="UBEN")
    assert "No one is on it" in words(listed)
    assert "No resync from Slack so far" in words(listed)
    await click(world, message, "flokit_on_it")
    await incident(world, "ana is on it")
    await world.press(message, "flokit_resync", "int_stripe")
    assert await world.outcomes(message["ts"])
    listed = await world.note("who is on it?", user="UBEN")
    assert "ana is on it, since" in words(listed)
    assert "the resync by ana" in words(listed)
    assert ", failed" in words(listed)
    take = next(block["accessory"] for block in listed["blocks"] if "accessory" in block)
    ack = await world.slack.click(
        "UBEN", "C0DATA", listed["ts"], take["action_id"], value=take["value"], ephemeral=True
    )
    assert ack.ok, world.bot.log
    await incident(world, "ben is on it")
    assert "no open incidents that match" in words(await world.note("incidents adjust"))


async def test_who_is_on_it_is_asked_and_then_no_one_is(board):
    """First the person, in a direct message; an hour later the thread, once, also if the process dies then."""
    fail(board)
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it")
    await incident(board, "ana is on it")
    await told(board, "UANA", "You're on Stripe now")
    await board.move_clock(hours=4, minutes=1)
    asked = await told(board, "UANA", "Are you still?")
    direct_id, still = board.slack.workspace.open_im("UANA").id, element(asked, "flokit_on_it")
    ack = await board.slack.click("UANA", direct_id, asked["ts"], still["action_id"], value=still["value"])
    assert ack.ok, board.bot.log
    await told(board, "UANA", "You're still on Stripe")
    await board.move_clock(hours=4, minutes=1)
    await board.slack.wait_for(
        lambda: sum("Are you still?" in words(one) for one in direct(board, "UANA")) == 2, 10, "a second question"
    )
    assert board.slack.messages("C0DATA", message["ts"]) == []
    await board.move_clock(hours=1, minutes=1)
    await board.reply(message["ts"], "didn't answer when I asked")
    await board.restart()
    await board.slack.wait_for(lambda: "is on it, since" not in words(incidents(board)[0]), 10, "no one on it")
    await board.settle()
    assert len(board.slack.messages("C0DATA", message["ts"])) == 1
    assert audited(board)[-1] == ("", "", "let_go", "int_stripe", "no answer from ana")


async def test_an_incident_that_no_one_is_on_is_escalated(world):
    """The group is mentioned in the thread and in the channel, once, also after a kill; over both ways in."""
    world.flokit.add("int_stripe", "stripe", status="error", error_message="no")
    await world.status("subscribe all escalate after 30m S0615G0KT")
    message = await incident(world, "is failing")
    await world.move_clock(minutes=31)
    line = await world.reply(message["ts"], "no one is on it")
    assert "<!subteam^S0615G0KT>" in words(line)
    await incident(world, "escalated")
    await world.restart()
    await world.move_clock(minutes=31)
    await click(world, message, "flokit_on_it")
    await incident(world, "ana is on it")
    await told(world, "UANA", "You're on Stripe now")
    await world.settle()
    assert len(world.slack.messages("C0DATA", message["ts"])) == 1


async def test_another_channel_is_told_of_what_no_one_is_on(board):
    """With a button to take it; nothing while someone is on it."""
    board.slack.add_channel("C0ONCALL", "oncall", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all escalate after 30m C0ONCALL")
    fail(board)
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it")
    await told(board, "UANA", "You're on Stripe now")
    await board.move_clock(minutes=31)
    await click(board, message, "flokit_let_go")
    await told(board, "UANA", "You're no longer on Stripe")
    assert board.slack.messages("C0ONCALL") == []
    await board.move_clock(minutes=31)
    there = await board.slack.wait_for(lambda: board.slack.messages("C0ONCALL"), 10, "a message there")
    assert "no one is on it" in words(there[0])
    take = element(there[0], "flokit_on_it")
    ack = await board.slack.click("UBEN", "C0ONCALL", there[0]["ts"], take["action_id"], value=take["value"])
    assert ack.ok, board.bot.log
    await incident(board, "ben is on it")


async def test_a_ticket_is_opened_at_the_workspaces_address(tmp_path):
    """The policy says where; what FloKit says is encoded, and the click is only acked."""
    path = tmp_path / "policy.yaml"
    path.write_text('ticket: "https://jira.example.com/new?summary={title}&description={body}"')
    settings = {"WATCH_INTERVAL_S": "0.3", "WATCH_CONFIRM_S": "0.2", "POLICY_FILE": str(path)}
    async with running_world(tmp_path, **settings) as world:
        await world.start_bot()
        world.flokit.add("int_stripe", "stripe", status="error", error_message="a & b? <x>")
        await world.status("subscribe all")
        message = await incident(world, "is failing")
        opens = element(message, "link")
        asked = parse_qs(urlsplit(opens["url"]).query)
        assert asked["summary"] == ["Stripe is failing"]
        assert "FloKit says: a & b? <x>" in asked["description"][0]
        assert (await world.slack.click("UANA", "C0DATA", message["ts"], "link")).ok
        await world.settle()
        assert world.slack.ephemerals("UANA") == []
        await click(world, message, "flokit_ticket_link")
        form = await world.slack.wait_for(lambda: world.slack.views.modal("UANA"), 10, "a form")
        wrong = await world.slack.views.submit("UANA", form["id"], link("https://ana:secret@jira.example.com/1"))
        assert "user name" in wrong.errors["ticket"]
        saved = await world.slack.views.submit("UANA", form["id"], link("https://jira.example.com/DATA-7"))
        assert not saved.errors
        shown = await incident(world, "🎫 Ticket: <https://jira.example.com/DATA-7>")
        assert "Open a ticket" not in words(shown)
        await world.restart()
        assert "DATA-7" in words(await world.note("incidents", user="UBEN"))
        repair(world)
        await incident(world, "recovered after")


def link(typed):
    """Fill in the form of a ticket's link."""
    return {"ticket": {"ticket_link": {"value": typed}}}


async def press_old(world, message, old, user="UBEN"):
    """Press a button that a message had earlier, as a client does that hasn't redrawn it, and return the answer."""
    slack, before = world.slack, len(world.slack.ephemerals(user))
    shown, used = slack.message("C0DATA", message["ts"]), Use({"block_id": "b", **old}, {})
    payload = payloads.click_payload(
        slack.workspace,
        payloads.Click(slack.workspace.users[user], slack.workspace.channels["C0DATA"], shown, False, used),
        slack._new_response_url(Place("C0DATA", user, message["ts"])),
        slack.installation.triggers.issue(user),
        slack.workspace.new_ts(),
    )
    assert (await slack._courier.deliver(Envelope(EnvelopeKind.INTERACTION, payload))).ok
    return await world.whisper(user, before)


async def test_it_ends_with_the_incident(board):
    """The message says who was on it, and an old button says that it's over."""
    fail(board)
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it")
    shown = await incident(board, "ana is on it")
    old = element(shown, "flokit_let_go")
    repair(board)
    await incident(board, "ana was on it")
    late = await press_old(board, message, old)
    assert "already resolved" in words(late)
    fail(board)
    await incident(board, "is failing")
    again = next(one for one in incidents(board) if "is failing" in words(one))
    assert "on it, since" not in words(again)


async def test_app_home_shows_who_is_on_it(board):
    """With the button to let go for that person, and to take over for others."""
    fail(board)
    await incident(board, "is failing")
    for user in ("UANA", "UBEN"):
        board.slack.views.open_home(user)
    view = await home(board, "flokit_on_it")
    await press(board, view, "flokit_on_it", "inc_")
    view = await home(board, "flokit_let_go")
    await incident(board, "ana is on it")
    other = await home(board, "ana is on it", "UBEN")
    assert "Take over" in str(other)
    await press(board, view, "flokit_let_go", "inc_")
    await board.slack.wait_for(lambda: "is on it" not in words(incidents(board)[0]), 10, "no one on it")


async def test_killed_right_after_the_ack(board):
    """A click that was acked counts once, and the person who is asked gets one message."""
    fail(board)
    message = await incident(board, "is failing")
    await click(board, message, "flokit_on_it")
    await board.restart()
    await incident(board, "ana is on it")
    await click(board, message, "flokit_hand_over", value="UBEN")
    await board.restart()
    await told(board, "UBEN", "ana asks you")
    await board.settle()
    assert len([one for one in direct(board, "UBEN") if "ana asks you" in words(one)]) == 1
    assert len(audited(board)) == 2
