"""The clock of the sandbox's world: real until it is moved, the same for everybody, and never going back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.clock import WorldClock

NEARLY = timedelta(seconds=5)


@pytest.fixture
def clock(tmp_path):
    """Give a clock that nobody moved."""
    return WorldClock(tmp_path / "clock")


def test_a_clock_that_nobody_moved_is_real(clock):
    """Without a file the time is the real one, and asking writes none."""
    assert abs(clock.now() - datetime.now(UTC)) < NEARLY
    assert abs(clock.time() - time.time()) < NEARLY.total_seconds()
    assert not clock.path.exists()


def test_a_moved_clock_goes_on_from_there(clock):
    """Each move is added to those before."""
    clock.move(timedelta(hours=6))
    clock.move(timedelta(days=1))
    assert clock.moved_s == 30 * 3600
    assert abs(clock.now() - datetime.now(UTC) - timedelta(hours=30)) < NEARLY
    assert abs(clock.time() - clock.now().timestamp()) < NEARLY.total_seconds()


def test_whoever_reads_the_file_moves_along(clock):
    """Another reader of the same file, such as another process, sees each move at its next look."""
    other = WorldClock(clock.path)
    assert other.moved_s == 0
    for _ in range(3):
        clock.move(timedelta(hours=1))
        assert other.moved_s == clock.moved_s


def test_a_clock_does_not_go_back(clock):
    """A move backwards is refused, and a file that is gone moves nothing."""
    clock.move(timedelta(hours=1))
    with pytest.raises(ValueError, match="forwards"):
        clock.move(timedelta(seconds=-1))
    assert clock.moved_s == 3600
    clock.path.unlink()
    assert clock.moved_s == 3600
