"""The limits of the bot and of the local Slack, compared with what Slack's own pages say."""

from __future__ import annotations

import json
from pathlib import Path

from bot.core.blocks import limits as ours
from local_slack import limits as theirs

FACTS = json.loads((Path(__file__).parents[1] / "samples/slack/limits.json").read_text())

SELF_IMPOSED = {"BLOCKS_BUDGET_CHARS"}
"""What the bot allows itself, below a limit of Slack's."""


def numbers(table):
    """Return a module's limits by name."""
    return {name: value for name, value in vars(table).items() if name.isupper() and name not in SELF_IMPOSED}


def test_the_local_slack_enforces_the_documented_limits():
    """A number of the local Slack that's wrong, missing or without a source is found."""
    assert numbers(theirs) == {name: fact["value"] for name, fact in FACTS.items()}


def test_the_bot_keeps_the_documented_limits():
    """A number of the bot that's wrong or without a source is found."""
    assert numbers(ours).items() <= {name: fact["value"] for name, fact in FACTS.items()}.items()


def test_each_limit_names_its_source():
    """A limit names the page that documents it, or says that none does."""
    assert all(fact["source"].startswith(("https://docs.slack.dev/", "undocumented: ")) for fact in FACTS.values())
