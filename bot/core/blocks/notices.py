"""Short answers: help, nothing found, no access; each says what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from bot.core.blocks.elements import Block, context, quoted, section, sentence
from bot.core.blocks.names import ID_SHOWN, name_of
from bot.core.blocks.phrases import ERROR_IN_INCIDENT, SET_A_NEW_KEY, and_more, closest, typed
from bot.core.blocks.states import by_urgency, state_now, tally
from bot.core.blocks.text import code, counted, escape, mention, our_sentence, shown
from bot.core.commands.catalog import COMMANDS, CommandDoc, HelpCommand, HelpGroup
from bot.core.commands.filters import FILTER_WORDS
from bot.core.commands.targets import nearest_integrations
from bot.core.models import Integration, Message, Person
from bot.core.nicknames import NO_NICKNAMES, Nicknames

TYPED_CHARS: Final = 60
SENTENCE_CHARS: Final = 900
LISTED: Final = 10


def plain_message(text: str) -> Message:
    """Return a message of one sentence, which may contain untrusted text."""
    return sentence(shown(text, SENTENCE_CHARS) or "…")


def help_message(command_value: HelpCommand, *, command: str = "/flokit", of_many: bool = False) -> Message:
    """Say what was wrong with the command, if anything, then list the commands with examples.

    ``of_many``: the bot serves every workspace that installs it, so it has the commands for that.
    """
    doc = next((doc for doc in COMMANDS if doc.name == command_value.topic), None)
    if doc:
        return _help_on(doc, command)
    lead = _help_lead(command_value, command)
    if command_value.problem:
        return sentence(lead, f"{typed(command, 'help')} lists what I can do.")
    docs = [doc for doc in COMMANDS if of_many or not doc.of_many]
    blocks = (
        section(lead),
        *(_help_group(group, docs, command) for group in HelpGroup),
        context(f"{typed(command, 'help sync')} explains one command."),
        context("In a thread, mention me with the same words: slash commands don't work there."),
    )
    usages = ", ".join(escape(f"{command} {doc.usage}") for doc in docs)
    return Message(f"{lead} Commands: {usages}.", blocks)


def _help_group(group: HelpGroup, docs: Sequence[CommandDoc], command: str) -> Block:
    lines = [f"{typed(command, doc.examples[0])} — {escape(doc.summary)}" for doc in docs if doc.group is group]
    return section("\n".join((f"*{group}*", *lines)))


def _help_on(doc: CommandDoc, command: str) -> Message:
    """Explain one command with all its examples."""
    lead = f"{typed(command, doc.usage)} — {escape(doc.summary)} {escape(doc.more)}".strip()
    examples = [f"• {typed(command, example)}" for example in doc.examples]
    return Message(lead, (section(lead), section("\n".join(("Examples:", *examples)))))


def _help_lead(value: HelpCommand, command: str) -> str:
    if value.needs_target:
        example = typed(command, f"{value.needs_target} stripe")
        return f"Which integration? Name it by its type, its ID, or the last characters of its ID: {example}."
    problem = shown(value.problem, SENTENCE_CHARS)
    if not value.not_understood:
        return problem or "Here's what I can do:"
    guesses = " or ".join(typed(command, name) for name in value.suggestions)
    guess = f"Did you mean {guesses}?" if guesses else ""
    doc = next((doc for doc in COMMANDS if doc.name in value.suggestions[:1]), None)
    example = f"Example: {typed(command, doc.examples[0])}." if doc else ""
    parts = (f"I don't recognize {code(value.not_understood, TYPED_CHARS)}.", problem, guess, example)
    return " ".join(part for part in parts if part)


def not_found_message(
    target: str,
    nearest: Sequence[Integration],
    types: Sequence[str] = (),
    *,
    nicknames: Nicknames = NO_NICKNAMES,
    command: str = "/flokit",
    is_partial: bool = False,
) -> Message:
    """Say that there's no such integration, and list the closest matches.

    ``is_partial``: the person can't see all integrations, so it may exist.
    """
    missing = "No integration that you can view matches" if is_partial else "FloKit has no integration"
    lead = f"{missing} {code(target, TYPED_CHARS)}."
    called = [_called(one, nearest, nicknames) for one in nearest[:LISTED]]
    lead += closest([*called, *(code(type_, TYPED_CHARS) for type_ in types[:LISTED])])
    return sentence(lead, "" if is_partial else f"Run {typed(command, 'status')} to list all integrations.")


def nothing_matches_message(
    query: str,
    integrations: Sequence[Integration],
    now: datetime,
    *,
    nicknames: Nicknames = NO_NICKNAMES,
    command: str = "/flokit",
) -> Message:
    """Say that a filter matches nothing, and count the integrations."""
    found = nearest_integrations(query, integrations, nicknames)
    near = closest([_called(one, integrations, nicknames) for one in found])
    lead = f"No integration matches {code(query, TYPED_CHARS)}.{near}"
    there = f"There {'is' if len(integrations) == 1 else 'are'} {counted(len(integrations), 'integration')}"
    if integrations:
        there += f": {tally(integrations)}"
    first = sorted(integrations, key=by_urgency)[:LISTED]
    lines = [f"{state_now(one, now).label} · {_called(one, integrations, nicknames)}" for one in first]
    lines += and_more(len(integrations) - len(first), typed(command, "status"))
    filters = f"Filter by {', '.join(FILTER_WORDS)}, a type, an ID, or text."
    blocks = [section(f"{lead} {there}."), *([section("\n".join(lines))] if lines else []), context(filters)]
    return Message(f"{lead} {there}.", tuple(blocks))


def _called(integration: Integration, among: Sequence[Integration], nicknames: Nicknames) -> str:
    return f"{name_of(integration, among, nicknames).text} {code(integration.id, ID_SHOWN)}"


def flokit_away_message(reason: str, vendor_words: str = "") -> Message:
    """Say that FloKit can't be reached and there's no earlier data."""
    text = "FloKit can't be reached right now, and I have no earlier data to show. Your syncs may be fine."
    return _with_reason(text, reason, vendor_words)


def access_lost_message(reason: str = "", vendor_words: str = "") -> Message:
    """Say that FloKit refuses the key, and who can fix that."""
    return _with_reason(f"FloKit refuses my API key: it {SET_A_NEW_KEY}", reason, vendor_words)


def _with_reason(text: str, reason: str, vendor_words: str) -> Message:
    text = " ".join(part for part in (text, our_sentence(reason)) if part)
    return Message(text, (section(text), *quoted(vendor_words, ERROR_IN_INCIDENT)))


def with_invite_hint(message: Message, bot_user_id: str, *, command: str = "/flokit") -> Message:
    """Append how to invite the bot to a channel where it can't post."""
    hint = (
        f"Only you can see this because I can't post here. Run {code('/invite', 10)} "
        f"{mention(Person(bot_user_id, 'me'))}, then {typed(command, 'status')} again. "
        "If you start a sync here, I'll DM you the outcome."
    )
    return replace(message, text=f"{message.text} {hint}", blocks=(*message.blocks, context(hint)))
