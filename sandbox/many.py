"""How the sandbox's bot comes to serve many workspaces: it restarts as an app that anyone can install.

Until somebody asks for another workspace, the bot has one workspace's tokens in its settings. Then it restarts once,
on the same database, with the settings of docs/many-workspaces.md, and the first workspace goes the way that every
workspace goes from then on: it installs the app by OAuth, and connects its FloKit by the form.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Mapping
from typing import Final

import aiohttp

from bot.core.forms.keys import FORM, KEY, SYNC_KEY
from bot.ops.web import WEBHOOK_PATH
from bot.settings.encryption_keys import new_encryption_key
from bot.slack.oauth import INSTALL_PATH, REDIRECT_PATH
from local_slack import LocalSlack, LocalWorkspace, NotYet, Org
from local_slack.workspace import Json
from sandbox.child import BotProcess
from sandbox.keeper import BotKeeper
from sandbox.local_flokit import LocalFlokit
from sandbox.page_requests import BadRequestError

OF_ONE: Final = frozenset({"SLACK_BOT_TOKEN", "FLOKIT_API_KEY", "FLOKIT_SYNC_API_KEY", "FLOKIT_WEBHOOK_SECRET"})
"""The settings of a bot that serves one workspace only."""

READY_WITHIN_S: Final = 30.0
FORM_WITHIN_S: Final = 5.0
TRIES: Final = 3
"""How often the form is submitted: on a busy machine, FloKit may take longer than Slack waits."""

_WEBHOOK: Final = re.compile(re.escape(WEBHOOK_PATH) + r"/[\w-]+")


class ManyWorkspaces:
    """The bot, which can be made to serve many workspaces.

    Args:
        slack: has all workspaces; the app is installed in the first one.
        flokits: the FloKit of each, by the workspace's ID.
    """

    def __init__(
        self,
        slack: LocalSlack,
        flokits: Mapping[str, LocalFlokit],
        bot: BotProcess,
        keeper: BotKeeper,
    ) -> None:
        self._slack = slack
        self._flokits = flokits
        self._bot = bot
        self._keeper = keeper
        self._settings: Mapping[str, str] = {}
        self._lock = asyncio.Lock()
        self._public_url = ""
        self._first_is_connected = False

    def start_with(self, settings: Mapping[str, str]) -> None:
        """Have the bot start with these settings, which serve the first workspace only."""
        self._settings = settings
        self._bot.use(settings)

    @property
    def is_on(self) -> bool:
        """Whether the bot serves many workspaces, or is about to."""
        return bool(self._public_url)

    async def invite(self, place: LocalWorkspace | Org) -> str:
        """Return the address of the bot's install page for a workspace; the first time, this restarts the bot.

        An organization is chosen on Slack's page. If it has the app already, it's added to workspaces on another one.

        Raises:
            BadRequestError: the bot didn't start, or the first workspace can't be installed or connected now.
        """
        async with self._lock:
            if not self._first_is_connected:
                await self._begin()
        if not isinstance(place, Org):
            return f"{self._public_url}{INSTALL_PATH}?team={place.workspace.id}"
        oauth = self._slack.oauth
        return oauth.access_url(place) if oauth.is_installed(place) else f"{self._public_url}{INSTALL_PATH}"

    def key(self, team_id: str, rights: str) -> str:
        """Return an API key of a workspace's FloKit, as its page Settings → API Keys shows it.

        Raises:
            BadRequestError: there is no such key.
        """
        for key, its_rights in self._flokits[team_id].keys.items():
            if its_rights == rights:
                return key
        raise BadRequestError("rights must be one of: read, write.")

    def webhook_url(self, workspace: LocalWorkspace) -> str:
        """Return the address for a workspace's webhooks; "" if none is known.

        The bot told it to whoever connected FloKit, who then adds it in FloKit.
        """
        if not self.is_on:
            return self._bot.address and f"{self._bot.address}{WEBHOOK_PATH}"
        here = workspace.workspace
        told = [message for channel in here.channels for message in here.all_messages(channel)]
        told += [message for user in here.users for message in here.ephemerals(user)]
        found = _WEBHOOK.findall(json.dumps(sorted(told, key=lambda message: str(message["ts"]))))
        return f"{self._public_url}{found[-1]}" if found else ""

    async def _begin(self) -> None:
        if not self._public_url:
            self._use_other_settings()
            await self._keeper.restart()
        await self._ready()
        # Ana set the bot up, so it's she who installs it now.
        ana = next(iter(self._slack.workspace.users))
        shown = await self._slack.oauth.install(self._slack, ana, f"{self._public_url}{INSTALL_PATH}")
        if shown.status != 200:
            raise BadRequestError("The bot restarted, but Slack or its database refuses to install it now. Try again.")
        await self._connect(ana)
        self._first_is_connected = True

    def _use_other_settings(self) -> None:
        port = _free_port()
        oauth = self._slack.oauth
        self._public_url = f"http://127.0.0.1:{port}"
        oauth.redirect_urls = (f"{self._public_url}{REDIRECT_PATH}",)
        self._slack.is_distributed = True
        self._bot.use(
            {
                **{name: value for name, value in self._settings.items() if name not in OF_ONE},
                "SLACK_CLIENT_ID": oauth.server.client_id,
                "SLACK_CLIENT_SECRET": oauth.server.client_secret,
                "PUBLIC_URL": self._public_url,
                "PORT": str(port),
                "ENCRYPTION_KEYS": new_encryption_key(),
            }
        )

    async def _ready(self) -> None:
        try:
            async with asyncio.timeout(READY_WITHIN_S), aiohttp.ClientSession(self._public_url) as session:
                while True:
                    if self._slack.connections and await _is_ready(session):
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise BadRequestError("The bot didn't restart in time. Try again.") from None

    async def _connect(self, user: str) -> None:
        first = self._slack
        ack = await first.command(user, first.workspace.open_im(user).id, "connect")
        if not ack.ok:
            raise BadRequestError("The bot restarted, but doesn't answer. Try again.")
        try:
            form = await first.wait_for(lambda: _form_of(first, user), FORM_WITHIN_S)
        except NotYet:
            raise BadRequestError("The bot restarted, but can't open a form. Is the Slack API set to Fine?") from None
        keys = {block: self.key(first.workspace.id, rights) for block, rights in ((KEY, "read"), (SYNC_KEY, "write"))}
        values = {block: {block: {"type": "plain_text_input", "value": key}} for block, key in keys.items()}
        for _ in range(TRIES):
            submitted = await first.views.submit(user, form["id"], values)
            if submitted.ok:
                return
        first.views.close(user, form["id"])
        reason = next(iter((submitted.errors or {}).values()), "it doesn't answer")
        raise BadRequestError(f"The bot restarted, but can't connect the first workspace: {reason}")


def _form_of(workspace: LocalWorkspace, user: str) -> Json:
    """Return a person's form that connects FloKit; empty if it isn't open."""
    modal = workspace.views.modal(user) or {}
    return modal if modal.get("callback_id") == FORM.callback_id else {}


async def _is_ready(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/readyz") as reply:
            return reply.status == 200
    except aiohttp.ClientError:
        return False


def _free_port() -> int:
    """Return a port that's free now: the bot's own address has to name it before it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
