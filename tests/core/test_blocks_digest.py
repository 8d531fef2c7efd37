"""The digest: what is posted in a channel at its chosen time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.blocks import digest_message
from bot.core.blocks.text import date
from bot.core.commands.presses import Action, parse_press
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.models import Integration, Message, Outcome, Person, SyncRun
from bot.core.subscriptions.digest_time import WEEKDAYS
from bot.core.subscriptions.digests import Digest
from bot.core.subscriptions.subscriptions import ALL, DigestTime, Subscription
from tests.core.hostile import (
    ATTACKS,
    assert_no_markup_of_others,
    assert_slack_takes,
    hostile,
    incidents,
    integrations,
    moments,
    runs,
    texts,
)

NOW = datetime(2024, 3, 15, 8, 0, tzinfo=UTC)
SINCE = NOW - timedelta(days=1)
FRESH = NOW - timedelta(hours=1)
NEXT = datetime(2024, 3, 18, 8, 0, tzinfo=UTC)
ANA = Person("U1", "ana")

STRIPE = Integration("int_4j7stripe", "stripe", "error", FRESH, "Webhook signature verification failed")
IOS = Integration("int_4j7appsios1", "appsflyer", "connected", FRESH)
ANDROID = Integration("int_4j7appsand1", "appsflyer", "connected", NOW - timedelta(days=9))
WAREHOUSE = Integration("int_4j7wh", "warehouse", "disconnected", None)
ADAPTY = Integration("int_4j7adapty", "adapty", "connected", FRESH)
WORKSPACE = (ADAPTY, STRIPE, IOS, ANDROID, WAREHOUSE)

SUBSCRIPTION = Subscription("sub_1", "T1", "C1", ANA, SINCE, digest=DigestTime(time(9), WEEKDAYS, "Europe/Berlin"))
CALM = Digest(SUBSCRIPTION, (ADAPTY, IOS), NOW, SINCE)


def incident(integration: Integration, opened_h: float, closed_h: float | None = None, **fields: Any) -> Incident:
    """Return an incident that opened, and maybe closed, some hours ago."""
    return Incident(
        id=f"inc_{integration.id}_{opened_h}",
        team_id="T1",
        integration=integration,
        seen_at=NOW,
        trouble=fields.pop("trouble", Trouble.FAILING),
        failure=integration,
        opened_at=NOW - timedelta(hours=opened_h),
        closed_at=None if closed_h is None else NOW - timedelta(hours=closed_h),
        **fields,
    )


def synced(integration: Integration, took_s: float, ended_h: float = 2, **fields: Any) -> SyncRun:
    """Return a sync that succeeded some hours ago."""
    ended_at = NOW - timedelta(hours=ended_h)
    run = SyncRun("run", "T1", integration.id, integration.type, ended_at - timedelta(seconds=took_s), ANA)
    return replace(run, **{"ended_at": ended_at, "outcome": Outcome.SUCCEEDED, **fields})


def shown(digest: Digest) -> list[str]:
    """Return the texts of a digest's blocks, in order."""
    return [
        element["text"]
        for block in message_of(digest).blocks
        for element in ([block["text"]] if "text" in block else block["elements"])
    ]


def message_of(digest: Digest) -> Message:
    """Return the message of a digest."""
    return digest_message(digest, NOW, command="/fk")


def test_a_calm_digest_is_short():
    """If nothing failed, it's one line with the current state and the next digest."""
    weekdays = "weekdays at 09:00 (Europe/Berlin)"
    assert shown(CALM) == [
        "FloKit digest",
        f"*Nothing failed since {date(SINCE)}.*",
        "Now: 2 connected.",
        f"As of {date(NOW)} · Next digest {date(NEXT)}: {weekdays} · `/fk unsubscribe digest` stops it",
    ]
    assert message_of(CALM).text == f"FloKit digest: Nothing failed since {date(SINCE)}. Now: 2 connected."


def test_open_incidents_come_first():
    """Resolved ones follow, with how long they lasted and who fixed them."""
    digest = replace(
        CALM,
        integrations=WORKSPACE,
        incidents=(
            incident(IOS, 5, 3, repaired_by=ANA),
            incident(STRIPE, 2),
            incident(WAREHOUSE, 30, trouble=Trouble.DISCONNECTED),
            incident(ADAPTY, 20, 19.5, trouble=Trouble.STALE),
            incident(replace(ADAPTY, id="int_gone", type="adjust"), 10, 9, gone=True),
        ),
    )
    lead, lines = shown(digest)[1:3]
    at = {hours: date(NOW - timedelta(hours=hours)) for hours in (2, 5, 10, 20, 30)}
    assert lead == f"*4 new incidents since {date(SINCE)}: 2 still open, 3 closed.*"
    assert lines.split("\n") == [
        f"❌ *Stripe* failing since {at[2]}, for 2 h",
        f"🔌 *Warehouse* disconnected since {at[30]}, for 1 d 6 h",
        f"✅ *AppsFlyer* `…ios1` failed {at[5]}, recovered after 2 h, resync by ana",
        f"❔ *Adjust* failed {at[10]} and is no longer in FloKit",
        f"✅ *Adapty* was stale {at[20]}, recovered after 30 min",
    ]
    assert message_of(digest).text == (
        f"FloKit digest: 4 new incidents since {date(SINCE)}: 2 still open, 3 closed. "
        "Now: 1 failing, 1 disconnected, 3 connected. Still open: Stripe, Warehouse."
    )


def test_an_old_incident_is_not_new():
    """An open incident from before the last digest is listed as still open."""
    digest = replace(CALM, integrations=WORKSPACE, incidents=(incident(STRIPE, 48),))
    assert shown(digest)[1] == f"*No new incidents since {date(SINCE)}: 1 still open.*"


def test_the_last_digests_content_is_left_out():
    digest = replace(CALM, incidents=(incident(IOS, 48, 30),), runs=(synced(IOS, 60, ended_h=30),))
    assert shown(digest) == shown(CALM)


def test_a_failure_without_an_incident_is_not_denied():
    """While something is failing, the digest never says that nothing failed."""
    digest = replace(CALM, integrations=WORKSPACE)
    assert shown(digest)[1] == f"*Nothing new failed since {date(SINCE)}.*"


def test_what_needs_attention_has_a_row_with_details():
    """Failing, disconnected and stale integrations each have a row with one button."""
    message = message_of(replace(CALM, integrations=WORKSPACE))
    rows: list[Any] = [block for block in message.blocks if "accessory" in block]
    presses = [parse_press(row["accessory"]["action_id"], row["accessory"]["value"]) for row in rows]
    assert [(press.action, press.integration_id) for press in presses] == [
        (Action.DETAILS, STRIPE.id),
        (Action.DETAILS, WAREHOUSE.id),
        (Action.DETAILS, ANDROID.id),
    ]
    assert rows[2]["text"]["text"].startswith("*AppsFlyer* `…and1`\n✅ connected, but stale · last successful sync")


def test_many_rows_and_incidents_are_counted():
    """Beyond a limit, only the number of rows and incidents is shown, with the command that lists them."""
    crowd = tuple(replace(STRIPE, id=f"int_{index:03}") for index in range(500))
    digest = replace(CALM, integrations=crowd, incidents=tuple(incident(one, 2) for one in crowd))
    texts = shown(digest)
    assert texts[2].endswith("and 494 more")
    assert "and 495 more: `/fk status`" in texts


def test_the_three_slowest_syncs_are_listed():
    """The slowest comes first."""
    digest = replace(
        CALM,
        runs=(
            synced(IOS, 60),
            synced(ADAPTY, 3700),
            synced(IOS, 50),
            synced(IOS, 80),
            synced(IOS, 9000, outcome=Outcome.FAILED),
            synced(IOS, 9000, outcome=None, ended_at=None),
        ),
    )
    assert shown(digest)[3] == (
        "Slowest syncs: *Adapty* 1 h 1 min (by ana), *AppsFlyer* 1 min 20 s (by ana), *AppsFlyer* 1 min (by ana)"
    )


@pytest.mark.parametrize(
    ("target", "title", "state"),
    [
        (ALL, "FloKit digest", "Now: 1 failing, 1 disconnected, 3 connected."),
        ("appsflyer", "FloKit digest: AppsFlyer", "Now: 2 connected."),
        (IOS.id, "FloKit digest: AppsFlyer …ios1", "Now: 1 connected."),
        ("int_gone", "FloKit digest: int_gone", "FloKit has no integrations that match this subscription."),
    ],
)
def test_a_digest_is_about_its_target(target, title, state):
    """It names its target and shows nothing else."""
    digest = Digest(
        replace(SUBSCRIPTION, target=target),
        WORKSPACE,
        NOW,
        SINCE,
        incidents=() if target == ALL else (incident(STRIPE, 2),),
        runs=() if target == ALL else (synced(STRIPE, 60),),
    )
    texts = shown(digest)
    assert texts[0] == title
    assert state in texts
    assert target == ALL or "Stripe" not in str(texts)


def test_old_data_is_labeled_as_old():
    """If FloKit couldn't be reached, the digest says why and how old its data is."""
    digest = replace(CALM, as_of=FRESH, stale_reason="no <answer> in 10 s.")
    note = f"FloKit can't be reached (no &lt;answer&gt; in 10 s); showing data from {date(FRESH)}."
    assert shown(digest)[1] == f"⚠️ {note}"
    assert message_of(digest).text.startswith(note)


def test_a_digest_that_was_removed_names_no_next_one():
    assert "Next digest" not in str(shown(replace(CALM, subscription=replace(SUBSCRIPTION, digest=None))))


# --- whatever FloKit and people write --------------------------------------------------------------------------

digests = st.builds(
    Digest,
    st.builds(replace, st.just(SUBSCRIPTION), target=st.just(ALL) | st.just(ALL) | texts),
    st.lists(integrations, max_size=15).map(tuple),
    moments,
    moments,
    st.lists(incidents, max_size=12).map(tuple),
    st.lists(runs, max_size=5).map(tuple),
    texts,
)


@hostile
@given(digests)
def test_slack_accepts_every_digest(digest):
    message = digest_message(digest, NOW, command="/flokit")
    assert_slack_takes(message)
    assert_no_markup_of_others(message)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("count", [1, 8, 500])
def test_slack_accepts_a_digest_full_of_one_attack(attack, count):
    """Every text of up to 500 integrations is the same attack."""
    person = Person(attack, attack)
    crowd = tuple(
        Integration(f"{index:03}{attack}"[:100], attack or "stripe", ("error", "disconnected", attack)[index % 3])
        for index in range(count)
    )
    digest = Digest(
        SUBSCRIPTION,
        crowd,
        NOW,
        SINCE,
        tuple(incident(one, 5, 1 if index % 2 else None, repaired_by=person) for index, one in enumerate(crowd)),
        tuple(replace(synced(one, 99), requested_by=person) for one in crowd),
        attack,
    )
    message = digest_message(digest, NOW, command="/flokit")
    assert_slack_takes(message)
    assert_no_markup_of_others(message)
