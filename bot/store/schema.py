"""The schema's revisions: bring a database up to this code, or tell that it is behind."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bot.store.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def scripts() -> ScriptDirectory:
    """Give all revisions of this code."""
    return ScriptDirectory.from_config(_config())


@cache
def head() -> str:
    """Name the newest revision of this code."""
    return scripts().get_current_head() or ""


async def current(database: Database) -> str:
    """Name the database's revision; "" when it is empty."""
    async with database.begin() as connection:
        return await connection.run_sync(_current)


def _current(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


async def upgrade(database: Database) -> None:
    """Bring the database up to the newest revision, in one transaction."""
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
