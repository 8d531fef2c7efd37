"""What channels are told when it's no longer quiet there, and maintenance windows."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "held",
        sa.Column("team_id", sa.Text(), primary_key=True),
        sa.Column("channel_id", sa.Text(), primary_key=True),
        sa.Column("incident_id", sa.Text(), sa.ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("held_at", UtcTime(), nullable=False),
    )
    op.create_index("held_incident", "held", ["incident_id"])
    op.create_table(
        "maintenances",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("until", UtcTime(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
    )
    op.create_index("maintenances_until", "maintenances", ["until"])
