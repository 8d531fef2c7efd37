"""The audit tells names, types, decisions and rules, and refuses to be changed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ADDED = (("user_name", "''"), ("integration_type", "''"), ("decision", "'allowed'"), ("rule", "''"))


def upgrade() -> None:
    for name, default in ADDED:
        op.add_column("audit", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text(default)))
    op.create_index("audit_of_integration", "audit", ["team_id", "integration_id"])
    op.create_index("audit_of_person", "audit", ["team_id", "user_id"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
        )
    else:
        op.execute(
            "CREATE FUNCTION refuse_audit_update() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_update()"
        )
