"""The names, owners and links that people give to integrations: what changed, and what couldn't be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.core.advice import NAME_CHARS
from bot.core.blocks.elements import Block, context, plain, section, sentence
from bot.core.blocks.names import ID_SHOWN, name_of, short_name
from bot.core.blocks.phrases import typed
from bot.core.blocks.text import clip, code, counted, escape, listed, mention, person_name
from bot.core.forms.naming import FORM, GROUP, LINK, NAME, OWNER, action_id
from bot.core.models import Integration, Message, Person
from bot.core.nicknames import Nickname, Nicknames

TARGET_CHARS: Final = 60
CHOICES: Final = 8
GROUP_CHARS: Final = 30


def named_message(before: Nickname, after: Nickname, type_: str, person: Person, *, command: str) -> Message:
    """Say in the channel what an integration is called from now on, who owns it, and what its link is.

    Args:
        before: what people had added to it.
        after: what they add now.
        type_: its type, which it's called by without a name.
        person: who changed it.
        command: the slash command.
    """
    who, id_ = person_name(person), code(after.integration_id, ID_SHOWN)
    usual = short_name(after.integration_id, type_)
    old, new = f"*{escape(before.name)}*", f"*{escape(after.name)}*"
    if before.name == after.name:
        lead = f"✏️ {who} updated {new if after.name else usual.mrkdwn} {id_}."
    elif not after.name:
        lead = f"✏️ {who} removed the name {old}: it's {usual.mrkdwn} {id_} again."
    elif before.name:
        lead = f"✏️ {who} renamed {old} to {new} {id_}."
    else:
        lead = f"✏️ {who} named {usual.mrkdwn} {id_}: it's {new} from now on, for everyone here."
    changed = [text for part, text in _parts(after).items() if getattr(before, part) != getattr(after, part)]
    lead = " ".join((lead, *changed))
    if not after.name:
        return Message(lead.replace("*", ""), (section(lead),))
    hint = f"You can use the name in commands: {typed(command, f'sync {after.name}')}. It takes effect within a minute."
    return Message(lead.replace("*", ""), (section(lead), context(hint)))


def _parts(after: Nickname) -> dict[str, str]:
    return {
        "owner": f"Incidents mention its owner, {owner_called(after.owner)}."
        if after.owner
        else "It has no owner now.",
        "link": f"Its link: <{escape(after.link)}>." if after.link else "Its link is removed.",
    }


def owner_called(owner: str) -> str:
    """Name an owner; members of a group aren't notified."""
    return f"the group {code(owner, TARGET_CHARS)}" if owner.startswith("S") else mention(Person(owner))


def which_to_name_message(
    target: str,
    matches: Sequence[Integration],
    nicknames: Nicknames,
    *,
    example: str = 'name {} "…"',
    command: str,
) -> Message:
    """Ask which of several integrations is meant; ``example`` is a command about one, with a place for its ID."""
    lead = f"{code(target, TARGET_CHARS)} matches {counted(len(matches), 'integration')}. Which one?"
    called = [f"{name_of(one, matches, nicknames).text} {code(one.id, ID_SHOWN)}" for one in matches]
    by_id = typed(command, example.format(matches[0].id))
    return sentence(f"{lead} {listed(called, str, most=CHOICES)}.", f"Name it by its ID: {by_id}.")


def name_form(nickname: Nickname, usual: str, metadata: str) -> dict[str, object]:
    """Return the form in which an integration gets a name, an owner and a link.

    Args:
        nickname: what it has now.
        usual: what it's called without a name.
        metadata: its ``private_metadata``: see `OpenedFor.as_metadata`.
    """
    is_group = nickname.owner.startswith("S")
    person, group = ("", nickname.owner) if is_group else (nickname.owner, "")
    about = f"{escape(clip(usual, NAME_CHARS))} {code(nickname.integration_id, ID_SHOWN)}"
    return {
        "type": "modal",
        "callback_id": FORM.callback_id,
        "private_metadata": metadata,
        "title": plain("Name an integration"),
        "submit": plain("Save"),
        "close": plain("Cancel"),
        "blocks": [
            section(f"{about}: what you save here is for everyone in this workspace."),
            _input(
                NAME,
                "Name",
                {"type": "plain_text_input", "max_length": NAME_CHARS, **_initial("initial_value", nickname.name)},
                "Shown instead of the type, and understood in commands. Empty: no name.",
            ),
            _input(
                OWNER,
                "Owner",
                {"type": "users_select", "placeholder": plain("A person"), **_initial("initial_user", person)},
                "Incidents of this integration mention its owner.",
            ),
            _input(
                GROUP,
                "Or a user group",
                {"type": "plain_text_input", "max_length": GROUP_CHARS, **_initial("initial_value", group)},
                "The group's ID, such as S0615G0KT; copy it from the group's profile in Slack.",
            ),
            _input(
                LINK,
                "Link",
                {"type": "url_text_input", **_initial("initial_value", nickname.link)},
                "Such as a runbook. Shown among the things to check when it fails.",
            ),
        ],
    }


def _input(block_id: str, label: str, element: Block, hint: str) -> Block:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "hint": plain(hint),
        "optional": True,
        "element": {**element, "action_id": action_id(block_id)},
    }


def _initial(key: str, value: str) -> dict[str, object]:
    return {key: value} if value else {}
