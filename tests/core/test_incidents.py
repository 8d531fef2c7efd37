"""When something is worth telling without being asked: one fact a test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bot.core.incidents.incidents import (
    Change,
    Rules,
    RunNews,
    Sighting,
    Suspicion,
    Trouble,
    Watched,
    observe,
    same_failure,
    trouble_of,
)
from bot.core.models import Integration, Person

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LAST = NOON - timedelta(hours=1)
RULES = Rules(confirm_s=5, flapping_opens=3, flapping_window_s=3600)
ANA = Person("UANA", "ana")

FINE = Integration("int_1", "stripe", "connected", LAST)
FAILING = replace(FINE, status="error", error_message="The secret is wrong")
OTHER_FAILURE = replace(FAILING, error_message="The account was closed")
DISCONNECTED = replace(FINE, status="disconnected")
SYNCING = replace(FINE, status="syncing")
STALE = replace(FINE, last_synced_at=NOON - timedelta(days=3))


def after(seconds):
    """Return so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def succeeded(seconds):
    """Return the integration with a success of so many seconds after noon."""
    return replace(FINE, last_synced_at=after(seconds))


class Story:
    """Sightings one after the other, with what followed from each."""

    def __init__(self, rules=RULES, first_seen_at=NOON):
        self.rules = rules
        self.watched = Watched("int_1", first_seen_at)
        self.verdicts = []

    def see(self, seconds, integration, run=None):
        """See an integration at a time, and return what followed."""
        sighting = Sighting(after(seconds), integration, run)
        verdict = observe(self.watched, sighting, self.rules, team_id="T1", incident_id=f"inc_{len(self.verdicts)}")
        self.watched = verdict.watched
        self.verdicts.append(verdict)
        return verdict

    @property
    def changes(self):
        """What was told so far."""
        return [verdict.change for verdict in self.verdicts if verdict.change]


@pytest.fixture
def story():
    """Begin with an integration that was fine at noon."""
    story = Story()
    story.see(0, FINE)
    return story


@pytest.fixture
def failing(story):
    """Go on to an incident that is open since 10 s after noon."""
    story.see(10, FAILING)
    story.see(20, FAILING)
    return story


# --- opening ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "trouble"),
    [(FAILING, Trouble.FAILING), (DISCONNECTED, Trouble.DISCONNECTED), (STALE, Trouble.STALE)],
)
def test_two_looks_open_an_incident(story, seen, trouble):
    """The same trouble in two looks opens an incident, dated to the first of them."""
    assert story.see(10, seen).change is None
    verdict = story.see(15, seen)
    assert verdict.change is Change.OPENED
    assert (verdict.incident.trouble, verdict.incident.opened_at) == (trouble, after(10))


def test_one_look_asks_for_a_second_one(story):
    """Trouble that was seen once is looked at again as soon as that proves something."""
    assert story.see(10, FAILING).look_again_at == after(15)
    assert story.see(12, FAILING).look_again_at == after(15)


def test_two_looks_too_close_together_open_nothing(story):
    """Two looks of one moment prove no more than one."""
    story.see(10, FAILING)
    assert story.see(14, FAILING).change is None


def test_fine_in_between_begins_anew(story):
    """Trouble, fine, trouble are two first looks."""
    story.see(10, FAILING)
    story.see(20, FINE)
    assert story.see(30, FAILING).change is None
    assert story.watched.suspicion == Suspicion(Trouble.FAILING, after(30), after(30))


def test_another_trouble_begins_anew(story):
    """Failing once and disconnected once proves neither."""
    story.see(10, FAILING)
    assert story.see(20, DISCONNECTED).change is None


def test_a_sync_in_between_clears_no_suspicion(story):
    """A sync that was seen between two failures is neither trouble nor proof of health."""
    story.see(10, FAILING)
    story.see(12, SYNCING)
    assert story.see(20, FAILING).change is Change.OPENED


def test_what_failed_before_anybody_looked_is_told():
    """An integration that was never seen fine opens an incident all the same."""
    story = Story()
    story.see(0, FAILING)
    assert story.see(10, FAILING).change is Change.OPENED


# --- syncs that somebody follows -------------------------------------------------------------------------------


def test_followed_sync_belongs_to_its_thread(story):
    """Trouble while somebody follows a sync opens nothing, however often it is seen."""
    run = RunNews("run_1", ANA)
    for seconds in (10, 20, 30):
        assert story.see(seconds, FAILING, run) == replace(story.verdicts[-1], change=None, look_again_at=None)
    assert story.changes == []


def test_failure_told_in_a_thread_goes_on_there(story):
    """A failure that a resync's threads were told of opens an incident that continues there."""
    run = RunNews("run_1", ANA, ended_at=after(30), failed_as=FAILING)
    story.see(40, FAILING, run)
    assert story.see(50, FAILING, run).incident.continues_run_id == "run_1"


@pytest.mark.parametrize(
    "run",
    [
        RunNews("run_1", ANA, ended_at=after(30), failed_as=OTHER_FAILURE),
        RunNews("run_1", ANA, ended_at=after(30), succeeded=True),
        RunNews("run_1", ANA, ended_at=after(-30), failed_as=FAILING),
    ],
    ids=["another failure", "a success", "fine since"],
)
def test_failure_that_no_thread_knows_stands_for_itself(story, run):
    """An incident continues no thread that was told something else, or told it before it was fine again."""
    story.see(40, FAILING, run)
    assert story.see(50, FAILING, run).incident.continues_run_id == ""


# --- while it is open ------------------------------------------------------------------------------------------


def test_the_same_again_is_told_no_more(failing):
    """However often the same trouble is seen, nothing follows."""
    for seconds in range(30, 300, 10):
        assert failing.see(seconds, FAILING).change is None


def test_numbers_and_ids_in_the_error_are_no_news(failing):
    """An error text that differs in numbers only is the same failure."""
    one = replace(FAILING, error_message="Request req_1a failed at 12:01")
    other = replace(FAILING, error_message="Request req_2b failed at 12:05")
    assert same_failure(one, other)
    assert not same_failure(FAILING, OTHER_FAILURE)


@pytest.mark.parametrize("seen", [OTHER_FAILURE, DISCONNECTED])
def test_another_failure_is_a_change(failing, seen):
    """Another error text, or being disconnected, is told."""
    verdict = failing.see(30, seen)
    assert (verdict.change, verdict.incident.failure) == (Change.CHANGED, seen)


def test_another_failure_after_a_sync_is_a_change(failing):
    """A sync in between does not hide that the error is another one."""
    failing.see(30, SYNCING)
    assert failing.see(40, OTHER_FAILURE).change is Change.CHANGED


TEXTS = [f"The {thing} is broken" for thing in ("secret", "account", "quota", "certificate", "region")]
IN_TURN = {
    "two texts": [FAILING, OTHER_FAILURE],
    "three texts": [replace(FAILING, error_message=text) for text in TEXTS[:3]],
    "failing and disconnected": [FAILING, DISCONNECTED],
    "all of it": [FAILING, DISCONNECTED, OTHER_FAILURE, SYNCING, FINE],
    "after syncs": [FAILING, SYNCING, OTHER_FAILURE, SYNCING],
}


@pytest.mark.parametrize("states", IN_TURN.values(), ids=IN_TURN)
def test_failures_in_turn_are_told_once_more(failing, states):
    """Failures that take turns are told as changes once within ten minutes; the message shows each."""
    for number in range(1, 60):
        verdict = failing.see(20 + 10 * number, states[number % len(states)])
        assert verdict.watched.incident.integration == states[number % len(states)]
    assert failing.changes.count(Change.CHANGED) == 1


@pytest.mark.parametrize("count", [2, 3, 5])
def test_failures_that_come_back_are_never_told_again(failing, count):
    """However long failures take turns, each is told once, ten minutes apart."""
    states = [FAILING, *(replace(FAILING, error_message=text) for text in TEXTS[1:count])]
    for number in range(1, 1000):
        failing.see(20 + 30 * number, states[number % count])
    told = [one for one in failing.verdicts if one.change is Change.CHANGED]
    assert {one.incident.failure for one in told} == set(states[1:])
    times = [one.incident.seen_at for one in told]
    assert all(later - earlier >= timedelta(minutes=10) for earlier, later in pairwise(times))
    assert len(told) == count - 1


def test_a_failure_that_came_back_is_a_repeat(failing):
    """A text that was told earlier raises the counter."""
    failing.see(30, OTHER_FAILURE)
    verdict = failing.see(40, FAILING)
    assert (verdict.change, verdict.incident.repeats) == (Change.REPEATED, 1)


def test_another_failure_that_stays_is_told_later(failing):
    """A failure that came too soon after the last one is shown at once, and told when ten minutes are over."""
    failing.see(30, OTHER_FAILURE)
    assert failing.see(60, DISCONNECTED).change is Change.EDITED
    assert failing.see(90, DISCONNECTED).change is None
    assert failing.see(629, DISCONNECTED).change is None
    assert failing.see(631, DISCONNECTED).change is Change.CHANGED
    assert failing.see(700, DISCONNECTED).change is None


def test_a_failure_that_is_not_told_yet_is_shown_after_a_sync(failing):
    """A sync within the ten minutes is a repeat, so that the message does not go on showing the sync."""
    failing.see(30, OTHER_FAILURE)
    failing.see(60, DISCONNECTED)
    failing.see(70, SYNCING)
    assert failing.see(80, DISCONNECTED).change is Change.REPEATED


def test_the_rolling_message_of_a_flapping_one_is_as_quiet():
    """While an integration flaps, texts that take turns are told as a change once within ten minutes."""
    story, states = Story(), [FAILING, OTHER_FAILURE]
    story.see(0, FINE)
    for number in range(1, 40):
        story.see(100 * number, states[number % 2])
        story.see(100 * number + 10, states[number % 2])
        story.see(100 * number + 50, succeeded(100 * number + 40))
    opened = [one for one in story.verdicts if one.change is Change.OPENED]
    assert len(opened) == RULES.flapping_opens
    assert story.changes.count(Change.CHANGED) <= 1


def test_an_incident_of_an_older_version_knows_its_last_failure(failing):
    """An incident that was saved without what was told takes what it showed last as told."""
    failing.watched = replace(failing.watched, incident=replace(failing.watched.incident, told=()))
    assert failing.see(30, FAILING).change is None
    assert failing.see(40, OTHER_FAILURE).change is Change.CHANGED
    assert failing.see(50, FAILING).change is Change.REPEATED


def test_long_texts_are_remembered_by_their_beginning(failing):
    """A text of any length is a repeat when it comes back."""
    long = replace(FAILING, error_message="The upload was refused: " + "row after row " * 5000)
    failing.see(30, long)
    failing.see(40, FAILING)
    assert failing.see(50, long).change is Change.REPEATED
    assert all(len(one.text) <= 501 for one in failing.watched.incident.told)


def test_failing_again_raises_a_counter(failing):
    """The same failure after a sync is a repeat: a number in the message."""
    assert failing.see(30, SYNCING).change is Change.SYNCING
    verdict = failing.see(40, FAILING)
    assert (verdict.change, verdict.incident.repeats) == (Change.REPEATED, 1)


def test_connected_without_a_success_proves_nothing(failing):
    """An integration that no longer fails, without a newer success, is shown as quiet and stays open."""
    verdict = failing.see(30, FINE)
    assert (verdict.change, verdict.incident.is_open) == (Change.QUIET, True)
    assert failing.see(40, FINE).change is None


def test_a_newer_success_proves_recovery(failing):
    """A success newer than the failure closes the incident, without anybody's merit."""
    verdict = failing.see(60, succeeded(50))
    assert (verdict.change, verdict.incident.closed_at) == (Change.RECOVERED, after(60))
    assert verdict.incident.repaired_by is None
    assert verdict.watched.incident is None


@pytest.mark.parametrize("seen_at", [LAST + timedelta(milliseconds=250), LAST + timedelta(milliseconds=999)])
def test_a_success_that_is_given_more_exactly_proves_no_recovery(failing, seen_at):
    """The success from before the failure is no newer for being given to the millisecond."""
    assert failing.see(30, replace(FINE, last_synced_at=seen_at)).change is Change.QUIET


def test_a_success_that_becomes_readable_proves_recovery_only_when_it_is_new(story):
    """Where the failure's own time can't be read, a success counts from the beginning of the incident."""
    unreadable = replace(FAILING, last_synced_at=None, unreadable_time="yesterday")
    story.see(10, unreadable)
    story.see(20, unreadable)
    assert story.see(30, FINE).change is Change.QUIET
    assert story.see(60, succeeded(50)).change is Change.RECOVERED


def test_a_success_while_the_next_sync_runs_proves_recovery(failing):
    """A newer success is one, although another sync is under way already."""
    assert failing.see(60, replace(succeeded(50), status="syncing")).change is Change.RECOVERED


def test_a_success_between_two_failures_proves_nothing_later(failing):
    """A success that was followed by another failure is old news when the error is merely cleared."""
    assert failing.see(60, replace(FAILING, last_synced_at=after(50))).change is Change.REPEATED
    assert failing.see(70, succeeded(50)).change is Change.QUIET


@pytest.mark.parametrize(
    ("run", "person"),
    [
        (RunNews("run_1", ANA), ANA),
        (RunNews("run_1", ANA, ended_at=after(55), succeeded=True), ANA),
        (RunNews("run_1", ANA, ended_at=after(5), succeeded=True), None),
        (RunNews("run_1", ANA, ended_at=after(55), failed_as=FAILING), None),
    ],
)
def test_whose_resync_repaired_it(failing, run, person):
    """A recovery is the merit of the resync that is being followed, or succeeded since the incident opened."""
    assert failing.see(60, succeeded(50), run).incident.repaired_by == person


def test_stale_recovers_with_a_success(story):
    """A stale integration has recovered when it has a success."""
    story.see(10, STALE)
    story.see(20, STALE)
    assert story.see(30, succeeded(25)).change is Change.RECOVERED


def test_no_longer_failing_but_stale_is_quiet(story):
    """A failure that is cleared without a success does not turn into another incident."""
    failing_long = replace(FAILING, last_synced_at=STALE.last_synced_at)
    story.see(10, failing_long)
    story.see(20, failing_long)
    verdict = story.see(30, STALE)
    assert (verdict.change, verdict.incident.trouble) == (Change.QUIET, Trouble.FAILING)


def test_removed_integration_ends_its_incident(failing):
    """An integration that FloKit no longer has needs nobody any more."""
    verdict = failing.see(60, None)
    assert (verdict.change, verdict.incident.gone, verdict.watched.incident) == (Change.GONE, True, None)


# --- states and times that nobody knows ---------------------------------------------------------------------


PAUSED = replace(FINE, status="paused")


def test_an_unknown_state_is_neither_trouble_nor_health(failing):
    """A word that nobody documented changes nothing in an incident, not even with a newer success."""
    assert failing.see(60, PAUSED).change is None
    assert failing.see(70, replace(succeeded(65), status="paused")).change is None
    assert failing.see(80, FAILING).change is None
    assert failing.watched.incident.is_open


def test_an_unknown_state_clears_no_suspicion(story):
    """Trouble, an unknown state and the same trouble again open an incident."""
    story.see(10, FAILING)
    story.see(12, PAUSED)
    assert story.see(20, FAILING).change is Change.OPENED


def test_a_time_that_cannot_be_read_is_not_stale(story):
    """A success whose time can't be read may be new."""
    unreadable = replace(FINE, last_synced_at=None, unreadable_time="9999-99-99")
    assert trouble_of(unreadable, after(10**8), NOON) is None


# --- flapping --------------------------------------------------------------------------------------------------


def fail_and_recover(story, seconds):
    """Let it fail at a time, and recover a minute later."""
    last = story.watched.seen.last_synced_at
    story.see(seconds, replace(FAILING, last_synced_at=last))
    story.see(seconds + 10, replace(FAILING, last_synced_at=last))
    return story.see(seconds + 60, succeeded(seconds + 50))


def test_the_third_incident_within_an_hour_rolls(story):
    """What opens for the third time within the window stays one message: fine again is only calm."""
    assert fail_and_recover(story, 100).change is Change.RECOVERED
    assert fail_and_recover(story, 300).change is Change.RECOVERED
    verdict = fail_and_recover(story, 500)
    assert (verdict.change, verdict.incident.flapping, verdict.incident.opens) == (Change.CALM, True, 3)
    verdict = fail_and_recover(story, 700)
    assert verdict.incident.opens == 4
    assert story.changes.count(Change.OPENED) == 3


def test_rolling_incident_ends_after_a_calm_window(story):
    """A flapping integration that stays fine for the window has recovered."""
    for seconds in (100, 300, 500):
        fail_and_recover(story, seconds)
    assert story.see(560 + 3599, succeeded(4000)).change is None
    assert story.see(560 + 3600, succeeded(4000)).change is Change.RECOVERED


def test_three_incidents_in_a_day_are_three(story):
    """Incidents further apart than the window do not flap."""
    for seconds in (100, 4000, 8000):
        assert fail_and_recover(story, seconds).change is Change.RECOVERED


# --- when looks come in another order --------------------------------------------------------------------------


def test_an_older_look_changes_nothing(failing):
    """A look that began before the newest one proves nothing any more."""
    assert failing.see(15, succeeded(14)).change is None
    assert failing.watched.incident is not None


def test_an_older_look_dates_a_suspicion(story):
    """Trouble that was seen earlier, and arrives later, is when it began."""
    story.see(20, FAILING)
    story.see(16, FAILING)
    assert story.see(21, FAILING).incident.opened_at == after(16)


def test_an_older_fine_look_dates_it_forwards(story):
    """A look that was fine in between, and arrives later, separates two first looks."""
    story.see(10, FAILING)
    story.see(13, FAILING)
    story.see(12, FINE)
    assert story.see(16, FAILING).change is None


# --- stale -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "hours", "expected"),
    [
        ("stripe", 23, None),
        ("stripe", 25, Trouble.STALE),
        ("app_store_connect", 80, None),
        ("app_store_connect", 97, Trouble.STALE),
        ("unheard_of", 25, Trouble.STALE),
    ],
)
def test_stale_after_what_is_usual_for_the_type(type_, hours, expected):
    """Without a success for longer than the table says, an integration is stale."""
    one = Integration("int_1", type_, "connected", NOON - timedelta(hours=hours))
    assert trouble_of(one, NOON, NOON) is expected


def test_a_sync_under_way_is_given_time():
    """A sync that runs may bring the success that is missing; one that never ends is stale in the end."""
    one = replace(SYNCING, last_synced_at=NOON - timedelta(hours=25))
    assert trouble_of(one, NOON, NOON) is None
    assert trouble_of(one, NOON + timedelta(hours=24), NOON) is Trouble.STALE


def test_never_synced_counts_from_the_first_sight():
    """An integration without any success is stale only when it has been known for so long."""
    new = replace(FINE, last_synced_at=None)
    assert trouble_of(new, NOON, NOON - timedelta(hours=23)) is None
    assert trouble_of(new, NOON, NOON - timedelta(hours=25)) is Trouble.STALE
