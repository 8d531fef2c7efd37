"""Maintenance windows: what happens to an integration meanwhile is held, and told as one summary afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from bot.core import blocks
from bot.core.access.audit import AuditEntry, Deed, of_origin
from bot.core.access.policy import Verb
from bot.core.advice import KNOWN_TYPES
from bot.core.commands.catalog import MaintenanceCommand
from bot.core.commands.maintenance import MaintenanceWish, parse_maintenance, unclear
from bot.core.commands.presses import Action, Press
from bot.core.commands.targets import Ambiguous, NotFound, resolve_target, target_id
from bot.core.errors import FlokitError
from bot.core.incidents.quiet import Maintenance
from bot.core.models import Integration
from bot.core.requests import Request
from bot.core.sight import Sight
from bot.core.subscriptions.subscriptions import ALL, type_of
from bot.core.subscriptions.text import describe_target
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act
from bot.store.held import Quiet
from bot.store.ids import new_id
from bot.store.outbox_rows import answer_address

log = structlog.get_logger(__name__)


class Maintaining(Feature):
    """The maintenance windows of one workspace."""

    def __init__(self, services: Services, quiet: Quiet) -> None:
        super().__init__(services)
        self._quiet = quiet

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {MaintenanceCommand: self.maintain, Action.END_MAINTENANCE: self.press_end}

    async def maintain(self, request: Request, command: MaintenanceCommand) -> None:
        """Begin a maintenance window, end some, or list them."""
        await self._permits.check_early(request, Act(Deed.MAINTENANCE))
        now = self._clock()
        nicknames = await self._naming.current()
        words = nicknames.replace_in(command.words, lambda one: f'"{one.name}"')
        wish = parse_maintenance(words, now, ZoneInfo(await self._people.zone_of(request.origin.person.id)))
        known = await self._last_known()
        sight = await self._permits.sight(request.origin, known, Verb.SUBSCRIBE)
        if wish.ends:
            await self._end_named(request, wish, sight, known)
        elif wish.target_text or wish.until or wish.problem:
            await self._begin(request, wish, sight, known)
        else:
            await self._show(request, sight)

    async def _show(self, request: Request, sight: Sight) -> None:
        permitted = await self._permits.check(request, Act(Deed.LOOK))
        now = self._clock()
        rows = [(one, self._name(one, sight)) for one in await self._quiet.windows(now) if _sees(sight, one)]
        await self._answers.note(permitted, blocks.maintenances_message(rows, now, command=self._command))

    async def _begin(
        self, request: Request, wish: MaintenanceWish, sight: Sight, known: tuple[Integration, ...]
    ) -> None:
        now = self._clock()
        target = resolve_target(wish.target_text, sight.usable, sight.nicknames) if wish.target_text else None
        stored = target_id(target) if target else ""
        act = Act(Deed.MAINTENANCE, type_=type_of(stored, sight.usable) if stored else None, typed=wish.target_text)
        permitted = await self._permits.check(request, replace(act, typed=""))
        if wish.problem or wish.until is None or wish.begins_at is None:
            problem = unclear(wish.problem, self._command, wish.target_text)
            await self._answers.note(permitted, blocks.plain_message(problem))
            return
        if isinstance(target, Ambiguous | NotFound) or not stored:
            await self._permits.not_found(permitted, act, sight, known)
            return
        origin = permitted.origin
        maintenance = Maintenance(
            new_id("mnt"), origin.team_id, origin.channel_id, stored, origin.person, wish.begins_at, wish.until
        )
        message = blocks.maintenance_message(maintenance, self._name(maintenance, sight), now)
        entry = self._entry(permitted, maintenance, Deed.MAINTENANCE, now)
        await self._quiet.begin(permitted, maintenance, message, answer_address(permitted), entry, now)
        log.info("maintenance_set", maintenance_id=maintenance.id, target=stored, until=str(wish.until))

    async def _end_named(
        self, request: Request, wish: MaintenanceWish, sight: Sight, known: tuple[Integration, ...]
    ) -> None:
        windows = [one for one in await self._quiet.windows(self._clock()) if _sees(sight, one)]
        if wish.target_text:
            target = resolve_target(wish.target_text, sight.usable, sight.nicknames)
            named = {wish.target_text.casefold(), target_id(target).casefold()}
            meant = [one for one in windows if one.target.casefold() in named]
            if not meant and target_id(target) == ALL:
                meant = windows
            if not meant and isinstance(target, Ambiguous | NotFound):
                act = Act(Deed.END_MAINTENANCE, typed=wish.target_text)
                await self._permits.not_found(request, act, sight, known)
                return
        else:
            meant = windows if len(windows) == 1 else []
        if not meant:
            permitted = await self._permits.check(request, Act(Deed.END_MAINTENANCE))
            rows = [(one, self._name(one, sight)) for one in windows]
            message = blocks.maintenances_message(rows, self._clock(), command=self._command)
            await self._answers.note(permitted, message)
            return
        await self._end(request, meant, sight)

    async def press_end(self, request: Request, press: Press) -> None:
        """End the maintenance window whose button was pressed."""
        await self._permits.check_early(request, Act(Deed.END_MAINTENANCE))
        known = await self._last_known()
        sight = await self._permits.sight(request.origin, known, Verb.SUBSCRIBE)
        meant = [one for one in await self._quiet.windows(self._clock()) if one.id == press.choice]
        if meant:
            await self._end(request, meant, sight)
            return
        permitted = await self._permits.check(request, Act(Deed.END_MAINTENANCE))
        await self._answers.note(permitted, blocks.plain_message("This maintenance is over already."))

    async def _end(self, request: Request, meant: Sequence[Maintenance], sight: Sight) -> None:
        permitted, now = request, self._clock()
        for one in meant:
            act = Act(Deed.END_MAINTENANCE, type_=type_of(one.target, sight.usable), channels=(one.channel_id,))
            permitted = await self._permits.check(request, act)
        message = blocks.maintenance_ended_message(request.origin.person, [self._name(one, sight) for one in meant])
        entries = [self._entry(permitted, one, Deed.END_MAINTENANCE, now) for one in meant]
        await self._quiet.end(permitted, meant, message, answer_address(permitted), entries, now)
        log.info("maintenance_ended", count=len(meant))

    async def _last_known(self) -> tuple[Integration, ...]:
        """Return the last known integrations; a window for a type or for all needs none."""
        try:
            return (await self._knowledge.recalled()).integrations
        except FlokitError:
            return ()

    def _name(self, maintenance: Maintenance, sight: Sight) -> str:
        return describe_target(maintenance.target, sight.seen, sight.seen_nicknames)

    def _entry(self, request: Request, about: Maintenance, deed: Deed, now: datetime) -> AuditEntry:
        is_type = about.target in KNOWN_TYPES
        return replace(
            of_origin(request.origin, deed, now, result=f"until {about.until:%Y-%m-%d %H:%M} UTC"),
            integration_id="" if is_type or about.target == ALL else about.target,
            integration_type=about.target if is_type else "",
        )


def _sees(sight: Sight, maintenance: Maintenance) -> bool:
    """Whether a person may know of a window: of the integrations that they can look at."""
    return sight.is_whole or any(maintenance.covers(one) for one in sight.seen)
