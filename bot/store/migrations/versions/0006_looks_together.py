"""From when on a look at other runs of its workspace serves a run, too."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "runs",
        sa.Column(
            "along_at",
            UtcTime(),
            nullable=True,
            comment="from when on a look at other runs serves it, too; NULL: at due_at only",
        ),
    )
    op.create_index(
        "runs_along",
        "runs",
        ["team_id", "along_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
