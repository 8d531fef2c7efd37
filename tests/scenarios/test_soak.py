"""A short storm on each database: kills, freezes, faults and clicks at random, and every promise kept at the end."""

import pytest

from soak.settings import Settings
from soak.storm import Storm

# The storm, a deadline for what was clicked last, and the fleet's start and end on a machine with other things to do.
pytestmark = pytest.mark.timeout(240)

SHORT_MIN = 0.25


async def test_one_process_on_sqlite_keeps_its_promises(tmp_path):
    """A bot on one file that is killed again and again tells every accepted click one true outcome."""
    result = await Storm(Settings(SHORT_MIN, 7, "sqlite", 1), tmp_path).run()
    assert result.violations == [], result.table


@pytest.mark.postgres
async def test_two_replicas_on_postgresql_keep_their_promises(tmp_path):
    """Replicas that share a database, which goes away too, tell every accepted click one true outcome."""
    result = await Storm(Settings(SHORT_MIN, 7, "postgresql", 2), tmp_path).run()
    assert result.violations == [], result.table
