"""The names, owners and links that people give to integrations."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nicknames",
        sa.Column("team_id", sa.Text(), primary_key=True),
        sa.Column("integration_id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text()),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
    )
    op.create_index("nicknames_once", "nicknames", ["team_id", "name_key"], unique=True)
