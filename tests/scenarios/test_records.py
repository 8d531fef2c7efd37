"""The audit log, visible only to the person who asks, and the history of syncs."""

from __future__ import annotations

import re
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
    """A bot with a past: Ana synced Stripe, and Ben synced Adjust, which failed."""
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


async def test_the_audit_lists_each_action_and_its_result(past):
    """Only the person who asks sees it, and it notifies no one."""
    shown = str((await past.note("audit"))["blocks"])
    assert shown.count("asked to sync") == 2
    assert shown.count("Outcome of the sync of") == 2
    assert "*succeeded*" in shown
    assert "*failed*" in shown
    assert "<@U" not in shown
    assert "I can't post here" not in shown


@pytest.mark.parametrize("person", ["<@UBEN|ben>", "@ben", "@UBEN"])
async def test_the_audit_can_be_filtered_by_person(past, person):
    """A mention and a plain name both work."""
    if person == "@UBEN":
        person = f"@{past.slack.workspace.users['UBEN'].name}"
    shown = words(await past.note(f"audit {person} 7d"))
    assert "Adjust" in shown
    assert "Stripe" not in shown


async def test_the_audit_can_be_filtered_by_integration(past):
    """A type, an ID and the end of an ID name it; others aren't shown."""
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
    """The usual ways to write a time work, and a plain name is looked up among people."""
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
async def test_unknown_words_are_named(past, asked, answer):
    """Only what was understood can have no entries; anything else is named, with the closest matches."""
    note = words(await past.note(asked))
    assert answer in note
    assert "last week" in note
    assert ": no entries" not in note


async def test_days_are_in_the_readers_time_zone(past):
    """Today begins at midnight in the time zone of their Slack profile."""
    zone = ZoneInfo(past.slack.workspace.users["UCLEO"].zone)
    midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    assert f"<!date^{int(midnight.timestamp())}^" in words(await past.note("audit today", user="UCLEO"))


async def test_an_empty_result_names_the_time_range(past):
    assert "no entries found from <!date^" in words(await past.note("audit yesterday"))
    assert "`/flokit history revenuecat`: no syncs found" in words(await past.note("history revenuecat"))


async def test_a_range_may_be_longer_than_the_retention(past):
    """Everything that's kept is shown; an empty result says how long entries are kept."""
    assert "asked to sync" in words(await past.note("audit 9999999d"))
    assert "Entries are kept for 90 days" in words(await past.note("audit @nobody 9999999d"))


async def test_an_audit_by_mention_is_sent_as_a_dm(past):
    """It isn't posted in the channel."""
    await past.slack.say("UCLEO", "C0DATA", f"<@{BOT_USER_ID}> audit")
    root = await past.direct_root("UCLEO")
    assert "asked to sync" in words(root)


async def test_the_history_of_one_integration(past):
    """Each sync has its outcome and who started it; the median names the number of syncs it's based on."""
    shown = words(await past.note("history stripe"))
    assert "1 sync, 1 succeeded" in shown
    assert "from 1 comparable sync" in shown
    assert "1. ✅ succeeded" in shown


async def test_the_history_of_all_has_a_line_for_each_integration(past):
    shown = words(await past.note("history"))
    assert "2 syncs of 2 integrations" in shown
    assert "0 of 1 succeeded" in shown


async def test_a_sync_is_linked_to_the_message_that_tells_it(past):
    """As Slack itself would link it; the workspace's address is asked for once."""
    shown = words(await past.note("history stripe"))
    [address] = re.findall(r"<(http[^|>]+)\|message>", shown)
    told = re.fullmatch(r"(.*)/archives/(\w+)/p(\d{10})(\d{6})\?thread_ts=([\d.]+)&amp;cid=\2", address)
    assert told
    message = past.slack.message(told[2], f"{told[3]}.{told[4]}")
    assert message["metadata"]["event_payload"]["outcome"] == "succeeded"
    assert message["thread_ts"] == told[5]
    assert address in words(await past.note("audit stripe"))
    await past.note("history")
    asked = [call for call in past.slack.calls if call.method in ("auth.test", "chat.getPermalink")]
    assert len(asked) == 2  # one at the start


async def test_pages_of_the_audit_are_turned_in_place(past):
    """Older shows the next page in the same private message, and Newer goes back."""
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
