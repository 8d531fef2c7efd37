"""How many events integrations bring, what people expect of them, and news about those that bring too few.

Subscriptions to all news there were get the new kind, too.
"""

import json

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ALL_BEFORE = frozenset({"failing", "stale", "disconnected", "recovered"})


def upgrade() -> None:
    op.create_table(
        "volumes",
        sa.Column("team_id", sa.Text(), primary_key=True),
        sa.Column("integration_id", sa.Text(), primary_key=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("synced_at", UtcTime(), nullable=False),
        sa.Column("read_at", UtcTime(), nullable=False),
    )
    op.create_index("volumes_read", "volumes", ["read_at"])
    op.add_column("nicknames", sa.Column("every_s", sa.Integer()))
    op.add_column("nicknames", sa.Column("per_day", sa.BigInteger()))
    subscriptions = sa.table("subscriptions", sa.column("id", sa.Text()), sa.column("data", sa.Text()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(subscriptions)).all():
        data = json.loads(row.data)
        if frozenset(data.get("news", ())) == ALL_BEFORE:
            data["news"] = [*data["news"], "empty"]
            changed = subscriptions.update().where(subscriptions.c.id == row.id).values(data=json.dumps(data))
            connection.execute(changed)
