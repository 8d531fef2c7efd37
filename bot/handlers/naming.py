"""Naming integrations for everyone in the workspace, with an owner and a link for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_origin
from bot.core.access.policy import Verb
from bot.core.commands.catalog import ForgetCommand, NameCommand
from bot.core.commands.naming import Split, name_conflict, parse_forgetting, parse_naming
from bot.core.commands.targets import Ambiguous, One
from bot.core.models import Integration
from bot.core.nicknames import (
    MOST,
    NO_EDIT,
    Edit,
    Nickname,
    Nicknames,
    describe_change,
    problems_of,
    tidy_name,
)
from bot.core.requests import Request
from bot.core.sight import Sight
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act, Answered
from bot.slack.client import SlackClient
from bot.store.nicknames import Change, NicknameRows
from bot.store.outbox_rows import answer_address

log = structlog.get_logger(__name__)

TOO_MANY: Final = f"{MOST} integrations have a name, an owner or a link. Forget one first."


class Nicknaming(Feature):
    """What people call the integrations of one workspace."""

    def __init__(self, services: Services, rows: NicknameRows, slack: SlackClient) -> None:
        super().__init__(services)
        self._rows = rows
        self._slack = slack

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        return {NameCommand: self.name, ForgetCommand: self.forget}

    async def name(self, request: Request, command: NameCommand) -> None:
        """Name an integration, or give it an owner or a link."""
        wish = parse_naming(command.words)
        targets = [split.target for split in wish.splits] or [""]
        act = Act(Deed.NAME, typed=targets[-1])
        await self._permits.check_early(request, act)
        known = (await self._knowledge.recalled()).integrations
        sight = await self._permits.sight(request.origin, known, Verb.SUBSCRIBE)
        split, about = await self._find(request, wish.splits, sight, known)
        permitted = await self._permits.check(request, Act(Deed.NAME, about))
        edit = wish.edit if split.name is None else replace(wish.edit, name=tidy_name(split.name))
        problem = wish.problem or next(iter(problems_of(edit).values()), "")
        if not problem and edit == NO_EDIT:
            problem = f'What should it be called? For example: {self._command} name {split.target} "My app"'
        if problem:
            await self._answers.note(permitted, blocks.plain_message(f"{problem} Nothing was changed."))
            return
        await self._change(permitted, about, known, edit, request_id=request.id)

    async def forget(self, request: Request, command: ForgetCommand) -> None:
        """Forget the name of an integration, even if it's no longer in FloKit."""
        typed = parse_forgetting(command.words)
        act = Act(Deed.NAME, typed=typed)
        await self._permits.check_early(request, act)
        known = (await self._knowledge.recalled()).integrations
        nicknames = await self._naming.current()
        gone = nicknames.called(typed)
        if gone and all(one.id != gone for one in known):
            known = (*known, Integration(gone))
        sight = await self._permits.sight(request.origin, known, Verb.SUBSCRIBE)
        _split, about = await self._find(request, (Split(typed),), sight, known)
        permitted = await self._permits.check(request, Act(Deed.NAME, about))
        await self._change(permitted, about, known, Edit(name=""), request_id=request.id)

    async def _find(
        self, request: Request, splits: Sequence[Split], sight: Sight, known: tuple[Integration, ...]
    ) -> tuple[Split, Integration]:
        """Return the first way to understand the words that names one integration, and that.

        Raises:
            Answered: there is none.
        """
        several = None
        for split in splits:
            found = sight.find(split.target)
            if isinstance(found, One):
                return split, found.integration
            if isinstance(found, Ambiguous):
                several = several or (split, found)
        if several:
            split, ambiguous = several
            message = blocks.which_to_name_message(
                split.target, ambiguous.matches, sight.nicknames, command=self._command
            )
            await self._answers.note(request, message)
            raise Answered
        typed = splits[-1].target if splits else ""
        await self._permits.not_found(request, Act(Deed.NAME, typed=typed), sight, known)
        raise Answered

    async def _change(
        self, request: Request, about: Integration, known: Sequence[Integration], edit: Edit, *, request_id: str
    ) -> None:
        decide = partial(self._decide, request, about, known, edit)
        changed = await self._rows.change(decide, self._clock(), cause=request.cause, request_id=request_id)
        if changed.after:
            self._naming.changed()
            log.info("nickname_changed", integration_id=about.id, user_id=request.origin.person.id)

    def _decide(
        self, request: Request, about: Integration, known: Sequence[Integration], edit: Edit, nicknames: Nicknames
    ) -> Change:
        before = nicknames.of(about.id)
        after = edit.apply(before)
        problem = _problem(before, after, about, known, nicknames)
        if problem:
            message = blocks.plain_message(f"{problem} Nothing was changed.")
            return Change(None, message, answer_address(request, private=True))
        message = blocks.named_message(before, after, about.type, request.origin.person, command=self._command)
        result = describe_change(before, after)
        entry = of_origin(request.origin, Deed.NAME, self._clock(), result=result)
        entry = replace(entry, integration_id=about.id, integration_type=about.type)
        return Change(after, message, answer_address(request), entry)


def _problem(
    before: Nickname, after: Nickname, about: Integration, known: Sequence[Integration], nicknames: Nicknames
) -> str:
    """Say why a change can't be made; "" if it can."""
    if after == before:
        return "It has no name." if not after.name else "That's how it is already."
    is_new = after.name and after.name != before.name
    if is_new and (conflict := name_conflict(after.name, about, known, nicknames)):
        return conflict
    return TOO_MANY if before.is_blank and len(nicknames.by_id) >= MOST else ""
