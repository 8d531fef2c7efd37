"""The tables. Alembic's revisions create them; ``tests/adapters`` compare the two.

Values that SQL filters on have a column; the rest of a value is JSON in the ``data`` column, written and read by
pydantic from the frozen dataclasses of ``core``. Times are ``timestamptz`` on PostgreSQL and seconds on SQLite.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime. SQLite has no such type: there it is seconds since 1970 as a REAL."""

    impl = Float
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Pick the column's type."""
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else Float())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Write a time."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.timestamp()

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read a time."""
        if value is None or dialect.name == "postgresql":
            return value  # type: ignore[no-any-return]
        return datetime.fromtimestamp(value, UTC)


metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("integration_id", Text, nullable=False),
    Column("integration_type", Text, nullable=False, server_default=text("''")),
    Column("phase", Text, nullable=False),
    Column("outcome", Text),
    Column("requested_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("data", Text, nullable=False, comment="core.models.SyncRun"),
    Column("due_at", UtcTime, comment="when to act next; NULL: never"),
    Column("along_at", UtcTime, comment="from when on a look at other runs serves it, too; NULL: at due_at only"),
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    Column("version", Integer, nullable=False, default=0, comment="fences a late writer off"),
    # One active run per integration, enforced by the database instead of a lock in a process.
    Index(
        "runs_one_active",
        "team_id",
        "integration_id",
        unique=True,
        sqlite_where=text("outcome IS NULL"),
        postgresql_where=text("outcome IS NULL"),
    ),
    Index(
        "runs_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index(
        "runs_along",
        "team_id",
        "along_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("runs_ended", "ended_at"),
    Index("runs_of_integration", "team_id", "integration_id", "requested_at"),
    Index("runs_of_type", "team_id", "integration_type", "requested_at"),
    Index("runs_requested", "requested_at"),
    Index(
        "runs_late",
        "team_id",
        "integration_id",
        sqlite_where=text("phase = 'late'"),
        postgresql_where=text("phase = 'late'"),
    ),
)

participants = Table(
    "participants",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("user_name", Text, nullable=False, default=""),
    Column("joined_at", UtcTime, nullable=False),
)
Index("participants_called", func.lower(participants.c.user_name))

bulks = Table(
    "bulks",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("source_id", Text, primary_key=True, comment="the panel whose button started it"),
    Column("integration_id", Text, primary_key=True),
    Column("bulk_id", Text, nullable=False, comment="the panel that shows the sync"),
    Column("created_at", UtcTime, nullable=False),
    Index("bulks_created", "created_at"),
)
"""Which syncs the buttons that start several have started: each integration once for each button."""

panels = Table(
    "panels",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("data", Text, nullable=False, comment="core.panels.Panel"),
    Column("created_at", UtcTime, nullable=False),
    Index("panels_created", "created_at"),
)

threads = Table(
    "threads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column(
        "place",
        Text,
        nullable=False,
        comment="where it is: channel and root ts, the panel to be posted as its root, or a person",
    ),
    Column("channel_id", Text),
    Column("thread_ts", Text, comment="the root's ts; NULL until the root is posted"),
    Column("panel_id", Text, comment="the message whose row this run overrides"),
    Column("user_id", Text, nullable=False),
    Column("joined", Boolean, nullable=False, default=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("run_id", "place", name="threads_once"),
    Index("threads_of_panel", "panel_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE")),
    Column("thread_id", Text, ForeignKey("threads.id", ondelete="CASCADE")),
    Column("seq", Integer, nullable=False, default=0, comment="order of the posts within a thread"),
    Column("panel_id", Text, ForeignKey("panels.id", ondelete="CASCADE")),
    Column("alert_id", Text, comment="a reply in an incident's thread"),
    Column("data", Text, comment="a SyncRun (outcome), a Message (note) or a Bulletin (news)"),
    Column("channel_id", Text),
    Column("thread_ts", Text),
    Column("user_id", Text, comment="whom to write to directly when there is no channel to post in"),
    Column("response_url", Text),
    Column("response_until", UtcTime),
    Column("ephemeral", Boolean, nullable=False, default=False),
    Column("ts", Text, comment="the posted message; NULL until it is known to be posted"),
    Column("version", Integer, nullable=False, default=1, comment="what must be shown"),
    Column("sent_version", Integer, nullable=False, default=0, comment="what is shown"),
    Column("due_at", UtcTime, comment="when to send; NULL: nothing to send, or the root is not posted yet"),
    Column("not_before", UtcTime, comment="paces the edits of one message"),
    Column("attempts", Integer, nullable=False, default=0, comment="claims since the last clear answer"),
    Column("failures", Integer, nullable=False, default=0, comment="drives the backoff"),
    Column("claims", Integer, nullable=False, default=0, comment="fences a late writer off"),
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("thread_id", "seq", name="outbox_order"),
    Index(
        "outbox_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("outbox_created", "created_at"),
    Index("outbox_of_run", "run_id"),
    Index("outbox_of_panel", "panel_id"),
    Index("outbox_of_message", "channel_id", "ts"),
    Index("outbox_of_thread", "channel_id", "thread_ts"),
    Index("outbox_of_alert", "alert_id"),
    Index(
        "outbox_answerable",
        "response_until",
        sqlite_where=text("response_url IS NOT NULL"),
        postgresql_where=text("response_url IS NOT NULL"),
    ),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Text, primary_key=True, comment="trigger_id or event_id: a delivery counts once"),
    Column("team_id", Text, nullable=False),
    Column("data", Text, comment="core.requests.Request; emptied when done"),
    Column("received_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, comment="when to answer; NULL: done"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    Index("inbox_received", "received_at"),
    Index(
        "inbox_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("team_id", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("integration_id", Text, nullable=False, default=""),
    Column("run_id", Text, nullable=False, default=""),
    Column("result", Text, nullable=False, default=""),
    Column("user_name", Text, nullable=False, server_default=text("''"), comment="as Slack delivered it; may be empty"),
    Column("integration_type", Text, nullable=False, server_default=text("''")),
    Column("decision", Text, nullable=False, server_default=text("'allowed'"), comment="core.access.audit.Ruling"),
    Column("rule", Text, nullable=False, server_default=text("''"), comment="what decided"),
    Index("audit_at", "at"),
    Index("audit_of_integration", "team_id", "integration_id"),
    Index("audit_of_person", "team_id", "user_id"),
)
Index("audit_called", audit.c.team_id, func.lower(audit.c.user_name))

snapshots = Table(
    "snapshots",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("data", Text, nullable=False, comment="core.models.Integration, all of them"),
    Column("as_of", UtcTime, nullable=False),
)

budget = Table(
    "budget",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("free_at", UtcTime, nullable=False, comment="when one more request may go to FloKit"),
    Column("held", Boolean, nullable=False, comment="FloKit asked for this pause"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("target", Text, comment="of its data; NULL when an earlier version wrote it"),
    Column("data", Text, nullable=False, comment="core.subscriptions.Subscription"),
    Column("created_at", UtcTime, nullable=False),
    # One subscription per channel and target, enforced by an index, because SQLite can't add a constraint.
    Index("subscriptions_once", "team_id", "channel_id", "target", unique=True),
)

sightings = Table(
    "sightings",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("integration_id", Text, primary_key=True),
    Column("data", Text, nullable=False, comment="core.incidents.Watched, without its incident"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("integration_id", Text, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("data", Text, nullable=False, comment="core.incidents.Incident"),
    # One open incident per integration, enforced by the database.
    Index(
        "incidents_one_open",
        "team_id",
        "integration_id",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index("incidents_closed", "closed_at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True, comment="also the id of the panel that is its message"),
    Column("team_id", Text, nullable=False),
    Column("incident_id", Text, ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("root_ts", Text, comment="where its story stands; NULL until its message is posted"),
    Column("snoozed_by", Text, comment="who wants quiet; the rest of it is in the panel"),
    UniqueConstraint("incident_id", "channel_id", name="alerts_once"),
    Index("alerts_in_channel", "team_id", "channel_id"),
    Index(
        "alerts_snoozed",
        "team_id",
        "snoozed_by",
        sqlite_where=text("snoozed_by IS NOT NULL"),
        postgresql_where=text("snoozed_by IS NOT NULL"),
    ),
)

held = Table(
    "held",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("channel_id", Text, primary_key=True),
    Column("incident_id", Text, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("held_at", UtcTime, nullable=False),
    Index("held_incident", "incident_id"),
)
"""Incidents that a channel is told about when it's no longer quiet there."""

maintenances = Table(
    "maintenances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("data", Text, nullable=False, comment="core.incidents.Maintenance"),
    Index("maintenances_until", "until"),
)

timers = Table(
    "timers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("due_at", UtcTime, comment="when to act; while it is claimed, when the claim ends; NULL: never"),
    Column("owner", Text, comment="who holds it"),
    Column("lease_until", UtcTime, comment="when the claim ends, whatever is asked for meanwhile"),
    Column("version", Integer, nullable=False, default=0, comment="fences a late writer off"),
    Index(
        "timers_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

homes = Table(
    "homes",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("opened_at", UtcTime, nullable=False),
    Index("homes_opened", "opened_at"),
)

replicas = Table(
    "replicas",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("seen_at", UtcTime, nullable=False),
)

installations = Table(
    "installations",
    metadata,
    Column("id", Text, primary_key=True, comment="the team's id, or the organization's when installed org-wide"),
    Column("team_id", Text, nullable=False, comment="empty when installed org-wide"),
    Column("team_name", Text, nullable=False, default=""),
    Column("enterprise_id", Text),
    Column("is_enterprise", Boolean, nullable=False, default=False),
    Column("app_id", Text, nullable=False, default=""),
    Column("bot_id", Text, nullable=False, default=""),
    Column("bot_user_id", Text, nullable=False, default=""),
    Column("scopes", Text, nullable=False, default=""),
    Column("installed_by", Text, nullable=False, default=""),
    Column("installed_at", UtcTime, nullable=False),
    Column("generation", Integer, nullable=False, default=1, comment="fences a late writer off"),
    Column("uninstalled_at", UtcTime, comment="from when on nothing is sent or looked at; its data goes later"),
    Column("data_key", LargeBinary, comment="seals the secrets of this row; wrapped by a master key"),
    Column("data_key_id", Text, comment="which master key that is"),
    Column("bot_token", LargeBinary, comment="sealed; NULL when an org-wide installation covers this team"),
    Column("refresh_token", LargeBinary, comment="sealed"),
    Column("token_expires_at", UtcTime),
    Column("refresh_until", UtcTime, comment="until when one replica alone refreshes the token"),
    Column("flokit_key", LargeBinary, comment="sealed"),
    Column("flokit_sync_key", LargeBinary, comment="sealed"),
    Column("key_hint", Text, comment="the last characters of the key"),
    Column("connected_by", Text),
    Column("connected_at", UtcTime),
    Column("webhook_hash", Text, comment="SHA-256 of the token in the address of its webhooks"),
    Index("installations_of_enterprise", "enterprise_id", "id"),
    Index("installations_of_master_key", "data_key_id", "id"),
    Index("installations_webhook", "webhook_hash", unique=True),
    Index(
        "installations_uninstalled",
        "uninstalled_at",
        sqlite_where=text("uninstalled_at IS NOT NULL"),
        postgresql_where=text("uninstalled_at IS NOT NULL"),
    ),
    Index(
        "installations_expiring",
        "token_expires_at",
        sqlite_where=text("token_expires_at IS NOT NULL"),
        postgresql_where=text("token_expires_at IS NOT NULL"),
    ),
)

policies = Table(
    "policies",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False, comment="the newest one counts"),
    Column("text", Text, nullable=False, comment="YAML, as it was typed"),
    Column("saved_by", Text, nullable=False),
    Column("saved_by_name", Text, nullable=False, comment="as Slack delivered it; may be empty"),
    Column("saved_at", UtcTime, nullable=False),
)

person_settings = Table(
    "person_settings",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("zone", Text, nullable=False, comment="an IANA name, or empty: the one of Slack"),
    Column("only_syncs", Boolean, nullable=False, comment="no direct messages but about their syncs"),
    Column("changed_at", UtcTime, nullable=False),
)

nicknames = Table(
    "nicknames",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("integration_id", Text, primary_key=True),
    Column("name", Text, nullable=False, comment="empty when it has only an owner or a link"),
    Column("name_key", Text, comment="core.typed.name_key of the name; NULL without one"),
    Column("owner", Text, nullable=False, comment="a person or a user group of Slack's, or empty"),
    Column("link", Text, nullable=False),
    Column("every_s", Integer, comment="how often people expect it to sync; NULL: they said nothing"),
    Column("per_day", BigInteger, comment="how many events they expect in a day; NULL: they said nothing"),
    Column("changed_at", UtcTime, nullable=False),
    # One integration per name, enforced by the database.
    Index("nicknames_once", "team_id", "name_key", unique=True),
)

volumes = Table(
    "volumes",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("integration_id", Text, primary_key=True),
    Column("data", Text, nullable=False, comment="core.volumes.volume.Volume"),
    Column("synced_at", UtcTime, nullable=False, comment="its last successful sync, when its events were counted"),
    Column("read_at", UtcTime, nullable=False, comment="when its events were counted"),
    Index("volumes_read", "read_at"),
)
"""How many events each integration brought: written only when they were counted after a successful sync."""

oauth_states = Table(
    "oauth_states",
    metadata,
    Column("id", Text, primary_key=True, comment="SHA-256 of the state"),
    Column("browser_hash", Text, nullable=False, comment="SHA-256 of the cookie of the browser that asked for it"),
    Column("expires_at", UtcTime, nullable=False),
    Index("oauth_states_expired", "expires_at"),
)
