"""The schema's revisions: bring a database up to this code, or tell that it is behind.

Alembic is loaded only when there is something to bring up: a start that finds its tables does without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import column, inspect, select, table

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from bot.store.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations"

HEAD: Final = "0006"
"""The newest revision of this code; a test holds it equal to the scripts."""

_VERSION: Final = table("alembic_version", column("version_num"))


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def scripts() -> ScriptDirectory:
    """Give all revisions of this code."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    return ScriptDirectory.from_config(_config())


async def current(database: Database) -> str:
    """Name the database's revision; "" when it is empty."""
    async with database.begin() as connection:
        return await connection.run_sync(_current)


def _current(connection: Connection) -> str:
    if not inspect(connection).has_table(_VERSION.name):
        return ""
    return connection.scalar(select(_VERSION.c.version_num)) or ""


async def upgrade(database: Database) -> None:
    """Bring the database up to the newest revision, in one transaction."""
    if await current(database) == HEAD:
        return
    from alembic import command  # noqa: PLC0415 - see above

    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
