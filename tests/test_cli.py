"""The command line as people and supervisors use it: a process, its output and its exit code."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from bot import __version__, cli
from bot.core.access.audit import COLUMNS
from bot.slack.scopes import BOT_SCOPES, OPTIONAL_SCOPES
from sandbox.local_flokit import READ_KEY, WRITE_KEY, LocalFlokit
from sandbox.slack import flokit_slack

FLOKIT_BOT = (str(Path(sys.executable).with_name("flokit-bot")),)
PYTHON_M_BOT = (sys.executable, "-m", "bot")
FINE, USAGE, SETTINGS = 0, 2, 78
ENDS_WITHIN_S = 60

COMPLETE = {
    "SLACK_BOT_TOKEN": "xoxb-of-the-test",
    "SLACK_APP_TOKEN": "xapp-of-the-test",
    "FLOKIT_API_KEY": "key-of-the-test",
}
"""Settings that are valid, as far as the bot can tell without calling anything."""

ROOT = Path(__file__).parents[1]


def clean(settings):
    """Return an environment with these settings, and nothing from this process's but PATH."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "error::ResourceWarning", **settings}


def call(folder, *arguments, program=FLOKIT_BOT, **settings):
    """Run a command in a folder, to its end."""
    return subprocess.run(
        [*program, *arguments],
        cwd=folder,
        env=clean(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN_S,
    )


async def call_beside(folder, *arguments, **settings):
    """Run a command while this process answers its requests; return its exit code and its output."""
    process = await asyncio.create_subprocess_exec(
        *FLOKIT_BOT,
        *arguments,
        cwd=folder,
        env=clean(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(ENDS_WITHIN_S):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def stand_ins(scopes=frozenset(BOT_SCOPES)):
    """Run a local Slack and a local FloKit; yield the settings that lead there, and the local Slack."""
    slack, flokit = flokit_slack(scopes=scopes), LocalFlokit()
    flokit.demo()
    await slack.start()
    await flokit.start()
    try:
        tokens = slack.installation.tokens
        settings = {
            "SLACK_BOT_TOKEN": tokens.bot,
            "SLACK_APP_TOKEN": tokens.app,
            "SLACK_API_URL": slack.api_url,
            "FLOKIT_API_KEY": READ_KEY,
            "FLOKIT_SYNC_API_KEY": WRITE_KEY,
            "FLOKIT_API_URL": flokit.url,
        }
        yield settings, slack
    finally:
        await slack.stop()
        await flokit.stop()


# --- usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", [FLOKIT_BOT, PYTHON_M_BOT], ids=["flokit-bot", "python -m bot"])
def test_version_prints_the_name_and_the_version(tmp_path, program):
    done = call(tmp_path, "--version", program=program)
    assert (done.returncode, done.stdout, done.stderr) == (FINE, f"flokit-bot {__version__}\n", "")


def test_both_names_are_the_same_program(tmp_path):
    """``python -m bot --help`` prints the same as ``flokit-bot --help``."""
    assert call(tmp_path, "--help", program=PYTHON_M_BOT).stdout == call(tmp_path, "--help").stdout


def test_unneeded_modules_are_not_loaded():
    """The bot is loaded without YAML, and afterwards the garbage collector works again, but only on new objects."""
    loads = "import gc, sys; from bot import cli; cli.load_build(); "
    tells = "print('yaml' in sys.modules, gc.isenabled(), gc.get_freeze_count() > 100_000)"
    done = subprocess.run([sys.executable, "-c", loads + tells], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("fly",), ("run", "now"), ("sandbox", "--port", "x"), ("sandbox", "--port", "65536")],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(tmp_path, arguments):
    """It's reported on stderr."""
    done = call(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.startswith("usage: flokit-bot")


# --- wrong settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("name", ["POLICY_FILE", "SSL_CERT_FILE", "DATABASE_URL"])
async def test_a_pipe_in_place_of_a_file_is_refused(tmp_path, command, name):
    """A pipe that no one writes to is refused in a sentence; nothing waits for it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    value = f"postgresql://ana@127.0.0.1:1/x?sslrootcert={pipe}" if name == "DATABASE_URL" else str(pipe)
    async with stand_ins() as (addresses, _slack):
        settings = {"PORT": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", **addresses, name: value}
        code, out, err = await call_beside(tmp_path, command, **settings)
    assert code == SETTINGS, (out, err)
    assert re.search(rf"^(✗ )?{name}: ", out + err, re.MULTILINE)
    assert "Traceback" not in out + err


@pytest.mark.parametrize("target", ["no/such/file.db", "link.db"])
async def test_check_names_a_database_link_to_nowhere(tmp_path, target):
    """A link whose folder doesn't exist, or that leads to itself, is a ✗, and ``run`` would end because of it."""
    (tmp_path / "link.db").symlink_to(tmp_path / target)
    async with stand_ins() as (settings, _slack):
        code, out, err = await call_beside(tmp_path, "check", **settings, DATABASE_URL="sqlite:///link.db")
    assert (code, "is a broken link" in out) == (SETTINGS, True), (out, err)


def test_a_pipe_in_place_of_env_is_refused(tmp_path):
    """Nothing waits for it."""
    os.mkfifo(tmp_path / ".env")
    done = call(tmp_path, "check")
    assert (done.returncode, done.stderr) == (SETTINGS, ".env: is a pipe; use a file instead.\n")


@pytest.mark.parametrize("command", ["run", "check"])
def test_missing_settings_are_named(tmp_path, command):
    """Without settings, each command prints one sentence for each missing one, and exits with 78."""
    done = call(tmp_path, command)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (SETTINGS, "")
    assert [line.partition(":")[0] for line in lines] == ["SLACK_BOT_TOKEN", "FLOKIT_API_KEY"]
    assert all(line.endswith((".", ")")) for line in lines)


def test_a_half_configured_mode_is_refused(tmp_path):
    """A bot token alone isn't enough: one of the two modes must be complete."""
    done = call(tmp_path, "run", SLACK_BOT_TOKEN="xoxb-1", FLOKIT_API_KEY="key-of-the-test")
    assert done.returncode == SETTINGS
    assert len(done.stderr.splitlines()) == 1
    assert "SLACK_APP_TOKEN" in done.stderr
    assert "SLACK_SIGNING_SECRET" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxp-somebody"),
        ("SLACK_APP_TOKEN", "xoxb-wrong-kind"),
        ("FLOKIT_API_KEY", "two words"),
        ("FLOKIT_API_URL", "api.flokit.ai"),
        ("FLOKIT_COMMAND", "flokit"),
        ("DATABASE_URL", "mysql://localhost/flokit"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("FOLLOW_UP_GRACE_S", "0"),
        ("FOLLOW_UP_DEADLINE_S", "nan"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path, name, value):
    """A wrong value is one sentence that names the variable, never the value or a traceback."""
    done = call(tmp_path, "run", **{**COMPLETE, name: value})
    assert (done.returncode, len(done.stderr.splitlines())) == (SETTINGS, 1)
    assert done.stderr.startswith(f"{name}: ")
    assert done.stderr.endswith(".\n")
    if "TOKEN" in name or "KEY" in name:
        assert value not in done.stderr


def test_several_wrong_settings_are_several_sentences(tmp_path):
    """Everything that's wrong is reported at once."""
    done = call(tmp_path, "check", **{**COMPLETE, "PORT": "x", "LOG_LEVEL": "loud", "LEASE_S": "-1"})
    assert done.returncode == SETTINGS
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["PORT", "LEASE_S", "LOG_LEVEL"]


def test_settings_are_read_from_the_folder(tmp_path):
    """``.env`` of the working directory is read, and an environment variable overrides it."""
    (tmp_path / ".env").write_text("SLACK_BOT_TOKEN=wrong\nFLOKIT_API_KEY=key-of-the-file\n")
    assert call(tmp_path, "run").stderr.startswith("SLACK_BOT_TOKEN: must begin with xoxb-")
    assert "SLACK_BOT_TOKEN:" not in call(tmp_path, "run", SLACK_BOT_TOKEN="xoxb-1").stderr


def test_an_incomplete_slack_setup_does_not_start_the_sandbox(tmp_path):
    done = call(tmp_path, "run", "--or-sandbox", SLACK_SIGNING_SECRET="s3cret-of-the-test")
    assert done.returncode == SETTINGS
    assert "SLACK_BOT_TOKEN: is missing" in done.stderr


@pytest.mark.parametrize("command", ["run", "migrate"])
@pytest.mark.parametrize("name", [".", "notes.txt"])
def test_what_is_not_a_database_is_named(tmp_path, command, name):
    """A folder or another program's file in place of the database is one sentence and 78; the file isn't changed."""
    (tmp_path / "notes.txt").write_text("no database, but somebody's notes")
    done = call(tmp_path, command, **COMPLETE, PORT="0", DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/{name}")
    assert (done.returncode, len(done.stderr.splitlines())) == (SETTINGS, 1)
    assert done.stderr.startswith("DATABASE_URL: ")
    assert (tmp_path / "notes.txt").read_text() == "no database, but somebody's notes"


# --- migrate -----------------------------------------------------------------------------------------------------


def test_migrate_creates_the_tables(tmp_path):
    """``migrate`` creates the tables in a new SQLite file, and does nothing the second time."""
    settings = {**COMPLETE, "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/new/flokit.db"}
    first, second = call(tmp_path, "migrate", **settings), call(tmp_path, "migrate", **settings)
    assert (first.returncode, first.stderr) == (FINE, "")
    assert first.stdout == second.stdout
    assert first.stdout.startswith("The database's tables are at revision ")
    with sqlite3.connect(tmp_path / "new" / "flokit.db") as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    assert {"runs", "outbox", "inbox", "alembic_version"} <= tables


def test_migrate_says_that_the_server_is_unreachable(tmp_path):
    """A PostgreSQL that doesn't answer is one sentence and 78."""
    done = call(tmp_path, "migrate", **COMPLETE, DATABASE_URL="postgresql+asyncpg://nobody@127.0.0.1:1/none")
    assert (done.returncode, len(done.stderr.splitlines())) == (SETTINGS, 1)
    assert done.stderr.startswith("DATABASE_URL: ")


# --- audit -------------------------------------------------------------------------------------------------------


def audited(folder, *rows):
    """Create a database whose audit has these rows (action, user, integration, result); return the settings."""
    settings = {"DATABASE_URL": f"sqlite+aiosqlite:///{folder}/flokit.db"}
    assert call(folder, "migrate", **settings).returncode == FINE
    with closing(sqlite3.connect(folder / "flokit.db")) as database:
        database.executemany(
            "INSERT INTO audit (team_id, at, user_id, user_name, channel_id, action, integration_id, integration_type, "
            "run_id, result) VALUES ('T1', unixepoch(), ?, ?, 'C1', ?, ?, 'stripe', 'run_1', ?)",
            rows,
        )
        database.commit()
    return settings


def test_audit_is_written_as_csv(tmp_path):
    """``audit --format csv`` writes a header and the entries, newest first; a formula is written as text."""
    settings = audited(
        tmp_path, ("UANA", "ana", "resync", "int_1", "started"), ("UBEN", "=1+1", "sync", "int_2", "joined")
    )
    done = call(tmp_path, "audit", "--format", "csv", **settings)
    head, newest, oldest = csv.reader(done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (FINE, "")
    assert head == list(COLUMNS)
    assert (newest[2:4], oldest[2:4]) == (["UBEN", "'=1+1"], ["UANA", "ana"])


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_audit_entries_cannot_control_the_terminal(tmp_path, format_):
    """No name and no text in the audit colors the terminal, begins a line or reverses the text."""
    name = "\x1b[31mana\x1b]0;x\x07\r\n\u2028\u202e\x9b2K"
    settings = audited(tmp_path, ("UANA", name, "resync", "int_1", name))
    done = call(tmp_path, "audit", "--format", format_, **settings)
    assert done.stdout.replace("\n", "").isprintable()
    assert len(done.stdout.splitlines()) == {"csv": 2, "jsonl": 1}[format_]
    assert "\\x1b[31mana" in done.stdout or "\\u001b[31mana" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "people"),
    [
        ((), ["UBEN", "UANA"]),
        (("--since", "1h"), ["UBEN", "UANA"]),
        (("--person", "@ANA"), ["UANA"]),
        (("--person", "UBEN"), ["UBEN"]),
        (("--person", "nobody"), []),
        (("--integration", "int_2"), ["UBEN"]),
        (("--integration", "stripe"), ["UBEN", "UANA"]),
    ],
)
def test_audit_is_filtered(tmp_path, arguments, people):
    """By time, person (ID or name) and integration (ID or type); each entry is one JSON object on a line."""
    settings = audited(
        tmp_path, ("UANA", "ana", "resync", "int_1", "started"), ("UBEN", "ben", "sync", "int_2", "joined")
    )
    done = call(tmp_path, "audit", "--format", "jsonl", *arguments, **settings)
    assert [json.loads(line)["person_id"] for line in done.stdout.splitlines()] == people
    assert done.returncode == FINE


def test_audit_may_be_cut_short(tmp_path):
    """If only the beginning is read, ``audit`` ends without a traceback."""
    settings = audited(tmp_path, *[("UANA", "ana", "resync", f"int_{n}", "x" * 200) for n in range(2000)])
    piped = subprocess.run(  # noqa: S602 - the test needs the shell's pipe; the command is the test's own
        f"{FLOKIT_BOT[0]} audit --format jsonl | head -1",
        shell=True,
        cwd=tmp_path,
        env=clean(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN_S,
    )
    assert (len(piped.stdout.splitlines()), piped.stderr) == (1, "")


@pytest.mark.parametrize("arguments", [(), ("--format", "xml"), ("--format", "csv", "--since", "2099-01-01")])
def test_audit_refuses_wrong_usage(tmp_path, arguments):
    """An unknown format or time range exits with 2."""
    assert call(tmp_path, "audit", *arguments).returncode == USAGE


def test_audit_without_a_database_exits_with_78(tmp_path):
    """It creates no database."""
    done = call(tmp_path, "audit", "--format", "csv", DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/none.db")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (SETTINGS, "", 1)
    assert not (tmp_path / "none.db").exists()


# --- check -------------------------------------------------------------------------------------------------------


async def test_check_finds_everything_fine(tmp_path):
    """Against a Slack and a FloKit that know the bot, ``check`` prints only ✓ lines and exits with 0."""
    async with stand_ins() as (settings, _slack):
        code, out, _err = await call_beside(tmp_path, "check", **settings)
    lines = out.splitlines()
    assert (code, [line for line in lines if not line.startswith("✓ ")]) == (FINE, [])
    checked = [
        "settings",
        "SLACK_BOT_TOKEN",
        "clock",
        "SLACK_APP_TOKEN",
        "FLOKIT_API_KEY",
        "FLOKIT_SYNC_API_KEY",
        "clock",
        "POLICY_FILE",
        "DATABASE_URL",
        "version",
    ]
    assert [line.removeprefix("✓ ").partition(":")[0] for line in lines if not line.startswith("✓  ")] == checked


async def test_check_has_slack_validate_every_message(tmp_path):
    """``check --blocks`` has Slack validate one message of every kind."""
    async with stand_ins() as (settings, slack):
        code, out, _err = await call_beside(tmp_path, "check", "--blocks", **settings)
    assert code == FINE
    assert re.search("✓ blocks: Slack accepts all [0-9]+ kinds of message", out)
    assert len([call for call in slack.calls if call.method == "blocks.validate"]) > 30


async def test_check_describes_the_database_of_a_bot(tmp_path):
    """With existing tables, ``check`` shows kind, revision, replicas, and what's known about the key's permissions."""
    async with stand_ins() as (settings, _slack):
        assert (await call_beside(tmp_path, "migrate", **settings))[0] == FINE
        code, out, _err = await call_beside(tmp_path, "check", **settings)
    assert code == FINE
    assert "✓ DATABASE_URL: SQLite answers in" in out
    assert "? replicas: no bot is running" in out
    assert "? write access: " in out


async def test_check_finds_http_mode_fine(tmp_path):
    """``check`` accepts a signing secret instead of an app token."""
    async with stand_ins() as (settings, _slack):
        del settings["SLACK_APP_TOKEN"]
        code, out, _err = await call_beside(tmp_path, "check", **settings, SLACK_SIGNING_SECRET="s3cret-of-the-test")
    assert code == FINE
    assert "✓ settings: complete, Slack over HTTP" in out
    assert "✓ SLACK_SIGNING_SECRET:" in out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-wrong"),
        ("SLACK_APP_TOKEN", "xapp-wrong"),
        ("FLOKIT_API_KEY", "flo_wrong_look"),
        ("FLOKIT_SYNC_API_KEY", "flo_wrong_sync"),
    ],
)
async def test_check_finds_what_is_wrong(tmp_path, name, value):
    """A wrong token or key is the only ✗ line, without its value; the rest is checked, too, and it exits with 78."""
    async with stand_ins() as (settings, _slack):
        code, out, err = await call_beside(tmp_path, "check", **{**settings, name: value})
    wrong = [line for line in out.splitlines() if not line.startswith("✓ ")]
    assert code == SETTINGS
    assert [line.partition(":")[0] for line in wrong] == [f"✗ {name}"]
    assert "✓ DATABASE_URL" in out
    assert value not in out + err


async def test_check_names_missing_scopes(tmp_path):
    """``check`` names the scopes that the installation doesn't have."""
    async with stand_ins(scopes=frozenset(BOT_SCOPES) - {"im:write", "chat:write.public"}) as (settings, _slack):
        code, out, _err = await call_beside(tmp_path, "check", **settings)
    assert code == SETTINGS
    assert "✗ SLACK_BOT_TOKEN: lacks chat:write.public, im:write;" in out


async def test_check_names_optional_scopes_as_a_choice(tmp_path):
    """Without the optional scopes, ``check`` succeeds, and says what that means."""
    async with stand_ins(scopes=frozenset(BOT_SCOPES) - set(OPTIONAL_SCOPES)) as (settings, _slack):
        code, out, _err = await call_beside(tmp_path, "check", **settings)
    assert code == 0
    assert "✓ optional scopes left out: channels:history, channels:join, groups:history, im:history, so " in out


# --- run ---------------------------------------------------------------------------------------------------------


async def test_run_ends_with_78_when_slack_refuses_the_token(tmp_path):
    """A revoked bot token ends ``run`` with one sentence and 78, because restarting wouldn't help."""
    async with stand_ins() as (settings, slack):
        slack.revoke_token()
        code, _out, err = await call_beside(tmp_path, "run", **settings, PORT="0")
    assert code == SETTINGS
    assert err.splitlines()[-1].startswith("SLACK_BOT_TOKEN: ")
    assert "Traceback" not in err


async def test_run_ends_with_78_when_the_port_is_taken(tmp_path):
    async with stand_ins() as (settings, slack):
        code, _out, err = await call_beside(tmp_path, "run", **settings, PORT=slack.url.rpartition(":")[2])
    assert code == SETTINGS
    assert err.splitlines()[-1].startswith("HOST, PORT: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("command", sorted(cli.EXAMPLES))
def test_the_help_shows_examples(tmp_path, command):
    """The help of each command ends with examples, and each of them is valid."""
    done = call(tmp_path, command, "--help")
    assert done.returncode == 0
    assert "examples:\n  " in done.stdout
    for line in cli.EXAMPLES[command]:
        words = line.split("  ")[0].split(" > ")[0].split(" && ")[0].split("flokit-bot ")[1].split()
        assert cli._parser().parse_args(words)


def test_every_command_has_examples():
    (commands,) = [action for action in cli._parser()._actions if action.choices]
    assert set(commands.choices) == set(cli.EXAMPLES)


def test_the_sandbox_of_a_bare_wheel_is_one_sentence(tmp_path):
    """If only the package `bot` is installed, `sandbox` says what to do instead, and exits with 78."""
    hidden = """if True:
        import sys
        class OnlyBot:
            def find_spec(name, path=None, target=None):
                if name in {"sandbox", "local_slack", "soak"}:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.meta_path.insert(0, OnlyBot)
        from bot.cli import main
        sys.exit(main(["sandbox"]))
    """
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", hidden], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert "The sandbox isn't installed here" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_sandbox_is_for_this_machine(tmp_path):
    """An address that others could reach is refused in one sentence, unless ``--expose`` is given."""
    done = call(tmp_path, "sandbox", "--host", "0.0.0.0")
    assert done.returncode == 78
    assert done.stderr.startswith("--host: ")
    assert "--expose" in done.stderr


async def test_check_explains_the_policy_and_names_what_is_wrong(tmp_path):
    """``check`` describes the rules in words; a wrong line of the file is a ✗ with its line and column."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules:\n  - {name: Ana runs it, allow: administer, users: UANA}\n")
    async with stand_ins() as (settings, _slack):
        _, right, _ = await call_beside(tmp_path, "check", **settings, POLICY_FILE=str(policy))
        policy.write_text("rules:\n  - {name: Ana runs it, allow: admin, users: UANA}\n")
        code, wrong, _ = await call_beside(tmp_path, "check", **settings, POLICY_FILE=str(policy))
    assert "Ana runs it: UANA can administer" in right
    assert code == SETTINGS
    assert f"✗ {policy}:2:32: “admin” isn't one of" in wrong


async def test_a_wrong_policy_ends_the_start(tmp_path):
    """``run`` with a wrong policy names line and column and exits with 78."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules:\n  - name: x\n")
    async with stand_ins() as (settings, _slack):
        code, _, err = await call_beside(tmp_path, "run", **settings, POLICY_FILE=str(policy))
    assert (code, err.splitlines()) == (
        SETTINGS,
        [f"{policy}:2:5: a rule says either allow or refuse, and which of look, sync, subscribe, administer."],
    )
