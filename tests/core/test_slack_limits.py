"""The bot's limits and the local Slack's, each beside what Slack's own pages say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.core.blocks import limits as ours
from local_slack import limits as theirs

FACTS = json.loads((Path(__file__).parents[1] / "samples/slack/limits.json").read_text())

SELF_IMPOSED = {"BLOCKS_BUDGET_CHARS"}
"""What the bot allows itself, below a limit of Slack's."""


@pytest.mark.parametrize("table", [ours, theirs], ids=["bot", "local_slack"])
def test_each_table_holds_the_documented_limits(table):
    """A number that is wrong, missing or without a source in either table is found."""
    numbers = {name: value for name, value in vars(table).items() if name.isupper() and name not in SELF_IMPOSED}
    assert numbers == {name: fact["value"] for name, fact in FACTS.items()}


def test_each_limit_names_its_source():
    """A limit names the page that documents it, or says that none does."""
    assert all(fact["source"].startswith(("https://docs.slack.dev/", "undocumented: ")) for fact in FACTS.values())
