"""Several syncs at once: one preview, one click, one message that is edited until all have ended."""

from __future__ import annotations

import asyncio

from sandbox.local_flokit.faults import Fault
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import buttons, words
from tests.scenarios.test_policy import world_with

FAILING = {"int_a": "stripe", "int_b": "google_play", "int_c": "adjust"}


def add_failing(world, *, duration_s=0.4, **endings):
    """Add three that fail until a sync repairs them, and two that don't."""
    for id_, type_ in FAILING.items():
        world.flokit.add(id_, type_, status="error", error_message="The key was refused")
        world.flokit.plan(id_, Plan(0.1, duration_s, endings.get(id_, "succeeded")))
    world.flokit.add("int_d", "warehouse", status="disconnected")
    world.flokit.add("int_e", "revenuecat", status="connected")


async def confirm(world, shown, *, user="UANA", channel="C0DATA"):
    """Press the preview's button, and return the message in the channel."""
    before = {one["ts"] for one in world.slack.messages(channel)}
    await world.press(shown, "flokit_sync_several", ephemeral=True, user=user, channel=channel)
    return await new_message(world, before, channel=channel)


async def new_message(world, before, *, channel="C0DATA"):
    """Return the first message of a channel that wasn't there before."""
    return await world.slack.wait_for(
        lambda: next((one for one in world.slack.messages(channel) if one["ts"] not in before), None),
        10,
        "the message about the syncs",
    )


async def the_end(world, root, *, channel="C0DATA", timeout_s=25):
    """Return the message when all of its syncs have ended."""

    def ended():
        message = world.slack.message(channel, root["ts"])
        return message if (message.get("metadata") or {}).get("event_type") == "flokit_bulk_outcome" else None

    return await world.slack.wait_for(ended, timeout_s, "the end of all syncs")


def bulks(world, *, channel="C0DATA"):
    """Return the messages about several syncs in a channel."""
    return [one for one in world.slack.messages(channel) if "outcomes are in the thread" in words(one)]


async def test_several_syncs_are_one_message(world):
    """The preview says what helps; then one message ends with a count, and each outcome is in its thread once."""
    add_failing(world, int_c="failed")
    shown = await world.note("sync failing")
    assert "*4 of 5 integrations* matching “failing”" in words(shown)
    assert "To sync: Stripe, Google Play, Adjust." in words(shown)
    assert "Warehouse is disconnected: a sync won't help." in words(shown)
    assert not any(world.flokit.posts(id_) for id_ in FAILING)

    root = await confirm(world, shown)
    message = await the_end(world, root)

    assert message["text"].startswith("2 of 3 synced; 1 failed.")
    assert "*Stripe*: synced in" in words(message)
    assert "*Adjust*: failed — Webhook signature verification failed" in words(message)
    assert "left out: Warehouse (disconnected)" in words(message)
    payload = message["metadata"]["event_payload"]
    assert (payload["total"], payload["succeeded"]) == (3, 2)
    assert {one["integration_id"]: one["outcome"] for one in payload["syncs"]} == {
        "int_a": "succeeded",
        "int_b": "succeeded",
        "int_c": "failed",
    }
    await world.outcomes(root["ts"], 3)
    await world.settle()
    assert len(world.outcome_messages(root["ts"])) == 3
    assert {id_: len(world.flokit.posts(id_)) for id_ in FAILING} == dict.fromkeys(FAILING, 1)
    assert "Started 3 syncs" in words(world.slack.ephemerals("UANA")[-1])


async def test_what_failed_is_retried_once_for_all_who_click(socket_world):
    """Two people press Retry: there's one new message, and the first one says that it was retried."""
    add_failing(socket_world, int_b="failed", int_c="failed")
    root = await confirm(socket_world, await socket_world.note("sync stripe, google play and adjust"))
    message = await the_end(socket_world, root)
    assert [one["text"]["text"] for one in buttons(message)] == ["Retry the 2 that failed"]

    for id_ in ("int_b", "int_c"):
        socket_world.flokit.plan(id_, Plan(0.1, 0.4, "succeeded"))
    before = {one["ts"] for one in socket_world.slack.messages("C0DATA")}
    await asyncio.gather(
        *(socket_world.press(message, "flokit_retry_failed", user=user) for user in ("UANA", "UBEN", "UANA"))
    )
    again = await the_end(socket_world, await new_message(socket_world, before))

    assert again["text"].startswith("2 of 2 synced.")
    assert not buttons(again)
    await socket_world.slack.wait_for(lambda: not buttons(socket_world.slack.message("C0DATA", root["ts"])), 10, "")
    assert "failed (retried)" in words(socket_world.slack.message("C0DATA", root["ts"]))
    await socket_world.settle()
    assert len(bulks(socket_world)) == 2
    assert {id_: len(socket_world.flokit.posts(id_)) for id_ in FAILING} == {"int_a": 1, "int_b": 2, "int_c": 2}


async def test_the_button_of_a_preview_starts_once(socket_world):
    """Three clicks at once are one message and one POST each."""
    add_failing(socket_world)
    shown = await socket_world.note("sync failing")
    await asyncio.gather(
        *(socket_world.press(shown, "flokit_sync_several", ephemeral=True) for _ in range(3)),
    )
    root = await new_message(socket_world, set())
    await the_end(socket_world, root)
    await socket_world.settle()
    assert len(bulks(socket_world)) == 1
    assert {id_: len(socket_world.flokit.posts(id_)) for id_ in FAILING} == dict.fromkeys(FAILING, 1)


async def test_it_joins_what_is_running(socket_world):
    """A sync that someone else started isn't started again; its outcome is in both threads."""
    add_failing(socket_world, duration_s=2.0)
    other = await socket_world.resync("int_a", user="UBEN")
    await socket_world.flokit.wait_for(lambda: socket_world.flokit.source("int_a").status == "syncing", 10)
    shown = await socket_world.note("sync stripe, google play")
    assert "Already syncing, so this joins: Stripe." in words(shown)
    root = await confirm(socket_world, shown)

    message = await the_end(socket_world, root)
    assert message["text"].startswith("2 of 2 synced.")
    [outcome] = await socket_world.outcomes(other)
    joined = await socket_world.outcomes(root["ts"], 2)
    assert outcome["run_id"] in {one["run_id"] for one in joined}
    assert len(socket_world.flokit.posts("int_a")) == 1


async def test_killed_in_the_middle(world):
    """Nothing is lost or doubled: each sync is started once, and each outcome is posted once."""
    add_failing(world, duration_s=1.5)
    root = await confirm(world, await world.note("sync failing"))
    await world.flokit.wait_for(lambda: world.flokit.posts("int_b"), 10)
    await world.restart()
    message = await the_end(world, root)
    # Where the kill hit a request, nobody knows what became of it; then that sync ends without a result.
    assert message["text"].startswith(("3 of 3 synced.", "2 of 3 synced; 1 without a result."))
    await world.outcomes(root["ts"], 3)
    await world.settle()
    assert len(world.outcome_messages(root["ts"])) == 3
    assert len(bulks(world)) == 1
    assert {id_: len(world.flokit.posts(id_)) for id_ in FAILING} == dict.fromkeys(FAILING, 1)


async def test_killed_right_after_the_ack_of_the_click(socket_world):
    """The click was saved before its ack."""
    add_failing(socket_world)
    shown = await socket_world.note("sync failing")
    await socket_world.press(shown, "flokit_sync_several", ephemeral=True)
    await socket_world.restart()
    message = await the_end(socket_world, await new_message(socket_world, set()))
    assert message["text"].startswith("3 of 3 synced.")
    await socket_world.settle()
    assert len(bulks(socket_world)) == 1
    assert {id_: len(socket_world.flokit.posts(id_)) for id_ in FAILING} == dict.fromkeys(FAILING, 1)


async def test_flokit_refuses_one(socket_world):
    """A refusal stays with its sync, and is offered for a retry; the others go on."""
    add_failing(socket_world)
    socket_world.flokit.faults.add(Fault("http_status", "POST", "int_b", status=422, body="{}"))
    root = await confirm(socket_world, await socket_world.note("sync failing"))
    message = await the_end(socket_world, root)
    assert message["text"].startswith("2 of 3 synced; 1 not started.")
    assert [one["text"]["text"] for one in buttons(message)] == ["Retry the 1 that didn't sync"]


async def test_flokit_asks_for_a_pause(socket_world):
    """A 429 delays what it hits; all of them are synced in the end."""
    add_failing(socket_world)
    socket_world.flokit.faults.add(Fault("ratelimited", "POST", "int_b", retry_after="1"))
    root = await confirm(socket_world, await socket_world.note("sync failing"))
    message = await the_end(socket_world, root)
    assert message["text"].startswith("3 of 3 synced.")


async def test_what_a_person_may_not_sync_is_left_out(tmp_path):
    """The preview names the rule; the click leaves it out, and the audit has the refusal."""
    async with world_with(tmp_path) as world:
        world.slack.workspace.usergroups["S0CREW"] = ["UCLEO"]
        add_failing(world)
        await world.start_bot()
        shown = await world.note("sync failing", user="UBEN")
        assert "⛔ Adjust" in words(shown)
        assert "Only the crew syncs Adjust" in words(shown)
        root = await confirm(world, shown, user="UBEN")
        message = await the_end(world, root)
        assert message["text"].startswith("2 of 2 synced.")
        assert "Adjust (not allowed)" in words(message)
        assert not world.flokit.posts("int_c")
        audit = words(await world.note("audit"))
        assert "started several syncs among" in audit
        assert "2 started, 2 left out" in audit
        assert "refused by “Only the crew syncs Adjust”" in audit


async def test_a_cooldown_holds_one_back(make_world):
    """What just synced is left out, and the preview says until when."""
    async with make_world(SYNC_COOLDOWN_S="600") as world:
        add_failing(world)
        await world.start_bot()
        await world.outcomes(await world.resync("int_a"))
        shown = await world.note("sync stripe, google play")
        assert "Stripe just synced successfully. You can sync it again" in words(shown)
        message = await the_end(world, await confirm(world, shown))
        assert message["text"].startswith("1 of 1 synced.")
        assert "Stripe (just synced)" in words(message)


async def test_all_that_fail_from_the_status_message(socket_world):
    """The button is there when two or more fail; it leads to the same preview."""
    add_failing(socket_world)
    panel = await socket_world.status()
    before = len(socket_world.slack.ephemerals("UBEN"))
    await socket_world.press(panel, "flokit_resync_all_failing", user="UBEN")
    shown = await socket_world.whisper("UBEN", before)
    root = await confirm(socket_world, shown, user="UBEN")
    message = await the_end(socket_world, root)
    assert message["text"].startswith("3 of 3 synced.")
    assert "Started by ben" in words(message)

    fine = await socket_world.status()
    assert "flokit_resync_all_failing" not in {one["action_id"] for one in buttons(fine)}


async def test_a_click_on_a_queued_one_goes_first(socket_world):
    """Of many, most wait for their turn; a click on one of them starts it at once."""
    for number in range(12):
        socket_world.flokit.add(f"int_{number:02}", "stripe", status="error", error_message="The key was refused")
        socket_world.flokit.plan(f"int_{number:02}", Plan(0.1, 0.3, "succeeded"))
    root = await confirm(socket_world, await socket_world.note("sync all"))
    panel = await socket_world.status("status int_11", channel=socket_world.channel("C0ELSE"))
    await socket_world.press(panel, "flokit_resync", "int_11", user="UBEN", channel="C0ELSE")
    await socket_world.flokit.wait_for(lambda: socket_world.flokit.posts("int_11"), 5)
    assert not socket_world.flokit.posts("int_10")
    message = await the_end(socket_world, root, timeout_s=40)
    assert message["text"].startswith("12 of 12 synced.")
    assert {len(socket_world.flokit.posts(f"int_{number:02}")) for number in range(12)} == {1}


async def test_an_old_preview_is_shown_again(socket_world):
    """What failed then may not fail now: nothing starts, and the person sees the present state."""
    add_failing(socket_world)
    shown = await socket_world.note("sync failing")
    for id_ in FAILING:
        socket_world.flokit.repair(id_)
    await socket_world.move_clock(minutes=11)
    before = len(socket_world.slack.ephemerals("UANA"))
    await socket_world.press(shown, "flokit_sync_several", ephemeral=True)
    again = await socket_world.whisper("UANA", before)
    assert "Sync 3 integrations" in words(again)
    assert not socket_world.slack.messages("C0DATA")
    assert not any(socket_world.flokit.posts(id_) for id_ in FAILING)


async def test_someone_elses_preview_starts_nothing(socket_world):
    """A forged click on a preview that another person got."""
    add_failing(socket_world)
    shown = await socket_world.note("sync failing")
    own = await socket_world.note("sync failing", user="UBEN")
    [of_ana] = [one["value"] for one in buttons(shown)]
    before = len(socket_world.slack.ephemerals("UBEN"))
    await socket_world.press(own, "flokit_sync_several", user="UBEN", ephemeral=True, raw_value=of_ana)
    assert "This message has expired." in words(await socket_world.whisper("UBEN", before))
    assert not any(socket_world.flokit.posts(id_) for id_ in FAILING)


async def test_asked_for_in_a_thread(socket_world):
    """A mention's preview is a DM; what it starts is followed in the thread where it was asked for."""
    add_failing(socket_world)
    asked = await socket_world.slack.say("UANA", "C0DATA", "<@UFLOKIT> sync all failing")
    preview = await socket_world.direct_root("UANA")
    assert "Sync 3 integrations" in words(preview)
    await socket_world.press(preview, "flokit_sync_several", channel=preview["channel"])
    followed = await socket_world.reply(asked, "outcomes are in the thread")
    message = await the_end(socket_world, followed)
    assert message["text"].startswith("3 of 3 synced.")
    await socket_world.outcomes(asked, 3)
    direct = preview["channel"]
    await socket_world.slack.wait_for(
        lambda: "Started 3 syncs" in words(socket_world.slack.message(direct, preview["ts"])), 10, "the preview"
    )
