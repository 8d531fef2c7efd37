"""The final reply in a run's thread: the outcome, the evidence, and what to do next.

Posted once and never edited. Its message metadata is public: other apps and workflows may rely on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from bot.core.blocks import phrases
from bot.core.blocks.elements import Block, actions, button, checks, context, quoted, section
from bot.core.blocks.names import ID_SHOWN, short_name
from bot.core.blocks.runs import duration_s, events_added, is_late_result, nothing_started, started_at
from bot.core.blocks.text import (
    clip,
    code,
    counted,
    date,
    duration,
    iso_utc,
    listed,
    mention,
    one_line,
    our_sentence,
    shown,
)
from bot.core.commands.presses import Action, Press, fits_in_a_button
from bot.core.models import Message, Outcome, Person, SyncRun
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.volumes.volume import usual_within

OUTCOME_EVENT: Final = "flokit_sync_outcome"
"""The ``event_type`` of the reply's message metadata."""

PEOPLE_MENTIONED: Final = 20
METADATA_WORD_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class _Story:
    """The text of an outcome. ``quote`` is FloKit's text, the only untrusted part."""

    emoji: str
    headline: str
    more: tuple[str, ...] = ()
    quote: str = ""
    advises: bool = False
    offers: tuple[Action, ...] = ()


def outcome_message(
    run: SyncRun,
    joined_by: Sequence[Person],
    now: datetime,
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    outbox_id: str,
) -> Message:
    """Report the outcome of a run: the only message that mentions the people who asked for it."""
    story = _story(run, short_name(run.integration_id, run.integration_type, nicknames).text, now)
    people = list(dict.fromkeys(map(mention, (run.requested_by, *joined_by))))
    mentions = listed(people, str, most=PEOPLE_MENTIONED)
    headline = f"Late result: {story.headline}" if is_late_result(run) else story.headline
    more = " ".join(filter(None, story.more))
    blocks = [
        section("\n".join(part for part in (f"{story.emoji} *{headline}* {mentions}", more) if part)),
        *quoted(story.quote, phrases.ERROR_IN_OUTCOME),
        *([checks(run.integration_type, link=nicknames.of(run.integration_id).link)] if story.advises else []),
        context(_about(run, now)),
        *_buttons(run, story),
    ]
    quote = shown(story.quote, phrases.ERROR_IN_TEXT)
    text = " ".join(part for part in (f"{story.emoji} {headline}.", more, quote, mentions) if part)
    return Message(text, tuple(blocks), _metadata(run, now, outbox_id))


def _metadata(run: SyncRun, now: datetime, outbox_id: str) -> dict[str, object]:
    return {
        "event_type": OUTCOME_EVENT,
        "event_payload": {
            "outbox_id": outbox_id,
            "run_id": run.id,
            "integration_id": _bounded(run.integration_id),
            "integration_type": _bounded(run.integration_type),
            "sync_id": _bounded(run.sync_id or ""),  # Slack doesn't accept null here
            "outcome": run.outcome.value if run.outcome else "",
            "started_at": iso_utc(started_at(run)),
            "finished_at": iso_utc(run.ended_at or now),
        },
    }


def _bounded(vendor_word: str) -> str:
    """Clip FloKit's text, so that the metadata stays within Slack's limit of 8 KB."""
    return clip(one_line(vendor_word), METADATA_WORD_CHARS)


def _about(run: SyncRun, now: datetime) -> str:
    return (
        f"Requested {date(run.requested_at)} · ended {date(run.ended_at or now)} · {code(run.integration_id, ID_SHOWN)}"
    )


def _buttons(run: SyncRun, story: _Story) -> list[Block]:
    presses = {
        Action.DETAILS: ("Details", Press(Action.DETAILS, integration_id=run.integration_id)),
        Action.KEEP_WATCHING: ("Keep watching", Press(Action.KEEP_WATCHING, run_id=run.id)),
        Action.TRY_AGAIN: ("Try again", Press(Action.TRY_AGAIN, integration_id=run.integration_id, run_id=run.id)),
    }
    if not fits_in_a_button(run.integration_id):
        return []
    return actions(*(button(*presses[action]) for action in story.offers))


def _story(run: SyncRun, name: str, now: datetime) -> _Story:
    if nothing_started(run) and run.outcome in (None, Outcome.NOT_CONFIRMED):
        return _not_started(run, name)
    match run.outcome:
        case Outcome.SUCCEEDED:
            return _succeeded(run, name, now)
        case Outcome.FAILED:
            return _failing(run, "❌", f"{name} failed after {duration(duration_s(run, now))}", *_unconfirmed(run))
        case Outcome.FAILED_AGAIN:
            return _failing(run, "❌", f"{name} is still failing, with the same error")
        case Outcome.DISCONNECTED:
            story = _failing(run, "🔌", f"{name} is disconnected", phrases.RECONNECT_IT)
            return replace(story, offers=(Action.DETAILS, Action.TRY_AGAIN))
        case Outcome.FINISHED_UNPROVEN:
            return _unproven(run, name)
        case Outcome.GONE:
            return _Story("❔", f"{name} is no longer in FloKit", ("FloKit says there's no such integration.",))
        case Outcome.ACCESS_LOST:
            return _access_lost(run, name)
        case _:
            return _not_confirmed(run, name, now)


def _succeeded(run: SyncRun, name: str, now: datetime) -> _Story:
    added = events_added(run)
    events = "" if added is None else f" — {counted(added, 'new event') if added else 'no new events'}{_usual(run)}"
    more = (f"{phrases.JOINED_RUNNING}; this is its result.",) if run.overlapped else ()
    return _Story("✅", f"{name} synced in {duration(duration_s(run, now))}{events}", (*more, *_unconfirmed(run)))


def _unconfirmed(run: SyncRun) -> tuple[str, ...]:
    """Say that FloKit's answer to the request was lost: it doesn't show who started a sync."""
    return () if run.accepted_at or run.overlapped else (phrases.MAY_BE_ITS_OWN,)


def _usual(run: SyncRun) -> str:
    """Say how many events are usual since the successful sync before; "" if that isn't known."""
    before = run.baseline.last_synced_at if run.baseline else None
    after = run.last_seen.last_synced_at if run.last_seen else None
    usual = usual_within(run.usual_events, (after - before).total_seconds()) if before and after else None
    if usual is None or not usual[1]:
        return ""
    low, high = usual
    return f"; usually {low:,} to {high:,}" if low < high else f"; usually about {high:,}"


def _failing(run: SyncRun, emoji: str, headline: str, *more: str) -> _Story:
    error = (run.last_seen.error_message if run.last_seen else None) or ""
    if run.overlapped:
        more = (f"{phrases.JOINED_RUNNING}.", *more)
    return _Story(emoji, headline, more, error, advises=True, offers=(Action.TRY_AGAIN,))


def _unproven(run: SyncRun, name: str) -> _Story:
    if run.last_seen and run.last_seen.unreadable_time:
        headline = f"{name} finished, but I can't tell whether it worked"
        return _Story("❔", headline, (f"FloKit shows it as connected. {_UNREADABLE}",), offers=(Action.TRY_AGAIN,))
    return _Story(
        "❔",
        f"{name} finished, but FloKit shows no new successful sync",
        (f"FloKit shows it as connected, and {_last_success(run)}.",),
        offers=(Action.TRY_AGAIN,),
    )


_UNREADABLE: Final = (
    "It sends the time of the last successful sync in a format I can't read, so I can't confirm a success."
)


def _last_success(run: SyncRun) -> str:
    """Compare FloKit's last successful sync with the one before the POST."""
    before = run.baseline.last_synced_at if run.baseline else None
    after = run.last_seen.last_synced_at if run.last_seen else None
    if after is None:
        return (
            f"it no longer shows the successful sync of {date(before)}"
            if before
            else "it has never synced successfully"
        )
    if before is None:
        return f"its last successful sync is {date(after)}, which doesn't prove this one"
    if run.baseline and run.last_seen and not run.last_seen.synced_after(run.baseline):
        if not run.baseline.synced_after(run.last_seen):
            return f"its last successful sync is still {date(before)}"
        times = f"from {date(before)} to {date(after)}"
        return f"the time of its last successful sync moved back {times}, so it proves nothing"
    return f"its last successful sync, {date(after)}, is from before this one was started"


def _access_lost(run: SyncRun, name: str) -> _Story:
    if nothing_started(run):
        known = "Nothing was started."
    elif run.accepted_at is None:
        known = "FloKit hasn't confirmed that a sync started."
    else:
        known = "The sync started, but I don't know whether it worked."
    remedy = f"The API key {phrases.SET_A_NEW_KEY}"
    return _Story(
        "🔑", f"FloKit refuses my key for {name}", (known, our_sentence(run.reason), remedy), run.reason_words
    )


def _not_started(run: SyncRun, name: str) -> _Story:
    why, quote = ["I couldn't reach FloKit in time."], ""
    if run.reason:
        why, quote = [our_sentence(run.reason)], run.reason_words
    elif run.unreachable_since:
        since = f"FloKit has been unreachable since {date(run.unreachable_since)}."
        why, quote = [since, our_sentence(run.unreachable_reason)], run.unreachable_words
    elif run.fault_id:
        why = [phrases.went_wrong(run.fault_id)]
    return _Story("❔", f"Nothing was started for {name}", tuple(why), quote, offers=(Action.TRY_AGAIN,))


def _not_confirmed(run: SyncRun, name: str, now: datetime) -> _Story:
    waited = duration(((run.ended_at or now) - run.requested_at).total_seconds())
    more = ["I haven't seen it fail, either."]
    if run.fault_id:
        more = [phrases.went_wrong(run.fault_id)]
    elif run.unreachable_since:
        more = [f"FloKit has been unreachable since {date(run.unreachable_since)}, so I couldn't check."]
    elif run.accepted_at is None:
        more.insert(0, "FloKit didn't respond when I asked it to start, and I see no sign that a sync began.")
    if run.unreachable_reason:
        why, quote = run.unreachable_reason, run.unreachable_words
    else:
        why, quote = run.reason, run.reason_words
    more.append(our_sentence(why))
    if run.last_seen and run.last_seen.unreadable_time:
        more.append(_UNREADABLE.replace("It", "FloKit", 1))
    if run.late_until:
        more.append(f"I'll keep checking until {date(run.late_until)} and post any late result here.")
    offers = (Action.KEEP_WATCHING, Action.TRY_AGAIN)
    return _Story("❔", f"{name}: no result after {waited}", tuple(more), quote, offers=offers)
