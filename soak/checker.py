"""Holds what was seen against what is promised: evidence in, violations out. It knows nothing of the bot's inside.

What counts as true is derived from FloKit's own record, with these tolerances: times in metadata and in HTTP dates are
cut to whole seconds, and a look is as old as the longest request when a decision follows from it.
"""

from __future__ import annotations

import math
import traceback
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from soak.evidence import (
    AWAY,
    CLOCK_MOVED,
    READ_ONLY,
    Absence,
    Click,
    Evidence,
    Lookup,
    Post,
    Sample,
    Sent,
    Slow,
    Span,
    Telling,
    Turn,
)
from soak.statements import is_query

CUT_S: Final = 1.0
"""Times in message metadata, and FloKit's own, are cut to whole seconds."""

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

SLOW_MS: Final = 100.0
"""No statement may take longer when nothing else is to be done."""

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
    "request_given_up": "it was taken up 5 times and never finished",
}
"""Error events of docs/operations.md that killing brings about, with the reason they must give."""

NOT_LOOKED_FOR: Final = "message_not_looked_for"
"""The event that says that Slack didn't let the bot look for a post in doubt."""

DEAD_TOKEN: Final = frozenset({"account_inactive", "token_revoked", "invalid_auth"})
"""What Slack answers to the token of a workspace that uninstalled the app."""

WITH_HISTORY: Final = frozenset({"conversations.history", "conversations.replies"})
"""What the bot does without where it asks for the fewest scopes."""

GONE_S: Final = 15.0
"""So long after the bot heard of an uninstall, a replica that was frozen or without a database may still act on it."""

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
    return [Violation(promise, proof) for promise, judge in PROMISES.items() for proof in _proofs(judge, evidence)]


def _proofs(judge: Callable[[Evidence], Iterable[str]], evidence: Evidence) -> Iterator[str]:
    """Yield what a check finds; a check that fails itself has shown nothing, so its fault is what it finds."""
    try:
        yield from judge(evidence)
    except Exception as error:  # noqa: BLE001 - the other checks go on
        yield f"the check itself failed: {''.join(traceback.format_exception(error)).rstrip()}"


# --- reported once ---------------------------------------------------------------------------------------------


def untold(evidence: Evidence) -> Iterator[str]:
    """Every accepted click has an outcome that mentions its person, in its thread or in their direct messages."""
    by_user = _by_user(evidence.tellings)
    for click in untold_clicks(evidence):
        if not may_be_refused(click, evidence.spans):
            yield f"{click} has no outcome; posted elsewhere: {by_user[click.user]}"
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
    """Whether an outcome message is in the click's thread; a command's thread is any that began after it."""
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
    return click.thread_ts is not None and _while_away(click.at, spans)


def _while_away(at: float, spans: Iterable[Span]) -> bool:
    return any(
        span.what in (AWAY, READ_ONLY) and span.began_at - UPSET_S <= at <= span.ended_at + UPSET_S for span in spans
    )


def told_twice(evidence: Evidence) -> Iterator[str]:
    """A run has one outcome in a thread, and one late result when the first was none; no message is posted twice.

    Where Slack limits the look for a post in doubt, it is repeated: that is documented, and the log says so.
    """
    unseen = [entry for entry in evidence.log if entry.get("event") == NOT_LOOKED_FOR]
    runs_unseen = {entry.get("run_id") for entry in unseen}
    by_thread: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for telling in sorted(evidence.tellings, key=lambda one: one.at):
        outcomes = by_thread[telling.channel, telling.thread_ts, telling.run_id]
        if not (telling.run_id in runs_unseen and telling.outcome in outcomes):
            outcomes.append(telling.outcome)
    for thread, outcomes in by_thread.items():
        if len(outcomes) > 1 and not (len(outcomes) == 2 and outcomes[0] == LATER != outcomes[1]):
            yield f"{thread}: {outcomes}"
    not_looked_for = {entry.get("outbox_id") for entry in unseen}
    for outbox_id, times in Counter(evidence.outbox_ids).items():
        if times > 1 and outbox_id not in not_looked_for:
            yield f"{outbox_id} was posted {times} times"


def told_differently(evidence: Evidence) -> Iterator[str]:
    """All threads of a run get the same outcome, and an outcome is never edited."""
    by_run: dict[str, set[tuple[str, float]]] = defaultdict(set)
    for telling in evidence.tellings:
        by_run[telling.run_id].add((telling.outcome, telling.finished_at))
        if telling.versions != 1:
            yield f"edited: {telling}"
    for run_id, told in by_run.items():
        if len({outcome for outcome, _ in told} - {LATER}) > 1 or len(told) > 2:
            yield f"{run_id}: {sorted(told)}"


def refused_yet_started(evidence: Evidence) -> Iterator[str]:
    """A person to whom the bot said that nothing was started isn't mentioned in an outcome."""
    mentioned = {user for telling in evidence.tellings for user in telling.mentions}
    for click in evidence.clicks:
        if click.refusals and len(click.refusals) >= len(click.acks) and click.user in mentioned:
            yield str(click)


def several_wrong(evidence: Evidence) -> Iterator[str]:
    """Several syncs have one message, which ends with the outcome of each, as it's in its thread."""
    not_looked_for = {entry.get("outbox_id") for entry in evidence.log if entry.get("event") == NOT_LOOKED_FOR}
    threads: dict[tuple[str, str, str], str] = {}
    for telling in sorted(evidence.tellings, key=lambda one: one.at):
        threads[telling.channel, telling.thread_ts, telling.run_id] = telling.outcome
    for several in evidence.several:
        if several.is_refused or not any(several.acks):
            continue
        if not several.messages and _while_away(several.at, evidence.spans):
            continue
        if len(several.messages) != 1 and several.outbox_id not in not_looked_for:
            yield f"{len(several.messages)} messages: {several}"
        elif several.total != several.count:
            yield f"{several.total or 'not all'} of {several.count} have ended: {several}"
        for run_id, outcome in several.outcomes.items():
            told = {threads.get((several.channel, ts, run_id)) for ts in several.messages}
            if outcome not in told:
                yield f"{run_id} ended {outcome}, and its thread says {told}: {several}"


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
        """It was disconnected, and the run had posted, or was upset before it could.

        The attempt is saved before the POST. Without one that arrived, the sentence is true as well: it says what the
        integration is and what mends it, and nothing of a sync.
        """
        return self._was(telling, "disconnected") and (self._posted_at(telling) is not None or self._was_upset(telling))

    def finished_unproven(self, telling: Telling) -> bool:
        """It was connected, and no sync that ended since the POST, but for the last moment, is proof of a success."""
        posted_at = self._posted_at(telling)
        return (
            posted_at is not None
            and self._was(telling, "connected")
            and not self._between(
                telling, SUCCESSES, posted_at + CUT_S, telling.finished_at - self._evidence.rules.look_s
            )
        )

    def gone(self, telling: Telling) -> bool:
        return self._was(telling, None)

    def access_lost(self, telling: Telling) -> bool:
        window = (telling.finished_at - self._evidence.rules.look_s, telling.finished_at + CUT_S)
        return any(window[0] <= at <= window[1] for at in self._evidence.denials)

    def not_confirmed(self, telling: Telling) -> bool:
        """The deadline after a click that is reported here has passed, or FloKit refused the POST."""
        refused = any(
            post.status is not None and 400 <= post.status < 500 and post.status != 429
            for post in self._posts[telling.run_id]
        )
        passed = telling.finished_at + CUT_S - self._evidence.rules.deadline_s
        return refused or any(at <= passed for at in self._asked_at(telling))

    def _was_upset(self, telling: Telling) -> bool:
        """Whether a process or the database went away between a click that is reported here and the decision."""
        return any(
            at <= span.ended_at and span.began_at <= telling.finished_at + CUT_S
            for at in self._asked_at(telling)
            for span in self._evidence.spans
            if span.what != CLOCK_MOVED
        )

    def _asked_at(self, telling: Telling) -> list[float]:
        """Return when the people clicked to whom an outcome is reported."""
        return [
            click.at
            for click in self._evidence.clicks
            if click.integration_id == telling.integration_id and click.user in telling.mentions
        ]

    def _posted_at(self, telling: Telling) -> float | None:
        posts = self._posts[telling.run_id]
        return posts[0].at if posts else None

    def _ended(self, telling: Telling, endings: frozenset[str]) -> bool:
        """Tell whether a sync ended so after the run's POST and before the decision.

        The attempt is saved before the POST. If the process died in between, nobody can know that none arrived. A
        sync of FloKit's own that ended since the click may be reported then, if the message says that it may be that.
        """
        posted_at, decided_at = self._posted_at(telling), min(telling.at, telling.finished_at + CUT_S)
        if posted_at is None and telling.is_unsure and self._was_upset(telling):
            posted_at = min(self._asked_at(telling))
        return posted_at is not None and self._between(telling, endings, posted_at - CUT_S, decided_at)

    def _between(self, telling: Telling, endings: frozenset[str], since: float, until: float) -> bool:
        return any(turn.ending in endings and since <= turn.at <= until for turn in self._turns[telling.integration_id])

    def _was(self, telling: Telling, status: str | None) -> bool:
        return any(turn.status == status for turn, _, _ in self._held(telling))

    def _held(self, telling: Telling) -> Iterator[tuple[Turn, float, float]]:
        """Yield what FloKit knew within the time of the last look: the turn, when it began, when that time began."""
        since, until = telling.finished_at - self._evidence.rules.look_s, min(telling.at, telling.finished_at + CUT_S)
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
    allowed = NO_FAULT_OF_OURS | (DEAD_TOKEN if evidence.absences else frozenset())  # see `heard_from_after_uninstall`
    for call in evidence.calls:
        is_scope_left_out = call.error == "missing_scope" and call.method in WITH_HISTORY
        if call.error not in allowed and not (is_scope_left_out and evidence.rules.workspaces > 1):
            yield str(call)
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
    """A process ends when it gets a signal, with 0 and within ten seconds, or when it's killed."""
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


# --- what channels subscribed to --------------------------------------------------------------------------------


def left_open(evidence: Evidence) -> Iterator[str]:
    """Once everything works again, no incident is shown as open.

    The bot can't know of a message in a channel whose new ID it never heard of, nor of one that it had to post again
    because Slack didn't let it look for it.
    """
    not_looked_for = {entry.get("outbox_id") for entry in evidence.log if entry.get("event") == NOT_LOOKED_FOR}
    posted = Counter(evidence.outbox_ids)
    for board in evidence.boards:
        was_repeated = board.outbox_id in not_looked_for and posted[board.outbox_id] > 1
        if not board.is_lost and not was_repeated:
            yield str(board)


def woken_wrongly(evidence: Evidence) -> Iterator[str]:
    """No snooze is said to have ended more than once; one that ran out while its incident was open, exactly once."""
    for one in evidence.snoozed:
        if one.ended > one.asked or one.due not in (None, one.ended):
            yield str(one)


def digests_wrong(evidence: Evidence) -> Iterator[str]:
    """A digest of one thing comes to a channel once at its time; one that was due in calm comes."""
    by_kind: dict[tuple[str, str], list[float]] = defaultdict(list)
    for channel, title, at in evidence.digests:
        by_kind[channel, title].append(at)
    for kind, times in by_kind.items():
        for one, other in pairwise(sorted(times)):
            if other - one < DIGEST_APART_S:
                yield f"{kind}: at {one} and at {other}"
    for due in evidence.due_digests:
        times = [at for channel, _, at in evidence.digests if channel == due.channel and at >= due.at]
        if len(times) != 1:
            yield f"{due} came {len(times)} times: {times}"


def wished_otherwise(evidence: Evidence) -> Iterator[str]:
    """A channel's subscriptions are those that were confirmed there last."""
    for wishes in evidence.wishes:
        if not wishes.is_answered:
            yield f"{wishes.channel}: the list of subscriptions never came"
            continue
        missing = [
            name
            for name, digest in wishes.wanted.items()
            if not any(name in row and digest is ("digest" in row) for row in wishes.listed)
        ]
        unworded = [
            f"{name}: {words}"
            for name, words in wishes.wording.items()
            if not any(name in row and words in row for row in wishes.listed)
        ]
        if missing or unworded or len(wishes.listed) != len(wishes.wanted):
            yield f"missing {[*missing, *unworded]}: {wishes}"


def did_not_come(evidence: Evidence) -> Iterator[str]:
    """Once everything works again, whatever is asked for comes."""
    yield from evidence.missing


def compared(evidence: Evidence) -> dict[str, int]:
    """Count what the residents' checks really compared."""
    lists = [one for one in evidence.wishes if one.is_answered]
    return {
        "channels": len({one.channel for one in lists}),
        "lists": len(lists),
        "subscriptions": sum(len(one.wanted) for one in lists),
        "snoozes": sum(one.due is not None for one in evidence.snoozed),
        "digests": len(evidence.due_digests),
        "tables": len(evidence.sizes),
    } | (_compared_apart(evidence) if evidence.rules.workspaces > 1 else {})


def _compared_apart(evidence: Evidence) -> dict[str, int]:
    return {
        "workspaces": len({team for one in evidence.sent if one.team for team in one.marks}),
        "uninstalls": sum(one.told_at is not None for one in evidence.absences),
        "syncs after the storm": len(evidence.asked),
    }


def not_compared(evidence: Evidence) -> Iterator[str]:
    """A check that had nothing to compare has shown nothing."""
    yield from (f"nothing was compared: 0 {name}" for name, count in compared(evidence).items() if not count)


# --- many workspaces -------------------------------------------------------------------------------------------


def crossed_over(evidence: Evidence) -> Iterator[str]:
    """What is sent to a workspace names no other one, and a run is known in one workspace only."""
    known_in: dict[str, set[str]] = defaultdict(set)
    for sent in evidence.sent:
        if sent.team and sent.marks - {sent.team}:
            yield f"of {sorted(sent.marks - {sent.team})}: {sent}"
        if sent.team and sent.run_id:
            known_in[sent.run_id].add(sent.team)
    for lookup in evidence.lookups:
        if lookup.run_id:
            known_in[lookup.run_id].add(lookup.team)
    yield from (f"{run_id} is in {sorted(teams)}" for run_id, teams in known_in.items() if len(teams) > 1)


def heard_from_after_uninstall(evidence: Evidence) -> Iterator[str]:
    """Once the bot has heard of an uninstall, nothing is sent to the workspace, and its FloKit isn't asked."""
    for absence in evidence.absences:
        seen: list[Sent | Lookup] = [*evidence.sent, *evidence.lookups]
        for one in seen:
            if one.team == absence.team and _is_too_late(one.at, absence, evidence.spans):
                yield f"{absence}: {one}"
    for sent in evidence.sent:
        if sent.error in DEAD_TOKEN and not any(
            _may_not_know(sent.at, one, evidence.spans) for one in evidence.absences
        ):
            yield f"a token was used long after it was revoked: {sent}"


def _is_too_late(at: float, absence: Absence, spans: Iterable[Span]) -> bool:
    ended_at = math.inf if absence.ended_at is None else absence.ended_at
    return absence.told_at is not None and at < ended_at and passed(absence.told_at, at, spans) > GONE_S


def _may_not_know(at: float, absence: Absence, spans: Iterable[Span]) -> bool:
    return absence.began_at <= at and (absence.told_at is None or passed(absence.told_at, at, spans) <= GONE_S)


def passed(since: float, until: float, spans: Iterable[Span]) -> float:
    """Return the seconds that really passed: without those by which the clock was moved meanwhile."""
    moved = sum(
        span.ended_at - span.began_at
        for span in spans
        if span.what == CLOCK_MOVED and since <= span.began_at and span.ended_at <= until
    )
    return until - since - moved


def not_served(evidence: Evidence) -> Iterator[str]:
    """After the storm, a sync that is started in any workspace gets its outcome there."""
    yield from (str(one) for one in evidence.asked if not one.is_answered)


def not_collected(evidence: Evidence) -> Iterator[str]:
    """The soak's own code runs without a fault, so that no evidence is missing."""
    yield from evidence.faults


# --- the database ------------------------------------------------------------------------------------------------


def deadlocked(evidence: Evidence) -> Iterator[str]:
    """No two transactions wait for each other."""
    if evidence.deadlocks:
        yield f"{evidence.deadlocks} deadlocks"


def slow_alone(evidence: Evidence) -> Iterator[str]:
    """No statement takes over 100 ms by its own plan: those that did waited for a lock, or for the machine."""
    kinds = {one.text: one for one in sorted(evidence.slow, key=lambda one: one.ms)}
    for one in kinds.values():
        if reason_of(one) is Reason.PLAN:
            yield f"{one.ms:.0f} ms, and {one.alone_ms:.0f} ms alone ({one.plan[:300]}): {one.text[:500]}"
        elif reason_of(one) is Reason.UNKNOWN and one.text.startswith("SELECT"):
            yield f"{one.ms:.0f} ms, and it could not be run again: {one.text[:500]}"


class Reason(StrEnum):
    """Why a statement took over 100 ms."""

    PLAN = "slow by their plan"
    LOCK = "waited for a lock"
    MACHINE = "waited for the machine"
    NO_QUERY = "not a query (COMMIT and the like)"
    UNKNOWN = "couldn't be run again"


def reason_of(slow: Slow) -> Reason:
    """Classify a slow statement: its plan, when it is slow alone, too; then a lock; else the machine."""
    if slow.alone_ms is not None and slow.alone_ms > SLOW_MS:
        return Reason.PLAN
    if slow.ms - slow.waited_ms <= SLOW_MS:
        return Reason.LOCK
    if not is_query(slow.text):
        return Reason.NO_QUERY
    return Reason.UNKNOWN if slow.alone_ms is None else Reason.MACHINE


def grows_without_cause(evidence: Evidence) -> Iterator[str]:
    """No table grows while nothing happens."""
    yield from (str(size) for size in evidence.sizes if size.after > size.before)


PROMISES: Final[dict[str, Callable[[Evidence], Iterable[str]]]] = {
    "every accepted click gets its outcome": untold,
    "nothing is posted twice": told_twice,
    "all threads of a run show the same outcome": told_differently,
    "several syncs are one message that ends right": several_wrong,
    "a refused click starts nothing": refused_yet_started,
    "every outcome is true": untrue,
    "a sync is requested again only when in doubt": posted_again,
    "an integration has one run at a time": runs_at_once,
    "the request budget holds": over_budget,
    "Slack refuses none of the bot's calls": refused_by_slack,
    "no error is logged": errors_in_log,
    "no process exits unexpectedly": ended_by_itself,
    "memory is flat": grows,
    "no incident is left open": left_open,
    "a snooze ends once": woken_wrongly,
    "a digest is posted once": digests_wrong,
    "subscriptions are as last confirmed": wished_otherwise,
    "after the storm, everything asked for arrives": did_not_come,
    "each check compares something": not_compared,
    "nothing crosses over between workspaces": crossed_over,
    "nothing is sent after an uninstall": heard_from_after_uninstall,
    "after the storm, every workspace is served": not_served,
    "the soak itself has no faults": not_collected,
    "no transactions deadlock": deadlocked,
    "no statement takes over 100 ms alone": slow_alone,
    "no table grows while nothing happens": grows_without_cause,
}
"""What is promised, and what finds the proof that it was broken."""
