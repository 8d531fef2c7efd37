"""Every surface that is open to the outside, tried for a moment; ``make fuzz`` goes on for minutes.

``FUZZ_SECONDS`` is how long each surface is tried.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz import installing, strangers, surfaces

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
REPORT = os.environ.get("FUZZ_REPORT")
EXAMPLES = 40


def fuzz(name, strategy, act):
    """Try values until the time is over, or a few of them; record how many."""
    counted = 0

    def tried(value):
        nonlocal counted
        counted += 1
        act(value)

    ends_at = time.monotonic() + SECONDS
    while True:
        check = given(strategy)(tried)
        settings(
            max_examples=2000 if SECONDS else EXAMPLES,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )(check)()
        if time.monotonic() >= ends_at:
            break
    if REPORT:
        with Path(REPORT).open("a") as report:
            report.write(f"{name}: {counted} inputs\n")
    assert counted


@pytest.mark.timeout(SECONDS * 3 + 120)
@pytest.mark.parametrize(
    ("name", "strategy"),
    [("signed requests", surfaces.bodies), ("webhooks", surfaces.bodies.map(lambda drawn: drawn[0]))],
    ids=["signed", "webhooks"],
)
def test_the_bot_survives_any_input(name, strategy, tmp_path):
    """Whatever arrives with a valid signature, the bot answers it, continues, and logs no error."""
    with asyncio.Runner() as runner:
        context = surfaces.running_bot(tmp_path)
        bot = runner.run(context.__aenter__())
        act = bot.send_slack if name == "signed requests" else bot.send_webhook
        try:
            fuzz(name, strategy, lambda value: runner.run(act(value)))
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.mark.timeout(SECONDS * 3 + 120)
@pytest.mark.parametrize(
    ("name", "make", "strategy"),
    [
        ("unsigned requests", strangers.Siege, strangers.requests),
        ("invented presses and forms", strangers.Member, strangers.invented),
    ],
    ids=["strangers", "members"],
)
def test_no_one_gets_more_than_they_are_allowed_to(name, make, strategy, tmp_path):
    """A stranger costs almost nothing and causes nothing; a member who isn't allowed anything does and sees nothing."""
    with asyncio.Runner() as runner:
        context = strangers.besieged_bot(tmp_path, make)
        besieger = runner.run(context.__aenter__())
        try:
            fuzz(name, strategy, lambda value: runner.run(besieger.send(value)))
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.mark.timeout(SECONDS * 3 + 120)
@pytest.mark.parametrize("name", ["FloKit's replies", "Slack's replies"])
def test_any_reply_is_a_value_or_a_typed_error(name):
    """Whatever FloKit or Slack reply, the result is a value, or an error that says what helps."""
    with asyncio.Runner() as runner:
        context = surfaces.replying()
        replies = runner.run(context.__aenter__())
        act = replies.read_as_flokit if name.startswith("FloKit") else replies.read_as_slack
        try:
            fuzz(name, surfaces.replies, lambda value: runner.run(act(value)))
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.mark.timeout(SECONDS * 3 + 120)
def test_any_installation_ends_with_a_page():
    """Whatever the address contains and Slack replies, there's a page, and only a complete installation is saved."""
    with asyncio.Runner() as runner:
        context = installing.visiting()
        visitor = runner.run(context.__aenter__())
        try:
            fuzz("installations", installing.visits, lambda value: runner.run(visitor.visit(value)))
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.mark.timeout(SECONDS * 3 + 120)
@pytest.mark.parametrize(
    ("name", "strategy", "act"),
    [
        ("presses", surfaces.st.tuples(surfaces.actions, surfaces.press_values), surfaces.read_press),
        ("views", surfaces.st.tuples(surfaces.view_values | surfaces.trees, surfaces.texts), surfaces.read_view),
        ("typed words", surfaces.typed, surfaces.read_words),
        ("policy files", surfaces.policy_files, surfaces.read_policy),
    ],
    ids=["presses", "views", "words", "policies"],
)
def test_any_input_can_be_parsed(name, strategy, act):
    """Whatever a button, a form, a policy file or a text contains, parsing it raises no unexpected exception."""
    fuzz(name, strategy, act)
