"""Connecting a workspace to its FloKit, and ending that. Only here do FloKit's keys pass through the bot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import NOBODY, AuditEntry, Deed, of_origin, of_refusal
from bot.core.access.policy import Verb
from bot.core.blocks.states import state_of
from bot.core.commands.catalog import ConnectCommand, DisconnectCommand
from bot.core.commands.presses import Action
from bot.core.errors import FlokitDenied, FlokitError, SlackError, StoreUnavailable
from bot.core.forms.form import CheckedForm
from bot.core.forms.keys import FORM, KEY, SYNC_KEY, Keys
from bot.core.installations import Connection
from bot.core.requests import Origin, Request, RequestKind
from bot.flokit import KeyCheck, Listing
from bot.handlers.feature import Feature, Handlers, SaveForm, Services
from bot.handlers.forms import SLOW_SLACK, in_time

log = structlog.get_logger(__name__)

CHECKED_WITHIN_S: Final = 1.8
"""How long FloKit may take to confirm the keys: Slack waits for 3 s in all.

https://docs.slack.dev/interactivity/handling-user-interaction#acknowledgment_response
"""

SLOW_FLOKIT: Final = "FloKit didn't answer in time, so nothing was saved. Please try again in a minute."
TWO_WORKSPACES: Final = "This key belongs to a different FloKit workspace than the key above."
KEPT: Final = (
    "Your key is saved, but my database went away before I could send you the next steps. To get them, press Connect "
    "again."
)
MAY_NOT: Final = "You aren't allowed to connect FloKit in this workspace. Nothing was saved."


@dataclass(frozen=True, slots=True)
class Door:
    """What only a workspace that was installed by OAuth has.

    Args:
        installed_by: the person who installed the app.
        key_hint: the last characters of the key; "" if there is none.
        check: has FloKit confirm two keys; starts no sync.
        webhook_url: returns the address for a webhook's token.
        keep: keeps keys in place of earlier ones, and returns the token of the webhooks' address.
        erase: erases the keys.
        changed: has what this process knows of the workspace read again.
    """

    installed_by: str
    key_hint: str
    check: Callable[[str, str], Awaitable[KeyCheck]]
    webhook_url: Callable[[str], str]
    keep: Callable[[Connection], Awaitable[str]]
    erase: Callable[[], Awaitable[None]]
    changed: Callable[[], None]


class Connecting(Feature):
    """Who connects one workspace to its FloKit; ``door`` is None if the settings do that."""

    def __init__(self, services: Services, door: Door | None) -> None:
        super().__init__(services)
        self._door = door
        self._bot_user_id = services.context.bot_user_id

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        return {
            ConnectCommand: self.open_form,
            Action.CONNECT: self.open_form,
            DisconnectCommand: self.ask,
            Action.DISCONNECT: self.disconnect,
            RequestKind.INSTALLED: self.welcome,
            RequestKind.CONNECTED: self.tell,
            RequestKind.KEY_LOST: self.warn,
        }

    @property
    def forms(self) -> Mapping[CheckedForm, SaveForm]:
        """What saves the form."""
        return {FORM: self.connect}

    async def open_form(self, request: Request, _: object) -> None:
        """Open the form for a person who may connect the workspace."""
        door = await self._enter(request, Deed.CONNECT)
        if door is None:
            return
        if request.kind is RequestKind.MENTION:
            await self._answers.note(request, blocks.type_it_message("connect", command=self._command))
            return
        await self._forms.open(request, blocks.connect_form())

    async def connect(self, request: Request, keys: Keys) -> Mapping[str, str]:
        """Have FloKit confirm keys and keep them; return what's wrong, by input."""
        door, origin = self._door, request.origin
        if door is None:
            return {KEY: "This bot is connected by its settings. Nothing was saved."}
        may = await in_time(self.may(origin))
        if not may:
            return {KEY: SLOW_SLACK if may is None else MAY_NOT}
        try:
            async with asyncio.timeout(CHECKED_WITHIN_S):
                checked = await door.check(keys.key, keys.sync_key or keys.key)
        except TimeoutError:
            return {KEY: SLOW_FLOKIT}
        if errors := _problems(checked):
            return errors
        now = self._clock()
        connection = Connection(keys.key, keys.sync_key or None, origin.person.id, now)
        token = await door.keep(connection)
        log.info("flokit_connected", user_id=origin.person.id)
        try:
            await self._store.inbox.add(replace(request, text=token))
        except StoreUnavailable as error:
            log.warning("request_not_saved", error=str(error))
            return {KEY: KEPT}
        return {}

    async def tell(self, request: Request, _: object) -> None:
        """Report to the person who connected FloKit what was found there, and what to do next."""
        entry = of_origin(request.origin, Deed.CONNECT, self._clock())
        try:
            known = (await self._knowledge.look()).integrations
        except FlokitError as error:
            message = blocks.connected_unseen_message(error.sentence, command=self._command)
        else:
            troubled = sum(state_of(one.status).needs_attention for one in known)
            url = self._door.webhook_url(request.text) if self._door else ""
            message = blocks.connected_message(len(known), troubled, url, self._bot_user_id, command=self._command)
        await self._answers.tell_alone(request, message, entry=entry)

    async def welcome(self, request: Request, _: object) -> None:
        """Greet the person who installed the app."""
        entry = of_origin(request.origin, Deed.INSTALL, self._clock())
        welcome = blocks.welcome_back_message if self._knowledge.is_connected else blocks.welcome_message
        message = welcome(command=self._command)
        await self._answers.tell_alone(request, message, entry=entry)

    async def warn(self, request: Request, _: object) -> None:
        """Tell whoever connected FloKit that the key doesn't work anymore."""
        team_id, person = request.origin.team_id, request.origin.person.id
        entry = AuditEntry(self._clock(), team_id, NOBODY, "", Deed.KEY_LOST, result=f"notified {person}")
        hint = self._door.key_hint if self._door else ""
        message = blocks.key_lost_message(request.text, hint, command=self._command)
        await self._answers.tell_alone(request, message, entry=entry)

    async def ask(self, request: Request, _: object) -> None:
        """Ask whether to disconnect."""
        door = await self._enter(request, Deed.DISCONNECT)
        if door:
            await self._answers.tell_alone(request, blocks.disconnect_message(door.key_hint))

    async def disconnect(self, request: Request, _: object) -> None:
        """Erase FloKit's keys."""
        door = await self._enter(request, Deed.DISCONNECT)
        if door is None:
            return
        await door.erase()
        log.info("flokit_disconnected", user_id=request.origin.person.id)
        sentence = blocks.plain_message("FloKit is disconnected, and its key is erased.")
        entry = of_origin(request.origin, Deed.DISCONNECT, self._clock())
        await self._answers.tell_alone(request, sentence, entry=entry)

    async def _enter(self, request: Request, deed: Deed) -> Door | None:
        """Return the door if the person may pass it; otherwise, answer that they may not."""
        door = self._door
        if door is None:
            await self._answers.note(request, blocks.settings_connect_message())
            return None
        if await self.may(request.origin):
            return door
        log.info("refused", user_id=request.origin.person.id, action=deed, rule="connect")
        entry = of_refusal(request.origin, deed, "", self._clock(), None)
        await self._answers.tell_alone(request, blocks.may_not_connect_message(), entry=entry)
        return None

    async def may(self, origin: Origin) -> bool:
        """Whether a person may connect the workspace, and change its policy.

        Raises:
            SlackError: who they are can't be looked up now; ``retryable``.
        """
        return await self._passes(origin, self._people.is_admin)

    async def is_offered(self, origin: Origin) -> bool:
        """Whether to offer a person what `may` allows. What's known of them is good enough, and no answer is a no."""
        try:
            return await self._passes(origin, self._people.was_admin)
        except SlackError as error:
            log.info("person_not_prepared", user_id=origin.person.id, code=error.code)
            return False

    async def _passes(self, origin: Origin, is_admin: Callable[[str], Awaitable[bool]]) -> bool:
        if self._door is None or origin.is_elsewhere:
            return False
        if origin.person.id == self._door.installed_by or await is_admin(origin.person.id):
            return True
        return await self._access.allows(origin, Verb.ADMINISTER)


def _problems(checked: KeyCheck) -> dict[str, str]:
    look, sync = checked.look, checked.sync
    errors = {}
    if isinstance(look, FlokitError):
        errors[KEY] = _why(look)
    if checked.distinct and isinstance(sync, FlokitError):
        errors[SYNC_KEY] = _why(sync)
    if isinstance(look, Listing) and isinstance(sync, Listing) and checked.same_workspace is False:
        errors[SYNC_KEY] = TWO_WORKSPACES
    return errors


def _why(error: FlokitError) -> str:
    if isinstance(error, FlokitDenied):
        return f"FloKit refuses this key (HTTP {error.http_status}). Copy it again from FloKit → Settings → API Keys."
    return f"{error.sentence} Nothing was saved."
