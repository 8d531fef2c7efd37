"""Names that people give to integrations: shown and understood everywhere, for everyone in the workspace."""

from __future__ import annotations

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
        '""': "What should it be called?",
    }.items():
        note = await phones.note(f"name 8appsflyerandroid {name}")
        assert reason in note["text"], note["text"]
        assert "Nothing was changed." in note["text"]
    assert "matches 2 integrations. Which one?" in (await phones.note("name appsflyer Phone"))["text"]
    assert "no integration `nosuch`" in (await phones.note('name nosuch "Phone"'))["text"]
    assert "AppsFlyer …roid is failing" in (await phones.status())["text"]
