"""The circuit: while FloKit is away, only one now and then asks whether it is back."""

from __future__ import annotations

import pytest

from bot.core.errors import FlokitAway, FlokitBadReply, FlokitBudgetSpent, FlokitDenied, FlokitNoReply
from bot.flokit import Priority
from bot.flokit.circuit import FIRST_PAUSE_S, LONGEST_PAUSE_S, OPENS_AFTER, Circuit
from tests.adapters.conftest import VirtualClock

REFUSED = FlokitDenied("No.", http_status=403)
SPENT = FlokitBudgetSpent("Later.", retry_after_s=1.0)


class World:
    """A circuit, its clock, and requests that go as they are told."""

    def __init__(self, **options):
        self.clock = VirtualClock()
        self.circuit = Circuit(self.clock.timestamp, **options)

    def ask(self, error=None, priority=Priority.FOLLOW_UP):
        """Make a request that ends so; returns whether it was made."""
        made = False
        try:
            with self.circuit.asking(priority):
                made = True
                if error:
                    raise error
        except FlokitAway as away:
            return away.retry_after_s is None
        except type(error or ValueError):
            pass
        return made

    def break_down(self):
        """Let FloKit fail until the circuit opens."""
        for _ in range(OPENS_AFTER):
            assert self.ask(FlokitNoReply("Nothing."))
        assert self.circuit.is_open


@pytest.fixture
def world():
    """Start with a closed circuit."""
    return World()


def test_one_lost_reply_is_no_outage(world):
    """Failures between answers never open it."""
    for _ in range(3 * OPENS_AFTER):
        assert world.ask(FlokitBadReply("500"))
        assert world.ask()
    assert not world.circuit.is_open


def test_an_outage_is_asked_about_ever_less_often(world):
    """Each probe that fails doubles the pause, up to a limit."""
    world.break_down()
    pauses = []
    for _ in range(7):
        waited = 0.0
        while not world.ask(FlokitNoReply("Nothing.")):
            world.clock.advance(0.5)
            waited += 0.5
        pauses.append(waited)
    assert pauses == [1, 2, 4, 8, 15, 15, 15]
    assert max(pauses) == LONGEST_PAUSE_S


@pytest.mark.parametrize("end", [None, REFUSED])
def test_an_answer_ends_the_outage(world, end):
    """A value, or a refusal in so many words: FloKit is there, and everybody may ask."""
    world.break_down()
    world.clock.advance(FIRST_PAUSE_S)
    assert world.ask(end)
    assert not world.circuit.is_open
    assert world.ask()


def test_only_one_asks_whether_it_is_back(world):
    """While a probe is under way nobody else asks."""
    world.break_down()
    world.clock.advance(FIRST_PAUSE_S)
    with world.circuit.asking(Priority.FOLLOW_UP):
        assert not world.ask()
        assert not world.ask(priority=Priority.CLICK)


def test_a_straggler_ends_no_probe_of_another(world):
    """A request that was admitted before the outage doesn't let a second probe through when it ends."""
    straggler = world.circuit.asking(Priority.FOLLOW_UP)
    straggler.__enter__()
    world.break_down()
    world.clock.advance(FIRST_PAUSE_S)
    with world.circuit.asking(Priority.FOLLOW_UP):
        straggler.__exit__(FlokitNoReply, FlokitNoReply("Nothing."), None)
        world.clock.advance(LONGEST_PAUSE_S)
        assert not world.ask()
    assert world.ask()


def test_stragglers_make_no_pause_longer(world):
    """Many requests that fail after the circuit opened count as one outage: only probes make the pause longer."""
    stragglers = [world.circuit.asking(Priority.FOLLOW_UP) for _ in range(3 * OPENS_AFTER)]
    for one in stragglers:
        one.__enter__()
    for one in stragglers:
        one.__exit__(FlokitNoReply, FlokitNoReply("Nothing."), None)
    world.clock.advance(FIRST_PAUSE_S)
    assert world.ask()


def test_a_person_need_not_wait_for_the_pause(world):
    """A click asks once a second, however long the pause of the others is."""
    world.break_down()
    for _ in range(8):
        world.clock.advance(LONGEST_PAUSE_S)
        world.ask(FlokitNoReply("Nothing."))
    world.clock.advance(1)
    assert not world.ask()
    assert world.ask(FlokitNoReply("Nothing."), Priority.CLICK)
    assert not world.ask(priority=Priority.CLICK)


def test_our_own_budget_is_no_outage(world):
    """A request that was not made says nothing, and does not block the next probe."""
    for _ in range(3 * OPENS_AFTER):
        assert world.ask(SPENT)
    assert not world.circuit.is_open
    world.break_down()
    world.clock.advance(FIRST_PAUSE_S)
    assert world.ask(SPENT)
    assert world.circuit.is_open
    assert world.ask()


def test_quick_followups_are_not_made_slow():
    """The pause is never longer than the time between two looks."""
    world = World(max_pause_s=0.5)
    world.break_down()
    world.clock.advance(0.5)
    assert world.ask()
