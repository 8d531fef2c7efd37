"""Names that people give to integrations: shown and understood everywhere, for everyone in the workspace."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.scenarios.conftest import words

ANDROID, IOS = "int_01hx8appsflyerandroid", "int_01hx8appsflyerios"


@pytest_asyncio.fixture
async def phones(world):
    """A world with two AppsFlyers, whose names say which is which: Android is failing."""
    world.flokit.add(ANDROID, "appsflyer", status="error", error_message="The token expired")
    world.flokit.add(IOS, "appsflyer")
    return world


async def test_a_named_integration_is_called_that(phones):
    """In the status and by everyone, whoever named it; and a sync finds it."""
    told = await phones.status('name 8appsflyerandroid "AppsFlyer Android"')
    assert "ana named AppsFlyer `int_01hx8appsflyerandroid`" in told["text"]
    shown = await phones.status(user="UBEN")
    assert "AppsFlyer Android is failing" in shown["text"]
    assert "*AppsFlyer Android*" in words(shown)
    assert "…rios" in words(shown)
    alone = await phones.status("“AppsFlyer Android”", user="UBEN")
    assert "1 of 1 integration matching" in alone["text"]
    synced = await phones.status("sync appsflyer android", user="UBEN")
    assert synced["text"].startswith("Resync of AppsFlyer Android")
    await phones.outcomes(synced["ts"])


async def test_a_forgotten_name_is_shown_nowhere(phones):
    await phones.status("name 8appsflyerandroid AppsFlyer Android")
    await phones.status("rename AppsFlyer Android to Pixel")
    told = await phones.status("forget the name of pixel")
    assert "removed the name Pixel" in told["text"]
    assert "AppsFlyer …roid is failing" in (await phones.status())["text"]
    assert "no integration `pixel`" in (await phones.note("sync pixel"))["text"]


async def test_a_name_that_can_not_be_one_is_refused(phones):
    """With the reason, only to the person who typed it; nothing changes."""
    await phones.status("name 8appsflyerios iPhone")
    for name, reason in {
        "IPHONE": "called “IPHONE” already",
        "appsflyer": "is a type of integration",
        "failing": "has a meaning in commands",
        "<!channel>": "can have letters, numbers",
        "x" * 41: "up to 40 characters",
    }.items():
        note = await phones.note(f"name 8appsflyerandroid {name}")
        assert reason in note["text"], note["text"]
        assert "Nothing was changed." in note["text"]
    assert "matches 2 integrations. Which one?" in (await phones.note("name appsflyer Phone"))["text"]
    assert "no integration `nosuch`" in (await phones.note('name nosuch "Phone"'))["text"]
    assert "AppsFlyer …roid is failing" in (await phones.status())["text"]


def filled(**fields):
    """Fill in the form."""
    kinds = {"owner": "selected_user"}
    return {part: {f"name_{part}": {kinds.get(part, "value"): value}} for part, value in fields.items()}


async def open_form(world, root_ts, user="UANA"):
    """Press Edit name in the details that were shown in a thread, and return the form."""
    details = await world.reply(root_ts, "flokit_edit_name")
    await world.press(details, "flokit_edit_name", user=user)
    return await world.slack.wait_for(lambda: world.slack.views.modal(user), 5, "a form")


async def test_the_form_behind_details_names_an_integration(phones):
    """It shows what there is, says below a field what's wrong with it, and the details say the new name at once."""
    shown = await phones.status()
    await phones.press(shown, "flokit_details", ANDROID)
    form = await open_form(phones, shown["ts"])
    views = phones.slack.views
    wrong = await views.submit(
        "UANA", form["id"], filled(name="Stripe", link="https://ana:x@wiki.example.com", group="x")
    )
    assert set(wrong.errors) == {"link", "group"}
    wrong = await views.submit("UANA", form["id"], filled(name="Stripe", link="", group=""))
    assert "is a type of integration" in wrong.errors["name"]
    both = filled(name="AppsFlyer Android", owner="UBEN", group="S0615G0KT", link="https://wiki.example.com/a")
    assert set((await views.submit("UANA", form["id"], both)).errors) == {"group"}
    assert (await views.submit("UANA", form["id"], both | filled(group=""))).ok
    await phones.reply(shown["ts"], "ana named AppsFlyer")
    details = await phones.reply(shown["ts"], "flokit_edit_name")
    await phones.slack.wait_for(
        lambda: "AppsFlyer Android" in words(phones.slack.message("C0DATA", details["ts"])), 5, "it"
    )
    assert "<https://wiki.example.com/a>" in words(phones.slack.message("C0DATA", details["ts"]))
    await phones.press(details, "flokit_edit_name")
    again = await phones.slack.wait_for(lambda: phones.slack.views.modal("UANA"), 5, "the form")
    given = {block["block_id"]: block["element"] for block in again["blocks"] if block["type"] == "input"}
    assert given["name"]["initial_value"] == "AppsFlyer Android"
    assert given["owner"]["initial_user"] == "UBEN"


async def test_a_command_without_a_name_opens_the_form(phones):
    await phones.command("name 8appsflyerandroid")
    form = await phones.slack.wait_for(lambda: phones.slack.views.modal("UANA"), 5, "a form")
    assert (await phones.slack.views.submit("UANA", form["id"], filled(name="Pixel"))).ok
    await phones.slack.wait_for(
        lambda: "it's Pixel from now on" in "".join(map(words, phones.slack.messages("C0DATA"))).replace("*", ""),
        5,
        "it",
    )
    assert "Pixel is failing" in (await phones.status())["text"]


async def test_a_name_is_shown_in_all_that_is_said(phones):
    """Threads, history, audit, subscriptions, App Home, forms and their choices, and in every ``text``."""
    await phones.status('name 8appsflyerandroid "AppsFlyer Android"')
    root = (await phones.status("sync AppsFlyer Android"))["ts"]
    await phones.outcomes(root)
    thread = phones.slack.messages("C0DATA", root)[1:]
    assert thread
    assert all("AppsFlyer Android" in one["text"] for one in thread)
    assert "History of AppsFlyer Android" in (await phones.note("history appsflyer android 7d"))["text"]
    await phones.status("subscribe AppsFlyer Android failing, recovered digest 09:00")
    assert "AppsFlyer Android" in words(await phones.note("subscriptions"))
    audited = words(await phones.note("audit AppsFlyer Android 7d"))
    assert "changed the name of AppsFlyer Android" in audited
    assert "name “AppsFlyer Android”" in audited
    phones.slack.views.open_home("UANA")
    home = await phones.slack.wait_for(lambda: phones.slack.views.home("UANA"), 10, "App Home")
    assert "*AppsFlyer Android*" in words(home)
    await phones.command("subscribe")
    form = await phones.slack.wait_for(lambda: phones.slack.views.modal("UANA"), 5, "a form")
    assert "AppsFlyer Android (int_" in words(form)
    assert (
        "removed this channel's subscription to AppsFlyer Android"
        in (await phones.status("unsubscribe appsflyer-android"))["text"]
    )


async def test_an_incident_mentions_the_owner_and_shows_the_link(board):
    """When it's posted; a new name is shown in its message at once."""
    await board.status("name stripe owner U0CLEO000 link https://wiki.example.com/stripe?a=1&b=2")
    board.flokit.set("int_stripe", status="error", error_message="The key was refused")
    posted = await board.slack.wait_for(
        lambda: next((one for one in board.slack.messages("C0DATA") if "is failing" in one["text"]), None),
        10,
        "an incident",
    )
    assert posted["text"].startswith("<@U0CLEO000> ")
    assert "<https://wiki.example.com/stripe?a=1&amp;b=2>" in words(posted)
    await board.status("name stripe Money")
    await board.slack.wait_for(
        lambda: "*Money* is failing" in words(board.slack.message("C0DATA", posted["ts"])), 10, "Money"
    )


@pytest.mark.postgres
async def test_another_replica_shows_a_name_within_a_minute(make_world, postgres_url):
    async with make_world(DATABASE_URL=postgres_url) as world:
        world.flokit.add(ANDROID, "appsflyer", status="error")
        await world.start_bot()
        await world.start_another()
        for _ in range(4):
            assert "AppsFlyer is failing" in (await world.status())["text"]
        await world.status("name appsflyer Pixel")
        await world.move_clock(seconds=60)
        for _ in range(4):
            assert "Pixel is failing" in (await world.status())["text"]
