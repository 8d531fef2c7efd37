"""The soak's report: a row about slow statements, one about what was compared; no error loses the table."""

from collections import Counter

from soak import report
from soak.evidence import Click, DueDigest, Evidence, Size, Slow, Snoozed, Span, Telling, Wishes
from soak.report import Result
from soak.settings import Settings

SETTINGS = Settings(10, 1401, "postgresql", 3)


def rows_of(**parts):
    """Return the report's rows for some evidence."""
    return Result.of(SETTINGS, Evidence(SETTINGS.rules, **parts), [], Counter(), 700.0).rows


def test_slow_statements_are_one_row():
    """It says how many there were, of how many kinds, why, and how long they take alone."""
    slow = [
        Slow(900.0, "SELECT a", alone_ms=0.4),
        Slow(150.0, "SELECT a", alone_ms=0.4),
        Slow(500.0, "UPDATE b", waited_ms=450.0, alone_ms=1.5),
        Slow(300.0, "SELECT c", alone_ms=200.0),
        Slow(120.0, "COMMIT;"),
    ]
    assert rows_of(slow=slow)["statements over 100 ms"] == (
        "5 of 4 kinds: 1 slow by their plan, 1 waited for a lock, 2 waited for the machine, 1 not a query (COMMIT and "
        "the like). Run alone, those not slow by their plan take at most 1.5 ms. Longest: 900 ms, `SELECT a`"
    )
    assert rows_of()["statements over 100 ms"] == "0"


def test_what_was_compared_is_one_row():
    """It counts what was compared, not what was done."""
    rows = rows_of(
        wishes=[Wishes("C1", {"int_a": True, "all": False}, (), is_answered=True)],
        snoozed=[Snoozed("C1", "1.0", 1, 1, due=1), Snoozed("C2", "1.0", 55, 0)],
        due_digests=[DueDigest("C1", 60.0)],
        missing=["C1: no answer"],
        sizes=[Size("timers", 3, 4), Size("runs", 1, 1)],
    )
    assert rows["compared after the storm"] == (
        "subscriptions: 2 (1 lists, 1 channels), snoozes: 1, digests: 1, missing answers: 1"
    )
    assert rows["tables while nothing happens"] == "2, 1 of them grew"


def test_a_row_that_cannot_be_counted_is_a_violation(monkeypatch):
    """The other rows are still there."""

    def fails(_evidence):
        raise ZeroDivisionError

    monkeypatch.setattr(report, "_people", fails)
    result = Result.of(SETTINGS, Evidence(SETTINGS.rules), [], Counter(), 700.0)
    [violation] = result.violations
    assert violation.promise == "the soak itself has no faults"
    assert "ZeroDivisionError" in violation.proof
    assert result.rows["deadlocks"] == "0"
    assert result.rows["violations"] == "1"
    assert "clicks" not in result.rows


def test_a_moved_clock_is_not_waiting_time():
    """Only time that passed for everyone counts from a click to its outcome."""
    click = Click("U1", "C1", "int_a", at=100.0, thread_ts=None, acks=(True,))
    reported = Telling("C1", "101.0", 3770.0, "run_1", "int_a", "succeeded", 3769.0, mentions=frozenset({"U1"}))
    moved = [Span("clock moved", 105.0, 3765.0), Span("clock moved", 4000.0, 7660.0), Span("ended", 105.0, 106.0)]
    away = Span("database away", 104.0, 3766.0)
    rows = rows_of(clicks=[click], tellings=[reported], spans=[*moved, away])
    assert rows["database restarts"] == "1, down for 2 s in all"
    assert rows["time from click to outcome"] == "median 10.0 s, 95 % within 10.0 s, longest 10.0 s"
