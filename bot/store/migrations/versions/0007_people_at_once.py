"""One subscription a target, the type of each run, and indexes for what is asked for often."""

import json

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

subscriptions = sa.table(
    "subscriptions",
    sa.column("id", sa.Text),
    sa.column("team_id", sa.Text),
    sa.column("channel_id", sa.Text),
    sa.column("target", sa.Text),
    sa.column("data", sa.Text),
    sa.column("created_at", UtcTime()),
)
timers = sa.table("timers", sa.column("id", sa.Text), sa.column("due_at", UtcTime()))


def upgrade() -> None:
    name_the_types()
    keep_one_subscription_a_target()
    # Timers that nothing is due for were kept for ever; now they go when their work is done.
    op.execute(timers.delete().where(timers.c.due_at.is_(None)))
    # It led to all of a workspace's incidents, where only the open ones were asked for.
    op.drop_index("incidents_opened", "incidents")
    op.create_index("audit_called", "audit", ["team_id", sa.text("lower(user_name)")])
    op.create_index("participants_called", "participants", [sa.text("lower(user_name)")])
    op.create_index("homes_opened", "homes", ["opened_at"])
    create_partial_index("outbox_answerable", "outbox", ["response_until"], "response_url IS NOT NULL")
    create_partial_index("alerts_snoozed", "alerts", ["team_id", "snoozed_by"], "snoozed_by IS NOT NULL")


def create_partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def name_the_types() -> None:
    """Give each run the type that stands in its data."""
    op.add_column("runs", sa.Column("integration_type", sa.Text(), nullable=False, server_default=sa.text("''")))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE runs SET integration_type = COALESCE(json_extract(data, '$.integration_type'), '')")
    else:
        op.execute("UPDATE runs SET integration_type = COALESCE(data::json ->> 'integration_type', '')")
    op.create_index("runs_of_type", "runs", ["team_id", "integration_type", "requested_at"])
    op.create_index("runs_requested", "runs", ["requested_at"])
    create_partial_index("runs_late", "runs", ["team_id", "integration_id"], "phase = 'late'")


def keep_one_subscription_a_target() -> None:
    """Keep the newest of those that several people made at the same moment, and the digests of no other."""
    op.add_column(
        "subscriptions",
        sa.Column("target", sa.Text(), nullable=True, comment="of its data; NULL when an earlier version wrote it"),
    )
    connection = op.get_bind()
    newest_first = sa.select(subscriptions).order_by(subscriptions.c.created_at.desc(), subscriptions.c.id)
    kept = set()
    for row in connection.execute(newest_first).all():
        target = json.loads(row.data).get("target", "all")
        place = (row.team_id, row.channel_id, target)
        this = subscriptions.c.id == row.id
        if place in kept:
            connection.execute(subscriptions.delete().where(this))
            connection.execute(timers.delete().where(timers.c.id == f"digest:{row.id}"))
        else:
            connection.execute(subscriptions.update().where(this).values(target=target))
            kept.add(place)
    op.drop_index("subscriptions_of_channel", "subscriptions")
    op.create_index("subscriptions_once", "subscriptions", ["team_id", "channel_id", "target"], unique=True)
