"""PostgreSQL: how a session is opened, and what holds in each of its transactions.

A pooler such as PgBouncer may give every transaction another session of the server. So nothing is left in a session
that a later transaction needs: no prepared statement, no SET. asyncpg is loaded when a server is used.
"""

from __future__ import annotations

import ssl
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from bot.settings.database_url import SYSTEM, Server

CONNECT_S = 2.0
"""Slack waits three seconds for an ack: a silent server must be given up before."""

STATEMENT_S = 2.0
"""No statement of a running bot takes long: a server that hangs must be given up while Slack still waits."""

STANDS_STILL_MS = 2000
"""A process that stands still in the middle of a transaction holds rows locked: the server ends it, others go on."""

HEAD_BYTES: Final = 5
SHORTEST_MESSAGE: Final = 4
"""A message of the server's begins with its type and its length; the length counts itself."""

APPLICATION_NAME: Final = "flokit-bot"
"""What the server shows of a transaction, unless the URL names it."""


class Sessions:
    """Opens sessions.

    Args:
        server: where.
        statement_s: how long a statement may take; None: for ever, as migrations need it.
    """

    def __init__(self, server: Server, *, statement_s: float | None) -> None:
        self._server = server
        self._statement_s = statement_s
        self.application_name = server.server_settings.get("application_name", APPLICATION_NAME)

    async def open(self, **_options: Any) -> Any:
        """Open one, at the first host that takes it."""
        asyncpg = _load_driver()
        failed: Exception | None = None
        for host, port in self._server.hosts or ((None, None),):
            try:
                return await asyncpg.connect(
                    dsn=self._driver_options,
                    host=host,
                    port=port,
                    user=self._server.user,
                    password=self._server.password,
                    database=self._server.database,
                    ssl=self._system_trust,
                    timeout=self._connect_s,
                    command_timeout=self._statement_s,
                    statement_cache_size=0,
                    server_settings=self._startup,
                    target_session_attrs=self._server.target,
                    connection_class=self._class,
                )
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched) as error:
                failed = error
        raise failed or OSError("no host")

    @cached_property
    def _class(self) -> Any:
        asyncpg = _load_driver()
        return asyncpg.Connection if self._statement_s is None else _make_session_class(self.application_name)

    @property
    def _startup(self) -> dict[str, str]:
        return {name: value for name, value in self._server.server_settings.items() if name != "application_name"}

    @property
    def _connect_s(self) -> float | None:
        """Share the time among the hosts: one that is silent must not use up that of the others."""
        wanted = self._server.connect_s
        if self._statement_s is None and wanted:
            return wanted
        return min(wanted or CONNECT_S, CONNECT_S) / max(len(self._server.hosts), 1)

    @cached_property
    def _driver_options(self) -> str:
        return f"postgresql://?{urlencode(self._server.driver_options)}" if self._server.driver_options else ""

    @cached_property
    def _system_trust(self) -> ssl.SSLContext | None:
        """Trust what this machine trusts, when the URL names no certificates; the driver can't."""
        options = self._server.driver_options
        is_meant = options.get("sslmode") == "verify-full" and "sslrootcert" not in options and not _has_own_root()
        if options.get("sslrootcert") != SYSTEM and not is_meant:
            return None
        context = ssl.create_default_context()
        if "sslcert" in options:
            context.load_cert_chain(options["sslcert"], options.get("sslkey"), lambda: options.get("sslpassword", ""))
        return context


def _has_own_root() -> bool:
    """Tell whether libpq's usual place has a certificate to trust."""
    try:
        return (Path.home() / ".postgresql" / "root.crt").exists()
    except (RuntimeError, OSError):  # there is no home, or it can't be read
        return False


class Framing:
    """Checks the lengths of the messages that a server sends, before the driver reads them.

    Each message is a byte for its type, and four for its length, which counts those four:
    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """

    def __init__(self) -> None:
        self._head = b""
        self._skip = 0

    def is_broken_by(self, data: bytes) -> bool:
        """Follow the next bytes; return whether a message among them can't end."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(HEAD_BYTES - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                if len(self._head) == HEAD_BYTES:
                    length = int.from_bytes(self._head[1:], signed=True)
                    if length < SHORTEST_MESSAGE:
                        return True
                    self._head, self._skip = b"", length - SHORTEST_MESSAGE
            at += step
        return False


@cache
def _load_driver() -> Any:
    """Load asyncpg, and keep it from a loop that never ends.

    It reads a message whose length can't be right again and again, and no time limit ends that: it never yields.
    """
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 - see above
    from asyncpg import protocol  # noqa: PLC0415 - see above

    class Protocol(protocol.Protocol):  # type: ignore[misc]
        """What a connection reads with."""

        def connection_made(self, transport: Any) -> None:
            self._framing = Framing()
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            if self._framing.is_broken_by(data):
                raise ConnectionAbortedError("what listens there doesn't speak PostgreSQL's protocol")
            super().data_received(data)

    protocol.Protocol = Protocol  # there is no public way to it
    return asyncpg


def _make_session_class(name: str) -> Any:
    driver = _load_driver()
    literal = name.replace("'", "''")

    class Session(driver.Connection):  # type: ignore[misc, name-defined]
        """A session whose transactions say whose they are, and limit how long they may stand still.

        Both with the transaction's own SET, on the trip that begins it. Behind a pooler anything else would stay for
        other programs: PgBouncer hands a session on with the name that its last client gave it.
        """

        __slots__ = ()

        async def execute(self, query: str, *arguments: Any, **options: Any) -> Any:
            if query.startswith("BEGIN"):  # it ends with a semicolon
                limit = f"SET LOCAL idle_in_transaction_session_timeout = {STANDS_STILL_MS}"
                query = f"{query} {limit}; SET LOCAL application_name = '{literal}';"
            return await super().execute(query, *arguments, **options)

    return Session
