"""Which syncs the buttons that start several have started."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bulks",
        sa.Column("team_id", sa.Text(), primary_key=True),
        sa.Column("source_id", sa.Text(), primary_key=True),
        sa.Column("integration_id", sa.Text(), primary_key=True),
        sa.Column("bulk_id", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
    )
    op.create_index("bulks_created", "bulks", ["created_at"])
