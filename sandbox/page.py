"""The routes behind the sandbox's browser page: its files, a live feed, and what people type and click.

A tab shows one workspace. Its requests name it as ``team``; without that, it's the first one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from aiohttp import web

from local_slack import LocalSlack, LocalWorkspace, Org
from local_slack.config import ChannelKind
from local_slack.delivery import AckError
from local_slack.guard import APP_REDIRECT_PATH
from local_slack.workspace import Json
from sandbox.control import ControlPanel
from sandbox.inspector import Inspector
from sandbox.many import ManyWorkspaces
from sandbox.page_requests import BadRequestError, answering, optional_text, texts

COMMAND_FAILURES: Final = {
    AckError.TIMEOUT: "{command} failed because the app didn't respond",
    AckError.FAILED: '{command} failed with the error "dispatch_failed"',
    AckError.BAD_RESPONSE: "{command} failed because the app sent a response that Slack doesn't accept",
}
CLICK_FAILURES: Final = {
    AckError.TIMEOUT: "{app} didn't respond in time",
    AckError.FAILED: "{app} couldn't be reached",
}
SUBMIT_FAILURES: Final = {
    AckError.TIMEOUT: "We had some trouble connecting. Try again?",
    AckError.FAILED: "We had some trouble connecting. Try again?",
    AckError.BAD_RESPONSE: "{app} sent a response that Slack doesn't accept",
}

_Action: TypeAlias = "Callable[[LocalWorkspace, Json], Awaitable[Json]]"
"""What a person does in a workspace; returns what the page is told."""


def add_page(
    app: web.Application,
    slack: LocalSlack,
    files: Path,
    *,
    panels: Mapping[str, ControlPanel] = MappingProxyType({}),
    inspector: Inspector | None = None,
    many: ManyWorkspaces | None = None,
) -> None:
    """Add the page to an application that has not started.

    Args:
        files: the folder with ``index.html`` and its assets.
        panels: the fault injection panel of each workspace that has one, by the workspace's ID.
        inspector: without it, the page's log is empty.
        many: without it, nobody can install the app in another workspace.
    """
    page = _Page(slack, files, panels, inspector, many)
    app.router.add_get("/", page.index)
    app.router.add_get(APP_REDIRECT_PATH, page.app_redirect)
    app.router.add_get("/page/live", page.live)
    app.router.add_get(r"/page/{file:[\w.-]+}", page.file)
    actions = {
        "command": page.command,
        "say": page.say,
        "click": page.click,
        "view_submit": page.view_submit,
        "view_close": page.view_close,
        "home": page.home,
        "channel": page.channel,
        "control": page.control,
        "another": page.another,
        "flokit_key": page.flokit_key,
        "uninstall": page.uninstall,
    }
    for name, act in actions.items():
        app.router.add_post(f"/page/{name}", answering(page.at_workspace(act)))
    app.on_shutdown.append(page.close)


class _Page:
    """The page's routes."""

    def __init__(
        self,
        slack: LocalSlack,
        files: Path,
        panels: Mapping[str, ControlPanel],
        inspector: Inspector | None,
        many: ManyWorkspaces | None,
    ) -> None:
        self._slack = slack
        self._files = files
        self._panels = panels
        self._inspector = inspector
        self._many = many
        self._app = slack.workspace.app
        self._sockets: set[web.WebSocketResponse] = set()

    async def index(self, _request: web.Request) -> web.StreamResponse:
        """Serve the page."""
        return self._serve("index.html")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Serve the page's assets."""
        return self._serve(request.match_info["file"])

    def _serve(self, name: str) -> web.StreamResponse:
        path = self._files / name
        return web.FileResponse(path) if path.is_file() else web.Response(status=404)

    async def app_redirect(self, request: web.Request) -> web.StreamResponse:
        """Open the app in a workspace, as https://slack.com/app_redirect does, as the person who installed it."""
        here = self._slack.workspaces.get(request.query.get("team", ""))
        if self._many is None or here is None or not here.installation.is_installed:
            return web.Response(status=302, headers={"Location": "/"})
        user = self._slack.oauth.installer(here)
        query = urlencode({"team": here.workspace.id, "as": user})
        return web.Response(status=302, headers={"Location": f"/?{query}#{here.workspace.open_im(user).id}"})

    def at_workspace(self, act: _Action) -> Callable[[Json], Awaitable[Json]]:
        """Let an action act on the workspace that the page names.

        Raises:
            BadRequestError: there is no such workspace.
        """

        async def acting(asked: Json) -> Json:
            named = optional_text(asked, "team")
            here = self._slack if named is None else self._slack.workspaces.get(named)
            if here is None:
                raise BadRequestError("There's no such workspace.")
            return await act(here, asked)

        return acting

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Send the whole state, then every change, until the page disconnects."""
        here = self._slack.workspaces.get(request.query.get("team", "")) or self._slack
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        self._sockets.add(socket)
        changes: asyncio.Queue[Json] = asyncio.Queue()
        changes.put_nowait(self.state(here))
        try:
            async with self._feeding(here, changes.put_nowait), _running(_send_all(socket, changes)):
                async for _ in socket:
                    pass
        finally:
            self._sockets.discard(socket)
        return socket

    @contextlib.asynccontextmanager
    async def _feeding(self, here: LocalWorkspace, tell: Callable[[Json], None]) -> AsyncIterator[None]:
        """Call ``tell`` with every change of a workspace, its traffic and its panel, and with news from elsewhere."""

        def tell_change(change: Json) -> None:
            # Who the bot is and what it may do has changed as well.
            tell(self.state(here) if change["type"] == "installed" else change)

        def tell_traffic(change: Json) -> None:
            if change["entry"]["team"] in {"", here.workspace.id}:
                tell(change)

        async with contextlib.AsyncExitStack() as stack:
            stack.callback(here.subscribe(tell_change))
            for other in self._slack.workspaces:
                if other is not here:
                    stack.callback(other.subscribe(partial(self._tell_elsewhere, tell, other)))
            if self._inspector is not None:
                stack.callback(self._inspector.subscribe(tell_traffic))
            if here.workspace.id in self._panels:
                await stack.enter_async_context(_running(self._panels[here.workspace.id].watch(tell)))
            yield

    def _tell_elsewhere(self, tell: Callable[[Json], None], other: LocalWorkspace, change: Json) -> None:
        """Say what a tab needs to know of a workspace that it doesn't show."""
        there = other.workspace
        if change["type"] == "installed":
            tell({"type": "teams", "teams": self._teams(), "installable": self._installable()})
        elif change["type"] == "message" and change["message"].get("user") == there.app.bot_user_id:
            tell({"type": "elsewhere", "team": there.id})

    async def close(self, _app: web.Application) -> None:
        """Close the live feeds and the panel, so that the server doesn't wait for them."""
        for panel in self._panels.values():
            await panel.close()
        for socket in tuple(self._sockets):
            await socket.close()

    def state(self, here: LocalWorkspace) -> Json:
        """Return a workspace's whole state."""
        workspace, app = here.workspace, here.workspace.app
        panel = self._panels.get(workspace.id)
        users = workspace.users.values()
        people = [user.id for user in users if not user.is_bot]
        connected = self._slack.bot_is_reachable
        return {
            "type": "state",
            "team": {"id": workspace.id, "name": workspace.name},
            "teams": self._teams(),
            "installable": self._installable(),
            "installed": here.installation.is_installed,
            "org": workspace.org.name if workspace.org else "",
            "can_uninstall": self._many is not None and self._many.is_on and here.installation.is_installed,
            "bot": {"user_id": app.bot_user_id, "name": app.name, "connected": connected},
            "command": app.command,
            "home_tab": here.installation.home_tab,
            "hears_directs": "im:history" in here.installation.scopes,
            "users": [{"id": user.id, "name": user.name, "is_bot": user.is_bot} for user in users],
            "channels": [workspace.describe(channel) for channel in workspace.channels.values()],
            "messages": {channel: workspace.all_messages(channel) for channel in workspace.channels},
            "ephemerals": {user.id: workspace.ephemerals(user.id) for user in users},
            "homes": {user: here.views.home(user) for user in people},
            "modals": {user: here.views.modal(user) for user in people},
            "control": panel.state() if panel else None,
            "log": self._inspector.entries(team_id=workspace.id) if self._inspector else [],
        }

    def _teams(self) -> list[Json]:
        """Return the first workspace and those that installed the app at some time."""
        shown = [one.workspace for one in self._slack.workspaces if one is self._slack or _was_installed(one)]
        return [{"id": one.id, "name": one.name} for one in shown]

    def _installable(self) -> list[Json]:
        """Return where the app isn't installed: workspaces, and organizations of which at least one lacks it."""
        if self._many is None:
            return []
        missing = [one.workspace for one in self._slack.workspaces if not one.installation.is_installed]
        places = dict.fromkeys(one.org or one for one in missing)
        return [{"id": one.id, "name": one.name, "is_org": isinstance(one, Org)} for one in places]

    def _place(self, place_id: str) -> LocalWorkspace | Org:
        """Return the workspace or organization with this ID; for a workspace of an organization, that.

        Raises:
            BadRequestError: there is none.
        """
        for one in self._slack.workspaces:
            org = one.workspace.org
            if place_id in {one.workspace.id, org and org.id}:
                return org or one
        raise BadRequestError("There's no such workspace.")

    async def command(self, here: LocalWorkspace, asked: Json) -> Json:
        """Type a slash command: ``text`` is the whole line."""
        user, channel, line = texts(asked, "user", "channel", "text")
        name, _, text = line.strip().partition(" ")
        if name != self._app.command:
            return {"ok": False, "error": f"{name} isn't a valid command."}
        ack = await here.command(user, channel, text.strip(), name)
        return self._outcome(ack.error, COMMAND_FAILURES)

    async def say(self, here: LocalWorkspace, asked: Json) -> Json:
        """Post as a person."""
        user, channel, text = texts(asked, "user", "channel", "text")
        if not text.strip():
            raise BadRequestError("Enter a message.")
        text = text.replace(f"@{self._app.name}", f"<@{here.workspace.app.bot_user_id}>")
        ts = await here.say(user, channel, text, optional_text(asked, "thread_ts"))
        return {"ok": True, "ts": ts, "error": ""}

    async def click(self, here: LocalWorkspace, asked: Json) -> Json:
        """Use a button or menu in a message or, with ``view_id``, in a modal or App Home."""
        if "view_id" in asked:
            return await self._click_in_view(here, asked)
        user, channel, ts, action_id = texts(asked, "user", "channel", "ts", "action_id")
        value = optional_text(asked, "value")
        press = partial(
            here.click,
            user,
            channel,
            ts,
            action_id,
            value=value,
            ephemeral=asked.get("ephemeral") is True,
            values=_values(asked),
        )
        try:
            ack = await press(block_id=optional_text(asked, "block_id"))
        except LookupError:
            if value is None:
                raise
            ack = await press()  # an edit gave the blocks new IDs, but the button is the same
        return self._outcome(ack.error, CLICK_FAILURES)

    async def _click_in_view(self, here: LocalWorkspace, asked: Json) -> Json:
        user, view_id, action_id = texts(asked, "user", "view_id", "action_id")
        ack = await here.views.click(
            user,
            view_id,
            action_id,
            block_id=optional_text(asked, "block_id"),
            value=optional_text(asked, "value"),
            values=_values(asked),
        )
        return self._outcome(ack.error, CLICK_FAILURES)

    async def view_submit(self, here: LocalWorkspace, asked: Json) -> Json:
        """Submit a modal; ``errors`` has the validation errors by block_id."""
        user, view_id = texts(asked, "user", "view_id")
        submitted = await here.views.submit(user, view_id, _values(asked))
        return {**self._outcome(submitted.error, SUBMIT_FAILURES), "ok": submitted.ok, "errors": submitted.errors}

    async def view_close(self, here: LocalWorkspace, asked: Json) -> Json:
        """Close a modal."""
        user, view_id = texts(asked, "user", "view_id")
        here.views.close(user, view_id)
        return {"ok": True, "error": ""}

    async def home(self, here: LocalWorkspace, asked: Json) -> Json:
        """Open the bot's App Home."""
        [user] = texts(asked, "user")
        here.views.open_home(user)
        return {"ok": True, "error": ""}

    async def channel(self, here: LocalWorkspace, asked: Json) -> Json:
        """Archive or unarchive a channel, or remove or invite the bot."""
        user, channel, action = texts(asked, "user", "channel", "action")
        acts = {
            "archive": here.archive,
            "unarchive": here.unarchive,
            "remove_bot": here.remove_bot,
            "invite_bot": here.invite_bot,
        }
        if action not in acts:
            raise BadRequestError(f"Unknown action: {action}.")
        acts[action](channel, user)
        return {"ok": True, "error": ""}

    def _outcome(self, error: str, sentences: dict[AckError, str]) -> Json:
        """Return the result, with the error that Slack's client would show."""
        if not error:
            return {"ok": True, "error": ""}
        sentence = sentences[AckError(error)].format(app=self._app.name, command=self._app.command)
        return {"ok": False, "error": sentence}

    async def control(self, here: LocalWorkspace, asked: Json) -> Json:
        """Perform an action of the fault injection panel."""
        panel = self._panels.get(here.workspace.id)
        if panel is None:
            raise BadRequestError("Fault injection isn't available here.")
        return await panel.act(asked)

    async def another(self, _here: LocalWorkspace, asked: Json) -> Json:
        """Return the address at which someone installs the app in the workspace with the ID ``install``."""
        [place_id] = texts(asked, "install")
        url = await self._serving_many().invite(self._place(place_id))
        return {"ok": True, "url": url, "error": ""}

    async def flokit_key(self, here: LocalWorkspace, asked: Json) -> Json:
        """Return an API key of the workspace's FloKit, as a person copies it there."""
        [rights] = texts(asked, "rights")
        return {"ok": True, "key": self._serving_many().key(here.workspace.id, rights), "error": ""}

    async def uninstall(self, here: LocalWorkspace, _asked: Json) -> Json:
        """Uninstall the app, as an admin does; if the organization installed it, take it from this workspace."""
        if not self._serving_many().is_on:
            raise BadRequestError("The bot has this workspace's token in its settings, so it can't be uninstalled.")
        if here.workspace.is_org_install:
            self._slack.oauth.revoke_access(here)
        else:
            self._slack.oauth.uninstall(here)
        return {"ok": True, "error": ""}

    def _serving_many(self) -> ManyWorkspaces:
        if self._many is None:
            raise BadRequestError("There's no other workspace here.")
        return self._many


def _was_installed(one: LocalWorkspace) -> bool:
    """Whether the app is or was installed: its direct messages stay."""
    here = one.workspace
    return any(channel.kind is ChannelKind.IM and here.has_bot(channel) for channel in here.channels.values())


def _values(asked: Json) -> dict[str, dict[str, Json]]:
    """Return the input values, by block_id and action_id."""
    values: Any = asked.get("values") or {}
    if not _is_object_of_objects(values) or not all(_is_object_of_objects(block) for block in values.values()):
        raise BadRequestError("values must be an object by block_id and action_id.")
    filled_in: dict[str, dict[str, Json]] = values
    return filled_in


def _is_object_of_objects(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(member, dict) for member in value.values())


async def _send_all(socket: web.WebSocketResponse, changes: asyncio.Queue[Json]) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await socket.send_json(await changes.get())


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``work`` alongside the block, and cancel it when the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
