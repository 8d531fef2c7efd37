"""What people, keyboards and Slack add around a command, and how long parsing it may take."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.access.audit_words import parse_audit
from bot.core.access.policy import Verb
from bot.core.commands.catalog import (
    AuditCommand,
    DoctorCommand,
    HelpCommand,
    HistoryCommand,
    ShowCommand,
    StatusCommand,
    SubscribeCommand,
    SubscriptionsCommand,
    SyncCommand,
    WhyCommand,
)
from bot.core.commands.filters import filter_integrations
from bot.core.commands.maintenance import parse_maintenance
from bot.core.commands.targets import One, resolve_target
from bot.core.commands.text import parse_command, parse_mention
from bot.core.models import Integration
from bot.core.sight import all_of
from bot.core.subscriptions.words import parse_subscribe, parse_unsubscribe
from bot.core.typed import TYPED_CHARS, clean, clean_lines, clip_typed, readings

NOW = datetime(2024, 3, 15, 14, 0, tzinfo=UTC)
STRIPE = Integration("int_4j7stripe", "stripe")

SHOW = ShowCommand("stripe")


@pytest.mark.parametrize(
    "text",
    [
        "*show stripe*",
        "_show stripe_",
        "~show stripe~",
        "`show stripe`",
        "```show stripe```",
        "```\nshow stripe\n```",
        "*_~show stripe~_*",
        "show *stripe*.",
        "*show* _stripe_",
        "&gt; show stripe",
        "&gt;&gt;&gt; *show stripe*",
        '"show stripe"',
        "“show stripe”",
        '*"show stripe"*',
        '"*show stripe*"',
        "«show stripe»",
        "\u2018show stripe\u2019",
        "• show stripe",
        "1. show stripe",
        "- show stripe",
        ":wave: show stripe",
        ":wave::skin-tone-2: show stripe :pray:",
        "👋🏽 show stripe",
        "🚀show stripe🚀",
        "/show stripe",
        "/ flokit show stripe",
        "just show stripe",
        "show\u200b str\u200dipe\ufeff",
        "\u2066show stripe\u2069",
        "sho\u00adw stripe\ufe0f",
        "show \U000e0041stripe",
        "show\u00a0stripe",
        "show\u3000stripe",
        "show\tstripe",
        "\uff53\uff48\uff4f\uff57 \uff53\uff54\uff52\uff49\uff50\uff45",
        "SHOW stripe",
        "/flokit show stripe",
        "/flokit /flokit show stripe",
        "flokit show stripe",
        "FloKit: show stripe",
        "@FloKit show stripe",
        "show stripe, please",
        "show stripe please!",
        "please show stripe",
        "show please stripe",
        "hey, can you show stripe? thanks!",
        "Could you please show stripe — thank you so much",
        "show <http://stripe|stripe>",
        "show &lt;stripe&gt;",
        "hello everyone,\nshow stripe\nthanks",
        "show\nstripe",
        "show stripe\nit has been failing since this morning",
    ],
)
def test_noise_around_a_command_is_removed(text):
    """Formatting, invisible characters, full-width letters, quotes, "please" and the bot's name."""
    assert parse_command(text) == SHOW
    assert parse_mention(f"<@UBOT> {text}", "UBOT") == SHOW


@pytest.mark.parametrize(
    "text",
    [
        "<@UBOT> show stripe",
        "<@UBOT|flokit> /flokit show stripe",
        "<@UBOT> <@UBOT> show stripe",
        "show stripe <@UBOT>",
        "*<@UBOT>* show stripe",
        "<@UBOT>\nshow stripe",
        "can somebody look at this? <@UBOT> show stripe",
        "Morning all\n<@UBOT>: show stripe, please",
        "show stripe",
    ],
)
def test_the_bot_may_be_addressed_anywhere(text):
    """Its mention may come twice, last, on its own line, or in the middle of a sentence."""
    assert parse_mention(text, "UBOT") == SHOW


@pytest.mark.parametrize(
    "name",
    [
        "int_01hx4j7stripe",
        "8appsflyerandroid",
        "app_store_connect",
        "_4j7stripe",
        "a*b",
        "a~b",
        "int_1_",
        "__init__x",
        "servicenow",
        "the_trade_desk",
        "stripe.com",
        "a/b",
        "a&b",
        "a<b",
        "Zoë",
    ],
)
def test_meaningful_characters_survive(name):
    """Marks inside words, single underscores at their ends, dots, and letters of any language."""
    assert parse_command(f"show {name}") == ShowCommand(name)
    assert clean(name) == name


def test_quoted_text_is_left_alone():
    """Punctuation within quotes is part of a name."""
    assert clean_lines('subscribe "*odd* _name_"') == ['subscribe "*odd* _name_"']


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("audit <@U123|ana>", "audit <@U123|ana>"),
        ("subscribe all mention <!subteam^S123|@oncall>", "subscribe all mention <!subteam^S123|@oncall>"),
        ("subscribe stripe in <#C0DATA|data>", "subscribe stripe in #data"),
        ("show <mailto:ana@example.com|ana@example.com>", "show ana@example.com"),
        ("show <https://example.com>", "show https://example.com"),
        ("audit since <!date^1710511200^{date}|2024-03-15>", "audit since 2024-03-15"),
        ("show &amp;lt;", "show &lt;"),
    ],
)
def test_slacks_markup_is_undone(text, cleaned):
    """Links and names that Slack made from typed words become these words; mentions of people and groups stay."""
    assert clean_lines(text) == [cleaned]


@pytest.mark.parametrize("text", ["thanks!", "👍", ":tada:", "please", "hi @FloKit"])
def test_courtesy_alone_is_answered_with_help(text):
    """It isn't a command, and no error either."""
    assert parse_command(text) in (HelpCommand(), HelpCommand(problem=""))


def test_two_commands_do_nothing():
    """The answer says so."""
    command = parse_command("sync stripe\nsync adjust")
    assert isinstance(command, HelpCommand)
    assert command.problem == (
        "I take one command at a time, but found two: “sync stripe” and “sync adjust”. Nothing was done."
    )


def test_a_subscription_may_take_several_lines():
    """All of them count, so that none of its limits is dropped."""
    assert parse_command("subscribe stripe\nfailing") == SubscribeCommand("stripe failing")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("show failing", StatusCommand("failing")),
        ("show all", StatusCommand()),
        ("show me the history of stripe", HistoryCommand("of stripe")),
        ("show audit", AuditCommand()),
        ("/flokit", StatusCommand()),
        ("flokit", StatusCommand()),
        ("what is the status?", StatusCommand()),
        ("how is stripe doing?", StatusCommand("stripe")),
        ("the stripe", StatusCommand("stripe")),
        ("status of all integrations", StatusCommand()),
        ("list failing integrations", StatusCommand("failing integrations")),
        ("status all", StatusCommand()),
        ("what's failing?", StatusCommand("failing")),
        ("failing stripe", StatusCommand("failing stripe")),
        ("why is stripe failing?", ShowCommand("stripe")),
        ("why sync stripe", WhyCommand(Verb.SYNC, "stripe")),
        ("doctor blocks!", DoctorCommand(blocks=True)),
        ("doctor stripe", HelpCommand("stripe", ("doctor",))),
        ("subscriptions here", SubscriptionsCommand()),
        ("subscriptions stripe", HelpCommand("stripe", ("subscriptions",))),
        ("help frobnicate", HelpCommand("frobnicate", ("help",))),
        ("could stripe sync", HelpCommand("could stripe sync", ("sync",))),
    ],
)
def test_other_words_for_a_command_are_understood(text, command):
    """An argument that a command doesn't know is named."""
    assert parse_command(text) == command


def test_a_button_typed_as_a_command_says_where_it_is():
    command = parse_command("snooze 2 hours")
    assert isinstance(command, HelpCommand)
    assert command.not_understood == "snooze 2 hours"
    assert "buttons" in command.problem


@pytest.mark.parametrize(
    "target",
    [
        "the stripe",
        "me stripe",
        "our stripe integration",
        "stripe now",
        "for stripe",
        "(stripe)",
        "[stripe]",
        "stripe's",
        "the sync of stripe",
        "stripe <@U123ABCD|ana>",
    ],
)
def test_words_around_a_name_do_not_hide_it(target):
    """Articles and the like are ignored if the name as typed isn't found."""
    assert all_of((STRIPE,)).find(target).integration == STRIPE
    assert filter_integrations(target, (STRIPE,), NOW) == (STRIPE,)


def test_a_name_with_an_article_is_found():
    """The typed name wins."""
    desk = Integration("int_1", "the_trade_desk")
    assert all_of((desk, Integration("int_2", "trade_desk"))).find("the trade desk") == One(desk)


def test_a_renamed_command_is_ignored_within_the_text():
    assert parse_command("/fk show stripe", command="/fk") == SHOW


@pytest.mark.parametrize("text", ["<@UBOT> show stripe", "<@UBOT|flokit>, show stripe", "show <@UBOT> stripe"])
def test_the_slash_command_may_mention_the_bot(text):
    """Slack completes the bot's name to a mention there, too."""
    assert parse_command(text, bot_user_id="UBOT") == SHOW
    assert parse_command("<@UBOT>", bot_user_id="UBOT") == StatusCommand()


# --- too long, and how long it takes -----------------------------------------------------------------------------


def test_a_text_that_is_too_long_does_nothing():
    """Beyond a thousand characters nothing is parsed, whatever the text begins with."""
    text = "sync stripe " + "x" * TYPED_CHARS
    for command in (parse_command(text), parse_mention(text, "UBOT"), parse_command(clip_typed(text))):
        assert command == HelpCommand(problem="That's too long: I read up to 1,000 characters. Nothing was done.")
    assert isinstance(parse_command("sync " + "x" * (TYPED_CHARS - 5)), SyncCommand)


REPEATED = (
    *("<@U1", "<@UBOT|", "<@UBOT", "<!subteam^S1", "<#C1|", "<http://a|", "<", ">", "<>", "@U12|", "!here|", "|"),
    *("&lt;", "&amp;", "&amp;lt;", "&", " ", "\n", "\t", "\u00a0", "\u200b", "\ufeff", "\ufdfa", "😀", "e\u0301"),
    *(
        '"',
        "'",
        "“",
        "[",
        "(",
        "{",
        "*",
        "_",
        "~",
        "`",
        "a_",
        "_a ",
        "*a ",
        "**a",
        "> ",
        "- ",
        "1. ",
        ":a:",
        ":",
        "::a",
    ),
    *(
        "1",
        "1:",
        "1d",
        "1 d ",
        "last ",
        "since ",
        "9am ",
        "zone ",
        "zone x ",
        "a/b ",
        "mon-",
        "mon,",
        "mention ",
        "not ",
    ),
    *(
        "please ",
        "thanks ",
        "hey ",
        "the ",
        "now ",
        "/flokit ",
        "flokit ",
        "stripe ",
        "failing ",
        "failng ",
        "no ",
        ",",
    ),
    *("why ", "show ", "sync stripe\n", "subscribe ", "audit ", "@ana ", "?", "a", "ab", "aaaaaaaaab ", "."),
)
BEFORE = ("", "status ", "subscribe ", "audit ", "why ")


def readers():
    """Return every parser of what people type, by name."""
    known = [Integration(f"int_{n:03}stripe", "stripe", "error", NOW, "it broke again " * 20) for n in range(200)]
    return {
        "command": parse_command,
        "mention": lambda text: parse_mention(text, "UBOT"),
        "clean": clean_lines,
        "readings": readings,
        "subscribe": parse_subscribe,
        "unsubscribe": parse_unsubscribe,
        "maintenance": lambda text: parse_maintenance(text, NOW),
        "audit": lambda text: parse_audit(text, NOW),
        "filter": lambda text: filter_integrations(clip_typed(text), known, NOW),
        "resolve": lambda text: resolve_target(clip_typed(text), known),
    }


@pytest.mark.parametrize("name", readers())
@pytest.mark.parametrize("length", [TYPED_CHARS, 40_000])
def test_parsing_takes_no_time(name, length):
    """No text takes long to parse, however it repeats itself: at the length limit, or beyond it.

    The processor's time is measured, not the clock's, so that a busy machine changes little.
    """
    read = readers()[name]
    slow = {}
    for unit in REPEATED:
        for before in BEFORE if length == TYPED_CHARS else ("",):
            text = (before + unit * length)[:length]
            began = time.process_time()
            read(text)
            took_s = time.process_time() - began
            if took_s > 1:
                slow[before + unit] = round(took_s, 2)
    assert not slow


@given(st.text())
def test_any_cleaned_text_consists_of_words(text):
    """Lines of words with single spaces between them."""
    for line in clean_lines(text, bot_user_id="UBOT"):
        assert line
        assert line == " ".join(line.split())
