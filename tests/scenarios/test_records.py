"""What happened can be asked: the audit, for one reader, and the history of syncs."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from sandbox.local_flokit.sources import Plan
from sandbox.slack import BOT_USER_ID
from tests.scenarios.conftest import running_world, words

pytestmark = pytest.mark.asyncio(loop_scope="module")
"""One world serves the whole module, so its tests share an event loop."""

STRIPE = "int_01stripe"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def past(tmp_path_factory):
    """A bot at which Ana synced Stripe, and Ben Adjust, which failed."""
    async with running_world(tmp_path_factory.mktemp("past")) as world:
        world.flokit.add(STRIPE, "stripe", status="connected")
        world.flokit.add("int_01adjust", "adjust", status="connected")
        world.flokit.plan("int_01adjust", Plan(0.0, 0.3, "failed", error_message="it broke"))
        await world.start_bot()
        world.flokit.plan(STRIPE, Plan(0.0, 0.3, "succeeded"))
        for user, target in (("UANA", STRIPE), ("UBEN", "int_01adjust")):
            root = await world.status(f"sync {target}", user=user)
            await world.outcomes(root["ts"])
        yield world


async def test_the_audit_tells_each_act_and_what_came_of_it(past):
    """Each sync is two entries: who asked, and its outcome; only the reader sees them, and nobody is notified."""
    shown = str((await past.note("audit"))["blocks"])
    assert shown.count("asked to sync") == 2
    assert shown.count("Outcome of the sync of") == 2
    assert "*succeeded*" in shown
    assert "*failed*" in shown
    assert "<@U" not in shown
    assert "I can't post here" not in shown


@pytest.mark.parametrize("person", ["<@UBEN|ben>", "@ben", "@UBEN"])
async def test_the_audit_of_a_person(past, person):
    """A person is found by Slack's escape and by the bare name."""
    if person == "@UBEN":
        person = f"@{past.slack.workspace.users['UBEN'].name}"
    shown = words(await past.note(f"audit {person} 7d"))
    assert "Adjust" in shown
    assert "Stripe" not in shown


async def test_the_audit_of_an_integration(past):
    """A type, an id and the ending of an id name the integration; another one is not shown."""
    for name in ("stripe", STRIPE, "01stripe"):
        shown = words(await past.note(f"audit {name}"))
        assert "Stripe" in shown
        assert "Adjust" not in shown


@pytest.mark.parametrize(
    ("asked", "shown", "hidden"),
    [
        ("audit last week", ("Stripe", "Adjust"), "no entries"),
        ("audit 7 days", ("Stripe", "Adjust"), "no entries"),
        ("audit since yesterday", ("Stripe", "Adjust"), "no entries"),
        ("audit this month", ("Stripe", "Adjust"), "no entries"),
        ("audit ana", ("Stripe",), "Adjust"),
        ("audit Ana last 3 hours", ("Stripe",), "Adjust"),
        ("audit stripe by ana", ("Stripe",), "Adjust"),
        ("audit stripe ana", ("Stripe",), "Adjust"),
        ("audit ben since today", ("Adjust",), "Stripe"),
        ("audit what did I do today", ("Stripe",), "Adjust"),
        ("history last week", ("2 syncs of 2 integrations",), "no syncs"),
        ("history stripe 7 days", ("1 sync, 1 succeeded",), "no syncs"),
        ("history ben", ("1 sync, 1 failed",), "Stripe"),
        ("history for the stripe integration", ("1 sync, 1 succeeded",), "no syncs"),
    ],
)
async def test_times_and_names_are_understood(past, asked, shown, hidden):
    """The usual ways to say a time are understood, and a bare name is found among people."""
    answer = words(await past.note(asked))
    assert all(part in answer for part in shown)
    assert hidden not in answer


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("audit stripes", "I don't recognize `stripes`. Closest matches: Stripe `int_01stripe`"),
        ("history stripes", "I don't recognize `stripes`. Closest matches: Stripe `int_01stripe`"),
        ("history revenuecats", "I don't recognize `revenuecats`. Closest matches: `revenuecat`"),
        ("audit int_unknown", "I don't recognize `int_unknown`."),
        ("audit benn", "I don't recognize `benn`. Closest matches: ben"),
        ("audit @benn", "No entries found for anyone called `benn`. Closest matches: ben."),
        ("audit since whenever", "I don't recognize the time “since whenever”."),
        ("audit since 2099-01-01", "That time is in the future."),
        ("audit lsat week", "I don't recognize `lsat week`."),
    ],
)
async def test_what_is_not_recognized_says_so(past, asked, answer):
    """An answer of nothing is for what was understood; anything else is named, with what comes closest."""
    note = words(await past.note(asked))
    assert answer in note
    assert "last week" in note
    assert ": no entries" not in note


async def test_days_are_those_of_the_reader(past):
    """Today begins at midnight in the time zone that Slack knows of the person who asks."""
    zone = ZoneInfo(past.slack.workspace.users["UCLEO"].zone)
    midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    assert f"<!date^{int(midnight.timestamp())}^" in words(await past.note("audit today", user="UCLEO"))


async def test_nothing_found_names_the_time(past):
    """What was understood and has no entries says so, with the time that was searched."""
    assert "no entries found from <!date^" in words(await past.note("audit yesterday"))
    assert "`/flokit history revenuecat`: no syncs found" in words(await past.note("history revenuecat"))


async def test_a_span_that_nothing_is_kept_for(past):
    """Any number is a span: all that is kept is shown, and whoever gets nothing hears how long that is."""
    assert "asked to sync" in words(await past.note("audit 9999999d"))
    assert "Entries are kept for 90 days" in words(await past.note("audit @nobody 9999999d"))


async def test_a_mention_gets_the_audit_directly(past):
    """Asked for in a mention, the audit goes to the person's direct messages, not into the channel."""
    await past.slack.say("UCLEO", "C0DATA", f"<@{BOT_USER_ID}> audit")
    root = await past.direct_root("UCLEO")
    assert "asked to sync" in words(root)


async def test_the_history_of_one(past):
    """One integration's syncs come with outcome, who, the median, and how many that is of."""
    shown = words(await past.note("history stripe"))
    assert "1 sync, 1 succeeded" in shown
    assert "from 1 comparable sync" in shown
    assert "1. ✅ succeeded" in shown


async def test_the_history_of_all(past):
    """Without an integration each has a line."""
    shown = words(await past.note("history"))
    assert "2 syncs of 2 integrations" in shown
    assert "0 of 1 succeeded" in shown


async def test_pages_of_the_audit_are_turned_in_place(past):
    """Older shows the next page in the same private message, and Newer leads back."""
    for _ in range(5):
        await past.status("subscribe stripe failing")
    before = len(past.slack.ephemerals("UANA"))
    page = await past.note("audit")
    assert "'Older'" in str(page)
    await past.press(page, "flokit_next_page", ephemeral=True)
    turned = await past.slack.wait_for(
        lambda: next((one for one in past.slack.ephemerals("UANA")[before:] if "Page 2" in words(one)), None), 10
    )
    assert "'Newer'" in str(turned)
