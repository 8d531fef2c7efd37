"""What holds for incidents whatever happens to an integration, and in whatever order it is seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.incidents.incidents import (
    CHANGE_EVERY,
    Change,
    Incident,
    Rules,
    RunNews,
    Sighting,
    Told,
    Trouble,
    Watched,
    observe,
)
from bot.core.incidents.reactions import Snooze, Wish, Word, react, wish_of
from bot.core.models import Integration, Person
from bot.core.subscriptions.subscriptions import News, Style, Subscription

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ANA = Person("UANA", "ana")
RULES = Rules(confirm_s=5, flapping_opens=3, flapping_window_s=300)
NO_FLAPPING = replace(RULES, flapping_opens=10_000)
TROUBLED = ("error", "disconnected")


@st.composite
def lives(draw, longest=40):
    """Draw what an integration goes through: a list of its states, each with how long it lasts."""
    integration = Integration("int_1", draw(st.sampled_from(["stripe", "warehouse"])), "connected", NOON)
    at, states = NOON, []
    for _ in range(draw(st.integers(1, longest))):
        at += timedelta(seconds=draw(st.integers(1, 90)))
        status = draw(st.sampled_from(["connected", "error", "disconnected", "syncing", "paused"]))
        error = draw(st.sampled_from(["the secret is wrong", "the account is closed"])) if status == "error" else None
        success = at if status == "connected" and draw(st.booleans()) else integration.last_synced_at
        integration = replace(integration, status=status, error_message=error, last_synced_at=success)
        states.append((at, integration))
    return states


def seen_at(life, at):
    """Return how an integration is at a time."""
    return next((state for since, state in reversed(life) if since <= at), life[0][1])


runs = st.none() | st.builds(
    RunNews,
    st.just("run_1"),
    st.just(ANA),
    ended_at=st.none() | st.integers(0, 2000).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    succeeded=st.booleans(),
)


def follow(sightings, rules=RULES):
    """Let all sightings be weighed; return what was known after each, and what followed."""
    watched, steps = Watched("int_1", NOON), []
    for sighting in sightings:
        verdict = observe(watched, sighting, rules, team_id="T1", incident_id=f"inc_{sighting.at:%H%M%S}")
        steps.append((watched, sighting, verdict))
        watched = verdict.watched
    return steps


def each_state_seen(life):
    """See each state once, as it begins."""
    return [Sighting(at, integration) for at, integration in life]


@given(lives(), st.data())
def test_opens_and_closes_alternate(life, data):
    """There is never a second open incident, and every open is followed by at most one close."""
    sightings = [replace(one, run=data.draw(runs)) for one in each_state_seen(life)]
    if data.draw(st.booleans()):
        sightings.append(Sighting(sightings[-1].at + timedelta(seconds=1), None))
    open_one = None
    for _, _, verdict in follow(sightings):
        if verdict.change is Change.OPENED:
            assert open_one is None
            open_one = verdict.incident.id
        elif verdict.change in (Change.RECOVERED, Change.GONE):
            assert verdict.incident.id == open_one
            open_one = None
        elif verdict.change:
            assert verdict.incident.id == open_one
        kept = verdict.watched.incident
        assert (kept.id if kept else None) == open_one


@given(lives())
def test_nothing_opens_on_one_look(life):
    """An incident opens on a look only when an earlier one, ``confirm_s`` before, showed the same trouble."""
    for watched, sighting, verdict in follow(each_state_seen(life)):
        if verdict.change is Change.OPENED:
            assert watched.suspicion is not None
            assert watched.suspicion.trouble is verdict.incident.trouble
            assert (sighting.at - watched.suspicion.first_at).total_seconds() >= RULES.confirm_s


@given(lives(), st.data())
def test_nothing_opens_while_a_sync_is_followed(life, data):
    """However an integration looks while somebody follows a sync of it, nothing opens."""
    run = RunNews("run_1", ANA)
    followed = [replace(one, run=run if data.draw(st.booleans()) else None) for one in each_state_seen(life)]
    for _, sighting, verdict in follow(followed):
        assert not (verdict.change is Change.OPENED and sighting.run)


@given(lives())
def test_recovery_has_a_newer_success(life):
    """An incident closes as recovered only when FloKit shows a success newer than its last failure."""
    for watched, _, verdict in follow(each_state_seen(life), NO_FLAPPING):
        if verdict.change is Change.RECOVERED:
            before = watched.incident.failure.last_synced_at
            assert verdict.incident.integration.last_synced_at > before
            assert verdict.incident.integration.status not in TROUBLED


@given(lives(), st.data())
def test_looking_again_at_the_same_changes_nothing(life, data):
    """A look that shows what the one at the same instant showed, as a webhook's does, changes nothing at all."""
    once = each_state_seen(life)
    twice = [copy for one in once for copy in [one] * data.draw(st.integers(1, 3))]
    assert follow(once)[-1][2].watched == follow(twice)[-1][2].watched
    told = [verdict.change for _, _, verdict in follow(once) if verdict.change]
    assert [verdict.change for _, _, verdict in follow(twice) if verdict.change] == told


@settings(max_examples=300)
@given(lives(longest=12), st.data())
def test_the_order_of_looks_that_overlap_is_irrelevant(life, data):
    """Looks of one world that overlap, by poll and by webhook, lead to the same in whatever order they come back."""
    steps = data.draw(st.lists(st.integers(0, 20), min_size=2, max_size=30))
    times = [NOON + timedelta(seconds=sum(steps[: index + 1])) for index in range(len(steps))]
    in_order = [Sighting(at, seen_at(life, at)) for at in times]
    shuffled = list(in_order)
    for index in range(len(shuffled) - 1):
        near = (shuffled[index + 1].at - shuffled[index].at).total_seconds() < RULES.confirm_s / 2
        moved = index and shuffled[index] is not in_order[index]
        if near and not moved and data.draw(st.booleans()):
            shuffled[index : index + 2] = reversed(shuffled[index : index + 2])
    # What both orders end with: a look at the end, long after the others, and one to confirm it.
    end = times[-1] + timedelta(seconds=100)
    last = [Sighting(end, seen_at(life, end)), Sighting(end + timedelta(seconds=10), seen_at(life, end))]
    one, other = follow([*in_order, *last])[-1][2].watched, follow([*shuffled, *last])[-1][2].watched
    assert (one.incident is None) == (other.incident is None)
    if one.incident and other.incident:
        assert one.incident.trouble is other.incident.trouble
        assert one.incident.failure == other.incident.failure


@given(lives(longest=60))
def test_flapping_ends_in_one_message(life):
    """Within the window there are never more messages than the setting says."""
    opened = [
        verdict.incident.opened_at for _, _, verdict in follow(each_state_seen(life)) if verdict.change is Change.OPENED
    ]
    for at in opened:
        within = [one for one in opened if at <= one < at + timedelta(seconds=RULES.flapping_window_s)]
        assert len(within) <= RULES.flapping_opens


# --- what a channel is told ------------------------------------------------------------------------------------

EVERYTHING = Wish(frozenset(News))
snoozes = st.none() | st.builds(Snooze, st.just(ANA), st.none() | st.just(NOON + timedelta(days=9)))


@given(lives(), st.data())
def test_snooze_never_loses_another_failure(life, data):
    """Whoever snoozes, and however often: a failure that was not told yet is told, once in ten minutes."""
    snooze = None
    for watched, _, verdict in follow(each_state_seen(life), NO_FLAPPING):
        if verdict.change in (None, Change.OPENED):
            snooze = data.draw(snoozes) if verdict.watched.incident else None
            continue
        reaction = react(verdict.incident, verdict.change, EVERYTHING, snooze, told_by_run=False)
        before, now = watched.incident, verdict.incident
        another = now.told != before.told
        shown = Told(now.trouble, now.failure.error_message or "")
        if now.is_open and not any(one.is_same(shown) for one in now.told):
            assert now.changed_at > now.seen_at - CHANGE_EVERY
        if another:
            assert reaction.bulletin is not None
            assert reaction.bulletin.word is Word.CHANGED
        if snooze and not another:
            assert reaction.bulletin is None
        snooze = None if reaction.ends_snooze else snooze


incidents = st.builds(
    Incident,
    id=st.just("inc_1"),
    team_id=st.just("T1"),
    integration=st.just(Integration("int_1", "stripe", "error", NOON, "no")),
    seen_at=st.just(NOON),
    trouble=st.sampled_from(Trouble),
    failure=st.just(Integration("int_1", "stripe", "error", NOON, "no")),
    opened_at=st.just(NOON),
)
wishes = st.builds(Wish, st.frozensets(st.sampled_from(News)), st.sampled_from(Style), st.sampled_from(["", "here"]))


@given(incidents, st.sampled_from(Change), wishes, snoozes, st.booleans())
def test_only_failures_are_broadcast(incident, change, wish, snooze, told_by_run):
    """A reply is shown in the channel only where that is wished, and only when it is about a failure."""
    reaction = react(incident, change, wish, snooze, told_by_run=told_by_run)
    if reaction.bulletin and reaction.bulletin.broadcast:
        assert change is Change.CHANGED
        assert wish.style is Style.BROADCAST


@given(incidents, st.sampled_from(Change), wishes, st.booleans())
def test_a_recovery_is_told_where_it_is_wished_and_not_told_yet(incident, change, wish, told_by_run):
    """A recovery is a reply where recoveries are wished, unless a resync's outcome said it in the same thread."""
    reaction = react(incident, change, wish, None, told_by_run=told_by_run)
    if change in (Change.RECOVERED, Change.GONE):
        assert (reaction.bulletin is not None) is (News.RECOVERED in wish.news and not told_by_run)


@given(incidents, st.frozensets(st.sampled_from(News)), st.booleans())
def test_the_end_concerns_whoever_was_told(incident, news, over):
    """While an incident is open its trouble decides whose business it is; how it ended is everybody's who was told."""
    subscription = Subscription("sub_1", "T1", "C1", ANA, NOON, news=news)
    wish = wish_of([subscription], replace(incident, closed_at=NOON if over else None))
    assert (wish is not None) is (over or News(incident.trouble) in news)


@given(incidents, st.sampled_from(Change))
def test_a_channel_that_asks_for_nothing_is_told_nothing(incident, change):
    """Where a subscription ended, a message that stands is still redrawn, and nothing is said."""
    assert react(incident, change, None, None, told_by_run=False).bulletin is None
