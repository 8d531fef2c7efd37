"""The closing table of a soak, for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from soak.checker import WARM_UP, Reason, Violation, busiest_minute, compared, is_lost, passed, reason_of, untold_clicks
from soak.evidence import AWAY, READ_ONLY, Click, Evidence, Span, Telling
from soak.noting import Faults
from soak.settings import Settings

RESIDENTS: Final = {
    "subscribe": "subscribe commands",
    "form": "subscribe forms",
    "unsubscribe": "unsubscribe commands",
    "maintenance": "maintenance commands",
    "snooze": "snoozes",
    "end of a snooze": "snoozes ended by hand",
    "on it": "presses about who is on an incident",
    "page": "status lists paged",
    "home": "visits to App Home",
    "question": "questions",
    "name": "integrations named or their names forgotten",
    "channel closed or opened": "channels archived or restored",
    "channel shared": "channels shared",
}
"""What residents do: as ``soak.residents`` counts it, and as the report says it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a soak."""

    rows: dict[str, str]
    violations: list[Violation]

    @classmethod
    def of(
        cls, settings: Settings, evidence: Evidence, violations: list[Violation], met: Counter[str], took_s: float
    ) -> Result:
        """Count what was seen."""
        rows = {
            "run": f"{settings.kind}, {settings.replicas} replica{'s' if settings.replicas > 1 else ''}, "
            f"seed {settings.seed}, leases of {settings.lease_s:g} s, {settings.minutes:g} min of faults, "
            f"{took_s:.0f} s in all"
        }
        parts: tuple[Callable[[], dict[str, str]], ...] = (
            lambda: _processes(evidence, met),
            lambda: _people(evidence),
            lambda: _flokit(evidence, met),
            lambda: _slack(evidence, met),
            lambda: _residents(evidence, met),
            lambda: _compared(evidence),
            lambda: _database(evidence),
            lambda: _workspaces(evidence, met) if settings.workspaces > 1 else {},
        )
        faults = Faults()
        for part in parts:
            with faults.noting("counting for the report"):
                rows |= part()
        violations = [*violations, *(Violation("the soak itself has no faults", fault) for fault in faults.seen)]
        rows["violations"] = str(len(violations))
        return cls(rows, violations)

    @property
    def table(self) -> str:
        """The rows as Markdown."""
        return "\n".join(
            ["| what | how many |", "|---|---|", *(f"| {key} | {value} |" for key, value in self.rows.items())]
        )

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        everything = {"rows": self.rows, "violations": [asdict(one) for one in self.violations]}
        path.write_text(json.dumps(everything, indent=2, ensure_ascii=False) + "\n")


def _processes(evidence: Evidence, met: Counter[str]) -> dict[str, str]:
    codes = Counter(one.ordered or "unexpected" for one in evidence.exits)
    kills = met["kill"] + met["kill, aimed"]
    away = [span for span in evidence.spans if span.what == AWAY]
    read_only = [span for span in evidence.spans if span.what == READ_ONLY]
    rows = {
        "`kill -9`": f"{kills}, {met['kill, aimed']} during a request or right after its reply",
        "SIGTERM": f"{codes['SIGTERM']}, slowest exit {_slowest(evidence):.1f} s",
        "frozen (SIGSTOP)": str(met["SIGSTOP"]),
        "unexpected exits": str(codes["unexpected"]),
    }
    if away:
        rows["database restarts"] = f"{len(away)}, down for {_lasted(away, evidence.spans):.0f} s in all"
    if read_only:
        rows["database read-only"] = f"{len(read_only)} times, for {_lasted(read_only, evidence.spans):.0f} s in all"
    if memory := _memory(evidence):
        rows["memory of the longest-lived process"] = memory
    return rows


def _slowest(evidence: Evidence) -> float:
    return max((one.took_s for one in evidence.exits if one.ordered == "SIGTERM"), default=0.0)


def _memory(evidence: Evidence) -> str:
    lives = Counter((one.replica, one.pid) for one in evidence.samples)
    if not lives:
        return ""
    [(longest, _)] = lives.most_common(1)
    samples = [one for one in evidence.samples if (one.replica, one.pid) == longest]
    shown = (samples[int(len(samples) * WARM_UP)], samples[-1])
    return ", ".join(f"{one.rss_mb:.0f} MB after {one.at - samples[0].at:.0f} s" for one in shown)


def _people(evidence: Evidence) -> dict[str, str]:
    tellings = sorted(evidence.tellings, key=lambda one: one.at)
    outcomes = Counter({one.run_id: one.outcome for one in tellings}.values())
    words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    by_thread = Counter((one.channel, one.thread_ts, one.run_id) for one in tellings)
    late = sum(count > 1 for count in by_thread.values())
    waits = sorted(_waits(evidence.clicks, tellings, evidence.spans))
    shares = f"median {_at(waits, 0.5):.1f} s, 95 % within {_at(waits, 0.95):.1f} s, longest {_at(waits, 1):.1f} s"
    return {
        "clicks": _clicks(evidence),
        "runs with an outcome": f"{outcomes.total()}: {words}",
        "outcome messages": f"{len(tellings)}, {late} of them late results",
        "time from click to outcome": shares,
    }


def _clicks(evidence: Evidence) -> str:
    clicks = evidence.clicks
    return (
        f"{len(clicks)}: {sum(one.accepted for one in clicks)} accepted, {sum(not any(one.acks) for one in clicks)} "
        f"not acknowledged, {sum(bool(one.refusals) for one in clicks)} refused with a message; "
        f"{len(untold_clicks(evidence))} acknowledged while the database was down, whose refusal was lost"
    )


def _waits(clicks: list[Click], tellings: list[Telling], spans: list[Span]) -> list[float]:
    """Measure, in seconds, from each click to the first outcome that mentions its person."""
    first: dict[str, float] = {}
    for telling in tellings:
        for user in telling.mentions:
            first.setdefault(user, telling.at)
    return [passed(click.at, first[click.user], spans) for click in clicks if click.user in first]


def _lasted(ones: list[Span], spans: list[Span]) -> float:
    return sum(passed(one.began_at, one.ended_at, spans) for one in ones)


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _flokit(evidence: Evidence, met: Counter[str]) -> dict[str, str]:
    posts, runs = evidence.posts, {one.run_id for one in evidence.posts}
    lost = sum(is_lost(post, []) for post in posts)
    return {
        "sync requests": f"{len(posts)} for {len(runs)} runs; {lost} got no usable reply",
        "requests to FloKit": f"{len(evidence.requests)}, at most {busiest_minute(evidence.requests)} within 60 s "
        f"({evidence.rules.requests_per_minute} allowed)",
        "FloKit faults injected": _sum_of(met, "FloKit: "),
    }


def _slack(evidence: Evidence, met: Counter[str]) -> dict[str, str]:
    errors = Counter(call.error for call in evidence.calls if call.error)
    return {
        "calls to Slack": f"{len(evidence.calls)}, {errors['ratelimited']} were rate limited",
        "Slack faults injected": _sum_of(met, "Slack: "),
    }


def _residents(evidence: Evidence, met: Counter[str]) -> dict[str, str]:
    done = ", ".join(f"{met[name]} {label}" for name, label in RESIDENTS.items() if met[name])
    return {
        "other actions": done,
        "clock moved forward": f"{met['clock moved']} times",
        "snoozes": f"{sum(one.asked for one in evidence.snoozed)}; {sum(one.ended for one in evidence.snoozed)} "
        "ended while the incident was open",
        "digests": str(len(evidence.digests)),
    }


def _compared(evidence: Evidence) -> dict[str, str]:
    count = compared(evidence)
    grown = sum(size.after > size.before for size in evidence.sizes)
    return {
        "compared after the storm": f"subscriptions: {count['subscriptions']} ({count['lists']} lists, "
        f"{count['channels']} channels), snoozes: {count['snoozes']}, digests: {count['digests']}, "
        f"missing answers: {len(evidence.missing)}",
        "tables while nothing happens": f"{count['tables']}, {grown} of them grew",
    }


def _workspaces(evidence: Evidence, met: Counter[str]) -> dict[str, str]:
    sent = Counter(one.team for one in evidence.sent if one.team)
    fewest, most = min(sent.values(), default=0), max(sent.values(), default=0)
    return {
        "workspaces": f"{len(sent)}, with {fewest} to {most} calls to Slack each",
        "done in the others": _sum_of(met, "neighbors: "),
        "uninstalled": f"{len(evidence.absences)}, of which {sum(one.ended_at is None for one in evidence.absences)} "
        "stayed so",
        "syncs in every workspace after the storm": f"{sum(one.is_answered for one in evidence.asked)} of "
        f"{len(evidence.asked)} with an outcome",
    }


def _database(evidence: Evidence) -> dict[str, str]:
    return {"deadlocks": str(evidence.deadlocks), "statements over 100 ms": _slow(evidence)}


def _slow(evidence: Evidence) -> str:
    if not evidence.slow:
        return "0"
    reasons = Counter(map(reason_of, evidence.slow))
    longest = max(evidence.slow, key=lambda one: one.ms)
    alone = max((one.alone_ms or 0.0 for one in evidence.slow if reason_of(one) is not Reason.PLAN), default=0.0)
    why = ", ".join(f"{reasons[reason]} {reason}" for reason in Reason if reasons[reason] or reason is Reason.PLAN)
    return (
        f"{len(evidence.slow)} of {len({one.text for one in evidence.slow})} kinds: {why}. "
        f"Run alone, those not slow by their plan take at most {alone:.1f} ms. "
        f"Longest: {longest.ms:.0f} ms, `{longest.text[:80]}`"
    )


def _sum_of(met: Counter[str], prefix: str) -> str:
    kinds = {name.removeprefix(prefix): count for name, count in sorted(met.items()) if name.startswith(prefix)}
    return f"{sum(kinds.values())}: " + ", ".join(f"{count} {name}" for name, count in kinds.items())
