"""A short soak on each database: random kills, freezes, faults and clicks, and no guarantee broken at the end."""

import pytest

from soak.settings import Settings
from soak.storm import Storm

# Random faults, a deadline for the last clicks, everything that's compared afterwards, and starting and stopping the
# processes on a busy machine: about two minutes. A run that fails waits longer, and must still report.
pytestmark = pytest.mark.timeout(480)

SHORT_MIN = 0.25


async def test_one_process_on_sqlite_keeps_its_guarantees(tmp_path):
    """A bot on one file is killed again and again, and every accepted click gets one true outcome."""
    result = await Storm(Settings(SHORT_MIN, 7, "sqlite", 1), tmp_path).run()
    assert result.violations == [], result.table


@pytest.mark.postgres
async def test_two_replicas_on_postgresql_keep_their_guarantees(tmp_path):
    """The database goes down, too, and every accepted click gets one true outcome."""
    result = await Storm(Settings(SHORT_MIN, 7, "postgresql", 2), tmp_path).run()
    assert result.violations == [], result.table
