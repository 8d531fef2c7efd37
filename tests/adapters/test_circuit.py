"""The circuit breaker: while FloKit is down, one request at a time checks whether it's back."""

from __future__ import annotations

import pytest

from bot.core.errors import FlokitAway, FlokitBadReply, FlokitBudgetSpent, FlokitDenied, FlokitNoReply
from bot.flokit import Priority
from bot.flokit.circuit import FIRST_PAUSE_S, LONGEST_PAUSE_S, OPENS_AFTER, Circuit
from tests.adapters.conftest import VirtualClock

REFUSED = FlokitDenied("No.", http_status=403)
SPENT = FlokitBudgetSpent("Later.", retry_after_s=1.0)


class World:
    """A circuit, its clock, and requests that end as the test wants."""

    def __init__(self, **options):
        self.clock = VirtualClock()
        self.circuit = Circuit(self.clock.timestamp, **options)

    def ask(self, error=None, priority=Priority.FOLLOW_UP):
        """Make a request that ends this way; return whether it was made."""
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
        """Make requests fail until the circuit opens."""
        for _ in range(OPENS_AFTER):
            assert self.ask(FlokitNoReply("Nothing."))
        assert self.circuit.is_open


@pytest.fixture
def world():
    """A closed circuit."""
    return World()


def test_occasional_failures_never_open_the_circuit(world):
    for _ in range(3 * OPENS_AFTER):
        assert world.ask(FlokitBadReply("500"))
        assert world.ask()
    assert not world.circuit.is_open


def test_each_failed_probe_doubles_the_pause(world):
    """Up to a limit."""
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
    """A value or an explicit refusal means that FloKit is back, and every request is allowed."""
    world.break_down()
    world.clock.advance(FIRST_PAUSE_S)
    assert world.ask(end)
    assert not world.circuit.is_open
    assert world.ask()


def test_only_one_probe_is_sent_at_a_time(world):
    world.break_down()
    world.clock.advance(FIRST_PAUSE_S)
    with world.circuit.asking(Priority.FOLLOW_UP):
        assert not world.ask()
        assert not world.ask(priority=Priority.CLICK)


def test_a_late_failure_lets_no_second_probe_through(world):
    """The request was admitted before the outage."""
    straggler = world.circuit.asking(Priority.FOLLOW_UP)
    straggler.__enter__()
    world.break_down()
    world.clock.advance(FIRST_PAUSE_S)
    with world.circuit.asking(Priority.FOLLOW_UP):
        straggler.__exit__(FlokitNoReply, FlokitNoReply("Nothing."), None)
        world.clock.advance(LONGEST_PAUSE_S)
        assert not world.ask()
    assert world.ask()


def test_late_failures_do_not_lengthen_the_pause(world):
    """Many requests that fail after the circuit opened count as one outage."""
    stragglers = [world.circuit.asking(Priority.FOLLOW_UP) for _ in range(3 * OPENS_AFTER)]
    for one in stragglers:
        one.__enter__()
    for one in stragglers:
        one.__exit__(FlokitNoReply, FlokitNoReply("Nothing."), None)
    world.clock.advance(FIRST_PAUSE_S)
    assert world.ask()


def test_clicks_probe_once_a_second(world):
    """However long the pause of other requests is."""
    world.break_down()
    for _ in range(8):
        world.clock.advance(LONGEST_PAUSE_S)
        world.ask(FlokitNoReply("Nothing."))
    world.clock.advance(1)
    assert not world.ask()
    assert world.ask(FlokitNoReply("Nothing."), Priority.CLICK)
    assert not world.ask(priority=Priority.CLICK)


def test_a_spent_budget_is_not_an_outage(world):
    """A request that was never sent says nothing about FloKit, and doesn't block the next probe."""
    for _ in range(3 * OPENS_AFTER):
        assert world.ask(SPENT)
    assert not world.circuit.is_open
    world.break_down()
    world.clock.advance(FIRST_PAUSE_S)
    assert world.ask(SPENT)
    assert world.circuit.is_open
    assert world.ask()


def test_the_pause_is_never_longer_than_the_check_interval():
    world = World(max_pause_s=0.5)
    world.break_down()
    world.clock.advance(0.5)
    assert world.ask()
