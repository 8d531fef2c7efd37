"""The workspaces in a database, for those who run the bot: ``flokit-bot workspaces``. No secret is opened or shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.core.access.audit import NOBODY, AuditEntry, Deed
from bot.core.characters import cut
from bot.core.installations import KNOWN_FOR_S, InstallationRecord
from bot.observability.logs import escape
from bot.store.database import Database
from bot.store.erasure import erase_data
from bot.store.installations import Installations
from bot.store.replicas import count_alive
from bot.store.sealing import MasterKeys
from bot.store.usage import Measure, Usage, known_teams, loudest, usage_of

NAME_CHARS: Final = 40
SETTLED_S: Final = KNOWN_FOR_S + 15.0
"""After this time, no process does anything for a workspace that was uninstalled before, or still has work in hand."""

BY_COMMAND: Final = "by flokit-bot workspaces"

_MEASURED: Final = {
    Measure.CALLS: "Requests to FloKit in the last minute, of 100; all of them while FloKit asks for a pause:",
    Measure.RUNS: "Syncs requested in the last 24 hours:",
    Measure.ERRORS: "Syncs of the last 24 hours without a success, and messages that Slack refuses now:",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """How long data is kept, in days: of finished work, and of workspaces that uninstalled the app."""

    finished_days: float
    uninstalled_days: float


class Workspaces:
    """The workspaces in one database. Each method returns what to print, and raises StoreUnavailable.

    Args:
        database: the database.
        keys: the master keys, to say which one a workspace needs; None if they aren't known.
        kept: how long data is kept.
        of_one: whether the settings have the tokens of one workspace.
        now: the time.
    """

    def __init__(self, database: Database, keys: MasterKeys | None, kept: Kept, *, of_one: bool, now: datetime) -> None:
        self._database = database
        self._installations = Installations(database, keys or MasterKeys(()))
        self._keys = keys
        self._kept = kept
        self._of_one = of_one
        self._now = now

    async def overview(self, limit: int) -> Sequence[str]:
        """List the workspaces by ID."""
        records = await self._installations.records.page(limit + 1)
        if not records:
            return await self._without_installations(limit)
        head = ("ID", "NAME", "STATE", "FLOKIT")
        rows = [(one.id, _name(one.team_name), _state(one), _flokit(one)) for one in records[:limit]]
        return [*_table([head, *rows]), *_more(len(records) > limit, limit)]

    async def loudest(self, measure: Measure, limit: int) -> Sequence[str]:
        """List the workspaces that do most of something."""
        counts = await loudest(self._database, measure, self._now, limit + 1)
        rows = [(f"{one.count:,}", one.team_id, _name(one.name)) for one in counts[:limit]]
        return [_MEASURED[measure], *(_table(rows) or ["none"]), *_more(len(counts) > limit, limit)]

    async def show(self, id_: str) -> Sequence[str]:
        """Say all about one workspace; [] if there's no such workspace."""
        record = await self._installations.records.find(id_)
        usage = await usage_of(self._database, id_, self._now)
        if record is None and id_ not in await self._teams_of_settings():
            return []
        facts = self._facts(record) if record else [("Workspace", id_), ("State", "its tokens are in the settings")]
        facts += [*_used(usage), ("Data", _kept(record, self._kept))]
        return [f"{name}: {text}" for name, text in facts]

    async def question(self, task: str, id_: str) -> str | None:
        """Return what to ask before a workspace is disconnected or erased; None if there's no such workspace."""
        record = await self._installations.records.find(id_)
        if record is None:
            return None
        who = f"{escape(id_)} {_name(record.team_name)}".strip()
        if task == "disconnect":
            return f"Erase the FloKit keys of {who}? Someone must then connect it again. Its data stays."
        all_ = " and all workspaces that it covers" if record.is_enterprise else ""
        return f"Erase {who}{all_}, with tokens, keys, subscriptions, history and audit log? This can't be undone."

    async def disconnect(self, id_: str) -> str:
        """Erase the FloKit keys of a workspace, and say what happened."""
        entry = AuditEntry(self._now, id_, NOBODY, "", Deed.DISCONNECT, result=BY_COMMAND)
        if not await self._installations.connections.erase(id_, entry=entry):
            return f"{id_} isn't connected to FloKit."
        return f"{id_} is disconnected, and its FloKit keys are erased. Running replicas notice within a minute."

    async def erase(self, id_: str, *, say: Callable[[str], None], sleep: Callable[[float], Awaitable[None]]) -> str:
        """Erase a workspace with all its data, and say what happened.

        While replicas run, they may write something for as long as they believe that it's installed, so what they wrote
        is erased after that. If this is interrupted, the rest goes with the next ``erase``, or after
        ``UNINSTALLED_RETENTION_DAYS``.
        """
        ids = await self._installations.give_up(id_, self._now)
        await erase_data(self._database, ids, self._now)
        async with self._database.read() as connection:
            alive = await count_alive(connection, self._now)
        if alive:
            say(f"Erased. The bot is running, so I'll wait {SETTLED_S:g} s and erase what it writes in the meantime.")
            await sleep(SETTLED_S)
        erased = await self._installations.erase(ids, self._now)
        if erased < len(ids):
            return f"{id_} was installed again in the meantime; its earlier data is erased."
        more = f", with {erased - 1} more of its organization" if erased > 1 else ""
        return f"{id_} is erased{more}. In Slack, the app stays installed until its admins remove it."

    async def _without_installations(self, limit: int) -> Sequence[str]:
        if not self._of_one:
            return ["No workspace has installed the app yet."]
        served = await self._teams_of_settings(limit)
        lead = "This bot serves one workspace, whose tokens are in its settings; nobody installs it."
        return [lead, f"The database has data of {', '.join(served)}." if served else "The database has no data yet."]

    async def _teams_of_settings(self, limit: int = 1000) -> Sequence[str]:
        return [escape(one) for one in await known_teams(self._database, limit)] if self._of_one else []

    def _facts(self, record: InstallationRecord) -> list[tuple[str, str]]:
        return [
            ("Workspace", f"{escape(record.id)} {_name(record.team_name)}".strip()),
            ("State", _state(record)),
            ("Organization", escape(record.enterprise_id or "none")),
            ("Installed", f"{_time(record.installed_at)}{_by(record.installed_by)}"),
            ("Tokens", f"changed {record.generation - 1} times since" if record.has_token else "none of its own"),
            ("Scopes", ", ".join(record.scopes) or "none"),
            ("FloKit", _flokit(record)),
            ("Master key", self._key_of(record)),
        ]

    def _key_of(self, record: InstallationRecord) -> str:
        if record.key_id is None:
            return "none: it has no secrets of its own"
        if self._keys is None:
            return record.key_id
        if record.key_id not in self._keys.ids:
            return f"{record.key_id}, which isn't in ENCRYPTION_KEYS: the app must be installed again"
        return f"key {self._keys.ids.index(record.key_id) + 1} ({record.key_id})"


def _used(usage: Usage) -> list[tuple[str, str]]:
    run = usage.last_run
    return [
        (
            "Waiting",
            f"requests {usage.requests}, syncs {usage.open_runs}, messages {usage.messages}, timers {usage.timers}",
        ),
        ("Parked", f"{usage.parked}, until the app is installed again"),
        ("Last 24 hours", f"syncs {usage.runs}, errors {usage.errors}"),
        ("Last minute", f"requests to FloKit {usage.calls}"),
        ("Subscriptions", str(usage.subscriptions)),
        (
            "Last sync",
            f"{_time(run.requested_at)}, {escape(run.integration_id)}: {run.outcome or 'running'}" if run else "none",
        ),
    ]


def _kept(record: InstallationRecord | None, kept: Kept) -> str:
    finished = f"finished work is erased after {kept.finished_days:g} days"
    if record is None:
        return finished
    if record.uninstalled_at is None:
        return f"{finished}, everything {kept.uninstalled_days:g} days after the app is uninstalled"
    return f"everything is erased {_time(record.uninstalled_at + timedelta(days=kept.uninstalled_days))}"


def _state(record: InstallationRecord) -> str:
    if record.uninstalled_at:
        return f"uninstalled {_time(record.uninstalled_at)}"
    if record.is_enterprise:
        return "installed org-wide"
    return "installed" if record.has_token else f"installed through {record.enterprise_id}"


def _flokit(record: InstallationRecord) -> str:
    if record.connected_at is None:
        return "not connected"
    hint = f", key ends in {escape(record.key_hint)}" if record.key_hint else ""
    return f"connected {_time(record.connected_at)}{_by(record.connected_by)}{hint}"


def _by(person: str | None) -> str:
    return f" by {escape(person)}" if person else ""


def _name(text: str) -> str:
    return escape(cut(text, NAME_CHARS))


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _more(is_cut: bool, limit: int) -> list[str]:
    return [f"… and more; --limit shows more than {limit}."] if is_cut else []


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
