"""DATABASE_URL: the forms that people and hosts write, and one sentence for anything unsupported."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings.database_url import Server, UrlProblem, parse_database_url

HOME = Path("~").expanduser()

FILES = {
    "sqlite+aiosqlite:///data/flokit.db": Path("data/flokit.db"),
    "sqlite:///data/flokit.db": Path("data/flokit.db"),
    "sqlite:////var/lib/flokit.db": Path("/var/lib/flokit.db"),
    "SQLITE:///flokit.db": Path("flokit.db"),
    "sqlite:///~/flokit.db": HOME / "flokit.db",
    "sqlite:////~/flokit.db": HOME / "flokit.db",
    "sqlite:///my%20data/flokit.db": Path("my data/flokit.db"),
    "  sqlite:///flokit.db\n": Path("flokit.db"),
}


@pytest.mark.parametrize(("url", "path"), FILES.items(), ids=repr)
def test_each_form_of_a_sqlite_url_names_the_file(url, path):
    """``~`` is the home directory."""
    assert parse_database_url(url) == path


SERVERS = {
    "postgresql+asyncpg://ana:pw@db/flokit": (("db", 5432),),
    "postgresql://ana:pw@db:6432/flokit": (("db", 6432),),
    "postgres://ana:pw@db/flokit": (("db", 5432),),
    "postgres://ana:pw@[::1]:5433/flokit": (("::1", 5433),),
    "postgres://ana:pw@a,b:6432/flokit": (("a", 5432), ("b", 6432)),
    "postgres://ana:pw@/flokit?host=/run/postgresql": (("/run/postgresql", 5432),),
    "postgres://ana:pw@%2Frun%2Fpostgresql/flokit": (("/run/postgresql", 5432),),
    "postgres://ana:pw@/flokit?host=a,b&port=1,2": (("a", 1), ("b", 2)),
    "postgres://ana:pw@/flokit?host=a:1&host=b:2": (("a", 1), ("b", 2)),
    "postgres://ana:pw@/flokit?host=::1": (("::1", 5432),),
    "postgres://ana:pw@a,b/flokit?port=6432": (("a", 6432), ("b", 6432)),
    "postgres://ana:pw@/flokit": (),
    "postgres://ana:pw@db/flokit/?sslmode=REQUIRE": (("db", 5432),),
    "postgres://db/?user=ana&password=pw&dbname=flokit": (("db", 5432),),
}


@pytest.mark.parametrize(("url", "hosts"), SERVERS.items(), ids=repr)
def test_each_form_of_a_server_url_is_parsed(url, hosts):
    """Its hosts are in their order, with user, password and database."""
    server = parse_database_url(url)
    assert (server.hosts, server.user, server.password, server.database) == (hosts, "ana", "pw", "flokit")


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("p%40ss", "p@ss"),
        ("p@ss", "p@ss"),
        ("p:ss", "p:ss"),
        ("p%2Fs%23s%3F", "p/s#s?"),
        ("100%", "100%"),
        ("a+b", "a+b"),
    ],
)
def test_a_password_may_be_encoded(written, password):
    """It may be plain where that's unambiguous."""
    assert parse_database_url(f"postgresql://ana:{written}@db/flokit").password == password


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=require",
        "sslmode=require&channel_binding=prefer",
        "sslmode=verify-full&sslrootcert=system",
        "sslmode=disable&gssencmode=disable&keepalives_idle=30",
        "ssl=true",
        "pgbouncer=true&prepared_statement_cache_size=0&connect_timeout=10",
        "target_session_attrs=read-write&application_name=flokit&options=-csearch_path%3Dbot",
        "schema=public&client_encoding=UTF8",
        "&",
    ],
)
def test_options_without_effect_are_accepted(options):
    """Hosting services put them in the URLs that they hand out."""
    assert isinstance(parse_database_url(f"postgresql://ana:pw@db/flokit?{options}"), Server)


def test_options_reach_the_driver_and_the_server():
    """TLS options go to the driver; the name and ``options`` go to the server."""
    query = "ssl=require&sslrootcert=~/ca.pem&application_name=flokit&options=-csearch_path%3Dbot&connect_timeout=1"
    server = parse_database_url(f"postgresql://ana:pw@db/flokit?{query}")
    assert server.driver_options == {"sslrootcert": str(HOME / "ca.pem"), "sslmode": "require"}
    assert server.server_settings == {"application_name": "flokit", "options": "-csearch_path=bot"}
    assert server.connect_s == 1


REFUSED = {
    "": "must begin with",
    "flokit.db": "must begin with",
    "host=db dbname=flokit": "must begin with",
    "mysql://u:hidden@h/db": "must begin with",
    "jdbc:postgresql://h/db": "must begin with",
    "postgresql+psycopg2://u:hidden@h/db": "write postgresql:// without it",
    "postgres+psycopg://u:hidden@h/db": "write postgres:// without it",
    '"postgresql://u:hidden@h/db"': "quotation marks",
    "'sqlite:///a.db'": "quotation marks",
    "postgresql://u:hid\nden@h/db": "control character",
    "postgresql://u:hidden\udc80@h/db": "UTF-8",
    "sqlite://": "in memory",
    "sqlite:///": "in memory",
    "sqlite:///:memory:": "in memory",
    "sqlite+aiosqlite:///file::memory:?cache=shared": "in memory",
    "sqlite://data/flokit.db": "three slashes",
    "sqlite:data/flokit.db": "three slashes",
    "sqlite:///file:flokit.db?uri=true": "file: URI",
    "sqlite:///flokit.db?mode=ro": "no options",
    "sqlite:///data/": "a folder",
    "sqlite:///.": "a folder",
    "sqlite:///a%00b": "control character",
    "sqlite:///~nobody-of-this-name/x.db": "whole path",
    "postgresql:u:hidden@h/db": "can't be read",
    "postgresql://u:hidden@h": "name a database",
    "postgresql://u:hidden@h/": "name a database",
    "postgresql://u:hid/den@h/db": "encode",
    "postgresql://u:hid#den@h/db": "encode",
    "postgresql://u:hid?den@h/db": "encode",
    "postgresql://u:hidden@h/db?hidden": "encode",
    "postgresql://u:hidden@h:port/db": "port",
    "postgresql://u:hidden@h:0/db": "port",
    "postgresql://u:hidden@h:65536/db": "port",
    "postgresql://u:hidden@h:-1/db": "port",
    "postgresql://u:hidden@[h/db": "host",
    "postgresql://u:hidden@[h]/db": "IPv6",
    "postgresql://u:hidden@::1/db": "brackets",
    "postgresql://u:hidden@a..b/db": "host",
    "postgresql://u:hidden@a b/db": "host",
    "postgresql://u:hidden@a,/db": "host",
    "postgresql://u:hidden@a,b,c/db?port=1,2": "one port",
    "postgresql://u:hidden@h/db?sslmode=on": "sslmode",
    "postgresql://u:hidden@h/db?ssl=maybe": "sslmode",
    "postgresql://u:hidden@h/db?channel_binding=require": "verify-full",
    "postgresql://u:hidden@h/db?gssencmode=require": "gssencmode",
    "postgresql://u:hidden@h/db?target_session_attrs=standby": "read-write",
    "postgresql://u:hidden@h/db?require_auth=scram-sha-256": "require_auth",
    "postgresql://u:hidden@h/db?service=flokit": "in the URL",
    "postgresql://u:hidden@h/db?connection_limit=3": "DATABASE_POOL_SIZE",
    "postgresql://u:hidden@h/db?schema=bot": "search_path",
    "postgresql://u:hidden@h/db?connect_timeout=soon": "seconds",
    "postgresql://u:hidden@h/db?sslrootcert=system&sslmode=require": "verify-full",
    "postgresql://u:hidden@h/db?new_option=hidden": "new_option",
}


@pytest.mark.parametrize(("url", "words"), REFUSED.items(), ids=repr)
def test_an_unsupported_url_is_refused_in_one_sentence(url, words):
    """It names the option, never a value."""
    with pytest.raises(UrlProblem) as refused:
        parse_database_url(url)
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert "hid" not in str(refused.value)


@pytest.mark.parametrize(
    ("where", "is_exposed"),
    [
        ("db.example.com/x", True),
        ("db.example.com/x?sslmode=prefer", True),
        ("db.example.com/x?sslmode=disable", True),
        ("db.example.com/x?sslmode=require", False),
        ("db.example.com/x?sslmode=verify-full", False),
        ("localhost/x", False),
        ("[::1]/x", False),
        ("/x?host=/run/postgresql", False),
        ("localhost,10.0.0.7/x", True),
    ],
)
def test_urls_that_may_send_the_password_unencrypted_are_known(where, is_exposed):
    """Only a URL that requires encryption, or stays on this machine, is safe."""
    assert parse_database_url(f"postgresql://ana:pw@{where}").is_exposed is is_exposed


def test_a_url_needs_a_user_if_the_system_has_none(monkeypatch):
    """Many containers have no name for their user."""

    def unknown():
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", unknown)
    with pytest.raises(UrlProblem, match="name a user"):
        parse_database_url("postgresql://db/flokit")
    assert parse_database_url("postgresql://ana@db/flokit")


def test_repr_shows_no_password():
    assert "hidden" not in repr(parse_database_url("postgresql://u:hidden@h/db?sslpassword=hidden"))
