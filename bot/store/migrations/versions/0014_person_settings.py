"""People's own settings."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_settings",
        sa.Column("team_id", sa.Text(), primary_key=True),
        sa.Column("user_id", sa.Text(), primary_key=True),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("only_syncs", sa.Boolean(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
    )
