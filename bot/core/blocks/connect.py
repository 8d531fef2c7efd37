"""Connecting a workspace to its FloKit: the form, the greeting, and what follows."""

from __future__ import annotations

from typing import Final

from bot.core.blocks.elements import Block, actions, button, context, header, plain, section, sentence
from bot.core.blocks.home_tab import home_tab
from bot.core.blocks.phrases import typed
from bot.core.blocks.text import code, counted, mention
from bot.core.commands.presses import Action, Press
from bot.core.forms.keys import FORM, KEY, KEY_CHARS, SYNC_KEY
from bot.core.models import Message, Person

WHERE: Final = "FloKit → Settings → API Keys"
HINT_CHARS: Final = 8


def connect_form() -> dict[str, object]:
    """Return the form. It has no ``private_metadata``, and is never sent back with what was typed."""
    return {
        "type": "modal",
        "callback_id": FORM.callback_id,
        "title": plain("Connect FloKit"),
        "submit": plain("Connect"),
        "close": plain("Cancel"),
        "blocks": [
            section(f"Paste an API key from your FloKit workspace. Your keys are in *{WHERE}*."),
            _key_input(KEY, "API key", "A read-write key can start syncs; a read-only key can't."),
            _key_input(SYNC_KEY, "Sync key", "Needed only if the key above is read-only.", optional=True),
            context("I check the key now and store it encrypted. Nobody can see it afterward, not even you."),
        ],
    }


def _key_input(block_id: str, label: str, hint: str, *, optional: bool = False) -> Block:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "hint": plain(hint),
        "optional": optional,
        "element": {"type": "plain_text_input", "action_id": block_id, "max_length": KEY_CHARS},
    }


def welcome_message(*, command: str) -> Message:
    """Greet the person who installed the app, and ask for the key."""
    lead = "Thanks for installing me! I show your team which FloKit data sources are failing, and resync them."
    todo = "One step is left: connect your FloKit workspace."
    return Message(
        f"{lead} {todo} Run {typed(command, 'connect')}.",
        (section(f"{lead}\n{todo}"), *actions(_connect_button())),
    )


def welcome_back_message(*, command: str) -> Message:
    """Greet whoever installed the app again in a workspace whose FloKit is still connected."""
    return sentence(
        f"Welcome back! FloKit is still connected. Run {typed(command, 'status')} to see your integrations."
    )


def not_connected_message(text: str, *, command: str) -> Message:
    """Say that there is no FloKit to ask, as ``text`` says, and how to connect one."""
    who = "The person who installed me and this workspace's owners and admins can connect it."
    return Message(
        f"{text} Run {typed(command, 'connect')}. {who}", (section(f"{text} {who}"), *actions(_connect_button()))
    )


def key_lost_message(http_status: str, hint: str, *, command: str) -> Message:
    """Tell whoever connected FloKit that the key doesn't work anymore.

    Args:
        http_status: FloKit's answer to it; "" if the key can't be decrypted.
        hint: the last characters of the key; "" if they aren't known.
        command: the slash command.
    """
    key = f"the API key that you connected{f' (it ends with {code(hint, HINT_CHARS)})' if hint else ''}"
    text = (
        f"FloKit rejected {key} with HTTP {code(http_status, HINT_CHARS)}. The key may have been replaced or deleted."
        if http_status
        else f"I can no longer decrypt {key}, because the server that I run on was changed."
    )
    todo = "Until someone connects a new one, nobody can see integrations or start syncs here."
    return Message(
        f"{text} {todo} Run {typed(command, 'connect')}.", (section(f"{text}\n{todo}"), *actions(_connect_button()))
    )


def connected_message(total: int, troubled: int, webhook_url: str, bot_user_id: str, *, command: str) -> Message:
    """Say what was found in FloKit, and what to do next."""
    if not total:
        found = "Connected. Your FloKit workspace has no integrations yet."
    else:
        needs = {0: "none need attention", 1: "1 needs attention"}.get(troubled, f"{troubled} need attention")
        found = f"Connected: {counted(total, 'integration')}, {needs}."
    steps = (
        f"1. Run {typed(command, 'status')} anywhere.",
        f"2. Invite me to your data team's channel: {code('/invite', 10)} {mention(Person(bot_user_id, 'me'))}.",
        f"3. Run {typed(command, 'subscribe all')} there, and I'll post when something fails.",
    )
    hook = (
        f"Optional: to hear about failures sooner, add this webhook URL in FloKit: {code(webhook_url, 400)}. "
        "Treat it like a password. Connecting again replaces it."
    )
    blocks = (section(found), section("\n".join(("Next steps:", *steps))), *([context(hook)] if webhook_url else []))
    return Message(f"{found} Next, run {typed(command, 'status')}.", blocks)


def connected_unseen_message(reason: str, *, command: str) -> Message:
    """Say that the key was saved even though FloKit has stopped responding."""
    return Message(f"Connected, but FloKit can't be reached right now: {reason} Run {typed(command, 'status')} later.")


def disconnect_message(hint: str) -> Message:
    """Ask before FloKit is disconnected."""
    key = f" (the key that ends with {code(hint, HINT_CHARS)})" if hint else ""
    text = (
        f"Disconnect FloKit{key}? I'll erase the key. Until someone connects again, nobody can see integrations or "
        "start syncs here, and I can't confirm syncs that are still running. Subscriptions and history stay."
    )
    press = button("Disconnect", Press(Action.DISCONNECT, choice="flokit"))
    return Message(text, (section(text), *actions({**press, "style": "danger"})))


def settings_connect_message() -> Message:
    """Say that this bot serves one workspace, which its settings connect."""
    return sentence(
        "This bot is connected to FloKit by its settings (FLOKIT_API_KEY); whoever runs it can change that."
    )


def may_not_connect_message() -> Message:
    """Refuse to connect or disconnect."""
    return sentence(
        "Only the person who installed me, workspace owners and admins, and anyone the policy allows to administer "
        "can connect or disconnect FloKit. Nothing was changed."
    )


def type_it_message(word: str, *, command: str) -> Message:
    """Ask for the slash command, because only that can open a form."""
    return sentence(f"Run {typed(command, word)}: only the slash command can open the form.")


def connect_home(why: str, *, edits_policy: bool = False) -> dict[str, object]:
    """Return the App Home of a workspace that isn't connected, as ``why`` says; ``edits_policy`` as in `home_tab`."""
    text = section(f"{why} All it takes is an API key and a minute.")
    return home_tab([header("FloKit"), text, *actions(_connect_button())], edits_policy=edits_policy)


def _connect_button() -> Block:
    return {**button("Connect FloKit", Press(Action.CONNECT, choice="flokit")), "style": "primary"}
