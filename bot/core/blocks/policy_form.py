"""The form behind ``/flokit policy``, and what is said about a workspace's policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.core.access.policy import Policy, explain
from bot.core.access.policy_form import (
    EXAMPLE,
    FORM,
    MOST_PARTS,
    PART_CHARS,
    PolicyVersion,
    part_id,
    split_policy,
    write_metadata,
)
from bot.core.blocks import limits
from bot.core.blocks.elements import Block, actions, context, plain, press_select, quoted, section, sentence
from bot.core.blocks.phrases import typed
from bot.core.blocks.text import clip, date, one_line, person_name, utc
from bot.core.commands.presses import Action, Press
from bot.core.models import Message

EXPLAINED_CHARS: Final = 2500

_WHO_ALWAYS: Final = (
    "Whatever the policy says, the person who installed me and this workspace's owners and admins can always change "
    "it here. So can anyone it allows to administer."
)


def policy_form(versions: Sequence[PolicyVersion], earlier: PolicyVersion | None = None) -> dict[str, object]:
    """Return the form.

    Args:
        versions: those that are kept, the newest first; the first one counts.
        earlier: the version to show instead, so that it can be saved again.
    """
    current = versions[0] if versions else None
    shown = earlier or current
    parts = split_policy(shown.text if shown else EXAMPLE.rstrip())
    return {
        "type": "modal",
        "callback_id": FORM.callback_id,
        "private_metadata": write_metadata(current.number if current else 0, earlier.number if earlier else 0),
        "title": plain(f"Policy, version {earlier.number}" if earlier else "Policy"),
        "submit": plain("Save again" if earlier else "Save"),
        "close": plain("Cancel"),
        "blocks": [
            section(_lead(current, earlier)),
            *(_input(number, part) for number, part in enumerate([*parts, ""][:MOST_PARTS])),
            context(f"If there's a mistake, I'll show its line and column below the field. {_WHO_ALWAYS}"),
            *([] if earlier else _earlier_versions(versions[1:])),
        ],
    }


def _lead(current: PolicyVersion | None, earlier: PolicyVersion | None) -> str:
    if earlier:
        now = f" instead of version {current.number}" if current else ""
        return f"This is {_version(earlier)}. Save it again to make it the policy{now}."
    if current:
        return f"This is {_version(current)}. If none of its rules matches, the built-in ones decide."
    return (
        "There's no policy yet, so the built-in rules decide: members can look, sync and subscribe; everyone else can "
        "only look. Here's an example, which changes nothing yet."
    )


def _version(version: PolicyVersion) -> str:
    return f"version {version.number}, saved by {person_name(version.saved_by)} {date(version.saved_at)}"


def _input(number: int, text: str) -> Block:
    """Return a field, counted from 0; the last one is empty, so that there's room for more."""
    label = f"Policy, part {number + 1}" if number else "Policy (YAML)"
    hint = f"Continues the field above, on a new line: Slack takes {PART_CHARS:,} characters in a field."
    return {
        "type": "input",
        "block_id": part_id(number),
        "label": plain(label),
        "optional": True,
        "element": {
            "type": "plain_text_input",
            "action_id": part_id(number),
            "multiline": True,
            "max_length": PART_CHARS,
            **({"initial_value": text} if text else {}),
        },
        **({"hint": plain(hint)} if number else {}),
    }


def _earlier_versions(versions: Sequence[PolicyVersion]) -> list[Block]:
    if not versions:
        return []
    choices = {_choice(one): Press(Action.EARLIER_VERSION, choice=str(one.number)) for one in versions}
    return actions(press_select("Go back to an earlier version", choices))


def _choice(version: PolicyVersion) -> str:
    """Return what a menu says: "Version 3, 2026-11-26 14:30 UTC, ana"."""
    who = f", {version.saved_by.name}" if version.saved_by.name else ""
    return clip(one_line(f"Version {version.number}, {utc(version.saved_at)}{who}"), limits.OPTION_TEXT)


def policy_saved_message(number: int, again: int, policy: Policy, *, command: str) -> Message:
    """Confirm a new version to the person who saved it, with what it means."""
    what = f"version {again} again, now as version {number}" if again else f"version {number}"
    text = (
        f"The policy is saved: {what}. It takes effect within a minute. "
        f"To change it or to go back, run {typed(command, 'policy')}."
    )
    return Message(text, (section(text), *_explained(policy)))


def settings_policy_message(policy: Policy | None) -> Message:
    """Say that the settings name the policy; ``policy`` is what it says, for those who may know."""
    text = (
        "This bot's policy is set by POLICY_FILE in its settings; without that, the built-in rules decide. Whoever "
        "runs the bot can change it."
    )
    return Message(text, (section(text), *(_explained(policy) if policy else [])))


def _explained(policy: Policy) -> list[Block]:
    lead = context("What it means, in the order I check the rules:")
    return [lead, *quoted("\n".join(explain(policy)), EXPLAINED_CHARS)]


def may_not_change_policy_message() -> Message:
    """Refuse to show or change the policy."""
    return sentence(
        "Only the person who installed me, workspace owners and admins, and anyone the policy allows to administer "
        "can change the policy. Nothing was changed."
    )
