"""The schema's revisions: upgrade a database to this version's, or report that it's older.

Alembic is loaded only when there is something to bring up: a start that finds its tables does without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.exc import DBAPIError

from bot.core.errors import SettingsError, StoreRefused, StoreUnavailable
from bot.store.database import Database
from bot.store.failures import NO_RIGHT, sqlstate_of
from bot.store.tables import metadata

MIGRATIONS: Final = Path(__file__).parent / "migrations"

HEAD: Final = "0014"
"""The newest revision of this code; a test holds it equal to the scripts."""

FOREIGN_TABLES: Final = "this database already has tables with the same names as the bot's; use a separate database"

_VERSION: Final = table("alembic_version", column("version_num"))


def _config(connection: Connection | None = None) -> Any:
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def scripts() -> Any:
    """Give all revisions of this code: Alembic's ``ScriptDirectory``."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    return ScriptDirectory.from_config(_config())


async def current(database: Database) -> str:
    """Name the database's revision; "" when it is empty."""
    async with database.read() as connection:
        return await connection.run_sync(_current)


def _current(connection: Connection) -> str:
    if not inspect(connection).has_table(_VERSION.name):
        return ""
    return connection.scalar(select(_VERSION.c.version_num)) or ""


async def obstacle(database: Database) -> str:
    """Say why this version can't make or upgrade the tables, as what follows DATABASE_URL; "" when nothing is known."""
    revision = await current(database)
    if revision:
        if revision in {script.revision for script in scripts().walk_revisions()}:
            return ""
        return f"its tables are at revision {revision}, which this version doesn't know; run a newer one"
    async with database.read() as connection:
        there = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    return FOREIGN_TABLES if there & set(metadata.tables) else ""


async def upgrade(database: Database) -> None:
    """Bring the database up to the newest revision, in one transaction.

    Raises:
        SettingsError: a newer version made its tables, or it holds another program's.
        StoreUnavailable: it can't be reached; nothing was changed.
    """
    if await current(database) == HEAD:
        return
    if problem := await obstacle(database):
        raise SettingsError([f"DATABASE_URL: {problem}."])
    from alembic import command  # noqa: PLC0415 - see above

    try:
        async with database.begin() as connection:
            if not database.is_sqlite:  # Alembic loads its revisions meanwhile, which may take long on a busy machine
                await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 60000"))
            await connection.lock("flokit-bot migrate")
            await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
    except StoreRefused as error:
        if sqlstate_of(error.__cause__) == NO_RIGHT:
            raise StoreRefused(
                "this user can't create tables; grant it CREATE on the schema (public by default)"
            ) from error
        raise
    except (StoreUnavailable, DBAPIError) as error:
        if "already exists" in str(error.__cause__ or error):
            raise SettingsError([f"DATABASE_URL: {FOREIGN_TABLES}."]) from None
        raise
