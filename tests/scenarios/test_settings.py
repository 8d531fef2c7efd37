"""A person's own settings in App Home."""

from __future__ import annotations

from tests.scenarios.conftest import words


async def home_with(world, part, user="UANA"):
    """Wait until a person's App Home says something."""
    return await world.slack.wait_for(
        lambda: (view := world.slack.views.home(user)) and part in str(view) and view, 10, f"App Home: {part}"
    )


async def open_settings(world, user="UANA"):
    """Open a person's settings from App Home."""
    world.slack.views.open_home(user)
    view = await home_with(world, "Your settings", user)
    raw = '{"v":1,"c":"settings"}'
    assert (await world.slack.views.click(user, view["id"], "flokit_edit_settings", value=raw)).ok
    return await world.slack.wait_for(lambda: world.slack.views.modal(user), 10, "the form")


async def test_a_person_chooses_a_time_zone(world):
    """It's used instead of the one in Slack; the form says what's wrong, and the audit what changed."""
    view = await open_settings(world)
    wrong = await world.slack.views.submit("UANA", view["id"], {"zone": {"settings_zone": {"value": "Berlinn"}}})
    assert "isn't a time zone I know" in wrong.errors["zone"]
    done = await world.slack.views.submit("UANA", view["id"], {"zone": {"settings_zone": {"value": "tokyo"}}})
    assert not done.errors
    await home_with(world, "Time zone: Asia/Tokyo")
    assert "09:00 (Asia/Tokyo)" in words(await world.status("subscribe all digest 09:00"))
    assert "changed their own settings" in words(await world.note("audit"))


async def test_a_person_gets_direct_messages_about_their_syncs_only(world):
    """Someone else who subscribed the channel is told that it's paused."""
    other = world.channel("C0OTHER")
    await world.status("subscribe all", channel=other, user="UBEN")
    await world.status("subscribe stripe", channel=other, user="UCLEO")
    view = await open_settings(world, "UBEN")
    only = {"dms": {"settings_dms": {"selected_option": {"value": "syncs"}}}}
    assert not (await world.slack.views.submit("UBEN", view["id"], only)).errors
    world.slack.archive(other, "UANA")
    await world.direct_root("UCLEO")
    await world.settle()
    told = " ".join(map(words, world.slack.messages(world.slack.workspace.open_im("UCLEO").id)))
    assert "ben's subscription to all integrations" in told
    assert world.slack.messages(world.slack.workspace.open_im("UBEN").id) == []
