"""The audit log and the history of syncs. Nothing here changes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from bot.core import blocks
from bot.core.access.audit import AuditFilter, Deed
from bot.core.access.audit_words import ME, nearest_people, parse_audit, people_meant
from bot.core.blocks.audit import PAGE_SIZE
from bot.core.commands.catalog import AuditCommand, HistoryCommand
from bot.core.commands.targets import (
    WORDS_COMPARED,
    All,
    Ambiguous,
    NotFound,
    OfType,
    One,
    nearest_types,
    resolve_target,
)
from bot.core.models import Integration, Message, Person, SyncRun
from bot.core.nicknames import Nicknames
from bot.core.panels import Panel, PanelKind
from bot.core.requests import Request
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act
from bot.lookups.links import Links
from bot.store.audit import Audit
from bot.store.ids import new_id

RUNS_READ: Final = 300
"""How many of the newest runs are read."""


class Records(Feature):
    """The audit log and the history of one workspace."""

    def __init__(self, services: Services, audit: Audit, links: Links, *, kept_days: float) -> None:
        super().__init__(services)
        self._links = links
        self._audit = audit
        self._kept_days = kept_days

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {HistoryCommand: self.show_history, AuditCommand: self.show_audit}

    async def show_audit(self, request: Request, command: AuditCommand) -> None:
        """Show the newest page only to the person who asked."""
        permitted = await self._permits.check(request, Act(Deed.AUDIT))
        panel = Panel(new_id("pnl"), PanelKind.AUDIT, (), self._clock(), query=command.words)
        asked = await self._asked(command.words, panel.as_of, request.origin.person.id, "audit")
        if isinstance(asked, Message):
            await self._answers.tell_alone(permitted, asked)
            return
        panel = await self._page(panel, 0, asked)
        if panel.entries:
            await self._answers.show_alone(permitted, panel)
            return
        message = blocks.nothing_found_message(panel, kept_days=self._kept_days, command=self._command)
        await self._answers.tell_alone(permitted, message)

    async def turn(self, panel: Panel, number: int, reader_id: str) -> Panel:
        """Return another page of the audit log as of when it was first shown, so new entries don't shift it."""
        asked = await self._asked(panel.query, panel.as_of, reader_id, "audit")
        if isinstance(asked, Message):  # what was typed is no longer known
            return replace(panel, page=0, entries=(), has_more=False)
        return await self._page(panel, number, asked)

    async def _page(self, panel: Panel, number: int, asked: _Asked) -> Panel:
        wanted = AuditFilter(
            since=asked.since,
            until=min(asked.until or panel.as_of, panel.as_of),
            person_ids=asked.person_ids,
            integration_ids=asked.group.integration_ids if asked.group else (),
            integration_type=asked.group.type_ if asked.group else "",
        )
        page = await self._audit.page(wanted, number=number, size=PAGE_SIZE)
        return replace(
            panel,
            page=number,
            entries=page.entries,
            links=tuple((await self._links_of(one.run_id for one in page.entries)).items()),
            has_more=page.has_more,
            since=asked.since,
            until=asked.until,
            zone=asked.zone,
        )

    async def _links_of(self, run_ids: Iterable[str], channel_id: str = "") -> dict[str, str]:
        return await self._links.of_runs(self._store.runs, self._team_id, run_ids, channel_id)

    async def show_history(self, request: Request, command: HistoryCommand) -> None:
        """Show the recent syncs of an integration, a type, or all."""
        permitted = await self._permits.check(request, Act(Deed.LOOK))
        asked = await self._asked(command.words, self._clock(), request.origin.person.id, "history")
        if isinstance(asked, Message):
            await self._answers.note(permitted, asked)
            return
        ids, type_ = (asked.group.integration_ids, asked.group.type_) if asked.group else (None, "")
        read = await self._store.runs.past(request.origin.team_id, ids, type_, RUNS_READ)
        runs = [run for run in read if asked.counts(run)]
        shown = blocks.linked_in_history(runs)
        message = blocks.history_message(
            runs,
            self._clock(),
            await self._naming.current(),
            links=await self._links_of(shown, request.origin.channel_id),
            kept_days=self._kept_days,
            asked=command.words,
            command=self._command,
        )
        await self._answers.note(permitted, message)

    async def _asked(self, words: str, now: datetime, reader_id: str, word: str) -> _Asked | Message:
        """Parse which part of the past is asked for; a message if that isn't clear."""
        nicknames = await self._naming.current()
        words = nicknames.replace_in(words, lambda one: one.integration_id)
        wish, zone = parse_audit(words, now), ""
        if wish.in_days:
            zone = await self._people.zone_of(reader_id)
            wish = parse_audit(words, now, ZoneInfo(zone))
        if wish.unclear:
            return blocks.time_unclear_message(wish.unclear, word=word, command=self._command)
        asked = _Asked(wish.since, wish.until, zone, (wish.person_id,) if wish.person_id else ())
        if wish.person_name == ME:
            asked = replace(asked, person_ids=(reader_id,))
        elif wish.person_name:
            ids = await self._audit.people_called(wish.person_name)
            if not ids:
                return await self._nobody(wish.person_name, word)
            asked = replace(asked, person_ids=ids)
        return await self._with_name(asked, wish.name, nicknames, word) if wish.name else asked

    async def _nobody(self, name: str, word: str) -> Message:
        near = nearest_people(name, (await self._audit.names())[0])
        return blocks.nobody_called_message(name, near, kept_days=self._kept_days, word=word, command=self._command)

    async def _with_name(self, asked: _Asked, name: str, nicknames: Nicknames, word: str) -> _Asked | Message:
        """Look a plain name up among integrations and types, then among people; two names can be one of each."""
        people, past = await self._audit.names()
        known = (*await self._knowledge.last_names(), *past)
        group = _group(name, known, nicknames)
        if isinstance(group, NotFound):
            known = (*await self._knowledge.names(), *past)
            group = _group(name, known, nicknames)
        if not isinstance(group, NotFound):
            return replace(asked, group=group)
        meant = () if asked.person_ids else people_meant(name, people)
        if len(meant) > 1:
            return blocks.which_person_message(name, meant, word=word, command=self._command)
        if meant:
            return replace(asked, person_ids=(meant[0].id,))
        if not asked.person_ids and (both := _one_of_each(name, known, people, nicknames)):
            return replace(asked, group=both[0], person_ids=(both[1].id,))
        near = group.nearest
        return blocks.name_not_recognized_message(
            name,
            near,
            () if near else nearest_types(name),
            nearest_people(name, people),
            nicknames,
            word=word,
            command=self._command,
        )


@dataclass(frozen=True, slots=True)
class _Group:
    """All integrations that a name matches; ``type_`` is set if it's their type."""

    integration_ids: tuple[str, ...]
    type_: str = ""


def _group(name: str, known: Sequence[Integration], nicknames: Nicknames) -> _Group | NotFound:
    match resolve_target(name, known, nicknames):
        case OfType(type_=type_, integrations=integrations):
            return _Group(tuple(one.id for one in integrations), type_)
        case Ambiguous(matches=matches):
            return _Group(tuple(one.id for one in matches))
        case One(integration=one):
            return _Group((one.id,))
        case All():
            return _Group(tuple(one.id for one in known))
        case NotFound() as nothing:
            return nothing


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which part of the past is asked for; ``group`` None and no ``person_ids`` mean everything."""

    since: datetime | None = None
    until: datetime | None = None
    zone: str = ""
    person_ids: tuple[str, ...] = ()
    group: _Group | None = None

    def counts(self, run: SyncRun) -> bool:
        """Return whether a run was started by these people within this time; its integration isn't checked."""
        if self.person_ids and run.requested_by.id not in self.person_ids:
            return False
        return not ((self.since and run.requested_at < self.since) or (self.until and run.requested_at >= self.until))


def _one_of_each(
    name: str, known: Sequence[Integration], people: Sequence[Person], nicknames: Nicknames
) -> tuple[_Group, Person] | None:
    """Split "stripe ana" into an integration and a person, whichever comes first."""
    words = name.split()[:WORDS_COMPARED]
    for place in range(1, len(words)):
        before, after = " ".join(words[:place]), " ".join(words[place:])
        for about, by in ((before, after), (after, before)):
            group, meant = _group(about, known, nicknames), people_meant(by, people)
            if not isinstance(group, NotFound) and len(meant) == 1:
                return group, meant[0]
    return None
