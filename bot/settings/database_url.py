"""Parses ``DATABASE_URL``: a file, or a server and its options, as SQLAlchemy or libpq write them.

Errors never contain the value: any part of a malformed URL may be the password.
"""

from __future__ import annotations

import getpass
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from bot.core.hosts import is_loopback

DEFAULT_PORT: Final = 5432
HIGHEST_PORT: Final = 65535

SQLITE: Final = ("sqlite", "sqlite+aiosqlite")
POSTGRESQL: Final = ("postgresql", "postgres", "postgresql+asyncpg", "postgres+asyncpg")

ENCRYPTED: Final = ("require", "verify-ca", "verify-full")
SSL_MODES: Final = ("disable", "allow", "prefer", *ENCRYPTED)

FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
"""Options that name a file."""

SYSTEM: Final = "system"
"""The value of ``sslrootcert`` that means the machine's own certificates."""

_DRIVER: Final = frozenset(
    {*FILES, "sslmode", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"}
    | {"krbsrvname", "gsslib"}
)
"""Options that the driver understands as libpq does."""

_ANY: Final = frozenset[str]()

_ACCEPTED: Final[Mapping[str, frozenset[str]]] = {
    # They ask for the default, or only state a preference.
    "channel_binding": frozenset({"disable", "prefer"}),
    "client_encoding": frozenset({"utf8", "utf-8", "auto"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "sslcertmode": frozenset({"disable", "allow"}),
    "target_session_attrs": frozenset({"any", "read-write", "primary"}),
    "schema": frozenset({"public"}),
    "keepalives": _ANY,
    "keepalives_idle": _ANY,
    "keepalives_interval": _ANY,
    "keepalives_count": _ANY,
    "tcp_user_timeout": _ANY,
    "load_balance_hosts": _ANY,
    "gssdelegation": frozenset({"0"}),
    "sslcompression": _ANY,
    "sslsni": frozenset({"1"}),
    # Options for poolers and other drivers: the bot never keeps prepared statements on the server.
    "pgbouncer": _ANY,
    "prepared_statement_cache_size": _ANY,
    "statement_cache_size": _ANY,
}
"""Options that are accepted without effect, and the values for which that is true; no values: all.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

_INSTEAD: Final = {
    "channel_binding": "leave it out, and use sslmode=verify-full: it also verifies the server",
    "connection_limit": "set DATABASE_POOL_SIZE",
    "pool_size": "set DATABASE_POOL_SIZE",
    "service": "put the host, the user and the database in the URL",
    "target_session_attrs": "the bot writes, so use read-write",
    "schema": "use options=-csearch_path=…",
}
"""What to do instead of a refused option."""

_TRUTH: Final = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable"}

_ENCODE: Final = "encode special characters in the user name and the password: @ is %40, / is %2F, # is %23, ? is %3F"
_KINDS: Final = "must begin with sqlite:/// (a file) or postgresql:// (a server)"


class UrlProblem(ValueError):
    """What is wrong with a ``DATABASE_URL``: the rest of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server, and how to connect to it."""

    hosts: tuple[tuple[str, int], ...] = ()
    """Names, addresses or socket folders, in the order to try them; none: the driver's default."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    driver_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """With libpq's names."""
    server_settings: Mapping[str, str] = field(default_factory=dict)
    target: str = "any"
    connect_s: float | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The files that must exist, by option."""
        given = {name: self.driver_options[name] for name in FILES if name in self.driver_options}
        return {name: Path(value) for name, value in given.items() if value != SYSTEM}

    @property
    def is_exposed(self) -> bool:
        """Whether passwords and data go to another machine as plain text."""
        if self.driver_options.get("sslmode") in ENCRYPTED or "sslrootcert" in self.driver_options:
            return False
        return any(not host.startswith("/") and not is_loopback(host) for host, _ in self.hosts)


def parse_database_url(text: str) -> Path | Server:
    """Parse a URL: a SQLite file, or a server.

    Raises:
        UrlProblem: it's malformed, or asks for something unsupported.
    """
    text = text.strip()
    if text[:1] in "\"'" and text[:1] == text[-1:] and len(text) > 1:
        raise UrlProblem("is in quotation marks; leave them out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UrlProblem("isn't UTF-8 text") from None
    if not text.isprintable():
        raise UrlProblem("has a line break or another control character in it")
    scheme, separator, rest = text.partition(":")
    scheme = scheme.lower()
    if not separator or (scheme not in SQLITE and scheme not in POSTGRESQL):
        raise UrlProblem(_wrong_scheme(scheme))
    return _parse_file(rest) if scheme in SQLITE else _parse_server(rest)


def _wrong_scheme(scheme: str) -> str:
    kind, plus, _driver = scheme.partition("+")
    if plus and kind in (*SQLITE, *POSTGRESQL):
        return f"names a driver that isn't used here; write {kind}:// without it"
    return _KINDS


def _parse_file(rest: str) -> Path:
    path, _, options = rest.partition("?")
    if ":memory:" in path or path in ("", "//", "///"):
        raise UrlProblem("must name a file: a database in memory would lose every click when the bot stops")
    if not path.startswith("///"):
        raise UrlProblem("needs three slashes before a relative path and four before an absolute one: sqlite:///a.db")
    path = unquote(path.removeprefix("///"))
    if path.startswith("file:"):
        raise UrlProblem("must name the file itself, not a file: URI")
    if options:
        raise UrlProblem("takes no options after a SQLite file; leave out the ? and what follows")
    if path.endswith(("/", "/.", "/..")) or path in (".", ".."):
        raise UrlProblem("names a folder, not a file")
    if "\0" in path:
        raise UrlProblem("has a control character in it")
    if path.startswith("/~/"):
        path = path[1:]
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UrlProblem("begins with ~, and no home directory is known here; write the whole path") from None


def _parse_server(rest: str) -> Server:
    found = re.fullmatch(r"//(?P<where>[^/?#]*)(?:/(?P<database>[^/?#]*)/?)?(?:\?(?P<options>[^#]*))?", rest)
    if found is None or "@" in (found["database"] or "") + (found["options"] or ""):
        raise UrlProblem(f"can't be read as postgresql://user:password@host/database; {_ENCODE}")
    who, _, hosts = found["where"].rpartition("@")
    user, colon, password = who.partition(":")
    options = _read_options(found["options"] or "")
    database = unquote(found["database"] or "") or options.pop("dbname", "") or options.pop("database", "")
    if not database:
        raise UrlProblem("must name a database after the host: postgresql://user:password@host/database")
    if not user and "user" not in options and not _has_login_name():
        raise UrlProblem("must name a user: postgresql://user:password@host/database")
    in_options = (options.pop("host", ""), options.pop("port", ""))
    given = {"user": unquote(user) or options.pop("user", ""), "password": unquote(password) if colon else ""}
    given["password"] = given["password"] or options.pop("password", "")
    if "\0" in "".join((database, *given.values())):
        raise UrlProblem("has a control character in it")
    return Server(
        hosts=_read_hosts(hosts, in_options[1], quoted=True) if hosts else _read_hosts(*in_options, quoted=False),
        user=given["user"] or None,
        password=given["password"] or None,
        database=database,
        target=options.get("target_session_attrs", "any"),
        connect_s=_read_seconds(options.pop("connect_timeout", "")),
        server_settings=_read_server_settings(options),
        driver_options=_read_driver_options(options),
    )


def _has_login_name() -> bool:
    """Return whether the driver finds a login name; in a container the user may have none."""
    try:
        return bool(getpass.getuser())
    except (KeyError, OSError):
        return False


def _read_options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]{1,40}", name):
            raise UrlProblem(f"has something after the ? that isn't name=value; {_ENCODE}")
        value = unquote(value)
        if name == "host" and name in options:  # SQLAlchemy's way to name several
            value = f"{options[name]},{value}"
        options[name] = value
    return {name: value for name, value in options.items() if value}


def _read_hosts(text: str, ports: str, *, quoted: bool) -> tuple[tuple[str, int], ...]:
    if not text and not ports:
        return ()
    named = [_read_host(one, quoted=quoted) for one in text.split(",")] if text else [("localhost", None)]
    given = [_read_port(port) for port in ports.split(",")] if ports else [DEFAULT_PORT]
    if len(given) not in (1, len(named)):
        raise UrlProblem("must name one port for all hosts, or one for each")
    given *= len(named) if len(given) == 1 else 1
    return tuple((host, port or default) for (host, port), default in zip(named, given, strict=True))


def _read_host(text: str, *, quoted: bool) -> tuple[str, int | None]:
    name, port = text, ""
    if bracketed := re.fullmatch(r"\[([^\]]*)\](?::([^:]*))?", text):
        name, port = bracketed[1], bracketed[2] or ""
        if not _is_ipv6(name):
            raise UrlProblem("has something in brackets that isn't an IPv6 address")
    elif not text.startswith("/") and not (not quoted and _is_ipv6(text)):
        name, _, port = text.partition(":")
        if ":" in port and _is_ipv6(text):
            raise UrlProblem("has an IPv6 address without brackets; write [::1]")
    name = unquote(name)
    if not (name.startswith("/") or _is_ipv6(name) or re.fullmatch(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?", name)):
        raise UrlProblem(f"has a host that isn't a name or an address; {_ENCODE}")
    return name, _read_port(port) if port else None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _read_port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= HIGHEST_PORT:
        raise UrlProblem(f"has a port that isn't a number from 1 to {HIGHEST_PORT}; {_ENCODE}")
    return int(text)


def _read_seconds(text: str) -> float | None:
    """Read ``connect_timeout``, whose 0 means no limit."""
    if text and not re.fullmatch(r"-?[0-9]{1,6}", text):
        raise UrlProblem("has a connect_timeout that isn't a whole number of seconds")
    return float(text) if text and int(text) > 0 else None


def _read_server_settings(options: dict[str, str]) -> dict[str, str]:
    name = options.pop("application_name", "") or options.pop("fallback_application_name", "")
    options.pop("fallback_application_name", "")
    more = options.pop("options", "")
    return {key: value for key, value in (("application_name", name), ("options", more)) if value}


def _read_driver_options(options: dict[str, str]) -> dict[str, str]:
    if ssl := options.pop("ssl", "").lower():
        options.setdefault("sslmode", _TRUTH.get(ssl, ssl))
    if options.pop("requiressl", "") == "1":
        options.setdefault("sslmode", "require")
    wanted = {}
    for name, value in options.items():
        if name in _DRIVER:
            wanted[name] = value
        elif name not in _ACCEPTED or (_ACCEPTED[name] and value.lower() not in _ACCEPTED[name]):
            what = f"asks for {name}" if name not in _ACCEPTED else f"asks for an unsupported {name}"
            raise UrlProblem(f"{what}; {_INSTEAD.get(name, 'leave it out')}")
    mode = wanted.get("sslmode", "prefer").lower()
    if mode not in SSL_MODES:
        raise UrlProblem(f"has an sslmode that isn't one of {', '.join(SSL_MODES)}")
    if "sslmode" in wanted:
        wanted["sslmode"] = mode
    for name in FILES:
        if wanted.get(name, SYSTEM) != SYSTEM:
            wanted[name] = _expand(name, wanted[name])
    if wanted.get("sslrootcert") == SYSTEM and mode not in ("verify-full", "prefer"):
        raise UrlProblem("asks for sslrootcert=system, which needs sslmode=verify-full")
    return wanted


def _expand(name: str, path: str) -> str:
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise UrlProblem(f"has a {name} that begins with ~, and no home directory is known here") from None
