"""Names that people give to integrations: what can be one, how it's typed, and what it then means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.blocks.names import name_of, short_name
from bot.core.blocks.panels import panel_message
from bot.core.blocks.samples import samples
from bot.core.blocks.text import escape
from bot.core.commands.catalog import ForgetCommand, HelpCommand, NameCommand, SyncCommand
from bot.core.commands.filters import filter_integrations
from bot.core.commands.many import read_many
from bot.core.commands.naming import name_conflict, parse_forgetting, parse_naming
from bot.core.commands.targets import Ambiguous, NotFound, OfType, One, resolve_target
from bot.core.commands.text import parse_command, parse_mention
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.models import Integration
from bot.core.nicknames import (
    LINK_CHARS,
    NO_NICKNAMES,
    Edit,
    Nickname,
    describe_change,
    link_problem,
    name_problem,
    nicknames_of,
    owner_problem,
    tidy_name,
)
from bot.core.panels import Panel, PanelKind
from bot.core.sight import Sight, all_of
from bot.core.subscriptions.text import describe_target
from tests.core.hostile import assert_slack_takes

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
ANDROID = Integration("int_01hx8appsflyerandroid", "appsflyer")
IOS = Integration("int_01hx8appsflyerios", "appsflyer")
STRIPE = Integration("int_01hx4j7stripe", "stripe", "error")
PLAY = Integration("int_01hx9googleplay", "google_play")
ALL = (ANDROID, IOS, STRIPE, PLAY)
CALLED = nicknames_of([Nickname(ANDROID.id, "AppsFlyer Android"), Nickname(PLAY.id, "Pay to Win")])


def understood(text, known=CALLED):
    """Return what a typed sentence would name, as the handler does: which integration, and how it's called next."""
    command = parse_command(text)
    assert isinstance(command, NameCommand), command
    sight = Sight(ALL, ALL, is_whole=True, nicknames=known)
    for split in parse_naming(command.words).splits:
        found = sight.find(split.target)
        if isinstance(found, One):
            return found.integration.id, split.name and tidy_name(split.name)
    raise AssertionError(parse_naming(command.words))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name 8appsflyerandroid "AppsFlyer Android"', (ANDROID, "AppsFlyer Android")),
        ("name 8appsflyerandroid “AppsFlyer Android”", (ANDROID, "AppsFlyer Android")),
        ("name 8appsflyerandroid 'AppsFlyer Android'", (ANDROID, "AppsFlyer Android")),
        ("name 8appsflyerandroid \u2018AppsFlyer Android\u2019.", (ANDROID, "AppsFlyer Android")),
        ("name 8appsflyerandroid AppsFlyer Android", (ANDROID, "AppsFlyer Android")),
        ("name 8appsflyerandroid as AppsFlyer Android please", (ANDROID, "AppsFlyer Android")),
        ("Name stripe as Money", (STRIPE, "Money")),
        ("/flokit name Stripe Money!", (STRIPE, "Money")),
        ("call stripe Money", (STRIPE, "Money")),
        ("nickname stripe = Money", (STRIPE, "Money")),
        ("rename AppsFlyer Android to AppsFlyer Pixel", (ANDROID, "AppsFlyer Pixel")),
        ('rename "appsflyer android" "AppsFlyer Pixel"', (ANDROID, "AppsFlyer Pixel")),
        ("rename appsflyer-android AppsFlyer Pixel", (ANDROID, "AppsFlyer Pixel")),
        ("rename the integration stripe to Money", (STRIPE, "Money")),
        ("rename Pay to Win to Pay to Play", (PLAY, "Pay to Play")),
        ("name google play Play Store", (PLAY, "Play Store")),
        ("name the name of stripe to Money", (STRIPE, "Money")),
        ("set the name of stripe to Money", (STRIPE, "Money")),
        ("change the nickname of STRIPE to Money.", (STRIPE, "Money")),
        ("please name *stripe* Ana's shop", (STRIPE, "Ana's shop")),
        ("name stripe: Money", (STRIPE, "Money")),
        ("name appsflyer android", (ANDROID, None)),
        ("name stripe", (STRIPE, None)),
    ],
)
def test_what_people_type_to_name_one_is_understood(text, expected):
    integration, name = expected
    assert understood(text) == (integration.id, name)


@pytest.mark.parametrize(
    "text",
    [
        "sync AppsFlyer Android",
        "sync appsflyer android",
        "sync APPSFLYER-ANDROID!",
        "sync “AppsFlyer Android”",
        "resync the AppsFlyer Android integration please",
        "sync appsflyerandroid",
        "sync 'AppsFlyer Android'.",
        "sync *AppsFlyer Android*",
        "sync AppsFlyer Android now",
    ],
)
def test_a_name_can_be_typed_in_any_way(text):
    command = parse_command(text)
    assert isinstance(command, SyncCommand)
    assert all_of(ALL, CALLED).find(command.target) == One(ANDROID)


@pytest.mark.parametrize(
    "text",
    [
        "forget AppsFlyer Android",
        "forget the name of AppsFlyer Android",
        "forget AppsFlyer Android's name",
        "forget “appsflyer android”.",
        "unname AppsFlyer Android",
        "remove the name of AppsFlyer Android",
        "Forget the nickname for 8appsflyerandroid, thanks",
        "please delete the name of appsflyer-android",
    ],
)
def test_what_people_type_to_forget_a_name_is_understood(text):
    command = parse_command(text)
    assert isinstance(command, ForgetCommand), command
    assert all_of(ALL, CALLED).find(parse_forgetting(command.words)) == One(ANDROID)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("stripe Money owner <@U0ANA123|ana>", Edit(owner="U0ANA123")),
        ("stripe Money, owner U0ANA1234 and link https://wiki.example.com/a?b=1", Edit(None, "U0ANA1234", "https://wiki.example.com/a?b=1")),
        ("stripe owned by <!subteam^S0615G0KT|@data>", Edit(owner="S0615G0KT")),
        ("stripe Money owner none runbook none", Edit(None, "", "")),
        ("stripe runbook http://wiki/a", Edit(link="http://wiki/a")),
        ('stripe "Owner of link"', Edit()),
        ("stripe Link", Edit()),
    ],
)  # fmt: skip
def test_an_owner_and_a_link_can_follow(text, edit):
    naming = parse_naming(text)
    assert (naming.edit, naming.problem) == (edit, "")
    assert "stripe" in [split.target for split in naming.splits]


def test_an_owner_that_nobody_can_tell_is_a_problem():
    """Slack sends a typed @name as it is: it could be anyone."""
    assert "ID" in parse_naming("stripe owner @ana").problem


def test_naming_nothing_asks_which():
    assert parse_command("name") == HelpCommand(needs_target="name")
    assert parse_mention("<@U1> forget", "U1") == HelpCommand(needs_target="forget")


@given(st.text(max_size=200))
def test_any_words_are_understood_somehow(words):
    """Every way to understand them has a target, and nothing is raised."""
    assert all(split.target or split.name for split in parse_naming(words).splits)
    parse_forgetting(words)


# --- what can be a name -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["AppsFlyer Android", "Ana's shop, EU", "Größe (v2.1)", "売上", "A", "X" * 40, "A & B/C + D-E"]
)
def test_these_can_be_names(name):
    assert name_problem(tidy_name(name)) == ""
    assert name_conflict(tidy_name(name), STRIPE, ALL, NO_NICKNAMES) == ""


@pytest.mark.parametrize(
    "name",
    [
        "X" * 41, "12 34", "<!channel>", "<@U0ANA>", "@here", "*bold*", "`code`", "~gone~", "_quiet_", "a|b", "a<b",
        "<https://evil.example|Stripe>", "https://evil.example", "Stripe 🔥", "a;b", "{a}", '"a"', "#general", "\\",
    ],
)  # fmt: skip
def test_these_can_not_be_names(name):
    assert name_problem(tidy_name(name)).endswith(".")


def test_control_characters_never_get_into_a_name():
    """Nor do invisible ones, or those that change the direction of what follows."""
    assert tidy_name("App\u202esFl\x00yer\u200b\n Android\u2069") == "AppsFlyer Android"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("appsflyer ANDROID", "called “"),
        ("Stripe", "type"),
        ("google-play", "type"),
        ("RevenueCat", "type"),
        ("the Stripe", "type"),
        ("failing", "meaning"),
        ("All", "meaning"),
        ("digest", "meaning"),
        ("me", "meaning"),
        ("please", "meaning"),
        ("int_01hx4j7stripe", "ID of another"),
        ("j7stripe", "ID of another"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name, reason):
    assert reason in name_conflict(name, IOS, ALL, CALLED)


def test_an_integration_can_keep_its_own_name_in_another_spelling():
    assert name_conflict("APPSFLYER ANDROID", ANDROID, ALL, CALLED) == ""


@pytest.mark.parametrize(
    "link", ["https://wiki.example.com/a?b=c#d", "http://wiki:8080/x", f"https://a.example/{'x' * (LINK_CHARS - 18)}"]
)
def test_these_can_be_links(link):
    assert link_problem(link) == ""


@pytest.mark.parametrize(
    "link",
    [
        "wiki.example.com", "javascript:alert(1)", "ftp://a.example", "https://", "https:///x",
        "slack://x", "mailto:a@b.example",
        "https://ana:secret@a.example", "https://ana@a.example", "https://a.example/<!channel>", "https://a.example/|x",
        "https://a.example/ x", "https://a.example/\n", "https://a.example:99999999", "https://[a", "https://ä.example",
        "https://a.example/" + "x" * LINK_CHARS,
    ],
)  # fmt: skip
def test_these_can_not_be_links(link):
    assert link_problem(link).endswith(".")


@pytest.mark.parametrize(
    ("owner", "is_fine"),
    [
        ("U0ANA", True),
        ("W0ANA", True),
        ("S0615G0KT", True),
        ("", True),
        ("C0DATA", False),
        ("here", False),
        ("@ana", False),
        ("U1>", False),
    ],
)
def test_an_owner_is_a_person_or_a_user_group(owner, is_fine):
    assert (owner_problem(owner) == "") == is_fine


# --- what a name means ------------------------------------------------------------------------------------------


def test_an_id_comes_before_a_name():
    """A name can't lead away from an integration whose ID it is, even if FloKit added that later."""
    tricky = nicknames_of([Nickname(STRIPE.id, ANDROID.id)])
    assert resolve_target(ANDROID.id, ALL, tricky) == One(ANDROID)


def test_a_name_that_became_a_type_is_asked_about():
    """FloKit may add a type, and an integration of it, after someone took its name."""
    new = Integration("int_new", "money")
    money = nicknames_of([Nickname(STRIPE.id, "Money")])
    assert resolve_target("money", (*ALL, new), money) == Ambiguous((STRIPE, new))
    assert resolve_target("money", ALL, money) == One(STRIPE)


def test_a_type_still_means_all_of_it():
    assert resolve_target("appsflyer", ALL, CALLED) == OfType("appsflyer", (ANDROID, IOS))


def test_a_forgotten_name_means_nothing():
    assert isinstance(resolve_target("Pay to Win", ALL), NotFound)


def test_several_can_be_named_at_once():
    """Even if a name contains what separates names."""
    called = nicknames_of([Nickname(ANDROID.id, "Search and Social, EU"), Nickname(PLAY.id, "Play & Pay")])
    sight = all_of(ALL, called)
    assert read_many("play & pay, search and social eu and stripe", sight, NOW).integrations == (PLAY, ANDROID, STRIPE)
    assert read_many("all except Search and Social, EU", sight, NOW).integrations == (IOS, STRIPE, PLAY)
    hidden = Sight((STRIPE, IOS), (STRIPE, IOS), is_whole=False, nicknames=called)
    assert read_many("stripe, appsflyer, search and social eu", hidden, NOW).integrations == (STRIPE, IOS)
    assert ANDROID.id not in str(read_many("stripe, appsflyer, search and social eu", hidden, NOW))


def test_a_similar_name_is_suggested():
    assert resolve_target("AppsFlier Andriod", ALL, CALLED).nearest[0] == ANDROID


def test_the_name_of_what_someone_may_not_see_leads_nowhere():
    """Neither is it suggested."""
    sight = Sight((STRIPE,), (STRIPE,), is_whole=False, nicknames=CALLED)
    assert sight.find("AppsFlyer Android") == NotFound("AppsFlyer Android", ())
    assert describe_target(ANDROID.id, sight.seen, sight.seen_nicknames) == ANDROID.id


def test_the_name_of_what_is_gone_from_flokit_is_kept():
    """To those who may view everything."""
    sight = all_of((STRIPE,), CALLED)
    assert describe_target(ANDROID.id, sight.seen, sight.seen_nicknames) == f"AppsFlyer Android ({ANDROID.id})"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("AppsFlyer Android", (ANDROID,)),
        ("android", (ANDROID,)),
        ("win", (PLAY,)),
        ("appsflyer", (ANDROID, IOS)),
        ("failing win", ()),
        ("failing", (STRIPE,)),
    ],
)
def test_a_filter_finds_names(query, found):
    assert filter_integrations(query, ALL, NOW, CALLED) == found


# --- how it's shown ---------------------------------------------------------------------------------------------


def test_a_name_replaces_the_type_and_the_end_of_the_id():
    """It stays when a type gets a second integration, and the other one keeps the end of its ID."""
    assert name_of(ANDROID, ALL, CALLED).plain == "AppsFlyer Android"
    assert name_of(ANDROID, (ANDROID,), CALLED).plain == "AppsFlyer Android"
    assert name_of(IOS, ALL, CALLED).plain == "AppsFlyer …rios"
    assert short_name(PLAY.id, PLAY.type, CALLED).mrkdwn == "*Pay to Win*"


def test_a_name_like_a_type_is_told_apart():
    """FloKit added a type with the name of an integration."""
    new = Integration("int_new", "money")
    money = nicknames_of([Nickname(STRIPE.id, "Money")])
    assert name_of(STRIPE, (*ALL, new), money).plain == "Money …ripe"


def test_markup_in_a_stored_name_is_shown_as_text():
    """An earlier version, or a hand in the database, may have let it in."""
    evil = nicknames_of([Nickname(STRIPE.id, "<!channel> & co")])
    assert "<!channel>" not in short_name(STRIPE.id, "stripe", evil).mrkdwn + short_name(STRIPE.id, "stripe", evil).text


def test_a_change_is_described_for_the_audit_log():
    before = Nickname("int_1", "Stripe EU", "U0ANA", "https://a.example")
    assert describe_change(before, Nickname("int_1", "Money", "S0615G0KT", "")) == (
        "name “Money”, was “Stripe EU”; owner S0615G0KT, was U0ANA; link none, was https://a.example"
    )


SAYS_THE_TYPE = ("help_message", "subscribe_form", "name_form", "named_message", "welcome", "connect")
"""What names a type for a reason: as an example, as a choice, or for what an integration is called without a name."""


@pytest.mark.parametrize(("name", "sample"), [*samples(NOW).items()])
def test_every_message_says_the_names(name, sample):
    """Wherever a sample would say "Stripe" or "AppsFlyer", it says what people call them."""
    said = unquote(str(sample))
    if not name.startswith(SAYS_THE_TYPE):
        assert "Stripe" not in said.replace("Stripe payments", "")
        assert "AppsFlyer" not in said.replace("AppsFlyer Android", "")


@pytest.mark.parametrize("letter", ["x", "売", "&"])
@pytest.mark.parametrize("kind", [PanelKind.STATUS, PanelKind.CHOOSE_SYNC, PanelKind.DETAIL, PanelKind.INCIDENT])
def test_slack_takes_the_longest_names_and_links(letter, kind):
    """All of a message's integrations have them; the names aren't cut, because two could then look the same."""
    name, link = letter * 40, "https://wiki.example.com/" + "&" * (LINK_CHARS - 25)
    many = tuple(replace(STRIPE, id=f"int_{number:0>20}", error_message="<&" * 900) for number in range(60))
    shown = many if kind in (PanelKind.STATUS, PanelKind.CHOOSE_SYNC) else many[:1]
    called = nicknames_of(
        Nickname(one.id, f"{name[:-2]}{number:02}", "S0615G0KT", link) for number, one in enumerate(many)
    )
    incident = Incident("inc_1", "T1", many[0], NOW, Trouble.FAILING, many[0], NOW)
    panel = Panel("pnl_1", kind, shown, NOW, incident=incident, mention="here")
    message = panel_message(panel, {}, NOW, called)
    assert_slack_takes(message)
    assert escape(f"{name[:-2]}00") in str(message)
