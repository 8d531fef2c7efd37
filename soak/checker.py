"""Holds what was seen against what is promised: evidence in, violations out. It knows nothing of the bot's inside.

What counts as true is derived from FloKit's own record, with these tolerances: times in metadata and in HTTP dates are
cut to whole seconds, and a look is as old as the longest request when a decision follows from it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from soak.evidence import AWAY, READ_ONLY, Click, Evidence, Post, Sample, Span, Telling, Turn

CUT_S: Final = 1.0
"""Times in message metadata, and FloKit's own, are cut to whole seconds."""

LOOK_S: Final = 4.0
"""A decision may follow from a look this old: shared for a second, two tries of 1.6 s."""

UPSET_S: Final = 2.0
"""So long after an upset its consequences may still be met: a reply unread, a commit unanswered."""

DOUBTFUL_POSTS: Final = 3
"""POSTs of one run that may have started something, at most."""

WINDOW_S: Final = 60.0
WARM_UP: Final = 0.3
"""The share of a process's life after which its memory must be flat."""
LONG_LIFE_S: Final = 60.0
"""A shorter life says nothing about memory."""
GROWTH: Final = 1.3

SLOW_READ_MS: Final = 1000.0
"""A machine with two cores makes a read wait that long while replicas start; the plans themselves are tested."""

DIGEST_APART_S: Final = 60.0
"""Two digests of one thing are due at different minutes, at least."""

NO_FAULT_OF_OURS: Final = frozenset(
    {
        "",
        "ratelimited",
        "internal_error",
        "not_in_channel",
        "channel_not_found",
        "is_archived",
        "is_inactive",  # what editing says of an archived channel
        "exchanged_trigger_id",  # a form was opened, and the reply was lost
        "expired_trigger_id",  # a person's trigger lives three seconds
        "expired_url",  # and their response_url half an hour, which passes at once when the clock is moved
    }
)
"""What Slack may answer to a bot that does everything right."""

ERRORS_ALLOWED: Final = {
    "request_given_up": "the process ended each time while this was being answered",
}
"""Error events of docs/operations.md that killing brings about, with the reason they must give."""

NOT_LOOKED_FOR: Final = "message_not_looked_for"
"""The event that says that Slack didn't let the bot look for a post in doubt."""

LATER: Final = "not_confirmed"
SUCCESSES: Final = frozenset({"succeeded", "hidden"})
FAILURES: Final = frozenset({"failed", "failed_same"})


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and what shows it."""

    promise: str
    proof: str


def check(evidence: Evidence) -> list[Violation]:
    """Hold all the evidence against all the promises."""
    return [Violation(promise, proof) for promise, judge in PROMISES.items() for proof in judge(evidence)]


# --- told, once ------------------------------------------------------------------------------------------------


def untold(evidence: Evidence) -> Iterator[str]:
    """Every accepted click has an outcome that mentions its person, in its thread or in their direct messages."""
    by_user = _by_user(evidence.tellings)
    for click in untold_clicks(evidence):
        if not may_be_refused(click, evidence.spans):
            yield f"{click} has no outcome; told elsewhere: {by_user[click.user]}"
    yield from _untold_roots(evidence.clicks, by_user)


def untold_clicks(evidence: Evidence) -> list[Click]:
    """Find the accepted clicks without an outcome, whatever the reason."""
    by_user = _by_user(evidence.tellings)
    return [
        click
        for click in evidence.clicks
        if click.accepted and not click.in_doubt and not _is_told(click, by_user[click.user])
    ]


def _by_user(tellings: Iterable[Telling]) -> dict[str, list[Telling]]:
    by_user: dict[str, list[Telling]] = defaultdict(list)
    for telling in tellings:
        for user in telling.mentions:
            by_user[user].append(telling)
    return by_user


def _is_told(click: Click, tellings: Iterable[Telling]) -> bool:
    return any(
        telling.integration_id == click.integration_id
        and (telling.channel == direct_of(click.user) or (telling.channel == click.channel and _fits(click, telling)))
        for telling in tellings
    )


def _fits(click: Click, telling: Telling) -> bool:
    """Tell whether a telling stands in the click's thread; a command's thread is any that began after it."""
    if click.thread_ts is None:
        return float(telling.thread_ts) >= click.at
    return telling.thread_ts == click.thread_ts


def _untold_roots(clicks: Iterable[Click], by_user: dict[str, list[Telling]]) -> Iterator[str]:
    """Commands in one channel that share a run have a thread each."""
    threads: dict[tuple[str, str], set[str]] = defaultdict(set)
    commands: Counter[tuple[str, str]] = Counter()
    for click in clicks:
        if click.thread_ts is not None or not click.accepted:
            continue
        fitting = [one for one in by_user[click.user] if one.channel == click.channel and _fits(click, one)]
        for run_id in {one.run_id for one in fitting}:
            threads[run_id, click.channel] |= {one.thread_ts for one in fitting if one.run_id == run_id}
            commands[run_id, click.channel] += 1
    for place, count in commands.items():
        if len(threads[place]) < count:
            yield f"{count} commands, {len(threads[place])} threads: {place}"


def direct_of(user: str) -> str:
    """Name the direct message of a person, as the local Slack does."""
    return "D0" + user[1:]


def may_be_refused(click: Click, spans: Iterable[Span]) -> bool:
    """Tell whether a press may have been refused without its person hearing of it.

    While nothing can be saved a refusal is answered from memory, once: the one thing that is documented to be lost.
    """
    return click.thread_ts is not None and any(
        span.what in (AWAY, READ_ONLY) and span.began_at - UPSET_S <= click.at <= span.ended_at + UPSET_S
        for span in spans
    )


def told_twice(evidence: Evidence) -> Iterator[str]:
    """A run has one outcome in a thread, and one late result when the first was none; no message is posted twice.

    Where Slack limits the look for a post in doubt, it is repeated: that is documented, and the log says so.
    """
    by_thread: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for telling in sorted(evidence.tellings, key=lambda one: one.at):
        by_thread[telling.channel, telling.thread_ts, telling.run_id].append(telling.outcome)
    for thread, outcomes in by_thread.items():
        if len(outcomes) > 1 and not (len(outcomes) == 2 and outcomes[0] == LATER != outcomes[1]):
            yield f"{thread}: {outcomes}"
    not_looked_for = {entry.get("outbox_id") for entry in evidence.log if entry.get("event") == NOT_LOOKED_FOR}
    for outbox_id, times in Counter(evidence.outbox_ids).items():
        if times > 1 and outbox_id not in not_looked_for:
            yield f"{outbox_id} stands in Slack {times} times"


def told_differently(evidence: Evidence) -> Iterator[str]:
    """All threads of a run are told the same, and an outcome is never edited."""
    by_run: dict[str, set[tuple[str, float]]] = defaultdict(set)
    for telling in evidence.tellings:
        by_run[telling.run_id].add((telling.outcome, telling.finished_at))
        if telling.versions != 1:
            yield f"edited: {telling}"
    for run_id, told in by_run.items():
        if len({outcome for outcome, _ in told} - {LATER}) > 1 or len(told) > 2:
            yield f"{run_id}: {sorted(told)}"


def refused_yet_started(evidence: Evidence) -> Iterator[str]:
    """Who was told that nothing was started is not mentioned in an outcome."""
    mentioned = {user for telling in evidence.tellings for user in telling.mentions}
    for click in evidence.clicks:
        if click.refusals and len(click.refusals) >= len(click.acks) and click.user in mentioned:
            yield str(click)


# --- true ------------------------------------------------------------------------------------------------------


def untrue(evidence: Evidence) -> Iterator[str]:
    """Every outcome is what FloKit's own record says."""
    truth = _Truth(evidence)
    for telling in evidence.tellings:
        if not truth.holds(telling):
            yield f"{telling}\n      {truth.explain(telling)}"


class _Truth:
    """What FloKit knew, asked by run and by time."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._turns: dict[str, list[Turn]] = defaultdict(list)
        for turn in sorted(evidence.turns, key=lambda one: one.at):
            self._turns[turn.integration_id].append(turn)
        self._posts: dict[str, list[Post]] = defaultdict(list)
        for post in sorted(evidence.posts, key=lambda one: one.at):
            self._posts[post.run_id].append(post)

    def holds(self, telling: Telling) -> bool:
        """Tell whether an outcome is true: each word has its own proof."""
        proof = _PROOFS.get(telling.outcome)
        return proof is not None and proof(self, telling)

    def explain(self, telling: Telling) -> str:
        """Say what there was instead."""
        near = [
            f"{turn.at - telling.finished_at:+.1f}s {turn.ending or 'set'}→{turn.status}"
            for turn in self._turns[telling.integration_id]
            if abs(turn.at - telling.finished_at) < 2 * self._evidence.rules.deadline_s
        ]
        posts = [f"{post.at - telling.finished_at:+.1f}s {post.status}" for post in self._posts[telling.run_id]]
        return f"seen from its end: turns {near}, POSTs {posts}"

    def succeeded(self, telling: Telling) -> bool:
        return self._ended(telling, SUCCESSES)

    def failed(self, telling: Telling) -> bool:
        return self._ended(telling, FAILURES)

    def failed_again(self, telling: Telling) -> bool:
        """The error held when it was looked at, and no sync had succeeded since the POST."""
        posted_at = self._posted_at(telling)
        if posted_at is None:
            return False
        return any(
            turn.status == "error" and not self._between(telling, SUCCESSES, posted_at, max(begins, since))
            for turn, begins, since in self._held(telling)
        )

    def disconnected(self, telling: Telling) -> bool:
        return self._posted_at(telling) is not None and self._was(telling, "disconnected")

    def finished_unproven(self, telling: Telling) -> bool:
        """It was connected, and no sync that ended since the POST, but for the last moment, is proof of a success."""
        posted_at = self._posted_at(telling)
        return (
            posted_at is not None
            and self._was(telling, "connected")
            and not self._between(telling, SUCCESSES, posted_at + CUT_S, telling.finished_at - LOOK_S)
        )

    def gone(self, telling: Telling) -> bool:
        return self._was(telling, None)

    def access_lost(self, telling: Telling) -> bool:
        window = (telling.finished_at - LOOK_S, telling.finished_at + CUT_S)
        return any(window[0] <= at <= window[1] for at in self._evidence.denials)

    def not_confirmed(self, telling: Telling) -> bool:
        """The deadline after a click that is told here has passed, or FloKit refused the POST."""
        refused = any(
            post.status is not None and 400 <= post.status < 500 and post.status != 429
            for post in self._posts[telling.run_id]
        )
        passed = telling.finished_at + CUT_S - self._evidence.rules.deadline_s
        return refused or any(
            click.integration_id == telling.integration_id and click.user in telling.mentions and click.at <= passed
            for click in self._evidence.clicks
        )

    def _posted_at(self, telling: Telling) -> float | None:
        posts = self._posts[telling.run_id]
        return posts[0].at if posts else None

    def _ended(self, telling: Telling, endings: frozenset[str]) -> bool:
        """Tell whether a sync ended so after the run's POST and before the decision."""
        posted_at = self._posted_at(telling)
        decided_at = min(telling.at, telling.finished_at + CUT_S)
        return posted_at is not None and self._between(telling, endings, posted_at - CUT_S, decided_at)

    def _between(self, telling: Telling, endings: frozenset[str], since: float, until: float) -> bool:
        return any(turn.ending in endings and since <= turn.at <= until for turn in self._turns[telling.integration_id])

    def _was(self, telling: Telling, status: str | None) -> bool:
        return any(turn.status == status for turn, _, _ in self._held(telling))

    def _held(self, telling: Telling) -> Iterator[tuple[Turn, float, float]]:
        """Yield what FloKit knew within the time of the last look: the turn, when it began, when that time began."""
        since, until = telling.finished_at - LOOK_S, min(telling.at, telling.finished_at + CUT_S)
        turns = self._turns[telling.integration_id]
        first = max(0, bisect_left([turn.at for turn in turns], since) - 1)
        for turn in turns[first:]:
            if turn.at <= until:
                yield turn, turn.at, since


_PROOFS: Final[dict[str, Callable[[_Truth, Telling], bool]]] = {
    "succeeded": _Truth.succeeded,
    "failed": _Truth.failed,
    "failed_again": _Truth.failed_again,
    "disconnected": _Truth.disconnected,
    "finished_unproven": _Truth.finished_unproven,
    "gone": _Truth.gone,
    "access_lost": _Truth.access_lost,
    "not_confirmed": _Truth.not_confirmed,
}


# --- asked of FloKit -------------------------------------------------------------------------------------------


def posted_again(evidence: Evidence) -> Iterator[str]:
    """A run has one POST, and one more for each whose reply was lost: on its way, or with the process that read it."""
    by_run: dict[str, list[Post]] = defaultdict(list)
    for post in sorted(evidence.posts, key=lambda one: one.at):
        by_run[post.run_id].append(post)
    for run_id, posts in by_run.items():
        if any(not is_lost(post, evidence.spans) for post in posts[:-1]):
            yield f"{run_id} was posted again after a usable reply: {posts}"
        doubtful = [post for post in posts if not (post.status is not None and 400 <= post.status < 500)]
        if len(doubtful) > DOUBTFUL_POSTS:
            yield f"{run_id} has {len(doubtful)} POSTs"


def is_lost(post: Post, spans: Iterable[Span]) -> bool:
    """Tell whether the reply to a POST was lost, or may have been with a process or a database that went away."""
    return not post.is_usable or any(
        span.began_at - UPSET_S <= post.at + post.took_s and post.at <= span.ended_at + UPSET_S for span in spans
    )


def runs_at_once(evidence: Evidence) -> Iterator[str]:
    """A click joins the run that is under way: no other run of the integration posts before that one has ended."""
    ends: dict[str, float] = {}
    for telling in evidence.tellings:
        ends[telling.run_id] = min(ends.get(telling.run_id, telling.finished_at), telling.finished_at)
    begins: dict[str, tuple[float, str]] = {}
    for post in evidence.posts:
        begins[post.run_id] = min(
            begins.get(post.run_id, (post.at, post.integration_id)), (post.at, post.integration_id)
        )
    by_integration: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for run_id, (at, integration_id) in begins.items():
        by_integration[integration_id].append((at, run_id))
    for runs in by_integration.values():
        runs.sort()
        for (_, earlier), (at, later) in pairwise(runs):
            if earlier in ends and ends[earlier] > at:
                yield f"{later} was posted at {at}, {earlier} ended at {ends[earlier]}"


def busiest_minute(requests: Iterable[float]) -> int:
    """Count the requests of the 60 seconds that hold most."""
    times = sorted(requests)
    return max((index + 1 - bisect_left(times, at - WINDOW_S) for index, at in enumerate(times)), default=0)


def over_budget(evidence: Evidence) -> Iterator[str]:
    """No 60 seconds hold more requests than allowed."""
    busiest = busiest_minute(evidence.requests)
    if busiest > evidence.rules.requests_per_minute:
        yield f"{busiest} requests within 60 s, {evidence.rules.requests_per_minute} are allowed"


# --- the bot itself --------------------------------------------------------------------------------------------


def refused_by_slack(evidence: Evidence) -> Iterator[str]:
    """Slack refuses nothing but what the weather has it refuse."""
    yield from (str(call) for call in evidence.calls if call.error not in NO_FAULT_OF_OURS)
    yield from evidence.warnings


def errors_in_log(evidence: Evidence) -> Iterator[str]:
    """No log holds an error or a traceback, the bot's or a library's."""
    yield from (str(entry)[:2000] for entry in evidence.log if is_fault(entry))


def is_fault(entry: dict[str, Any]) -> bool:
    """Tell whether a line of the log must not be there."""
    event = str(entry.get("event"))
    if event in ERRORS_ALLOWED and entry.get("reason") == ERRORS_ALLOWED[event]:
        return False
    return "exception" in entry or "Traceback" in event or entry.get("level") in ("raw", "error", "critical")


def ended_by_itself(evidence: Evidence) -> Iterator[str]:
    """A process ends when it is told to, with 0 and within ten seconds, or when it is killed."""
    expected = {"SIGKILL": -9, "SIGTERM": 0}
    for one in evidence.exits:
        if expected.get(one.ordered) != one.code:
            yield str(one)


def grows(evidence: Evidence) -> Iterator[str]:
    """The memory of a process that lives long is flat after its warm-up."""
    by_pid: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in evidence.samples:
        by_pid[sample.replica, sample.pid].append(sample)
    for (replica, _), samples in by_pid.items():
        began_at, ended_at = samples[0].at, samples[-1].at
        if ended_at - began_at < LONG_LIFE_S:
            continue
        warm = next(one for one in samples if one.at >= began_at + WARM_UP * (ended_at - began_at))
        if samples[-1].rss_mb > warm.rss_mb * GROWTH:
            yield f"{replica} grew from {warm.rss_mb:.0f} to {samples[-1].rss_mb:.0f} MB"


# --- what channels are told without asking -----------------------------------------------------------------------


def left_open(evidence: Evidence) -> Iterator[str]:
    """Once everything works again, no incident is shown as open."""
    yield from (str(board) for board in evidence.boards)


def woken_twice(evidence: Evidence) -> Iterator[str]:
    """No snooze is said to have ended more than once."""
    yield from (str(one) for one in evidence.snoozed if one.ended > one.asked)


def digests_twice(evidence: Evidence) -> Iterator[str]:
    """A digest of one thing comes to a channel once at its time."""
    by_kind: dict[tuple[str, str], list[float]] = defaultdict(list)
    for channel, title, at in evidence.digests:
        by_kind[channel, title].append(at)
    for kind, times in by_kind.items():
        for one, other in pairwise(sorted(times)):
            if other - one < DIGEST_APART_S:
                yield f"{kind}: at {one} and at {other}"


def wished_otherwise(evidence: Evidence) -> Iterator[str]:
    """A channel's subscriptions are those that were confirmed there last."""
    for wishes in evidence.wishes:
        if not wishes.is_answered:
            yield f"{wishes.channel}: the list did not come"
            continue
        missing = [
            name
            for name, digest in wishes.wanted.items()
            if not any(name in row and digest is ("digest" in row) for row in wishes.listed)
        ]
        if missing or len(wishes.listed) != len(wishes.wanted):
            yield f"{wishes}"


# --- the database ------------------------------------------------------------------------------------------------


def deadlocked(evidence: Evidence) -> Iterator[str]:
    """No two transactions wait for each other."""
    if evidence.deadlocks:
        yield f"{evidence.deadlocks} deadlocks"


def slow_reads(evidence: Evidence) -> Iterator[str]:
    """No read takes long; what locks rows may wait for a process that stands still."""
    for ms, text in evidence.slow:
        if ms > SLOW_READ_MS and text.startswith("SELECT") and "FOR UPDATE" not in text and "_lock" not in text:
            yield f"{ms:.0f} ms: {text[:500]}"


def grows_without_cause(evidence: Evidence) -> Iterator[str]:
    """No table grows while nothing happens."""
    yield from (str(size) for size in evidence.sizes if size.after > size.before)


PROMISES: Final[dict[str, Callable[[Evidence], Iterable[str]]]] = {
    "every accepted click is told its outcome": untold,
    "nothing is told twice": told_twice,
    "all threads are told the same": told_differently,
    "who was refused started nothing": refused_yet_started,
    "every outcome is true": untrue,
    "nothing is posted again without a doubt": posted_again,
    "one run at a time for an integration": runs_at_once,
    "the budget holds": over_budget,
    "Slack refuses nothing of ours": refused_by_slack,
    "no error is logged": errors_in_log,
    "no process ends by itself": ended_by_itself,
    "memory is flat": grows,
    "no incident is left open": left_open,
    "a snooze ends once": woken_twice,
    "a digest comes once": digests_twice,
    "subscriptions are as last confirmed": wished_otherwise,
    "no transactions deadlock": deadlocked,
    "no read takes long": slow_reads,
    "no table grows while nothing happens": grows_without_cause,
}
"""What is promised, and what finds the proof that it was broken."""
