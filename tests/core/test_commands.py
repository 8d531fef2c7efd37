"""What people type and click, and which integrations they mean."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.blocks.limits import ACTION_ID, BUTTON_VALUE
from bot.core.commands.catalog import (
    COMMANDS,
    AuditCommand,
    Command,
    HelpCommand,
    HistoryCommand,
    IncidentsCommand,
    ShowCommand,
    StatusCommand,
    SyncCommand,
    TestCommand,
)
from bot.core.commands.filters import filter_integrations
from bot.core.commands.presses import (
    ACTION_PATTERN,
    ID_CHARS,
    MAX_PAGE,
    PRESS_CHARS,
    Action,
    Press,
    UnreadablePress,
    fits_in_a_button,
    parse_press,
    picker_id,
    press_value,
)
from bot.core.commands.targets import All, Ambiguous, NotFound, OfType, One, resolve_target
from bot.core.commands.text import parse_command, parse_mention
from bot.core.models import Integration
from bot.core.sight import all_of

NOW = datetime(2024, 3, 15, 14, 0, tzinfo=UTC)
FRESH = NOW - timedelta(hours=1)
OLD = NOW - timedelta(days=30)

STRIPE = Integration("int_4j7stripe", "stripe", "error", FRESH, "Webhook signature verification failed")
IOS = Integration("int_4j7appsios1", "appsflyer", "syncing", FRESH)
ANDROID = Integration("int_4j7appsand1", "appsflyer", "connected", OLD)
APPLE = Integration("int_4j7apple", "app_store_connect", "connected", FRESH)
WAREHOUSE = Integration("int_4j7wh", "warehouse", "disconnected", FRESH)
ALL = (STRIPE, IOS, ANDROID, APPLE, WAREHOUSE)

# --- commands --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("", StatusCommand()),
        ("   ", StatusCommand()),
        ("status", StatusCommand()),
        ("  STATUS   Failing ", StatusCommand("Failing")),
        ("list stale", StatusCommand("stale")),
        ("failing", StatusCommand("failing")),
        ("Disconnected", StatusCommand("Disconnected")),
        ("stripe", StatusCommand("stripe")),
        ("app store connect", StatusCommand("app store connect")),
        ("show stripe", ShowCommand("stripe")),
        ("details `int_4j7stripe`", ShowCommand("int_4j7stripe")),
        ("show “App Store Connect”", ShowCommand("App Store Connect")),
        ("show \u2018stripe\u2019", ShowCommand("stripe")),
        ("sync …ios1", SyncCommand("ios1")),
        ("sync <stripe>", SyncCommand("stripe")),
        ("Resync stripe.", SyncCommand("stripe")),
        ("run stripe", SyncCommand("stripe")),
        ("refresh stripe", SyncCommand("stripe")),
        ("help", HelpCommand()),
        ("Help!", HelpCommand()),
        ("?", HelpCommand()),
        ("show", HelpCommand(needs_target="show")),
        ("resync ''", HelpCommand(needs_target="sync")),
        ("staus", HelpCommand("staus", ("status", "subscriptions"))),
        ("synk stripe", HelpCommand("synk stripe", ("sync",))),
        ("shwo stripe", HelpCommand("shwo stripe", ("show",))),
        ("detials stripe", HelpCommand("detials stripe", ("show",))),
        ("xyzzy", HelpCommand("xyzzy")),
    ],
)
def test_a_text_means_a_command(text, command):
    assert parse_command(text) == command


@given(st.text())
def test_any_text_is_a_command(text):
    """What isn't recognized becomes help."""
    assert isinstance(parse_command(text), Command)


@given(st.text(), st.text(max_size=5))
def test_any_mention_is_a_command(text, bot_user_id):
    command = parse_mention(f"<@{bot_user_id}>{text}", bot_user_id)
    assert isinstance(command, StatusCommand | ShowCommand | SyncCommand | HelpCommand)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("<@UBOT>", StatusCommand()),
        ("<@UBOT> sync stripe", SyncCommand("stripe")),
        ("<@UBOT|flokit>: status failing", StatusCommand("failing")),
        ("sync stripe <@UBOT>", SyncCommand("stripe")),
        ("show a &amp;lt; b", ShowCommand("a &lt; b")),
        ("status R&amp;D", StatusCommand("R&D")),
        ("<@UOTHER> status", HelpCommand("<@UOTHER> status", ("status",))),
    ],
)
def test_a_mention_means_a_command(text, command):
    """It's parsed like a command, without the bot's name and Slack's escapes."""
    assert parse_mention(text, "UBOT") == command


def test_every_documented_example_is_understood():
    """No example in the help is answered with help, except help's own."""
    for doc in COMMANDS:
        for example in doc.examples:
            assert isinstance(parse_command(example), HelpCommand) is (doc.name == "help")


def test_a_long_text_is_not_repeated_whole():
    command = parse_command("x" * 1000)
    assert isinstance(command, HelpCommand)
    assert len(command.not_understood) == 100


# --- presses ---------------------------------------------------------------------------------------------------

usable_ids = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=ID_CHARS)
presses = st.builds(
    Press,
    st.sampled_from(Action),
    usable_ids,
    usable_ids,
    usable_ids,
    st.integers(0, 10_000),
    usable_ids,
    usable_ids,
    usable_ids,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("viprnsce") | st.text(), inner),
    max_leaves=8,
)


@given(presses)
def test_a_press_comes_back_from_its_button(press):
    """What a button carries is parsed as the same press."""
    assert parse_press(press.action.value, press_value(press)) == press


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("incidents", ""),
        ("Incidents", ""),
        ("incident", ""),
        ("`incidents`", ""),
        ("/flokit incidents please", ""),
        ("open incidents", ""),
        ("all open incidents", ""),
        ("show incidents", ""),
        ("show me the open incidents", ""),
        ("list incidents", ""),
        ("list all open incidents", ""),
        ("what incidents are there?", ""),
        ("which incidents are open right now", ""),
        ("incidents open", ""),
        ("outages", ""),
        ("current problems", ""),
        ("who is on it", ""),
        ("who is on it?", ""),
        ("Who's on it?", ""),
        ("who is working on it", ""),
        ("who's on stripe", "stripe"),
        ("who is taking care of google play?", "google play"),
        ("incidents stripe", "stripe"),
        ("incidents for stripe", "stripe"),
        ("incidents of App Store Connect", "App Store Connect"),
        ("show incidents of stripe", "stripe"),
    ],
)
def test_open_incidents_are_asked_for_in_many_ways(text, query):
    assert parse_command(text, command="/flokit", bot_user_id="UFLOKIT") == IncidentsCommand(query)
    assert parse_mention(f"<@UFLOKIT> {text}", "UFLOKIT", command="/flokit") == IncidentsCommand(query)


def test_a_pick_from_a_list_of_people_is_a_press():
    """Slack sends only the person, so the press is in the ``action_id``."""
    press = Press(Action.HAND_OVER, panel_id="pnl_1", incident_id="inc_1", page=3)
    assert parse_press(picker_id(press), None, person_id="U0BEN") == replace(press, person_id="U0BEN")
    assert len(picker_id(press)) < ACTION_ID


@pytest.mark.parametrize("person", ["", "ben", "<!channel>", "U0BEN|x", "U" * 300])
def test_what_is_no_person_cannot_be_picked(person):
    press = Press(Action.HAND_OVER, panel_id="pnl_1", incident_id="inc_1")
    assert isinstance(parse_press(picker_id(press), None, person_id=person), UnreadablePress)


@given(presses)
def test_a_press_fits_into_a_button(press):
    """The value is well within Slack's limit."""
    assert len(press_value(press)) <= PRESS_CHARS < BUTTON_VALUE


def test_a_value_has_only_ids_and_a_version():
    """As small JSON, without empty IDs."""
    value = press_value(Press(Action.RESYNC, integration_id="int_1", panel_id="p1"))
    assert json.loads(value) == {"v": 1, "i": "int_1", "p": "p1"}


@pytest.mark.parametrize("action", Action)
def test_an_action_id_may_carry_a_suffix(action):
    """It keeps two of the same action apart in a block, and changes nothing."""
    press = Press(action, "int_1", "panel", "run", subscription_id="sub", choice="1h", incident_id="inc")
    assert parse_press(f"{action.value}:1", press_value(press)) == press


@given(st.none() | st.binary() | st.text() | st.sampled_from([*Action]), st.none() | st.binary() | st.text())
def test_any_object_as_a_press_gets_an_answer(action_id, value):
    """Any action_id and value are parsed as a press or an error message."""
    assert isinstance(parse_press(action_id, value), Press | UnreadablePress)


@given(st.sampled_from(Action), json_values)
def test_any_json_as_a_press_gets_an_answer(action, value):
    """Any JSON value is parsed as a press or an error message."""
    assert isinstance(parse_press(action.value, json.dumps(value)), Press | UnreadablePress)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b'{"v":1,"i":"int_1"}',
        "",
        "int_1",
        "[" * 900,
        "[]",
        '{"i":"int_1"}',
        '{"v":2,"i":"int_1"}',
        '{"v":true,"i":"int_1"}',
        '{"v":1}',
        '{"v":1,"i":""}',
        '{"v":1,"i":7}',
        '{"v":1,"i":"int_1","n":-1}',
        '{"v":1,"i":"int_1","n":"2"}',
        '{"v":1,"i":"a\\u0000b"}',
        '{"v":1,"i":"\\ud800"}',
        json.dumps({"v": 1, "i": "x" * 101}),
        json.dumps({"v": 1, "i": "int_1", "more": "x" * 2000}),
    ],
)
def test_a_broken_or_older_value_gets_a_sentence(value):
    """The sentence says what to do."""
    answer = parse_press(Action.RESYNC.value, value, command="/fk")
    assert answer == UnreadablePress(
        "This button is from a different version of the bot. Run /fk status for a new message."
    )


def test_an_action_of_a_newer_version_gets_a_sentence():
    """It's unknown to this version."""
    assert ACTION_PATTERN.search("flokit_rollback")
    assert isinstance(parse_press("flokit_rollback", '{"v":1,"i":"int_1"}'), UnreadablePress)


def test_the_pattern_matches_all_actions_and_no_others():
    """A listener registers it."""
    assert all(ACTION_PATTERN.search(action.value) for action in Action)
    assert not ACTION_PATTERN.search("other_flokit_resync")


@pytest.mark.parametrize(
    "press",
    [
        Press(Action.RESYNC),
        Press(Action.REFRESH, integration_id="int_1"),
        Press(Action.RESYNC, integration_id="x" * 101),
        Press(Action.RESYNC, integration_id="int\n1"),
        Press(Action.RESYNC, integration_id="int_1", panel_id="é"),
    ],
)
def test_no_button_is_made_from_an_unusable_press(press):
    """A press without its ID, or with one that no button can carry, is a programming error."""
    with pytest.raises(ValueError, match="no button"):
        press_value(press)


@given(st.text())
def test_a_usable_id_can_always_be_sent(text):
    """It's short and plain ASCII."""
    assert not fits_in_a_button(text) or (len(text.encode("ascii")) <= ID_CHARS and "\n" not in text)


# --- which integration -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "integration"),
    [
        ("int_4j7stripe", STRIPE),
        ("INT_4J7STRIPE", STRIPE),
        ("`int_4j7stripe`", STRIPE),
        ("stripe", STRIPE),
        ("Stripe", STRIPE),
        ("App Store Connect", APPLE),
        ("app-store-connect", APPLE),
        ("appstoreconnect", APPLE),
        ("ios1", IOS),
        ("…ios1", IOS),
        ("7wh", WAREHOUSE),
    ],
)
def test_a_target_is_found(target, integration):
    """By ID, by type or its name, and by the unique end of an ID."""
    assert all_of(ALL).find(target) == One(integration)


def test_a_type_of_two_integrations_is_ambiguous():
    assert resolve_target("AppsFlyer", ALL) == OfType("appsflyer", (IOS, ANDROID))
    assert all_of(ALL).find("AppsFlyer") == Ambiguous((IOS, ANDROID))


def test_an_end_of_two_ids_is_ambiguous():
    other = Integration("int_9x8ios1", "adjust")
    assert resolve_target("ios1", (*ALL, other)) == Ambiguous((IOS, other))


def test_an_exact_id_wins():
    """Over a type and over the ends of other IDs."""
    exact = Integration("stripe", "warehouse")
    assert resolve_target("stripe", (STRIPE, exact)) == One(exact)


@pytest.mark.parametrize("target", ["h", "wh", "", "…", "nothing like it"])
def test_what_is_too_short_or_unknown_is_not_found(target):
    """Fewer than three characters don't match the end of an ID."""
    assert isinstance(resolve_target(target, ALL), NotFound)


def test_a_documented_type_is_known_without_integrations():
    """There's nothing to act on."""
    assert resolve_target("RevenueCat", ALL) == OfType("revenuecat", ())
    assert all_of(ALL).find("RevenueCat") == NotFound("RevenueCat", ())


def test_all_means_all_integrations():
    assert resolve_target("All", ALL) == All()


def test_a_misspelled_type_has_closest_matches():
    assert resolve_target("strpe", ALL) == NotFound("strpe", (STRIPE,))


@given(st.text(), st.lists(st.builds(Integration, st.text(), st.text(), st.text()), max_size=5))
def test_any_target_gets_an_answer(target, integrations):
    """It's one of three."""
    answer = all_of(tuple(integrations)).find(target)
    assert isinstance(answer, One | Ambiguous | NotFound)
    assert not isinstance(answer, Ambiguous) or len(answer.matches) > 1


# --- which integrations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("", ALL),
        ("failing", (STRIPE, WAREHOUSE)),
        ("FAILING", (STRIPE, WAREHOUSE)),
        ("error", (STRIPE,)),
        ("syncing", (IOS,)),
        ("connected", (ANDROID, APPLE)),
        ("disconnected", (WAREHOUSE,)),
        ("stale", (ANDROID,)),
        ("appsflyer", (IOS, ANDROID)),
        ("App Store", (APPLE,)),
        ("int_4j7wh", (WAREHOUSE,)),
        ("signature webhook", (STRIPE,)),
        ("stale appsflyer", (ANDROID,)),
        ("failing appsflyer", ()),
        ("nothing like it", ()),
    ],
)
def test_a_filter_matches_states_types_ids_and_text(query, matches):
    """All words of the text must occur."""
    assert filter_integrations(query, ALL, NOW) == matches


def test_a_type_does_not_match_what_only_mentions_it():
    """An integration whose error mentions the type isn't matched."""
    other = Integration("int_1", "warehouse", "error", FRESH, "copy of stripe failed")
    assert filter_integrations("stripe", (other, STRIPE), NOW) == (STRIPE,)


@given(st.text())
def test_any_text_is_a_filter(query):
    """What it matches stays in the given order."""
    matches = filter_integrations(query, ALL, NOW)
    assert matches == tuple(one for one in ALL if one in matches)


@pytest.mark.parametrize(
    "text",
    [
        *("test", "TEST", "sample", "demo", "test please", "test it", "test incident", "sample incident"),
        *("test this channel", "test notifications", "test the alerts here", "simulate a failure"),
        *("send a test", "send a test incident", "post a sample alert", "make a sample incident"),
        *("show me a sample incident", "show a test message", "show what a sample looks like", "/flokit test"),
    ],
)
def test_a_sample_incident_is_asked_for_in_many_ways(text):
    assert parse_command(text) == TestCommand()


def test_a_test_of_an_integration_is_no_sample():
    """FloKit can't test one without syncing it."""
    assert isinstance(parse_command("test stripe"), HelpCommand)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("history", HistoryCommand()),
        ("history stripe", HistoryCommand("stripe")),
        ("audit", AuditCommand()),
        ("audit <@U123ABCD|ana> 7d", AuditCommand("<@U123ABCD|ana> 7d")),
        ("help sync", HelpCommand(topic="sync")),
        ("help resync", HelpCommand(topic="sync")),
        ("help me", HelpCommand()),
    ],
)
def test_history_audit_and_help_take_a_word_or_two(text, command):
    assert parse_command(text) == command


def test_a_made_up_page_number_fits_in_the_database():
    press = parse_press("flokit_next_page", json.dumps({"v": 1, "p": "pnl_1", "n": 10**30}))
    assert press == Press(Action.NEXT_PAGE, panel_id="pnl_1", page=MAX_PAGE)
