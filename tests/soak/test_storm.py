"""A whole soak in which nothing works: it still reports, and each of its own errors is a violation."""

import asyncio

import pytest

from soak import closing, residents, storm
from soak.checker import PROMISES
from soak.settings import Settings
from soak.storm import Storm


class DeadFleet:
    """Replicas that never start, and can't be stopped either."""

    replicas = ()
    webhook_url = ""

    def __init__(self, *_args, **_options):
        """Take what a fleet takes."""

    async def run(self):
        await asyncio.Event().wait()

    async def close(self):
        raise RuntimeError("no replica to stop")


@pytest.fixture
def impatient(monkeypatch):
    """Never wait for what won't happen."""
    for module, names in {
        storm: ("READY_WITHIN_S", "TOLD_WITHIN_S", "QUIET_WITHIN_S", "STILL_S", "QUIET_S"),
        residents: ("ANSWERED_WITHIN_S", "ANSWERED_IN_CALM_WITHIN_S"),
        closing: ("COMES_WITHIN_S", "SETTLES_S"),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(storm, "Fleet", DeadFleet)


@pytest.mark.usefixtures("impatient")
async def test_a_soak_whose_steps_all_fail_still_reports(tmp_path, monkeypatch):
    """The faults, the counting and the stops fail; the table, the evidence and every other check are there."""

    async def fails():
        raise OSError("can't stop")

    soak = Storm(Settings(0, 7, "sqlite", 1), tmp_path)
    stop = soak.slack.stop
    monkeypatch.setattr(soak.slack, "stop", fails)
    result = await soak.run()
    await stop()
    faults = [one.proof for one in result.violations if one.promise == "the soak itself has no faults"]
    for step in ("the storm", "clearing up", "counting rows", "stopping the replicas", "stopping what"):
        assert any(fault.startswith(step) for fault in faults), faults
    assert {violation.promise for violation in result.violations} == {
        "the soak itself has no faults",
        "each check compares something",
        "after the storm, everything asked for arrives",
        "subscriptions are as last confirmed",
        "a digest is posted once",
    }
    assert {violation.promise for violation in result.violations} < set(PROMISES)
    assert result.rows["clicks"].startswith("0: ")
    assert {"calls.jsonl", "evidence.json"} <= {path.name for path in tmp_path.iterdir()}
