"""Naming integrations for everyone in the workspace, with an owner and a link for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_origin, of_refusal
from bot.core.access.policy import Refused, Verb
from bot.core.advice import display_name
from bot.core.commands.catalog import ExpectCommand, ForgetCommand, NameCommand
from bot.core.commands.expecting import parse_expecting
from bot.core.commands.naming import Split, name_conflict, parse_forgetting, parse_naming
from bot.core.commands.presses import Action, Press, fits_in_a_button
from bot.core.commands.targets import Ambiguous, One
from bot.core.forms.form import EXPIRED, CheckedForm, OpenedFor
from bot.core.forms.naming import FORM, NAME, FilledName
from bot.core.models import Integration, Message
from bot.core.nicknames import (
    MOST,
    NO_EDIT,
    Edit,
    Nickname,
    Nicknames,
    describe_change,
    describe_expected,
    problems_of,
    tidy_name,
)
from bot.core.requests import Request, RequestKind
from bot.core.sight import Sight
from bot.core.volumes.expectations import NOTHING
from bot.handlers.feature import Feature, Handlers, SaveForm, Services
from bot.handlers.forms import NOT_OPENED, SLOW_SLACK, in_time
from bot.handlers.permits import Act, Answered, known_type
from bot.lookups.integrations import NAMES_LAST_S
from bot.store.nicknames import Change, NicknameRows
from bot.store.outbox_rows import Address, answer_address

log = structlog.get_logger(__name__)

SAME: Final = "That's how it is already."
TOO_MANY: Final = f"{MOST} integrations have a name, an owner or a link. Forget one first."


class Nicknaming(Feature):
    """What people call the integrations of one workspace."""

    def __init__(self, services: Services, rows: NicknameRows) -> None:
        super().__init__(services)
        self._rows = rows

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        return {
            NameCommand: self.name,
            ForgetCommand: self.forget,
            ExpectCommand: self.expect,
            Action.EDIT_NAME: self.press,
        }

    @property
    def forms(self) -> Mapping[CheckedForm, SaveForm]:
        """What saves the form."""
        return {FORM: self.save}

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
        if not problem and edit == NO_EDIT and request.kind is RequestKind.COMMAND:
            await self._open_form(permitted, about)
            return
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

    async def expect(self, request: Request, command: ExpectCommand) -> None:
        """Change or show how often an integration is expected to sync, and how many events to bring."""
        wish = parse_expecting(command.words)
        await self._permits.check_early(request, Act(Deed.EXPECT, typed=wish.target))
        known = (await self._knowledge.recalled()).integrations
        sight = await self._permits.sight(request.origin, known, Verb.SUBSCRIBE)
        _split, about = await self._find(request, (Split(wish.target),), sight, known, Deed.EXPECT)
        permitted = await self._permits.check(request, Act(Deed.EXPECT, about))
        before = (await self._rows.all()).of(about.id).expected
        if wish.problem:
            await self._answers.note(permitted, blocks.plain_message(f"{wish.problem} Nothing was changed."))
            return
        if wish.expected is None and not wish.clears:
            message = blocks.expected_message(about, before, sight.nicknames, command=self._command)
            await self._answers.note(permitted, message)
            return
        said = wish.expected or NOTHING
        after = NOTHING if wish.clears else said.over(before)
        await self._change(permitted, about, known, Edit(expected=after), request_id=request.id)

    async def press(self, request: Request, press: Press) -> None:
        """Open the form for an integration."""
        about = await self._knowledge.last_of(press.integration_id)
        permitted = await self._permits.check(request, Act(Deed.NAME, about))
        panel_id = "" if request.origin.ephemeral else press.panel_id
        await self._open_form(permitted, about, panel_id)

    async def _open_form(self, request: Request, about: Integration, panel_id: str = "") -> None:
        nickname = (await self._rows.all()).of(about.id)
        if not fits_in_a_button(about.id):
            await self._answers.note(request, blocks.plain_message(NOT_OPENED))
            return
        metadata = OpenedFor(about.id, request.id, panel_id).as_metadata()
        await self._forms.open(request, blocks.name_form(nickname, display_name(about.type), metadata), is_kept=True)

    async def save(self, request: Request, filled: FilledName) -> Mapping[str, str]:
        """Save what a form says; return what's wrong, by field."""
        integration_id = filled.opened_for.subject_id
        asked = await self._store.inbox.load_asked(request.origin.team_id, filled.opened_for.asked_id)
        if asked is None or asked.origin.person.id != request.origin.person.id:
            return {NAME: EXPIRED}
        known = await self._knowledge.last(NAMES_LAST_S)
        integrations = known.integrations if known else ()
        about = next((one for one in integrations if one.id == integration_id), None)
        if about is None and known:
            return {NAME: "FloKit no longer has this integration. Nothing was saved."}
        about = about or Integration(integration_id)
        here = replace(asked, origin=replace(asked.origin, is_elsewhere=request.origin.is_elsewhere))
        verdict = await in_time(self._access.decide(here.origin, Verb.SUBSCRIBE, known_type(about)))
        if verdict is None:
            return {NAME: SLOW_SLACK}
        if isinstance(verdict, Refused):
            entry = of_refusal(here.origin, Deed.NAME, verdict.rule, self._clock(), about)
            await self._rows.change(lambda _: Change(None, entry=entry), self._clock(), cause=request.cause)
            return {NAME: f"{verdict.sentence} Nothing was saved."}
        here = replace(here, origin=replace(here.origin, rule=verdict.rule))
        changed = await self._change(here, about, integrations, filled.edit, panel_id=filled.opened_for.panel_id)
        return {NAME: changed.problem} if changed.problem and changed.problem != SAME else {}

    async def _find(
        self,
        request: Request,
        splits: Sequence[Split],
        sight: Sight,
        known: tuple[Integration, ...],
        deed: Deed = Deed.NAME,
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
            example = "expect {} every 6h" if deed is Deed.EXPECT else 'name {} "…"'
            message = blocks.which_to_name_message(
                split.target, ambiguous.matches, sight.nicknames, example=example, command=self._command
            )
            await self._answers.note(request, message)
            raise Answered
        typed = splits[-1].target if splits else ""
        await self._permits.not_found(request, Act(deed, typed=typed), sight, known)
        raise Answered

    async def _change(
        self,
        request: Request,
        about: Integration,
        known: Sequence[Integration],
        edit: Edit,
        *,
        request_id: str = "",
        panel_id: str = "",
    ) -> Change:
        """Change what people added to an integration; ``request_id`` is the saved request that this answers."""
        decide = partial(self._decide, request, about, known, edit, is_answer=bool(request_id))
        changed = await self._rows.change(
            decide, self._clock(), cause=request.cause, request_id=request_id, panel_id=panel_id
        )
        if changed.after:
            self._naming.changed()
            log.info("nickname_changed", integration_id=about.id, user_id=request.origin.person.id)
        return changed

    def _decide(
        self,
        request: Request,
        about: Integration,
        known: Sequence[Integration],
        edit: Edit,
        nicknames: Nicknames,
        *,
        is_answer: bool,
    ) -> Change:
        before = nicknames.of(about.id)
        after = edit.apply(before)
        problem = _problem(before, after, about, known, nicknames)
        if problem and not is_answer:
            return Change(None, problem=problem)
        if problem:
            message = blocks.plain_message(f"{problem} Nothing was changed.")
            return Change(None, message, answer_address(request, private=True), problem=problem)
        deed, message, result = self._describe(request, before, after, about, nicknames)
        entry = of_origin(request.origin, deed, self._clock(), result=result)
        entry = replace(entry, integration_id=about.id, integration_type=about.type)
        address = (
            Address(request.origin.team_id, user_id=request.origin.person.id)
            if request.origin.ephemeral and not is_answer
            else answer_address(request)
        )
        return Change(after, message, address, entry)

    def _describe(
        self, request: Request, before: Nickname, after: Nickname, about: Integration, nicknames: Nicknames
    ) -> tuple[Deed, Message, str]:
        person = request.origin.person
        if before.expected == after.expected:
            message = blocks.named_message(before, after, about.type, person, command=self._command)
            return Deed.NAME, message, describe_change(before, after)
        message = blocks.expected_message(about, after.expected, nicknames, person, command=self._command)
        return Deed.EXPECT, message, describe_expected(before.expected, after.expected)


def _problem(
    before: Nickname, after: Nickname, about: Integration, known: Sequence[Integration], nicknames: Nicknames
) -> str:
    """Say why a change can't be made; "" if it can."""
    if after == before:
        return SAME
    is_new = after.name and after.name != before.name
    if is_new and (conflict := name_conflict(after.name, about, known, nicknames)):
        return conflict
    return TOO_MANY if before.is_blank and len(nicknames.by_id) >= MOST else ""
