"""Which integrations people mean who name several, or describe them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands.catalog import SyncCommand
from bot.core.commands.many import read_many
from bot.core.commands.targets import Ambiguous, One
from bot.core.commands.text import parse_command, parse_mention
from bot.core.models import Integration
from bot.core.nicknames import Nickname, nicknames_of
from bot.core.sight import Sight, all_of
from tests.core.hostile import ATTACKS, hostile

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATELY, LONG_AGO = NOW - timedelta(minutes=5), NOW - timedelta(days=9)

STRIPE = Integration("int_4j7stripe", "stripe", "error", LATELY, "The key was refused")
PLAY = Integration("int_9q2play", "google_play", "error", LATELY, "Forbidden")
WAREHOUSE = Integration("int_1w1warehouse", "warehouse", "disconnected", LATELY)
ADJUST = Integration("int_7k3adjust", "adjust", "connected", LONG_AGO)
ANDROID = Integration("int_8appsflyerandroid", "appsflyer", "error", LATELY, "Token expired")
IOS = Integration("int_8appsflyerios", "appsflyer", "connected", LATELY)
REVENUECAT = Integration("int_2revenuecat", "revenuecat", "syncing", LATELY)

KNOWN = (STRIPE, PLAY, WAREHOUSE, ADJUST, ANDROID, IOS, REVENUECAT)
NAMES = nicknames_of([Nickname(IOS.id, "Search and Social")])
ALL = frozenset(KNOWN)
FAILING = frozenset({STRIPE, PLAY, ANDROID, WAREHOUSE})


def meant(text, *, sight=None):
    """Return what a typed command means."""
    command = parse_command(text)
    assert isinstance(command, SyncCommand), command
    return read_many(command.target, sight or all_of(KNOWN, NAMES), NOW)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sync failing", FAILING),
        ("resync all failing", FAILING),
        ("resync everything that is failing", FAILING),
        ("Sync the failing ones, please", FAILING),
        ("please resync everything that is broken", FAILING),
        ("retry whatever failed", FAILING),
        ("sync all the failed integrations again", FAILING),
        ("sync stripe and google play", {STRIPE, PLAY}),
        ("sync stripe, warehouse", {STRIPE, WAREHOUSE}),
        ("sync Stripe, Google Play & Adjust", {STRIPE, PLAY, ADJUST}),
        ("sync stripe google play warehouse", {STRIPE, PLAY, WAREHOUSE}),
        ("sync both stripe and adjust now", {STRIPE, ADJUST}),
        ("sync 4j7stripe + 9q2play", {STRIPE, PLAY}),
        ("sync everything that is stale", {ADJUST}),
        ("run stale and failing", FAILING | {ADJUST}),
        ("sync all", ALL),
        ("resync everything", ALL),
        ("sync all integrations please", ALL),
        ("sync all except stripe", ALL - {STRIPE}),
        ("resync everything but warehouse and google play", ALL - {WAREHOUSE, PLAY}),
        ("sync all failing, except for warehouse", FAILING - {WAREHOUSE}),
        ("sync failing appsflyer", {ANDROID}),
        ("sync appsflyer and stripe", {ANDROID, IOS, STRIPE}),
        ("sync all of the appsflyers that are failing", {ANDROID}),
        ("sync Search and Social, stripe", {IOS, STRIPE}),
        ("sync disconnected", {WAREHOUSE}),
        ("could you sync stripe and play for me? thanks", {STRIPE, PLAY}),
        ("sync expired", {ANDROID}),
        ("/flokit sync failing", FAILING),
    ],
)
def test_what_people_type_is_understood(text, wanted):
    many = meant(text)
    assert many is not None
    assert set(many.integrations) == set(wanted)
    assert len(many.integrations) == len(wanted)
    assert not many.unknown


def test_a_mention_means_the_same():
    command = parse_mention("<@UBOT> resync all failing", "UBOT")
    assert set(read_many(command.target, all_of(KNOWN), NOW).integrations) == FAILING


@pytest.mark.parametrize("text", ["sync stripe", "sync Search and Social", "sync int_9q2play", "sync the adjust again"])
def test_one_is_not_several(text):
    """One integration is synced without a preview, also when its name has an "and"."""
    assert meant(text) is None
    assert isinstance(all_of(KNOWN, NAMES).find(parse_command(text).target), One)


def test_a_type_alone_asks_which():
    assert meant("sync appsflyer") is None
    assert isinstance(all_of(KNOWN, NAMES).find("appsflyer"), Ambiguous)


def test_what_names_nothing_is_said():
    many = meant("sync stripe, strpe and adjust")
    assert many.integrations == (STRIPE, ADJUST)
    assert many.unknown == ("strpe",)


@pytest.mark.parametrize("text", ["sync strpe", "sync foo, bar", "sync qqq zzz"])
def test_nothing_named_is_not_found(text):
    assert meant(text) is None


def test_a_description_that_matches_nothing_is_no_mistake():
    """Nothing is stale: that's an answer, not a name that doesn't exist."""
    many = meant("sync stale", sight=all_of((STRIPE, IOS)))
    assert many is not None
    assert many.integrations == ()


def test_descriptions_reveal_nothing_of_what_a_person_may_not_view():
    """Someone who may sync Stripe without viewing it can name it, and learns nothing of its state."""
    sight = Sight((PLAY, IOS), (PLAY, IOS, STRIPE), is_whole=False)
    assert meant("sync failing", sight=sight).integrations == (PLAY,)
    assert meant("sync all", sight=sight).integrations == (PLAY, IOS)
    assert meant("sync stripe, google play", sight=sight).integrations == (STRIPE, PLAY)
    assert meant("sync failing stripe, google play", sight=sight).integrations == (PLAY,)


@hostile
@given(
    st.sampled_from(ATTACKS)
    | st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            ["failing", "stripe", "and", ",", "all", "except", "but", "appsflyer", "play", "the", "sync", "&"]
        ),
        max_size=30,
    ).map(" ".join)
)
def test_any_text_can_be_read(text):
    """Nothing raises, nothing is meant twice, and only what's known is meant."""
    many = read_many(text[:1000], all_of(KNOWN, NAMES), NOW)
    if many:
        assert len(set(many.integrations)) == len(many.integrations)
        assert set(many.integrations) <= ALL
