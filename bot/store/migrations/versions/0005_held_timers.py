"""A timer that is held is claimed by nobody else, although it is asked for meanwhile."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("timers", sa.Column("lease_until", UtcTime()))
