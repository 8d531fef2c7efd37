"""The budget that replicas share, what FloKit last said, who is alive, and indexes for the purge."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PURGED = (
    ("runs_ended", "runs", "ended_at"),
    ("panels_created", "panels", "created_at"),
    ("threads_of_panel", "threads", "panel_id"),
    ("outbox_created", "outbox", "created_at"),
    ("inbox_received", "inbox", "received_at"),
    ("audit_at", "audit", "at"),
)


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("free_at", UtcTime(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("team_id", "slot"),
    )
    op.create_table(
        "replicas",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("owner"),
    )
    op.create_table(
        "snapshots",
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("as_of", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("team_id"),
    )
    for name, table, column in PURGED:
        op.create_index(name, table, [column])
