"""Past syncs: statistics, a chart and a list for one integration; one line each for several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from bot.core.blocks.elements import Block, context, quoted, section, sentence
from bot.core.blocks.names import ID_SHOWN, title_of
from bot.core.blocks.phrases import and_more, typed
from bot.core.blocks.runs import duration_s, nothing_started
from bot.core.blocks.text import code, counted, date, duration, escape, link_to, listed, person_name
from bot.core.models import Message, Outcome, SyncRun
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.runs.history import by_integration, durations, took_s

SHOWN: Final = 8
GROUPS_SHOWN: Final = 12
BAR: Final = 20
"""Characters of the longest bar."""
CHART_CHARS: Final = 900

OUTCOMES: Final = {
    Outcome.SUCCEEDED: ("✅", "succeeded"),
    Outcome.FAILED: ("❌", "failed"),
    Outcome.FAILED_AGAIN: ("❌", "failed again, with the same error"),
    Outcome.DISCONNECTED: ("🔌", "was disconnected"),
    Outcome.FINISHED_UNPROVEN: ("❔", "finished (unconfirmed)"),
    Outcome.GONE: ("❔", "was removed"),
    Outcome.ACCESS_LOST: ("🔑", "lost access to FloKit"),
    Outcome.NOT_CONFIRMED: ("❔", "wasn't confirmed"),
}


def history_message(
    runs: Sequence[SyncRun],
    now: datetime,
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    links: Mapping[str, str] = MappingProxyType({}),
    kept_days: float,
    asked: str = "",
    command: str = "/flokit",
) -> Message:
    """Show past runs, newest first: one integration in detail, several with a line each.

    ``asked`` is what was typed after ``history`` (untrusted). ``links`` are the addresses of the messages that tell the
    runs of ``linked_in_history``, as far as they're known.
    """
    groups = by_integration(runs)
    kept = f"I keep syncs started here for {kept_days:g} days."
    if not groups:
        return sentence(f"{typed(command, f'history {asked}')}: no syncs found.", kept)
    if len(groups) > 1:
        return _of_many(groups, kept, nicknames, links, command)
    return _of_one(next(iter(groups.values())), now, kept, nicknames, links)


def linked_in_history(runs: Sequence[SyncRun]) -> list[str]:
    """Return the IDs of the runs that the history shows with a link."""
    groups = by_integration(runs)
    if len(groups) == 1:
        return [run.id for run in runs[:SHOWN]]
    return [group[0].id for group in list(groups.values())[:GROUPS_SHOWN]]


def _of_one(
    runs: Sequence[SyncRun], now: datetime, kept: str, nicknames: Nicknames, links: Mapping[str, str]
) -> Message:
    run = runs[0]
    name = (
        f"{escape(title_of(run.integration_id, run.integration_type, nicknames))} {code(run.integration_id, ID_SHOWN)}"
    )
    lead = f"*History of {name}*: {counted(len(runs), 'sync')}, {_tally(runs)}."
    speed = _speed(runs)
    newest = runs[:SHOWN]
    lines = [f"{_line(number, run, now)}{_link(run, links)}" for number, run in enumerate(newest, 1)]
    hidden = len(runs) - len(newest)
    lines += [f"and {hidden:,} earlier"] if hidden else []
    return Message(
        f"History of {name}: {counted(len(runs), 'sync')}, {_tally(runs)}. {speed}",
        (section(f"{lead}\n{speed}"), section("\n".join(lines)), *_chart(newest), context(kept)),
    )


def _tally(runs: Sequence[SyncRun]) -> str:
    counts: dict[str, int] = {}
    for run in runs:
        word = "running" if run.outcome is None else run.outcome.replace("_", " ")
        counts[word] = counts.get(word, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return listed(ordered, lambda item: f"{item[1]:,} {item[0]}", most=len(Outcome) + 1)


def _speed(runs: Sequence[SyncRun]) -> str:
    found = durations(runs)
    if found is None:
        return "Typical duration: not known yet."
    return (
        f"Typical duration: median {duration(found.median_s)}, 90% within {duration(found.p90_s)} "
        f"(from {counted(found.count, 'comparable sync')})."
    )


def _line(number: int, run: SyncRun, now: datetime) -> str:
    emoji, words = ("⏳", "is running") if run.outcome is None else OUTCOMES[run.outcome]
    if nothing_started(run) and run.outcome is not None:
        words = "was never started"
    took = took_s(run)
    lasted = duration(took if took is not None else max(0.0, duration_s(run, now)))
    return f"{number}. {emoji} {words}, {lasted} · {date(run.requested_at)} · {person_name(run.requested_by)}"


def _link(run: SyncRun, links: Mapping[str, str]) -> str:
    address = links.get(run.id, "")
    return f" · {link_to(address)}" if address else ""


def _chart(runs: Sequence[SyncRun]) -> list[Block]:
    """Draw the comparable durations as bars, each with its number and duration for screen readers."""
    taken = [(number, took) for number, run in enumerate(runs, 1) if (took := took_s(run)) is not None]
    if len(taken) < 2:
        return []
    longest = max(took for _, took in taken) or 1.0
    width = max(len(duration(took)) for _, took in taken)
    bars = [
        f"{number}. {duration(took):<{width}} {'█' * max(1, round(BAR * took / longest))}" for number, took in taken
    ]
    return [context("How long the successful syncs above took:"), *quoted("\n".join(bars), CHART_CHARS)]


def _of_many(
    groups: dict[str, list[SyncRun]], kept: str, nicknames: Nicknames, links: Mapping[str, str], command: str
) -> Message:
    total = sum(len(runs) for runs in groups.values())
    everything = [run for runs in groups.values() for run in runs]
    lead = f"{counted(total, 'sync')} of {counted(len(groups), 'integration')}: {_tally(everything)}."
    newest = list(groups.values())[:GROUPS_SHOWN]
    lines = [f"{_group_line(runs, nicknames)}{_link(runs[0], links)}" for runs in newest]
    lines += and_more(len(groups) - len(lines))
    hint = f"{typed(command, 'history stripe')} shows one in detail."
    half = (len(lines) + 1) // 2
    parts = [section("\n".join(part)) for part in (lines[:half], lines[half:]) if part]
    return Message(f"History: {lead}", (section(f"*History*: {lead}"), *parts, context(f"{hint} {kept}")))


def _group_line(runs: Sequence[SyncRun], nicknames: Nicknames) -> str:
    run, found = runs[0], durations(runs)
    emoji, words = ("⏳", "started") if run.outcome is None else OUTCOMES[run.outcome]
    usual = f", median {duration(found.median_s)}" if found else ""
    succeeded = sum(one.outcome is Outcome.SUCCEEDED for one in runs)
    name = f"*{escape(title_of(run.integration_id, run.integration_type, nicknames))}* {code(run.integration_id, 30)}"
    return f"{emoji} {name}: {succeeded:,} of {len(runs):,} succeeded{usual}; the last {words} {date(run.requested_at)}"
