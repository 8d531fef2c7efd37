"""Editing the policy of a workspace that has no policy file: the form, what is saved, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_origin, of_refusal
from bot.core.access.policy import Policy, Verb
from bot.core.access.policy_form import FIRST, FORM, Draft, PolicyVersion, place_problems
from bot.core.commands.catalog import PolicyCommand
from bot.core.commands.presses import Action, Press
from bot.core.forms.form import CheckedForm
from bot.core.requests import Origin, Request, RequestKind
from bot.handlers.connecting import Door
from bot.handlers.feature import Feature, Handlers, SaveForm, Services
from bot.handlers.forms import SLOW_SLACK, in_time
from bot.settings.policy_file import read_policy
from bot.store.outbox_rows import private_address
from bot.store.policies import Policies

log = structlog.get_logger(__name__)

MAY_NOT: Final = "You aren't allowed to change this workspace's policy. Nothing was saved."
BY_SETTINGS: Final = "This bot's policy is set by POLICY_FILE in its settings. Nothing was saved."


class PolicyEditing(Feature):
    """Who edits the policy of one workspace, and how.

    Args:
        services: what every handler can use.
        door: what only an installed workspace has; None if the settings name the policy.
        policies: the versions of the workspace's policy.
        may: whether a person may change it.
    """

    def __init__(
        self,
        services: Services,
        door: Door | None,
        policies: Policies,
        *,
        may: Callable[[Origin], Awaitable[bool]],
    ) -> None:
        super().__init__(services)
        self._door = door
        self._policies = policies
        self._may = may

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        return {
            PolicyCommand: self.open_form,
            Action.EDIT_POLICY: self.open_form,
            Action.EARLIER_VERSION: self.open_earlier,
        }

    @property
    def forms(self) -> Mapping[CheckedForm, SaveForm]:
        """What saves the form."""
        return {FORM: self.save}

    async def open_form(self, request: Request, _: object) -> None:
        """Open the form with the current policy."""
        if not await self._enter(request):
            return
        if request.kind is RequestKind.MENTION:
            await self._answers.note(request, blocks.type_it_message("policy", command=self._command))
            return
        await self._forms.open(request, blocks.policy_form(await self._policies.all()))

    async def open_earlier(self, request: Request, press: Press) -> None:
        """Show an earlier version on top of the form, which keeps what is typed in it; saving it asks for one click."""
        if not await self._enter(request):
            return
        versions = await self._policies.all()
        earlier = next((one for one in versions if str(one.number) == press.choice), None)
        if earlier is None:
            sentence = "That version is no longer available. Nothing was changed."
            await self._answers.note(request, blocks.plain_message(sentence))
            return
        await self._forms.open(request, blocks.policy_form(versions, earlier), on_top=True)

    async def save(self, request: Request, draft: Draft) -> Mapping[str, str]:
        """Check what was typed and save it; return what's wrong, by field."""
        door, origin, now = self._door, request.origin, self._clock()
        if door is None:
            return {FIRST: BY_SETTINGS}
        may = await in_time(self._may(origin))
        if may is None:
            return {FIRST: SLOW_SLACK}
        if not may:
            await self._policies.note_refusal(of_refusal(origin, Deed.POLICY, "", now, None))
            return {FIRST: MAY_NOT}
        found = await asyncio.to_thread(read_policy, draft.text)  # 15,000 characters of YAML take 70 ms
        if not isinstance(found, Policy):
            return place_problems(draft, found)
        version = PolicyVersion(draft.based_on + 1, draft.text, origin.person, now)
        result = f"version {version.number}{f', from version {draft.again}' if draft.again else ''}"
        before = await self._policies.save(
            version,
            of_origin(origin, Deed.POLICY, now, result=result),
            blocks.policy_saved_message(version.number, draft.again, found, command=self._command),
            private_address(request),
            now,
        )
        if before:
            return {FIRST: self._not_saved(draft, before)}
        door.changed()
        log.info("policy_saved", user_id=origin.person.id, version=version.number)
        return {}

    def _not_saved(self, draft: Draft, before: PolicyVersion) -> str:
        if before.text == draft.text:
            return f"This is already the policy (version {before.number}). Close this form, or change something."
        who = before.saved_by.name or "Someone"
        return (
            f"{who} changed the policy in the meantime; it's now version {before.number}. Nothing was saved. Copy your "
            f"text and run {self._command} policy again."
        )

    async def _enter(self, request: Request) -> bool:
        """Whether the person may change the policy here; if not, answer that."""
        if self._door is None:
            may_know = await self._access.allows(request.origin, Verb.ADMINISTER)
            message = blocks.settings_policy_message(self._access.policy if may_know else None)
            await self._answers.tell_alone(request, message)
            return False
        if await self._may(request.origin):
            return True
        log.info("refused", user_id=request.origin.person.id, action=Deed.POLICY, rule="connect")
        entry = of_refusal(request.origin, Deed.POLICY, "", self._clock(), None)
        await self._answers.tell_alone(request, blocks.may_not_change_policy_message(), entry=entry)
        return False
