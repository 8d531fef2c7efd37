"""The closing table of a soak, for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from soak.checker import WARM_UP, Violation, busiest_minute, is_lost, untold_clicks
from soak.evidence import AWAY, READ_ONLY, Click, Evidence, Telling
from soak.settings import Settings

RESIDENTS: Final = (
    "subscribe",
    "form",
    "unsubscribe",
    "snooze",
    "end of a snooze",
    "page",
    "home",
    "question",
    "channel closed or opened",
    "channel shared",
)
"""What residents do, as ``soak.residents`` counts it."""


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
            "soak": f"{settings.kind}, {settings.replicas} replica{'s' if settings.replicas > 1 else ''}, "
            f"seed {settings.seed}, {settings.minutes:g} min of storm, {took_s:.0f} s in all",
            **_processes(evidence, met),
            **_people(evidence),
            **_flokit(evidence, met),
            **_slack(evidence, met),
            **_residents(evidence, met),
            "violations": str(len(violations)),
        }
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
    codes = Counter(one.ordered or "by itself" for one in evidence.exits)
    kills = met["kill"] + met["kill, aimed"]
    away = [span for span in evidence.spans if span.what == AWAY]
    read_only = [span for span in evidence.spans if span.what == READ_ONLY]
    rows = {
        "kill -9": f"{kills}, {met['kill, aimed']} of them aimed at a request or its reply",
        "SIGTERM": f"{codes['SIGTERM']}, slowest exit {_slowest(evidence):.1f} s",
        "SIGSTOP … SIGCONT": str(met["SIGSTOP"]),
        "exits of its own": str(codes["by itself"]),
    }
    if away:
        rows["database restarts"] = (
            f"{len(away)}, away for {sum(one.ended_at - one.began_at for one in away):.0f} s in all"
        )
    if read_only:
        rows["database read-only"] = (
            f"{len(read_only)} times, for {sum(one.ended_at - one.began_at for one in read_only):.0f} s in all"
        )
    if memory := _memory(evidence):
        rows["memory of the longest life"] = memory
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
    waits = sorted(_waits(evidence.clicks, tellings))
    shares = f"median {_at(waits, 0.5):.1f} s, 95 % within {_at(waits, 0.95):.1f} s, longest {_at(waits, 1):.1f} s"
    return {
        "clicks": _clicks(evidence),
        "runs told": f"{outcomes.total()}: {words}",
        "outcome messages": f"{len(tellings)}, late results among them {late}",
        "click to outcome": shares,
    }


def _clicks(evidence: Evidence) -> str:
    clicks = evidence.clicks
    return (
        f"{len(clicks)}: {sum(one.accepted for one in clicks)} accepted, {sum(not any(one.acks) for one in clicks)} "
        f"not acked, {sum(bool(one.refusals) for one in clicks)} refused in words; {len(untold_clicks(evidence))} "
        "acked while the database was away, and the refusal lost"
    )


def _waits(clicks: list[Click], tellings: list[Telling]) -> list[float]:
    """Measure, in seconds, from each click to the first outcome that mentions its person."""
    first: dict[str, float] = {}
    for telling in tellings:
        for user in telling.mentions:
            first.setdefault(user, telling.at)
    return [first[click.user] - click.at for click in clicks if click.user in first]


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _flokit(evidence: Evidence, met: Counter[str]) -> dict[str, str]:
    posts, runs = evidence.posts, {one.run_id for one in evidence.posts}
    lost = sum(is_lost(post, []) for post in posts)
    return {
        "POSTs": f"{len(posts)} for {len(runs)} runs; {lost} had no usable reply",
        "requests to FloKit": f"{len(evidence.requests)}, at most {busiest_minute(evidence.requests)} within 60 s "
        f"({evidence.rules.requests_per_minute} allowed)",
        "faults of FloKit ordered": _sum_of(met, "FloKit: "),
    }


def _slack(evidence: Evidence, met: Counter[str]) -> dict[str, str]:
    errors = Counter(call.error for call in evidence.calls if call.error)
    return {
        "calls of Slack": f"{len(evidence.calls)}, {errors['ratelimited']} of them rate limited",
        "faults of Slack ordered": _sum_of(met, "Slack: "),
    }


def _residents(evidence: Evidence, met: Counter[str]) -> dict[str, str]:
    done = ", ".join(f"{met[name]} {name}" for name in RESIDENTS if met[name])
    sure = sum(len(one.wanted) for one in evidence.wishes)
    return {
        "residents": done,
        "snoozes": f"{sum(one.asked for one in evidence.snoozed)}, {sum(one.ended for one in evidence.snoozed)} ended",
        "digests": str(len(evidence.digests)),
        "subscriptions at the end": f"{sure} in {len(evidence.wishes)} channels whose changes were all answered",
        "deadlocks": str(evidence.deadlocks),
        "statements over 100 ms": str(len(evidence.slow)),
        "clock moved ahead": str(met["clock moved"]),
    }


def _sum_of(met: Counter[str], prefix: str) -> str:
    kinds = {name.removeprefix(prefix): count for name, count in sorted(met.items()) if name.startswith(prefix)}
    return f"{sum(kinds.values())}: " + ", ".join(f"{count} {name}" for name, count in kinds.items())
