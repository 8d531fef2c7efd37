"""Permissions: checked at click time for the person who clicks; a refusal is private and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.slack.scopes import BOT_SCOPES
from local_slack.faults import Fault
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import buttons, running_world, words

STRANGER = "UEVE"

POLICY = """
ask: [UANA]
rules:
  - name: Ana runs this bot
    allow: [look, sync, subscribe, administer]
    users: [UANA]
  - name: The crew syncs Adjust
    allow: sync
    groups: S0CREW
    types: adjust
  - name: Only the crew syncs Adjust
    refuse: sync
    types: adjust
  - name: Dora may sync Stripe
    allow: sync
    users: UDORA
    types: stripe
"""


def world_with(folder, policy=POLICY, **options):
    """Prepare a world with a policy; the test starts the bot."""
    path = folder / "policy.yaml"
    path.write_text(policy)
    return running_world(folder, POLICY_FILE=str(path), **options)


def prepare(world):
    """Add two integrations that a sync repairs immediately, a group and a stranger."""
    world.slack.workspace.usergroups["S0CREW"] = ["UCLEO"]
    for id_, type_ in (("int_a", "adjust"), ("int_s", "stripe")):
        world.flokit.add(id_, type_)
        world.flokit.plan(id_, Plan(0.1, 0.2, "succeeded"))
    dora = world.slack.workspace.users["UDORA"]
    world.slack.workspace.add_user(replace(dora, id=STRANGER, name="eve", is_guest=False, team_id="T0OTHER"))
    world.slack.workspace.channels["C0DATA"].members.add(STRANGER)


async def refused(world, panel, integration_id, user):
    """Press Resync, and return the answer that only that person sees."""
    before = len(world.slack.ephemerals(user))
    await world.press(panel, "flokit_resync", integration_id, user=user)
    return words(await world.whisper(user, before))


async def test_without_a_policy_guests_and_strangers_can_only_look(world):
    """A guest and someone from another workspace see the status, but can't sync or subscribe."""
    prepare(world)
    panel = await world.status(user="UDORA")
    assert "guests can only look" in await refused(world, panel, "int_s", "UDORA")
    assert "people from other workspaces can only look" in await refused(world, panel, "int_s", STRANGER)
    assert "You can't subscribe" in words(await world.note("subscribe all", user="UDORA"))
    assert "guests can only look" in words(await world.note("sync stripe", user="UDORA"))
    assert not world.flokit.posts("int_s")
    await world.press(panel, "flokit_resync", "int_s", user="UBEN")
    [outcome] = await world.outcomes(panel["ts"])
    assert outcome["outcome"] == "succeeded"


async def test_rules_for_people_groups_and_types(tmp_path):
    """They're checked for the person who clicks, not who posted the message; a refusal names the rule and a contact."""
    async with world_with(tmp_path) as world:
        prepare(world)
        await world.start_bot()
        panel = await world.status(user="UANA")
        said = await refused(world, panel, "int_a", "UBEN")
        assert "Only the crew syncs Adjust" in said
        assert "<@UANA>" in said
        await world.press(panel, "flokit_resync", "int_a", user="UCLEO")
        await world.press(panel, "flokit_resync", "int_s", user="UDORA")
        assert len(await world.outcomes(panel["ts"], 2)) == 2
        assert "Only the crew syncs Adjust" in words(await world.note("why sync adjust", user="UDORA"))
        assert "The crew syncs Adjust" in words(await world.note("why can't I sync adjust", user="UCLEO"))
        assert len(world.flokit.posts("int_a")) == 1


async def test_without_the_scope_for_groups_group_rules_allow_nobody(tmp_path):
    """Everything else works."""
    async with world_with(tmp_path) as world:
        prepare(world)
        world.slack.installation.scopes = frozenset(BOT_SCOPES) - {"usergroups:read"}
        world.expected_refusals.add("missing_scope")
        await world.start_bot()
        panel = await world.status()
        assert "Only the crew syncs Adjust" in await refused(world, panel, "int_a", "UCLEO")
        await world.press(panel, "flokit_resync", "int_s", user="UBEN")
        assert await world.outcomes(panel["ts"])
        assert [entry for entry in world.log if entry["event"] == "group_lookup_denied"]


async def test_a_cooldown_says_when_it_ends_and_can_be_overridden(tmp_path):
    """Only Ana, an administrator, gets the button."""
    async with world_with(tmp_path, SYNC_COOLDOWN_S="600", SYNC_QUOTA_PER_HOUR="2") as world:
        prepare(world)
        await world.start_bot()
        root = await world.resync("int_s", user="UBEN")
        await world.outcomes(root)
        panel = world.slack.message("C0DATA", root)
        held = await refused(world, panel, "int_s", "UBEN")
        assert "<!date^" in held
        assert "Sync anyway" not in held
        assert "Not right now, though" in words(await world.note("why sync stripe", user="UBEN"))

        before = len(world.slack.ephemerals("UANA"))
        await world.press(panel, "flokit_resync", "int_s")
        offered = await world.whisper("UANA", before)
        assert [button["text"]["text"] for button in buttons(offered)] == ["Sync anyway"]
        await world.press(offered, "flokit_sync_anyway", ephemeral=True)
        assert len(await world.outcomes(root, 2)) == 2
        assert len(world.flokit.posts("int_s")) == 2


async def test_a_click_waits_while_slack_cannot_look_up_its_person(tmp_path):
    """It's acked, waits, and is done when Slack answers again."""
    async with running_world(tmp_path) as world:
        prepare(world)
        await world.start_bot()
        panel = await world.status(user="UANA")
        world.slack.faults.add(Fault("users.info", "error", times=2))
        await world.press(panel, "flokit_resync", "int_s", user="UBEN")
        [outcome] = await world.outcomes(panel["ts"])
        assert outcome["outcome"] == "succeeded"
        assert [entry for entry in world.log if entry["event"] == "request_postponed"]


ADMINS_BY_GROUP = """
rules:
  - {name: The crew runs this bot, allow: administer, groups: S0CREW}
"""


async def test_groups_are_looked_up_for_an_override_only_when_needed(tmp_path):
    """An allowed sync waits for no group lookup; one that a limit blocks is refused without the button."""
    async with world_with(tmp_path, ADMINS_BY_GROUP, SYNC_COOLDOWN_S="600") as world:
        prepare(world)
        await world.start_bot()
        world.slack.faults.add(Fault("usergroups.users.list", "error", times=99))
        root = await world.resync("int_s", user="UBEN")
        assert await world.outcomes(root)
        assert not [call for call in world.slack.calls if call.method == "usergroups.users.list"]
        held = await refused(world, world.slack.message("C0DATA", root), "int_s", "UBEN")
        assert "<!date^" in held
        assert "Sync anyway" not in held


async def test_unsubscribe_works_while_flokit_refuses_the_key(tmp_path):
    """Subscribing, why and unsubscribing use what was last known."""
    async with world_with(tmp_path, "") as world:
        prepare(world)
        await world.start_bot()
        await world.status()
        world.flokit.keys.clear()
        await world.status("subscribe int_s")
        await world.status("subscribe adjust")
        assert "int_s" in words(await world.note("subscriptions"))
        assert "You can sync" in words(await world.note("why sync int_s"))
        ended = await world.status("unsubscribe int_s")
        assert "int_s" in words(ended)


@pytest.mark.postgres
async def test_two_replicas_enforce_one_quota(tmp_path, postgres_url):
    """Of five clicks by one person, acked by two replicas, two start a sync and three are refused."""
    async with running_world(tmp_path, DATABASE_URL=postgres_url, SYNC_QUOTA_PER_HOUR="2") as world:
        for index in range(5):
            world.flokit.add(f"int_{index}", "adjust")
            world.flokit.plan(f"int_{index}", Plan(0.1, 0.2, "succeeded"))
        await world.start_bot()
        await world.start_another()
        panel = await world.status()
        for index in range(5):
            await world.press(panel, "flokit_resync", f"int_{index}")
        await world.slack.wait_for(lambda: len(world.slack.ephemerals("UANA")) == 3, 10, "three refusals")
        assert len(await world.outcomes(panel["ts"], 2)) == 2


NAMING = """
ask: [UANA]
rules:
  - name: Ana names Stripe
    allow: subscribe
    users: UANA
    types: stripe
  - name: Nobody else names anything
    refuse: subscribe
"""


async def test_naming_is_checked_for_the_person_who_saves(tmp_path):
    """By command, by the button, and when its form is submitted; refusals are private and audited."""
    async with world_with(tmp_path, NAMING) as world:
        prepare(world)
        await world.start_bot()
        await world.status("name stripe Money")
        assert "Nobody else names anything" in words(await world.note("name adjust Ads"))
        assert "Nobody else names anything" in words(await world.note("forget money", user="UBEN"))
        shown = await world.status("show money")
        before = len(world.slack.ephemerals("UBEN"))
        await world.press(shown, "flokit_edit_name", user="UBEN")
        assert "You can't subscribe, unsubscribe, snooze or take incidents, or name integrations here" in words(
            await world.whisper("UBEN", before)
        )
        await world.press(shown, "flokit_edit_name")
        form = await world.slack.wait_for(lambda: world.slack.views.modal("UANA"), 5, "a form")
        stored = world.slack.installation.views._views[form["id"]]
        stored["private_metadata"] = form["private_metadata"].replace("int_s", "int_a")
        filled = {"name": {"name_name": {"value": "Ads"}}}
        submitted = await world.slack.views.submit("UANA", form["id"], filled)
        assert "You can't" in submitted.errors["name"]
        assert str((await world.note("audit"))["blocks"]).count("(refused) changed the name of") == 4
        assert "*Adjust*" in words(await world.status("status adjust"))
