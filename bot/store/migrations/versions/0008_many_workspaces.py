"""Who installed the app, with their secrets sealed, and the states of installations under way."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installations",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("team_name", sa.Text(), nullable=False),
        sa.Column("enterprise_id", sa.Text(), nullable=True),
        sa.Column("is_enterprise", sa.Boolean(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("bot_id", sa.Text(), nullable=False),
        sa.Column("bot_user_id", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("installed_by", sa.Text(), nullable=False),
        sa.Column("installed_at", UtcTime(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("uninstalled_at", UtcTime(), nullable=True),
        sa.Column("data_key", sa.LargeBinary(), nullable=True),
        sa.Column("data_key_id", sa.Text(), nullable=True),
        sa.Column("bot_token", sa.LargeBinary(), nullable=True),
        sa.Column("refresh_token", sa.LargeBinary(), nullable=True),
        sa.Column("token_expires_at", UtcTime(), nullable=True),
        sa.Column("refresh_until", UtcTime(), nullable=True),
        sa.Column("flokit_key", sa.LargeBinary(), nullable=True),
        sa.Column("flokit_sync_key", sa.LargeBinary(), nullable=True),
        sa.Column("key_hint", sa.Text(), nullable=True),
        sa.Column("connected_by", sa.Text(), nullable=True),
        sa.Column("connected_at", UtcTime(), nullable=True),
        sa.Column("webhook_hash", sa.Text(), nullable=True),
    )
    op.create_index("installations_of_enterprise", "installations", ["enterprise_id", "id"])
    op.create_index("installations_of_master_key", "installations", ["data_key_id", "id"])
    op.create_index("installations_webhook", "installations", ["webhook_hash"], unique=True)
    create_partial_index("installations_uninstalled", "installations", "uninstalled_at")
    create_partial_index("installations_expiring", "installations", "token_expires_at")
    op.create_table(
        "oauth_states",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("browser_hash", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
    )
    op.create_index("oauth_states_expired", "oauth_states", ["expires_at"])


def create_partial_index(name: str, table: str, column: str) -> None:
    where = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)
