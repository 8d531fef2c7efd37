"""The short answers: help, nothing found, no access, and where to go from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from bot.core.advice import API_KEYS
from bot.core.blocks.elements import Block, context, quoted, section
from bot.core.blocks.names import ID_SHOWN, name_of
from bot.core.blocks.states import by_urgency, state_now, tally
from bot.core.blocks.text import clip, code, counted, escape, mention, one_line, our_sentence
from bot.core.commands.catalog import COMMANDS, CommandDoc, HelpCommand, HelpGroup
from bot.core.commands.filters import FILTER_WORDS
from bot.core.commands.targets import nearest_integrations
from bot.core.models import Integration, Message, Person

TYPED_CHARS: Final = 60
SENTENCE_CHARS: Final = 900
REASON_CHARS: Final = 500
LISTED: Final = 10
COMMAND_CHARS: Final = 80


def plain_message(sentence: str) -> Message:
    """Say one sentence; it may hold untrusted text."""
    text = escape(clip(one_line(sentence), SENTENCE_CHARS)) or "…"
    return Message(text, (section(text),))


def help_message(command_value: HelpCommand, *, command: str = "/flokit") -> Message:
    """Say first what was wrong with what was typed, if anything was; then the commands with examples."""
    doc = next((doc for doc in COMMANDS if doc.name == command_value.topic), None)
    if doc:
        return _help_on(doc, command)
    lead = _help_lead(command_value, command)
    if command_value.problem:
        hint = f"{code(f'{command} help', COMMAND_CHARS)} lists what I can do."
        return Message(f"{lead} {hint}", (section(lead), context(hint)))
    blocks = (
        section(lead),
        *(_help_group(group, command) for group in HelpGroup),
        context(f"{code(f'{command} help sync', COMMAND_CHARS)} explains one command."),
        context("In a thread, mention me with the same words: slash commands don't work there."),
    )
    usages = ", ".join(escape(f"{command} {doc.usage}") for doc in COMMANDS)
    return Message(f"{lead} Commands: {usages}.", blocks)


def _help_group(group: HelpGroup, command: str) -> Block:
    lines = [
        f"{code(f'{command} {doc.examples[0]}', COMMAND_CHARS)} — {escape(doc.summary)}"
        for doc in COMMANDS
        if doc.group is group
    ]
    return section("\n".join((f"*{group}*", *lines)))


def _help_on(doc: CommandDoc, command: str) -> Message:
    """Explain one command with all its examples."""
    usage = code(f"{command} {doc.usage}", COMMAND_CHARS)
    lead = " ".join(part for part in (f"{usage} — {escape(doc.summary)}", escape(doc.more)) if part)
    examples = [f"• {code(f'{command} {example}', COMMAND_CHARS)}" for example in doc.examples]
    return Message(lead, (section(lead), section("\n".join(("Examples:", *examples)))))


def _help_lead(value: HelpCommand, command: str) -> str:
    if value.needs_target:
        example = code(f"{command} {value.needs_target} stripe", COMMAND_CHARS)
        return f"Which integration? Name it by its type, its ID, or the last characters of its ID: {example}."
    problem = escape(clip(one_line(value.problem), SENTENCE_CHARS))
    if not value.not_understood:
        return problem or "Here's what I can do:"
    guesses = " or ".join(code(f"{command} {name}", COMMAND_CHARS) for name in value.suggestions)
    guess = f"Did you mean {guesses}?" if guesses else ""
    doc = next((doc for doc in COMMANDS if doc.name in value.suggestions[:1]), None)
    example = f"Example: {code(f'{command} {doc.examples[0]}', COMMAND_CHARS)}." if doc else ""
    parts = (f"I don't recognize {code(value.not_understood, TYPED_CHARS)}.", problem, guess, example)
    return " ".join(part for part in parts if part)


def not_found_message(
    target: str,
    nearest: Sequence[Integration],
    types: Sequence[str] = (),
    *,
    command: str = "/flokit",
    is_partial: bool = False,
) -> Message:
    """Say that no integration is called that, and which integrations or types come closest.

    ``is_partial``: the person may not look at everything, so whether there is one stays open.
    """
    missing = "No integration that you may look at matches" if is_partial else "FloKit has no integration"
    lead = f"{missing} {code(target, TYPED_CHARS)}."
    if nearest or types:
        called = [_called(one, nearest) for one in nearest[:LISTED]]
        near = " · ".join((*called, *(code(type_, TYPED_CHARS) for type_ in types[:LISTED])))
        lead += f" Closest matches: {near}."
    if is_partial:
        return Message(lead, (section(lead),))
    hint = f"Run {code(f'{command} status', COMMAND_CHARS)} to list all integrations."
    return Message(f"{lead} {hint}", (section(lead), context(hint)))


def nothing_matches_message(
    query: str, integrations: Sequence[Integration], now: datetime, *, command: str = "/flokit"
) -> Message:
    """Say that a filter lets nothing through, and what there is."""
    lead = f"No integration matches {code(query, TYPED_CHARS)}."
    if near := nearest_integrations(query, integrations):
        lead += f" Closest matches: {' · '.join(_called(one, integrations) for one in near)}."
    there = f"There {'is' if len(integrations) == 1 else 'are'} {counted(len(integrations), 'integration')}"
    if integrations:
        there += f": {tally(integrations)}"
    shown = sorted(integrations, key=by_urgency)[:LISTED]
    lines = [f"{state_now(one, now).label} · {_called(one, integrations)}" for one in shown]
    hidden = len(integrations) - len(shown)
    lines += [f"and {hidden:,} more: {code(f'{command} status', COMMAND_CHARS)}"] if hidden else []
    filters = f"Filter by {', '.join(FILTER_WORDS)}, a type, an ID, or text."
    blocks = [section(f"{lead} {there}."), *([section("\n".join(lines))] if lines else []), context(filters)]
    return Message(f"{lead} {there}.", tuple(blocks))


def _called(integration: Integration, among: Sequence[Integration]) -> str:
    return f"{name_of(integration, among).text} {code(integration.id, ID_SHOWN)}"


def flokit_away_message(reason: str, vendor_words: str = "") -> Message:
    """Say that FloKit cannot be asked and nothing older is known."""
    text = "FloKit can't be reached right now, and I have no earlier data to show. Your syncs may be fine."
    return _with_reason(text, reason, vendor_words)


def access_lost_message(reason: str = "", vendor_words: str = "") -> Message:
    """Say that FloKit refuses the key, and who can cure that."""
    text = (
        "FloKit refuses my API key: it was rotated or lacks permissions. "
        f"Ask whoever runs this bot to set a new one ({API_KEYS})."
    )
    return _with_reason(text, reason, vendor_words)


def _with_reason(text: str, reason: str, vendor_words: str) -> Message:
    text = " ".join(part for part in (text, our_sentence(reason)) if part)
    return Message(text, (section(text), *quoted(vendor_words, REASON_CHARS)))


def with_invite_hint(message: Message, bot_user_id: str, *, command: str = "/flokit") -> Message:
    """Append how to get the bot into a channel in which it cannot post."""
    hint = (
        f"Only you can see this because I can't post here. Run {code('/invite', 10)} "
        f"{mention(Person(bot_user_id, 'me'))}, then {code(f'{command} status', COMMAND_CHARS)} again. "
        "If you start a sync here, I'll DM you the outcome."
    )
    return replace(message, text=f"{message.text} {hint}", blocks=(*message.blocks, context(hint)))
