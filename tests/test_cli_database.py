"""The command line with a database that can't be created, reached or used: one sentence and 78, no traceback."""

from __future__ import annotations

import contextlib
import os
import sqlite3

import pytest

from tests.test_cli import COMPLETE, FINE, SETTINGS, call, call_beside, stand_ins

AUDIT = ("audit", "--format", "jsonl")

FILES = [
    "/proc/x.db",
    "/proc/new/x.db",
    "afile/x.db",
    "fifo",
    "/dev/null",
    "afile",
    "damaged.db",
    "a" * 300,
    "here/x.db/",
    "b" * 252,
    "wal.db",
    "another.db",
    "newer.db",
]


@pytest.fixture
def folder(tmp_path):
    """Create a folder with things that aren't databases."""
    (tmp_path / "afile").write_text("no database, but somebody's notes")
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\0" + b"noise" * 2000)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "wal.db-wal").mkdir()
    for name, statement in (
        ("another.db", "CREATE TABLE runs (kilometers REAL)"),
        ("newer.db", "CREATE TABLE alembic_version AS SELECT '9999' AS version_num"),
    ):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute(statement)
            connection.commit()
    return tmp_path


def assert_one_sentence(done):
    """Check the end of a command."""
    assert done.returncode == SETTINGS, done
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("DATABASE_URL: ")
    assert sentence.endswith(".")
    assert "Error" not in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize("command", [("migrate",), AUDIT], ids=lambda command: command[0])
@pytest.mark.parametrize("name", FILES)
def test_an_unusable_file_is_refused(folder, command, name):
    """Each command says in one sentence what's wrong with it."""
    assert_one_sentence(call(folder, *command, DATABASE_URL=f"sqlite:///{name}"))


@pytest.mark.parametrize("name", FILES)
async def test_check_names_an_unusable_file(folder, name):
    """``check`` has a ✗ for it, exits with 78, and creates nothing."""
    before = sorted(path.name for path in folder.iterdir())
    async with stand_ins() as (settings, _slack):
        code, out, err = await call_beside(folder, "check", **settings, DATABASE_URL=f"sqlite:///{name}")
    wrong = [line for line in (out + err).splitlines() if "DATABASE_URL" in line]
    assert code == SETTINGS
    assert len(wrong) == 1
    assert wrong[0].startswith(("✗ DATABASE_URL: ", "DATABASE_URL: "))
    assert "Error" not in wrong[0]
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.postgres
@pytest.mark.parametrize("command", [("migrate",), AUDIT, ("run",)], ids=lambda command: command[0])
async def test_a_refusal_by_the_server_is_one_sentence(tmp_path, hosted, command):
    """A wrong password, user or database is one sentence without the password."""
    for url in (
        hosted.url.replace(hosted.password, "hunter2"),
        hosted.url.replace(f"{hosted.user}:", "hosted_nobody:"),
        hosted.url.replace(f"/{hosted.name}?", "/nowhere?"),
        f"{hosted.url}&options=-cno_such_setting%3D1",
        f"{hosted.url}&options=-cwork_mem%3Dlots",
    ):
        code, out, err = await call_beside(tmp_path, *command, **{**COMPLETE, "PORT": "0", "DATABASE_URL": url})
        assert (code, out) == (SETTINGS, ""), (url, err)
        sentence = err.splitlines()[-1]
        assert sentence.startswith("DATABASE_URL: ")
        assert "Traceback" not in err
        assert hosted.password not in err
        assert "hunter2" not in err


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("option", "words"), [("options=-cwork_mem%3D8MB", "pooler"), ("sslmode=require", "encryption")]
)
async def test_unsupported_options_of_a_pooler_are_named(tmp_path, pgbouncer, option, words):
    """An option that PgBouncer doesn't accept, and encryption that it doesn't offer, are named."""
    url = f"{pgbouncer}?{option}"
    code, _out, err = await call_beside(tmp_path, "run", **{**COMPLETE, "PORT": "0", "DATABASE_URL": url})
    assert (code, words in err.splitlines()[-1]) == (SETTINGS, True), err
    assert "Traceback" not in err


@pytest.mark.postgres
async def test_check_names_a_servers_refusal(tmp_path, hosted):
    """``check`` has a ✗ with the reason, and exits with 78."""
    url = hosted.url.replace(hosted.password, "hunter2")
    async with stand_ins() as (settings, _slack):
        code, out, err = await call_beside(tmp_path, "check", **settings, DATABASE_URL=url)
    assert code == SETTINGS
    assert "✗ DATABASE_URL: the database server rejected the password" in out
    assert "hunter2" not in out + err


@pytest.mark.postgres
async def test_migrate_without_the_privilege_to_create_tables(tmp_path, empty_hosted):
    """It says which privilege is missing."""
    await empty_hosted.operate_inside("ALTER SCHEMA public OWNER TO postgres")
    code, _out, err = await call_beside(tmp_path, "migrate", DATABASE_URL=empty_hosted.url)
    assert (code, len(err.splitlines())) == (SETTINGS, 1)
    assert "CREATE on the schema" in err


@pytest.mark.postgres
async def test_migrate_refuses_a_database_with_tables_of_another_program(tmp_path, empty_hosted):
    """It creates nothing, and says that the bot needs its own database."""
    await empty_hosted.operate_inside("CREATE TABLE runs (id integer)")
    code, _out, err = await call_beside(tmp_path, "migrate", DATABASE_URL=empty_hosted.url)
    assert (code, len(err.splitlines())) == (SETTINGS, 1)
    assert "use a separate database" in err


@pytest.mark.postgres
async def test_migrate_does_not_change_tables_of_a_newer_version(tmp_path, hosted):
    """It says that a newer version created them."""
    await hosted.operate_inside("UPDATE alembic_version SET version_num = '9999'")
    code, _out, err = await call_beside(tmp_path, "migrate", DATABASE_URL=hosted.url)
    assert (code, len(err.splitlines())) == (SETTINGS, 1)
    assert "9999" in err


def test_a_tilde_means_the_home_directory(tmp_path):
    """``~`` in a file's path isn't a folder of that name."""
    done = call(tmp_path, "migrate", DATABASE_URL="sqlite:///~/flokit.db", HOME=str(tmp_path / "home"))
    assert done.returncode == FINE
    assert (tmp_path / "home" / "flokit.db").exists()
    assert not (tmp_path / "~").exists()
