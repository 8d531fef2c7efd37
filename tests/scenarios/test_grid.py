"""Enterprise Grid and Slack Connect: the workspace in a payload is only a hint; ``users.info`` decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.slack.scopes import BOT_SCOPES
from local_slack import User
from local_slack.faults import Fault
from sandbox.local_flokit.sources import Plan
from sandbox.slack import WORKSPACE
from tests.scenarios.conftest import running_world, words

ORG = "E0ORG"
OURS = User("W0GRID", "grace", team_id="T0HOME", org_id=ORG, org_teams=("T0HOME", WORKSPACE.id), named_team=ORG)
"""A member of ours whose home is another workspace of the organization; payloads name only the organization."""

MEMBERS = {
    "organization": OURS,
    "another workspace": replace(OURS, named_team="T0HOME", acts_in="T0HOME"),
    "the organization as the place": replace(OURS, acts_in=ORG),
    "our workspace as home": replace(OURS, team_id=WORKSPACE.id, org_teams=(), named_team=ORG, acts_in="T0HOME"),
}
OTHERS = {
    "another workspace of the organization": replace(OURS, org_teams=("T0HOME",)),
    "the organization alone": replace(OURS, team_id=ORG, org_teams=()),
    "another company": User("UEVE", "eve", team_id="T0OTHER"),
    "another company that claims to be ours": User("UEVE", "eve", team_id="T0OTHER", named_team=WORKSPACE.id),
    "another company, from its own workspace": User("UEVE", "eve", team_id="T0OTHER", acts_in="T0OTHER"),
}


def add(world, user):
    """Add a person to the channel, and an integration that a sync repairs immediately."""
    world.slack.workspace.add_user(user)
    world.slack.workspace.channels["C0DATA"].members.add(user.id)
    world.flokit.add("int_s", "stripe")
    world.flokit.plan("int_s", Plan(0.1, 0.2, "succeeded"))
    return user.id


@pytest.mark.parametrize("name", MEMBERS)
async def test_a_member_can_do_everything_whatever_workspace_is_named(socket_world, name):
    """Buttons, commands, mentions, direct messages, forms and App Home work."""
    world = socket_world
    user = add(world, MEMBERS[name])
    panel = await world.status(user=user)
    await world.press(panel, "flokit_resync", "int_s", user=user)
    assert (await world.outcomes(panel["ts"]))[0]["outcome"] == "succeeded"

    typed = await world.status("sync stripe", user=user)
    assert await world.outcomes(typed["ts"])

    mention = await world.slack.say(user, "C0DATA", "<@UFLOKIT> sync stripe")
    assert await world.outcomes(mention)

    direct = world.slack.workspace.open_im(user).id
    await world.slack.say(user, direct, "sync stripe")
    await world.slack.wait_for(lambda: len(world.flokit.posts("int_s")) == 4, 10, "a sync from a direct message")

    await world.command("subscribe", user=user)
    view = await world.slack.wait_for(lambda: world.slack.views.modal(user), 5, "a form")
    assert (await world.slack.views.submit(user, view["id"])).ok
    await world.slack.wait_for(
        lambda: any("subscribed this channel" in words(one) for one in world.slack.messages("C0DATA")), 10, "it"
    )

    world.slack.views.open_home(user)
    await world.slack.wait_for(lambda: "Stripe" in str(world.slack.views.home(user)), 10, "an App Home")


@pytest.mark.parametrize("name", OTHERS)
async def test_people_from_another_workspace_can_only_view(socket_world, name):
    """They can't start a sync with a button, a command or a mention."""
    world = socket_world
    user = add(world, OTHERS[name])
    panel = await world.status(user=user)
    before = len(world.slack.ephemerals(user))
    await world.press(panel, "flokit_resync", "int_s", user=user)
    assert "people from other workspaces can only look" in words(await world.whisper(user, before))
    assert "people from other workspaces" in words(await world.note("sync stripe", user=user))
    await world.slack.say(user, "C0DATA", "<@UFLOKIT> sync stripe")
    direct = world.slack.workspace.open_im(user).id
    await world.slack.wait_for(lambda: "people from other" in str(world.slack.messages(direct)), 10, "a refusal")
    assert not world.flokit.posts("int_s")


async def test_people_who_share_no_channel_get_no_answer(socket_world):
    """Their request names another workspace."""
    world = socket_world
    user = User("UEVE", "eve", team_id="T0OTHER", acts_in="T0OTHER")
    add(world, user)
    world.slack.workspace.channels["C0DATA"].members.discard(user.id)
    world.slack.add_channel("C0THEIRS", "theirs", "private", members=[user.id])
    said = words(await world.note("status", user=user.id, channel="C0THEIRS"))
    assert "aren't answered" in said
    assert "Stripe" not in said


@pytest.mark.parametrize("code", ["user_not_found", "user_not_visible", "a_code_of_tomorrow"])
async def test_a_person_who_cannot_be_looked_up_can_only_view(socket_world, code):
    """A sync is refused with Slack's reason, instead of being postponed forever."""
    world = socket_world
    user = add(world, User("UFAY", "fay"))
    world.expected_refusals.add(code)
    world.slack.faults.add(Fault("users.info", "error", code=code, times=9))
    panel = await world.status(user=user)
    before = len(world.slack.ephemerals(user))
    await world.press(panel, "flokit_resync", "int_s", user=user)
    said = words(await world.whisper(user, before))
    assert "people I can't identify can only look" in said
    assert code in said
    assert not world.flokit.posts("int_s")


async def test_without_users_read_no_one_can_sync(tmp_path):
    """Status works, and both the refusal and the doctor name the scope."""
    async with running_world(tmp_path) as world:
        world.slack.installation.scopes = frozenset(BOT_SCOPES) - {"users:read"}
        world.expected_refusals.add("missing_scope")
        await world.start_bot()
        world.flokit.add("int_s", "stripe")
        await world.status(user="UANA")
        assert "users:read" in words(await world.note("sync stripe", user="UANA"))
        assert not world.flokit.posts("int_s")
        doctor = words(await world.note("doctor", user="UANA"))
        assert "users:read" in doctor
        assert "can sync or subscribe" in doctor
