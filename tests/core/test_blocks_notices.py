"""Short answers: help, no matches, no access, and the hint how to invite the bot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.core.blocks import (
    access_lost_message,
    flokit_away_message,
    help_message,
    not_found_message,
    nothing_matches_message,
    plain_message,
    with_invite_hint,
)
from bot.core.commands.catalog import COMMANDS, HelpCommand
from bot.core.models import Cause, Integration

NOW = datetime(2024, 3, 15, 14, 0, tzinfo=UTC)
STRIPE = Integration("int_4j7stripe", "stripe", "error", NOW)


def test_help_shows_every_command():
    """With an example and a summary, in groups; the help on one command also has its usage."""
    shown = str(help_message(HelpCommand(), command="/fk", of_many=True).blocks)
    for doc in COMMANDS:
        assert f"`/fk {doc.examples[0]}` — {doc.summary}" in shown.replace("\\'", "'")
        assert f"*{doc.group}*" in shown
        explained = str(help_message(HelpCommand(topic=doc.name), command="/fk").blocks)
        assert f"/fk {doc.usage}".replace("<", "&lt;").replace(">", "&gt;") in explained
        assert doc.summary in explained.replace("\\'", "'")
        assert all(f"`/fk {example}`" in explained for example in doc.examples)


def test_help_suggests_the_closest_command():
    """What wasn't recognized is shown as code."""
    text = help_message(HelpCommand("<staus>", ("status",))).text
    assert text.startswith(
        "I don't recognize `&lt;staus&gt;`. Did you mean `/flokit status`? Example: `/flokit status failing`."
    )


def test_help_guesses_nothing_without_a_suggestion():
    """It only says what it didn't recognize."""
    assert help_message(HelpCommand("xyzzy")).text.startswith("I don't recognize `xyzzy`. Commands:")


def test_help_says_what_is_missing():
    """A command without its integration is answered with how to name one."""
    assert "`/flokit sync stripe`" in help_message(HelpCommand(needs_target="sync")).text


def test_not_found_names_the_closest_matches():
    """And how to list all integrations."""
    text = not_found_message("strpe", (STRIPE,)).text
    assert text == (
        "FloKit has no integration `strpe`. Closest matches: Stripe `int_4j7stripe`. "
        "Run `/flokit status` to list all integrations."
    )


def test_a_filter_without_matches_lists_all_integrations():
    message = nothing_matches_message("syncing", (STRIPE,), NOW)
    assert message.text == "No integration matches `syncing`. There is 1 integration: 1 failing."
    lines: Any = message.blocks[1]
    assert lines["text"]["text"] == "❌ failing · Stripe `int_4j7stripe`"


def test_a_filter_without_matches_lists_at_most_ten():
    """Beyond that, only their number is shown."""
    message = nothing_matches_message("x", [Integration(f"int_{n:02}") for n in range(14)], NOW)
    lines: Any = message.blocks[1]
    assert lines["text"]["text"].endswith("and 4 more: `/flokit status`")


def test_a_plain_sentence_is_escaped():
    """It may contain untrusted text."""
    assert plain_message("Look: <!channel> & more").text == "Look: &lt;!channel&gt; &amp; more"


def test_an_unreachable_flokit_is_not_reported_as_a_failure():
    """The message has the reason."""
    message = flokit_away_message("no answer in 10 s")
    assert message.text.startswith("FloKit can't be reached right now")
    assert "fail" not in message.text
    assert "no answer in 10 s" in str(message.blocks)


@pytest.mark.parametrize("say", [flokit_away_message, access_lost_message])
def test_only_what_flokit_said_is_quoted(say):
    """The bot's own sentence is part of the text; only FloKit's words are a quote."""
    message = say("FloKit answered with HTTP 503.", "Down for maintenance")
    _, quote = message.blocks
    assert "HTTP 503" not in str(quote)
    assert "Down for maintenance" in str(quote)
    assert message.text.endswith("FloKit answered with HTTP 503.")


def test_lost_access_says_where_to_create_a_key():
    """And who sets it."""
    text = access_lost_message().text
    assert "FloKit → Settings → API Keys" in text
    assert "whoever connected FloKit" in text


def test_the_invite_hint_leaves_the_message_unchanged():
    """The hint comes after the message, and says how to invite the bot and where outcomes go."""
    message = replace(
        plain_message("Two of five need attention."), broadcast=True, cause=Cause("Ev1"), only_for_one=True
    )
    hinted = with_invite_hint(message, "UBOT", command="/fk")
    assert replace(hinted, text=message.text, blocks=hinted.blocks[:-1]) == message
    assert "`/invite` <@UBOT>, then `/fk status` again" in hinted.text
    assert "DM you the outcome" in str(hinted.blocks[-1])
