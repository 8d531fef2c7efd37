"""``flokit-bot workspaces``: who installed the app, who does most, and erasing one; never a secret on the screen."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from bot.core.access.audit import AuditFilter, Deed
from bot.core.installations import InstallationRecord
from bot.core.models import Decision, Integration, Message, Outcome, Patience, Person, Phase, Telling
from bot.core.requests import Origin, Request, RequestKind
from bot.ops.workspaces import SETTLED_S, Kept, Workspaces
from bot.store import codec
from bot.store.audit import Audit
from bot.store.budget import SharedBudget
from bot.store.database import Database
from bot.store.erasure import ERASED
from bot.store.installations import Installations
from bot.store.outbox_rows import Address, OutboxKind, add_row
from bot.store.replicas import Replicas
from bot.store.runs import StartSync
from bot.store.sealing import MasterKeys
from bot.store.snapshots import Snapshots
from bot.store.store import Store
from bot.store.tables import installations, metadata, outbox
from tests.adapters.test_installations import ACME, BETA, FLOKIT, OLD, OLD_KEY, ORG
from tests.test_cli import FINE, FLOKIT_BOT, SETTINGS, USAGE, call, clean

NOW = datetime.now(UTC)
SECRETS = (ACME.bot_token, BETA.bot_token, ORG.bot_token, FLOKIT.api_key, FLOKIT.sync_api_key, OLD_KEY)
FORGED = "Beta\x1b[2J\nT9  Nobody"


def in_database(url, work):
    """Do something with a database and its installations."""

    async def do():
        database = Database(url)
        try:
            return await work(database, Installations(database, OLD))
        finally:
            await database.close()

    return asyncio.run(do())


@pytest.fixture
def url(database_url):
    """Return a database in which three workspaces and an organization installed the app; one is gone again."""

    async def fill(_, vault):
        await vault.save(ACME, NOW)
        await vault.connections.save("T1", FLOKIT, NOW)
        await vault.save(replace(BETA, team_name=FORGED), NOW)
        await vault.save(replace(ACME, team_id="T3", team_name="Gone"), NOW)
        await vault.revoke("T3", before=NOW)
        await vault.save(ORG, NOW)
        await vault.grant("T4", "E1", NOW)

    in_database(database_url, fill)
    return database_url


async def work_in(database, team_id, runs=1, failed=0):
    """Have a workspace start syncs, some of which fail, and leave a message that Slack refuses."""
    store, now = Store(database, owner="a", lease_s=10), datetime.now(UTC)
    for number in range(runs):
        origin = Origin(team_id, Person("UANA", "ana"), "C1", message_ts="1.0")
        request = Request(f"{team_id}_{number}", RequestKind.PRESS, origin, now)
        await store.inbox.add(request)
        started = StartSync(request, integration(number), patience=Patience(), action=Deed.RESYNC)
        await store.runs.start_sync(started, now)
    for claim in await store.runs.claim(now, failed):
        ended = replace(claim.run, outcome=Outcome.FAILED, ended_at=now)
        await store.runs.save(claim, decision(ended), now)
    await Snapshots(database, team_id).save((integration(0),), now)


def integration(number):
    """Return an integration."""
    return Integration(f"int_{number}", "stripe", "error")


def decision(run):
    """Return the decision that a run is over."""
    return Decision(replace(run, phase=Phase.DONE), None, (Telling.OUTCOME,))


def workspaces(folder, url, *arguments, answer="", **settings):
    """Run the command, and check that it shows no secret and no forged line."""
    done = subprocess.run(
        [*FLOKIT_BOT, "workspaces", *arguments],
        cwd=folder,
        env=clean({"DATABASE_URL": url, **settings}),
        input=answer,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    assert "\x1b" not in done.stdout + done.stderr
    return done


def test_list_says_who_installed_it_and_who_is_connected(tmp_path, url):
    done = workspaces(tmp_path, url, "list")
    at = f"{NOW:%Y-%m-%d %H:%M} UTC"
    assert (done.returncode, done.stderr) == (FINE, "")
    head, *rows = [line.split("  ") for line in done.stdout.splitlines()]
    assert [cell.strip() for cell in head if cell] == ["ID", "NAME", "STATE", "FLOKIT"]
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
        ["E1", "Acme", "installed org-wide", "not connected"],
        ["T1", "Acme", "installed", f"connected {at} by UANA, key ends in acme"],
        ["T2", r"Beta\x1b[2J\nT9", "Nobody", "installed", "not connected"],
        ["T3", "Gone", f"uninstalled {at}", "not connected"],
        ["T4", "installed through E1", "not connected"],
    ]


def test_a_list_is_cut_and_says_so(tmp_path, url):
    done = workspaces(tmp_path, url, "list", "--limit", "2")
    assert len(done.stdout.splitlines()) == 4
    assert done.stdout.endswith("… and more; --limit shows more than 2.\n")
    assert workspaces(tmp_path, url, "list", "--limit", "0").returncode == USAGE


@pytest.mark.parametrize(
    ("by", "expected"), [("calls", ["3 T2", "1 T1"]), ("runs", ["4 T1", "1 T2"]), ("errors", ["3 T1", "1 T2"])]
)
def test_list_by_names_the_loudest_first(tmp_path, url, by, expected):
    """A failed sync is an error, and so is a message that Slack refuses; what is older doesn't count."""

    async def fill(database, _):
        await work_in(database, "T1", runs=4, failed=3)
        await work_in(database, "T2")
        for team, calls in (("T1", 1), ("T2", 3)):
            budget = SharedBudget(database, team, clock=lambda: datetime.now(UTC))
            for _ in range(calls):
                await budget.take(0)
        long_ago = SharedBudget(database, "T1", clock=lambda: NOW - timedelta(hours=1))
        await long_ago.take(0)
        async with database.begin() as connection:
            note = codec.dump(Message("hello"))
            row_id = await add_row(connection, OutboxKind.NOTE, Address("T2", "C1"), NOW, data=note)
            await connection.execute(outbox.update().where(outbox.c.id == row_id).values(failures=2))

    in_database(url, fill)
    done = workspaces(tmp_path, url, "list", "--by", by)
    assert (done.returncode, done.stderr) == (FINE, "")
    lead, *rows = done.stdout.splitlines()
    assert lead.endswith(":")
    assert [" ".join(row.split()[:2]) for row in rows] == expected


def test_list_by_of_a_quiet_database_says_none(tmp_path, url):
    done = workspaces(tmp_path, url, "list", "--by", "errors")
    assert (done.returncode, done.stdout.splitlines()[1:]) == (FINE, ["none"])


def test_show_says_everything_but_secrets(tmp_path, url):
    in_database(url, lambda database, _: work_in(database, "T1", runs=2, failed=1))
    done = workspaces(tmp_path, url, "show", "T1", ENCRYPTION_KEYS=OLD_KEY, UNINSTALLED_RETENTION_DAYS="7")
    assert (done.returncode, done.stderr) == (FINE, "")
    facts = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    at = f"{NOW:%Y-%m-%d %H:%M} UTC"
    assert facts.pop("Last sync").endswith(("int_0: failed", "int_0: running", "int_1: failed", "int_1: running"))
    assert facts == {
        "Workspace": "T1 Acme",
        "State": "installed",
        "Organization": "none",
        "Installed": f"{at} by UANA",
        "Tokens": "changed 0 times since",
        "Scopes": "chat:write, commands",
        "FloKit": f"connected {at} by UANA, key ends in acme",
        "Master key": f"key 1 ({OLD.first_id})",
        "Waiting": "requests 0, syncs 1, messages 3, timers 0",
        "Parked": "0, until the app is installed again",
        "Last 24 hours": "syncs 2, errors 1",
        "Last minute": "requests to FloKit 0",
        "Subscriptions": "0",
        "Data": "finished work is erased after 90 days, everything 7 days after the app is uninstalled",
    }


def test_show_says_which_key_is_missing_and_when_the_data_goes(tmp_path, url):
    other = MasterKeys.parse(key := "M" * 8 + "abcdefghijklmnopqrstuvwxyz012345678")
    assert OLD.first_id not in other.ids
    shown = workspaces(tmp_path, url, "show", "T1", ENCRYPTION_KEYS=key).stdout
    assert f"Master key: {OLD.first_id}, which isn't in ENCRYPTION_KEYS: the app must be installed again\n" in shown
    shown = workspaces(tmp_path, url, "show", "T3", ENCRYPTION_KEYS=key).stdout
    assert "Master key: none: it has no secrets of its own\n" in shown
    assert f"Data: everything is erased {NOW + timedelta(days=30):%Y-%m-%d %H:%M} UTC\n" in shown


@pytest.mark.parametrize("task", ["show", "disconnect", "erase"])
def test_an_unknown_workspace_is_named(tmp_path, url, task):
    done = workspaces(tmp_path, url, task, "T9", answer="yes\n")
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr == "T9: this database has no such installation; flokit-bot workspaces list shows them all.\n"


@pytest.mark.parametrize("task", ["disconnect", "erase"])
@pytest.mark.parametrize("answer", ["", "no\n", "\n"])
def test_nothing_is_changed_without_a_yes(tmp_path, url, task, answer):
    done = workspaces(tmp_path, url, task, "T1", answer=answer)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.endswith("Type yes to continue:\nNothing was changed.\n")
    assert in_database(url, lambda _, vault: vault.connections.of("T1")) == replace(FLOKIT, connected_at=NOW)


@pytest.mark.parametrize(("options", "answer"), [(("--yes",), ""), ((), "yes\n")])
def test_disconnect_erases_the_keys_and_is_audited(tmp_path, url, options, answer):
    done = workspaces(tmp_path, url, "disconnect", "T1", *options, answer=answer)
    assert (done.returncode, done.stdout) == (
        FINE,
        "T1 is disconnected, and its FloKit keys are erased. Running replicas notice within a minute.\n",
    )
    assert in_database(url, lambda _, vault: vault.connections.of("T1")) is None
    assert in_database(url, lambda _, vault: vault.find("T1"))

    async def audited(database, _):
        return [(one.team_id, one.action, one.result) async for one in Audit(database).stream(AuditFilter())]

    assert in_database(url, audited) == [("T1", "disconnect", "by flokit-bot workspaces")]
    again = workspaces(tmp_path, url, "disconnect", "T1", "--yes")
    assert (again.returncode, again.stdout) == (FINE, "T1 isn't connected to FloKit.\n")


async def rows_of(database, *teams):
    """Count the rows of workspaces, in all tables."""
    async with database.read() as connection:
        kept = [*(table.select().where(table.c.team_id.in_(teams)) for table in ERASED)]
        kept.append(installations.select().where(installations.c.id.in_(teams)))
        return sum([await connection.scalar(select(func.count()).select_from(one.subquery())) for one in kept])


def test_erase_leaves_nothing_of_a_workspace_and_all_of_the_others(tmp_path, url):
    async def fill(database, _):
        for team in ("T1", "T2"):
            await work_in(database, team, runs=2, failed=1)
        return await rows_of(database, "T2")

    others = in_database(url, fill)
    done = workspaces(tmp_path, url, "erase", "T1", answer="yes\n")
    assert (done.returncode, done.stdout) == (
        FINE,
        "T1 is erased. In Slack, the app stays installed until its admins remove it.\n",
    )
    assert "with tokens, keys, subscriptions, history and audit log? This can't be undone." in done.stderr
    assert in_database(url, lambda database, _: rows_of(database, "T1")) == 0
    assert in_database(url, lambda database, _: rows_of(database, "T2")) == others
    assert workspaces(tmp_path, url, "show", "T1").returncode == USAGE


def test_erasing_an_organization_erases_the_workspaces_that_it_covers(tmp_path, url):
    in_database(url, lambda database, _: work_in(database, "T4"))
    done = workspaces(tmp_path, url, "erase", "E1", "--yes")
    assert done.stdout.startswith("E1 is erased, with 1 more of its organization.")
    assert in_database(url, lambda database, _: rows_of(database, "E1", "T4")) == 0
    assert in_database(url, lambda _, vault: vault.find("T1"))


async def test_erase_takes_what_a_running_replica_wrote_meanwhile(database_url):
    """For a minute, a process may still believe that the app is installed."""
    database = Database(database_url)
    vault = Installations(database, OLD)
    await vault.save(ACME, NOW)
    await work_in(database, "T1")
    await Replicas(database, "the bot").note(NOW)
    said, waited = [], []

    async def sleep(seconds):
        waited.append(seconds)
        assert await rows_of(database, "T1") == 1  # the note that it's gone
        assert await vault.find("T1") is None
        await work_in(database, "T1")

    all_ = Workspaces(database, OLD, Kept(90, 30), of_one=False, now=NOW)
    done = await all_.erase("T1", say=said.append, sleep=sleep)
    assert (waited, len(said)) == ([SETTLED_S], 1)
    assert done.startswith("T1 is erased.")
    assert await rows_of(database, "T1") == 0
    await database.close()


async def test_a_workspace_installed_again_while_it_is_erased_stays(database_url):
    database = Database(database_url)
    vault = Installations(database, OLD)
    await vault.save(ACME, NOW)
    await Replicas(database, "the bot").note(NOW)

    async def install_again(_):
        await vault.save(ACME, NOW + timedelta(seconds=1))

    all_ = Workspaces(database, OLD, Kept(90, 30), of_one=False, now=NOW)
    done = await all_.erase("T1", say=str, sleep=install_again)
    assert done == "T1 was installed again in the meantime; its earlier data is erased."
    assert await vault.find("T1")
    await database.close()


def test_a_deployment_with_tokens_in_its_settings_says_what_there_is(tmp_path, sqlite_url):
    """One workspace, which nobody installed: it can be shown, but not erased here."""
    settings = {"SLACK_BOT_TOKEN": "xoxb-of-the-test"}
    done = workspaces(tmp_path, sqlite_url, "list", **settings)
    lead = "This bot serves one workspace, whose tokens are in its settings; nobody installs it.\n"
    assert (done.returncode, done.stdout) == (FINE, f"{lead}The database has no data yet.\n")
    in_database(sqlite_url, lambda database, _: use(database, "T0ENV"))
    assert workspaces(tmp_path, sqlite_url, "list", **settings).stdout == f"{lead}The database has data of T0ENV.\n"
    assert workspaces(tmp_path, sqlite_url, "list", "--by", "calls", **settings).stdout.endswith("\n1  T0ENV\n")
    shown = workspaces(tmp_path, sqlite_url, "show", "T0ENV", **settings).stdout
    assert shown.startswith("Workspace: T0ENV\nState: its tokens are in the settings\n")
    refused = workspaces(tmp_path, sqlite_url, "erase", "T0ENV", "--yes", **settings)
    assert (refused.returncode, refused.stderr) == (
        USAGE,
        "T0ENV: nobody installed it; this bot serves one workspace, whose tokens are in its settings.\n",
    )


async def use(database, team):
    """Ask FloKit for something."""
    await SharedBudget(database, team, clock=lambda: datetime.now(UTC)).take(0)


def test_wrong_usage_and_settings(tmp_path, sqlite_url):
    assert call(tmp_path, "workspaces").returncode == USAGE
    assert call(tmp_path, "workspaces", "show").returncode == USAGE
    done = workspaces(tmp_path, sqlite_url, "list")
    assert (done.returncode, done.stdout) == (FINE, "No workspace has installed the app yet.\n")
    done = workspaces(tmp_path, f"sqlite:///{tmp_path}/none.db", "list")
    assert done.returncode == SETTINGS
    assert done.stderr.startswith("DATABASE_URL: there is no file ")


def test_what_is_printed_names_no_column_of_secrets():
    """A new secret of an installation can't get into the record that is shown."""
    sealed = {column.name for column in metadata.tables["installations"].c if str(column.type) == "BLOB"}
    assert not sealed & {field.name for field in fields(InstallationRecord)}
