"""What every App Home has, whatever it shows."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.blocks.elements import Block, button, header, section
from bot.core.commands.presses import Action, Press


def home_tab(blocks: Iterable[Block], *, edits_policy: bool) -> dict[str, object]:
    """Return an App Home: https://docs.slack.dev/reference/views/home-tab-views.

    ``edits_policy``: whether the person may change the workspace's policy, so that there's a button for that.
    """
    return {"type": "home", "blocks": [*blocks, *(_policy() if edits_policy else ())]}


def _policy() -> list[Block]:
    edit = button("Edit policy", Press(Action.EDIT_POLICY, choice="policy"))
    return [header("Policy"), section("Who can look, sync, subscribe and administer in this workspace.", edit)]
