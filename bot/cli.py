"""The command line: ``flokit-bot run | sandbox | check | migrate | audit | keys | workspaces``.

Exit codes: 0 fine, 2 wrong usage or not confirmed, 74 the audit couldn't be written, 78 wrong settings.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from bot import __version__
from bot.core.access.audit import AuditFilter
from bot.core.errors import SettingsError, StoreUnavailable
from bot.core.hosts import is_loopback
from bot.core.span_words import SPAN_EXAMPLES, Span, parse_span
from bot.core.typed import clean
from bot.observability import console
from bot.observability.logs import configure_logging, escape
from bot.settings.encryption_keys import new_encryption_key
from bot.settings.settings import (
    Settings,
    has_slack_tokens,
    load_database_settings,
    load_encryption_settings,
    load_retention_settings,
    load_settings,
    serves_one,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bot.app import Bot
    from bot.ops.workspaces import Workspaces
    from bot.store.database import Database

log = structlog.get_logger(__name__)

T = TypeVar("T")

EXIT_FINE: Final = 0
EXIT_USAGE: Final = 2
"""As argparse does."""

EXIT_OUTPUT: Final = 74
"""EX_IOERR of sysexits.h."""

EXIT_SETTINGS: Final = 78
"""EX_CONFIG of sysexits.h: restarting is of no use until someone changes the settings."""

SANDBOX_PORT: Final = 8484
LISTED: Final = 50
"""How many workspaces are listed unless more are asked for."""

EXAMPLES: Final = {
    "run": ("flokit-bot run", "LOG_FORMAT=json PORT=3001 flokit-bot run", "flokit-bot run --or-sandbox"),
    "sandbox": (
        "flokit-bot sandbox",
        "flokit-bot sandbox --port 0                     any free port",
        "flokit-bot sandbox --host 192.0.2.7 --expose    on a network that you trust",
    ),
    "audit": (
        "flokit-bot audit --format jsonl",
        "flokit-bot audit --format csv --since 30d --integration int_01hx4j7stripe > audit.csv",
    ),
    "keys": (
        "flokit-bot keys                                 how many workspaces each master key protects",
        "flokit-bot keys rotate                          move all of them to the first key, while the bot runs",
        "flokit-bot keys new                             print a new key for ENCRYPTION_KEYS",
    ),
    "workspaces": (
        "flokit-bot workspaces list                      who installed the app",
        "flokit-bot workspaces list --by errors          who has the most errors; or --by calls, --by runs",
        "flokit-bot workspaces show T024BE7LH            everything about one workspace, except secrets",
        "flokit-bot workspaces disconnect T024BE7LH      erase its FloKit keys",
        "flokit-bot workspaces erase T024BE7LH           erase it with all its data, at once",
    ),
    "check": ("flokit-bot check", "flokit-bot check && flokit-bot run"),
    "migrate": (
        "flokit-bot migrate",
        "DATABASE_URL=postgresql+asyncpg://flokit:…@db/flokit flokit-bot migrate",
    ),
}
"""The examples in each command's help."""

NO_SANDBOX: Final = (
    "The sandbox isn't installed here: it comes with the source code. Run `make run` in a checkout of the project, or "
    "set SLACK_BOT_TOKEN and the other settings to connect to Slack."
)

EXPOSED: Final = (
    "Warning: anyone who can reach {host} can use this sandbox, unencrypted and without signing in. "
    "It holds only made-up data."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    has_stdout = console.prepare()
    try:
        options = _parser().parse_args(arguments)
        options.has_stdout = has_stdout
        return int(options.action(options))
    except SettingsError as error:
        for problem in error.problems:
            console.say(problem, to_stderr=True)
        return EXIT_SETTINGS
    finally:
        console.finish()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flokit-bot", description="See and repair FloKit's syncs from Slack.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"flokit-bot {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", allow_abbrev=False, help="connect to Slack and run until stopped")
    run.add_argument(
        "--or-sandbox",
        action="store_true",
        help="start the sandbox if there's no Slack token in the environment or .env",
    )
    run.set_defaults(action=_run)
    sandbox = commands.add_parser(
        "sandbox", allow_abbrev=False, help="try the real bot with a local Slack and a local FloKit"
    )
    sandbox.add_argument(
        "--port", type=_port, default=SANDBOX_PORT, help="the page's port (default %(default)s; 0 picks a free one)"
    )
    sandbox.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default %(default)s: only this machine)"
    )
    sandbox.add_argument(
        "--expose", action="store_true", help="allow a --host that other machines can reach; there is no login"
    )
    sandbox.set_defaults(action=_sandbox)
    check = commands.add_parser(
        "check", allow_abbrev=False, help="check settings, tokens, keys and database without changing anything"
    )
    check.add_argument("--blocks", action="store_true", help="also have Slack validate a message of every kind")
    check.set_defaults(action=_check)
    migrate = commands.add_parser("migrate", allow_abbrev=False, help="upgrade the database to this version")
    migrate.set_defaults(action=_migrate)
    audit = commands.add_parser("audit", allow_abbrev=False, help="write the audit log to stdout, newest entry first")
    audit.add_argument("--format", choices=("csv", "jsonl"), required=True, help="CSV, or one JSON object per line")
    audit.add_argument(
        "--since",
        type=_span,
        metavar="30d",
        help="24h, 30d, 4w, yesterday, a date… in UTC (default: everything)",
    )
    audit.add_argument(
        "--integration", default="", metavar="ID|TYPE", help="only entries about this integration or type"
    )
    audit.add_argument(
        "--person", default="", metavar="ID|NAME", help="only entries by this person: U0123ABCD, or a name"
    )
    audit.set_defaults(action=_audit)
    keys = commands.add_parser("keys", allow_abbrev=False, help="list, rotate or create master keys")
    keys.add_argument(
        "task",
        nargs="?",
        choices=("rotate", "new"),
        help="rotate: move all workspaces to the first key; new: print a new key",
    )
    keys.set_defaults(action=_keys)
    _add_workspaces(commands.add_parser("workspaces", allow_abbrev=False, help="list, show or erase workspaces"))
    for name, command in commands.choices.items():
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.epilog = "examples:\n" + "\n".join(f"  {line}" for line in EXAMPLES[name])
    return parser


def _add_workspaces(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(required=True, metavar="TASK")
    list_ = tasks.add_parser("list", allow_abbrev=False, help="list the workspaces that installed the app")
    list_.add_argument("--by", choices=("calls", "runs", "errors"), help="list those with the most of these instead")
    list_.add_argument("--limit", type=_limit, default=LISTED, help="how many (default %(default)s)")
    list_.set_defaults(action=_list_workspaces)
    for name, action, text in (
        ("show", _show_workspace, "show everything about one workspace, except secrets"),
        ("disconnect", _change_workspace, "erase a workspace's FloKit keys; asks first"),
        ("erase", _change_workspace, "erase a workspace with all its data, at once; asks first"),
    ):
        task = tasks.add_parser(name, allow_abbrev=False, help=text)
        task.add_argument("team", metavar="TEAM", help="the workspace's ID, or an organization's: T024BE7LH, E0A1B2C3D")
        if action is _change_workspace:
            task.add_argument("--yes", action="store_true", help="don't ask")
        task.set_defaults(action=action, task=name)


def _span(text: str) -> Span:
    span = parse_span(clean(text) or text, datetime.now(UTC))
    if span is None or span.unclear:
        problem = span.unclear if span else f"{text!r} isn't a time I recognize"
        raise argparse.ArgumentTypeError(f"{problem.rstrip('.')}; examples: {SPAN_EXAMPLES}; days are in UTC")
    return span


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 100_000):
        raise argparse.ArgumentTypeError("a limit is a number from 1 to 100000")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    if options.or_sandbox and not has_slack_tokens():
        options.host, options.port, options.expose = "127.0.0.1", SANDBOX_PORT, False
        return _sandbox(options)
    settings = _load()
    build = load_build()

    async def work() -> None:
        await build(settings).run()

    asyncio.run(work())
    return EXIT_FINE


def load_build() -> Callable[..., Bot]:
    """Import the framework and the bot, once the settings are known to be valid.

    What is imported is never freed, so the garbage collector skips it. Measured on two busy cores: importing takes
    2.9 s of CPU instead of 3.3 s, and a full collection, which blocks the event loop, less than 1 ms instead of 85 ms.
    """
    gc.disable()
    try:
        from bot.app import build  # noqa: PLC0415 - as the docstring says
    finally:
        gc.freeze()
        gc.enable()
    return build


def _sandbox(options: argparse.Namespace) -> int:
    try:
        from sandbox.run import run_sandbox  # noqa: PLC0415 - production never loads the sandbox
    except ModuleNotFoundError as error:
        if error.name != "sandbox":
            raise
        raise SettingsError([NO_SANDBOX]) from None

    if not is_loopback(options.host):
        if not options.expose:
            problem = (
                f"--host: other machines could reach {options.host} and wouldn't have to sign in; "
                "add --expose if you mean it."
            )
            raise SettingsError([problem])
        console.say(EXPOSED.format(host=options.host), to_stderr=True)
    asyncio.run(run_sandbox(host=options.host, port=options.port))
    return EXIT_FINE


def _check(options: argparse.Namespace) -> int:
    settings = _load()
    from bot.ops.check import check  # noqa: PLC0415 - see _run

    async def print_findings() -> bool:
        findings = await check(settings, blocks=options.blocks)
        for finding in findings:
            console.say(finding)
        return all(finding.is_fine for finding in findings)

    return EXIT_FINE if asyncio.run(print_findings()) else EXIT_SETTINGS


def _migrate(_options: argparse.Namespace) -> int:
    settings = load_database_settings()
    from bot.store import schema  # noqa: PLC0415 - see _run
    from bot.store.database import Database  # noqa: PLC0415 - see _run

    async def upgrade() -> str:
        database = Database(settings.database_url, statement_s=None)
        try:
            database.make_folder()
            await schema.upgrade(database)
            return await schema.current(database)
        except StoreUnavailable as error:
            raise SettingsError([f"DATABASE_URL: {error}."]) from error
        finally:
            await database.close()

    console.say(f"The database's tables are at revision {asyncio.run(upgrade())}.")
    return EXIT_FINE


def _audit(options: argparse.Namespace) -> int:
    if not options.has_stdout:
        console.say("audit: stdout is closed, so there's nowhere to write; redirect it to a file.", to_stderr=True)
        return EXIT_OUTPUT
    console.write_utf8()
    settings = load_database_settings()
    from bot.ops.export import export_audit  # noqa: PLC0415 - see _run
    from bot.store.audit import Audit  # noqa: PLC0415 - see _run

    async def export() -> None:
        async with _opened(settings.database_url) as database:
            audit, person, about = Audit(database), clean(options.person).removeprefix("@"), clean(options.integration)
            wanted = AuditFilter(
                since=options.since.since if options.since else None,
                until=options.since.until if options.since else None,
                person_ids=(person, *await audit.people_called(person)) if person else (),
                integration_ids=(about,) if about else (),
                integration_type=about,
            )
            await export_audit(audit, wanted, options.format, sys.stdout)

    try:
        asyncio.run(export())
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe
        console.hush(sys.stdout)
    except OSError as error:
        console.hush(sys.stdout)
        console.say(f"audit: only part of it could be written ({error.strerror or error}).", to_stderr=True)
        return EXIT_OUTPUT
    return EXIT_FINE


@contextlib.asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    """Open a database that is there already, with the tables of this version.

    Raises:
        SettingsError: there is none, it's of another version, or it can't be reached, even later in the block.
    """
    from bot.store import schema  # noqa: PLC0415 - see _run
    from bot.store.database import Database  # noqa: PLC0415 - see _run

    database = Database(url)
    try:
        if database.problem:
            raise SettingsError([f"DATABASE_URL: {database.problem}."])
        if database.file and not database.file.exists():
            raise SettingsError([f"DATABASE_URL: there is no file {database.file} yet."])
        if await schema.current(database) != schema.HEAD:
            raise SettingsError(["DATABASE_URL: its tables are of another version; run flokit-bot migrate."])
        yield database
    except StoreUnavailable as error:
        raise SettingsError([f"DATABASE_URL: {error}."]) from error
    finally:
        await database.close()


def _keys(options: argparse.Namespace) -> int:
    if options.task == "new":
        console.say(new_encryption_key())
        return EXIT_FINE
    settings = load_encryption_settings()
    from bot.ops.keys import KeyReport, report_keys, rotate_keys  # noqa: PLC0415 - see _run
    from bot.store.installations import Installations  # noqa: PLC0415 - see _run
    from bot.store.sealing import MasterKeys  # noqa: PLC0415 - see _run

    keys = MasterKeys.parse(settings.master_keys)

    async def work() -> KeyReport:
        async with _opened(settings.database_url) as database:
            do = rotate_keys if options.task == "rotate" else report_keys
            return await do(Installations(database, keys), keys)

    report = asyncio.run(work())
    for line in report.lines:
        console.say(line)
    return EXIT_FINE if report.is_fine else EXIT_SETTINGS


def _list_workspaces(options: argparse.Namespace) -> int:
    from bot.store.usage import Measure  # noqa: PLC0415 - see _run

    by = Measure(options.by) if options.by else None
    for line in _with_workspaces(lambda all_: all_.loudest(by, options.limit) if by else all_.overview(options.limit)):
        console.say(line)
    return EXIT_FINE


def _show_workspace(options: argparse.Namespace) -> int:
    for line in (lines := _with_workspaces(lambda all_: all_.show(options.team))):
        console.say(line)
    return EXIT_FINE if lines else _unknown(options.team)


def _change_workspace(options: argparse.Namespace) -> int:
    if (question := _with_workspaces(lambda all_: all_.question(options.task, options.team))) is None:
        return _unknown(options.team)
    if not options.yes and not _is_confirmed(question):
        console.say("Nothing was changed.", to_stderr=True)
        return EXIT_USAGE
    done = (
        _with_workspaces(lambda all_: all_.erase(options.team, say=console.say, sleep=asyncio.sleep))
        if options.task == "erase"
        else _with_workspaces(lambda all_: all_.disconnect(options.team))
    )
    console.say(done)
    return EXIT_FINE


def _unknown(team: str) -> int:
    problem = f"{escape(team)}: this database has no such installation; flokit-bot workspaces list shows them all."
    if serves_one():
        problem = (
            f"{escape(team)}: nobody installed it; this bot serves one workspace, whose tokens are in its settings."
        )
    console.say(problem, to_stderr=True)
    return EXIT_USAGE


def _is_confirmed(question: str) -> bool:
    console.say(f"{question} Type yes to continue:", to_stderr=True)
    return (sys.stdin.readline() if sys.stdin else "").strip().lower() in ("y", "yes")


def _with_workspaces(work: Callable[[Workspaces], Awaitable[T]]) -> T:
    settings = load_retention_settings()
    from bot.ops.workspaces import Kept, Workspaces  # noqa: PLC0415 - see _run
    from bot.store.sealing import MasterKeys  # noqa: PLC0415 - see _run

    keys = MasterKeys.parse(settings.master_keys) if settings.master_keys else None
    kept = Kept(settings.retention_days, settings.uninstalled_retention_days)

    async def do() -> T:
        async with _opened(settings.database_url) as database:
            return await work(Workspaces(database, keys, kept, of_one=serves_one(), now=datetime.now(UTC)))

    return asyncio.run(do())


def _load() -> Settings:
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level, secrets=settings.secrets)
    for name in settings.unencrypted:
        log.warning("address_not_encrypted", setting=name)
    return settings
