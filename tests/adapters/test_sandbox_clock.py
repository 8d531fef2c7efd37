"""The sandbox's clock: the real time until it's moved, shared by all processes, and never going back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.clock import WorldClock

NEARLY = timedelta(seconds=5)


@pytest.fixture
def clock(tmp_path):
    """A clock that wasn't moved."""
    return WorldClock(tmp_path / "clock")


def test_an_unmoved_clock_is_real(clock):
    """Without a file the time is the real one, and reading it writes no file."""
    assert abs(clock.now() - datetime.now(UTC)) < NEARLY
    assert abs(clock.time() - time.time()) < NEARLY.total_seconds()
    assert not clock.path.exists()


def test_moves_add_up(clock):
    clock.move(timedelta(hours=6))
    clock.move(timedelta(days=1))
    assert clock.moved_s == 30 * 3600
    assert abs(clock.now() - datetime.now(UTC) - timedelta(hours=30)) < NEARLY
    assert abs(clock.time() - clock.now().timestamp()) < NEARLY.total_seconds()


def test_other_processes_follow_the_clock(clock):
    """They see each move when they next read the file."""
    other = WorldClock(clock.path)
    assert other.moved_s == 0
    for _ in range(3):
        clock.move(timedelta(hours=1))
        assert other.moved_s == clock.moved_s


def test_a_clock_does_not_go_back(clock):
    """A move backwards is refused, and a missing file moves nothing."""
    clock.move(timedelta(hours=1))
    with pytest.raises(ValueError, match="moves forward"):
        clock.move(timedelta(seconds=-1))
    assert clock.moved_s == 3600
    clock.path.unlink()
    assert clock.moved_s == 3600
