"""What holds for incidents, whatever happens to an integration, and in whatever order it's seen."""

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
    """Draw the history of an integration: a list of its states, each with how long it lasts."""
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
    """Return the integration's state at a time."""
    return next((state for since, state in reversed(life) if since <= at), life[0][1])


runs = st.none() | st.builds(
    RunNews,
    st.just("run_1"),
    st.just(ANA),
    ended_at=st.none() | st.integers(0, 2000).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    succeeded=st.booleans(),
)


def follow(sightings, rules=RULES):
    """Evaluate all sightings; return the state and the verdict after each."""
    watched, steps = Watched("int_1", NOON), []
    for sighting in sightings:
        verdict = observe(watched, sighting, rules, team_id="T1", incident_id=f"inc_{sighting.at:%H%M%S}")
        steps.append((watched, sighting, verdict))
        watched = verdict.watched
    return steps


def each_state_seen(life):
    """Observe each state once, when it begins."""
    return [Sighting(at, integration) for at, integration in life]


@given(lives(), st.data())
def test_opening_and_closing_alternate(life, data):
    """There's never a second open incident, and each opening is followed by at most one closing."""
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
def test_one_check_opens_nothing(life):
    """An incident opens only if an earlier check, at least ``confirm_s`` before, showed the same trouble."""
    for watched, sighting, verdict in follow(each_state_seen(life)):
        if verdict.change is Change.OPENED:
            assert watched.suspicion is not None
            assert watched.suspicion.trouble is verdict.incident.trouble
            assert (sighting.at - watched.suspicion.first_at).total_seconds() >= RULES.confirm_s


@given(lives(), st.data())
def test_nothing_opens_while_a_sync_is_followed(life, data):
    """While a sync is being followed, no incident opens, whatever FloKit shows."""
    run = RunNews("run_1", ANA)
    followed = [replace(one, run=run if data.draw(st.booleans()) else None) for one in each_state_seen(life)]
    for _, sighting, verdict in follow(followed):
        assert not (verdict.change is Change.OPENED and sighting.run)


@given(lives())
def test_recovery_has_a_newer_success(life):
    """An incident closes as recovered only if FloKit shows a success newer than its last failure."""
    for watched, _, verdict in follow(each_state_seen(life), NO_FLAPPING):
        if verdict.change is Change.RECOVERED:
            before = watched.incident.failure.last_synced_at
            assert verdict.incident.integration.last_synced_at > before
            assert verdict.incident.integration.status not in TROUBLED


@given(lives(), st.data())
def test_seeing_the_same_again_changes_nothing(life, data):
    """A second check at the same instant that shows the same, such as a webhook's, changes nothing at all."""
    once = each_state_seen(life)
    twice = [copy for one in once for copy in [one] * data.draw(st.integers(1, 3))]
    assert follow(once)[-1][2].watched == follow(twice)[-1][2].watched
    changes = [verdict.change for _, _, verdict in follow(once) if verdict.change]
    assert [verdict.change for _, _, verdict in follow(twice) if verdict.change] == changes


@settings(max_examples=300)
@given(lives(longest=12), st.data())
def test_the_order_of_overlapping_fetches_does_not_matter(life, data):
    """One of them polled, the other one started by a webhook."""
    steps = data.draw(st.lists(st.integers(0, 20), min_size=2, max_size=30))
    times = [NOON + timedelta(seconds=sum(steps[: index + 1])) for index in range(len(steps))]
    in_order = [Sighting(at, seen_at(life, at)) for at in times]
    shuffled = list(in_order)
    for index in range(len(shuffled) - 1):
        near = (shuffled[index + 1].at - shuffled[index].at).total_seconds() < RULES.confirm_s / 2
        moved = index and shuffled[index] is not in_order[index]
        if near and not moved and data.draw(st.booleans()):
            shuffled[index : index + 2] = reversed(shuffled[index : index + 2])
    # Both orders end with a check long after the others, and one to confirm it.
    end = times[-1] + timedelta(seconds=100)
    last = [Sighting(end, seen_at(life, end)), Sighting(end + timedelta(seconds=10), seen_at(life, end))]
    one, other = follow([*in_order, *last])[-1][2].watched, follow([*shuffled, *last])[-1][2].watched
    assert (one.incident is None) == (other.incident is None)
    if one.incident and other.incident:
        assert one.incident.trouble is other.incident.trouble
        assert one.incident.failure == other.incident.failure


@given(lives(longest=60))
def test_flapping_ends_in_one_message(life):
    """Within the window there are never more messages than the setting allows."""
    opened = [
        verdict.incident.opened_at for _, _, verdict in follow(each_state_seen(life)) if verdict.change is Change.OPENED
    ]
    for at in opened:
        within = [one for one in opened if at <= one < at + timedelta(seconds=RULES.flapping_window_s)]
        assert len(within) <= RULES.flapping_opens


# --- what is posted in a channel -------------------------------------------------------------------------------

EVERYTHING = Wish(frozenset(News))
snoozes = st.none() | st.builds(Snooze, st.just(ANA), st.none() | st.just(NOON + timedelta(days=9)))


@given(lives(), st.data())
def test_a_snooze_never_loses_another_failure(life, data):
    """A failure that wasn't reported yet is reported once in ten minutes, regardless of snoozes."""
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
    """A reply is shown in the channel only if the subscription says so, and only if it's about a failure."""
    reaction = react(incident, change, wish, snooze, told_by_run=told_by_run)
    if reaction.bulletin and reaction.bulletin.broadcast:
        assert change is Change.CHANGED
        assert wish.style is Style.BROADCAST


@given(incidents, st.sampled_from(Change), wishes, st.booleans())
def test_a_recovery_is_posted_where_wanted_and_not_posted_yet(incident, change, wish, told_by_run):
    """A resync's outcome in the same thread may already have said it."""
    reaction = react(incident, change, wish, None, told_by_run=told_by_run)
    if change in (Change.RECOVERED, Change.GONE):
        is_said = told_by_run and not incident.was_taken
        assert (reaction.bulletin is not None) is (News.RECOVERED in wish.news and not is_said)


@given(incidents, st.frozensets(st.sampled_from(News)), st.booleans())
def test_the_end_is_sent_to_everyone_who_saw_the_incident(incident, news, over):
    """While it's open, only its current kind of trouble counts."""
    subscription = Subscription("sub_1", "T1", "C1", ANA, NOON, news=news)
    wish = wish_of([subscription], replace(incident, closed_at=NOON if over else None))
    assert (wish is not None) is (over or News(incident.trouble) in news)


@given(incidents, st.sampled_from(Change))
def test_a_channel_without_a_subscription_gets_no_replies(incident, change):
    """A message that's already there is still updated."""
    assert react(incident, change, None, None, told_by_run=False).bulletin is None
