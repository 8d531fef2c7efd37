"""What's collected after a soak is kept and written, whatever else fails."""

import json
from random import Random

import pytest

from soak import closing, residents
from soak.closing import Closing
from soak.collecting import collect_all, write_evidence
from soak.fleet import Fleet
from soak.noting import Faults
from soak.people import OPEN_CHANNELS, People
from soak.residents import Residents
from soak.settings import Settings
from soak.storm import Storm


class Parts:
    """A soak that hasn't begun."""

    def __init__(self, folder):
        self.storm = Storm(Settings(1, 7, "sqlite", 1), folder)
        self.fleet = Fleet(1, {}, folder, self.storm.clock, self.storm.database.program)
        self.people = People(self.storm.slack, Random(1), ["int_a"], per_minute=1)
        self.residents = Residents(self.storm.slack, Random(1), ["int_a", "int_b"], OPEN_CHANNELS, per_minute=1)
        self.closing = Closing(
            self.storm.slack, self.storm.flokit, self.residents, Random(1), ["int_a", "int_b"], lambda _seconds: None
        )


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path)


async def test_an_unreadable_part_does_not_affect_the_others(parts, tmp_path, monkeypatch):
    """Its error is recorded; the clicks, the digests and the logs are there, and can be written."""

    def fails(_self):
        raise KeyError("C8SHARED15")

    monkeypatch.setattr(Closing, "snoozed", property(fails))
    (tmp_path / "replica-1" / "bot.log").write_text('{"event": "started"}\n')
    parts.storm.slack.warnings.append("a warning")
    faults = Faults()
    evidence = await collect_all(parts.storm, parts.fleet, parts.people, parts.residents, parts.closing, faults)
    assert evidence.warnings == ["a warning"]
    assert [entry["event"] for entry in evidence.log] == ["started"]
    [fault] = faults.seen
    assert fault.startswith("collecting snoozes: ")
    write_evidence(evidence, tmp_path / "evidence.json")
    assert json.loads((tmp_path / "evidence.json").read_text())["warnings"] == ["a warning"]


async def test_what_is_missing_after_the_faults_is_found(parts, monkeypatch):
    """A bot that answers nothing, posts nothing and sends no digest is found in each channel, step by step."""
    monkeypatch.setattr(residents, "ANSWERED_WITHIN_S", 0.0)
    monkeypatch.setattr(closing, "COMES_WITHIN_S", 0.0)
    monkeypatch.setattr(closing, "SETTLES_S", 0.0)
    parts = Parts(parts.storm.clock.path.parent / "another")
    parts.storm.flokit.add("int_a", "stripe")
    await parts.closing.subscribe()
    await parts.closing.snooze()
    await parts.closing.digest()
    for channel in parts.residents.channels:
        found = [one for one in parts.closing.missing if channel in one]
        assert [any(words in one for one in found) for words in ("no answer to", "no incident of", "no digest")] == [
            True,
            True,
            True,
        ]
    assert not any(one.is_answered for one in parts.closing.wishes)
