"""What happened and how things are, for people who ask: audit, history, doctor. Nothing here changes any of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bot.core import blocks
from bot.core.advice import KNOWN_TYPES, display_name
from bot.core.audit import AuditFilter
from bot.core.audit_words import ME, AuditWish, parse_audit
from bot.core.blocks.audit import PAGE_SIZE
from bot.core.commands import Ambiguous, Found, NotFound, resolve
from bot.core.panels import Panel, PanelKind
from bot.store.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from bot.answers import Answers
    from bot.core.models import Integration
    from bot.core.requests import Request
    from bot.diagnosis import Diagnosis
    from bot.knowledge import Knowledge
    from bot.store.audit import Audit
    from bot.store.store import Store

RUNS_READ: Final = 300
"""So many of the newest runs are weighed."""


class Records:
    """The audit and the history of one workspace."""

    def __init__(
        self,
        audit: Audit,
        store: Store,
        knowledge: Knowledge,
        answers: Answers,
        *,
        diagnosis: Diagnosis,
        clock: Callable[[], datetime],
        command: str,
        kept_days: float,
    ) -> None:
        self._diagnosis = diagnosis
        self._audit = audit
        self._store = store
        self._answers = answers
        self._knowledge = knowledge
        self._clock = clock
        self._command = command
        self._kept_days = kept_days

    async def show_audit(self, request: Request, words: str) -> None:
        """Show a person the newest page of what they ask for, and nobody else."""
        panel = Panel(new_id("pnl"), PanelKind.AUDIT, (), self._clock(), query=words)
        panel = await self.turn(panel, 0, request.origin.person.id)
        if panel.entries:
            await self._answers.show_alone(request, panel)
            return
        message = blocks.nothing_noted_message(words, kept_days=self._kept_days, command=self._command)
        await self._answers.tell_alone(request, message)

    async def turn(self, panel: Panel, number: int, reader_id: str) -> Panel:
        """Return a page of the audit as it was when it was first shown, so that new entries shift nothing."""
        wanted = await self._wanted(parse_audit(panel.query), panel.as_of, reader_id)
        if wanted is None:  # nobody of that name ever did anything
            return replace(panel, page=0, entries=(), has_more=False)
        page = await self._audit.page(wanted, number=number, size=PAGE_SIZE)
        return replace(panel, page=number, entries=page.entries, has_more=page.has_more)

    async def _wanted(self, wish: AuditWish, as_of: datetime, reader_id: str) -> AuditFilter | None:
        within = AuditFilter(since=as_of - wish.within if wish.within else None, until=as_of)
        if wish.person_name == ME:
            return replace(within, person_ids=(reader_id,))
        if wish.person_name:
            ids = await self._audit.people_called(wish.person_name)
            return replace(within, person_ids=ids) if ids else None
        if wish.person_id:
            return replace(within, person_ids=(wish.person_id,))
        if not wish.target:
            return within
        ids, type_ = _meant(wish.target, await self._knowledge.last_names(self._clock()))
        return replace(within, integration_ids=ids, integration_type=type_)

    async def show_history(self, request: Request, target: str) -> None:
        """Show how the last syncs of an integration, of a type or of all went."""
        ids, types = None, ""
        if target:
            ids, types = _meant(target, await self._knowledge.last_names(self._clock()))
        runs = await self._store.past_runs(request.origin.team_id, ids, types, RUNS_READ)
        message = blocks.history_message(runs, self._clock(), kept_days=self._kept_days, command=self._command)
        await self._answers.note(request, message)

    async def show_doctor(self, request: Request, *, blocks_too: bool) -> None:
        """Show a person whether all is well, and nobody else."""
        findings = await self._diagnosis.findings(request.origin.channel_id, blocks=blocks_too)
        message = blocks.doctor_message(findings, self._clock())
        await self._answers.tell_alone(request, message)


def _meant(text: str, known: Sequence[Integration]) -> tuple[tuple[str, ...], str]:
    """Find which integrations are meant, and the type if it is one; one that FloKit no longer has counts by its id."""
    key = _key(text)
    for type_ in dict.fromkeys((*KNOWN_TYPES, *(one.type for one in known))):
        if key and key in (_key(type_), _key(display_name(type_))):
            return tuple(one.id for one in known if one.type == type_), type_
    match resolve(text, known):
        case Found(integration=integration):
            return (integration.id,), ""
        case Ambiguous(matches=matches):
            return tuple(one.id for one in matches), ""
        case NotFound():
            return (text,), ""


def _key(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
