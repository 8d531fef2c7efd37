"""Errors of a driver or a server: a bug in the bot, or another reason why nothing can be saved now.

Nearly all of them are such reasons. It's a bug only if the statement would fail on every server.
"""

from __future__ import annotations

import errno
import socket
import sqlite3
import ssl
from typing import Final

from sqlalchemy.exc import DBAPIError, PendingRollbackError

from bot.core.errors import BotError, StoreConflict, StoreRefused, StoreUnavailable

READ_ONLY: Final = "25006"
NO_RIGHT: Final = "42501"

CONFLICTS: Final = {"40P01": "deadlock", "40001": "serialization"}
"""States with which PostgreSQL ends one of two transactions, so that the other can continue."""

_OURS: Final = ("21", "22", "23", "42", "P0")
"""Classes of SQLSTATE of statements that are wrong, of values, and of rules that our own tables hold.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

_REFUSED: Final = {
    "28P01": "the database server rejected the password",
    "28": "the database server doesn't let this user in",
    "3D": "the database server has no database of this name",
    NO_RIGHT: "this user lacks permissions in the database",
}
"""What waiting can't fix at startup; later, an operator may be fixing it. States, then classes."""

_AWAY: Final = {
    READ_ONLY: "the database is read-only right now",
    "08": "the connection to the database broke",
    "25P03": "the database server ended a transaction that took too long",
    "26": "the database server, or a pooler in front of it, lost a prepared statement",
    "3F": "the database has no schema for the bot's tables",
    "40": "the database server rolled this back",
    "42703": "its tables aren't those of this version",
    "42P01": "its tables aren't those of this version",
    "42P05": "the database server, or a pooler in front of it, mixed up prepared statements",
    "53100": "the database server's disk is full",
    "53200": "the database server is out of memory",
    "53300": "the database server accepts no more connections",
    "55P03": "another session locks the database's rows",
    "57014": "the database server canceled a statement that took too long",
    "57P03": "the database server is starting up or shutting down",
    "57": "the database server is shutting down",
}
"""States, then classes, that say why nothing can be saved for now."""

_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: "another process is writing to the database file",
    sqlite3.SQLITE_LOCKED: "another process is writing to the database file",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk is failing",
    sqlite3.SQLITE_READONLY: "the database file can't be written",
    sqlite3.SQLITE_CANTOPEN: "the database file can't be opened",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the database file isn't a SQLite database",
}
"""https://www.sqlite.org/rescode.html"""

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_STILL_READS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk is failing",
    sqlite3.SQLITE_READONLY: "the file can't be written",
    "53100": "the server's disk is full",
    NO_RIGHT: "this user lacks permissions",
}
"""Reads can still work, so readiness must report these."""

_SOCKET: Final = {
    errno.ECONNREFUSED: "nothing is listening at the database server's address",
    errno.ENOENT: "there's no socket at the database server's address",
    errno.EHOSTUNREACH: "there's no route to the database server",
    errno.ENETUNREACH: "there's no route to the database server",
}

GENERAL: Final = "the database can't be reached right now"


def as_unavailable(error: Exception, *, connecting: bool) -> StoreUnavailable | None:
    """Say what a database error means; None if it's a bug in the bot, or not a database error.

    Args:
        error: what was raised.
        connecting: none of our code had begun to run, so the driver raised it, whatever it is.
    """
    if isinstance(error, BotError):
        return None
    raised = _raised_by_driver(error)
    if (code := _sqlite_code(raised)) is not None or isinstance(raised, sqlite3.Error):
        return _of_sqlite(raised, code)
    if connecting and "unsupported startup parameter" in str(raised):  # PgBouncer, which has no code for it
        return StoreRefused(
            "the pooler in front of the database server doesn't accept this option; leave options out of the URL"
        )
    if state := sqlstate_of(raised):
        found = _of_state(state)
        if found is None and connecting:
            return StoreRefused(f"the database server refuses an option of the URL (SQLSTATE {state})")
        return found
    if isinstance(raised, OSError):
        return _of_network(raised)
    if connecting and isinstance(raised, ValueError):  # the driver's word for settings that it can't use
        return StoreRefused(f"the database driver can't use this URL or a PG… variable ({_first_line(raised)})")
    if connecting or isinstance(error, DBAPIError | PendingRollbackError) or _is_drivers(raised):
        return StoreUnavailable(GENERAL)
    return None


def why_not_saving(error: BaseException | None) -> str:
    """Say why nothing can be saved although reads may work; "" for anything else."""
    if error is None:
        return ""
    raised = _raised_by_driver(error)
    return _STILL_READS.get(_sqlite_code(raised) or sqlstate_of(raised), "")


def sqlstate_of(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error; "" if there is none."""
    return (getattr(_raised_by_driver(error), "sqlstate", None) or "") if error else ""


def _raised_by_driver(error: BaseException) -> BaseException:
    """Return what the driver itself raised, below SQLAlchemy's wrappers."""
    raised = error.orig or error if isinstance(error, DBAPIError) else error
    if type(raised).__module__.startswith("sqlalchemy.") and isinstance(raised.__cause__, Exception):
        return raised.__cause__
    return raised


def _sqlite_code(error: BaseException) -> int | None:
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF  # the primary code


def _is_drivers(error: BaseException) -> bool:
    """Return whether a class is the PostgreSQL driver's, without loading the driver for a SQLite file."""
    return type(error).__module__.startswith("asyncpg.") or isinstance(error, EOFError)


def _of_sqlite(error: BaseException, code: int | None) -> StoreUnavailable | None:
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError):
        return None
    kind = StoreRefused if code in _DAMAGED else StoreUnavailable
    return kind(_SQLITE.get(code or 0, GENERAL))


def _of_state(state: str) -> StoreUnavailable | None:
    if state in CONFLICTS:
        return StoreConflict("the database rolled this back in favor of another transaction", reason=CONFLICTS[state])
    for words, kind in ((_REFUSED, StoreRefused), (_AWAY, StoreUnavailable)):
        if sentence := words.get(state) or words.get(state[:2]):
            return kind(sentence)
    if state.startswith(_OURS):
        return None
    return StoreUnavailable(f"the database can't save this right now (SQLSTATE {state})")


def _of_network(error: OSError) -> StoreUnavailable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreRefused(f"the database server's certificate isn't trusted ({error.verify_message})")
    if isinstance(error, ssl.SSLError):
        return StoreRefused(f"no encrypted connection to the database server could be made ({_tls_reason(error)})")
    if "rejected SSL upgrade" in str(error):  # asyncpg has no class for it
        return StoreRefused("the database server doesn't offer encryption, but sslmode requires it")
    if isinstance(error, socket.gaierror):
        return StoreUnavailable("the database server's host name wasn't found")
    if isinstance(error, TimeoutError):
        return StoreUnavailable("the database didn't answer in time")
    return StoreUnavailable(_SOCKET.get(error.errno or 0, GENERAL))


def _tls_reason(error: ssl.SSLError) -> str:
    return (error.reason or "TLS failed").replace("_", " ").lower()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no reason given"])[0]
