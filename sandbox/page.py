"""The routes behind the sandbox's browser page: its files, a live feed, and what people type and click."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from local_slack import LocalSlack
from local_slack.delivery import AckError
from local_slack.workspace import Json
from sandbox.control import ControlPanel
from sandbox.inspector import Inspector
from sandbox.page_requests import BadRequestError, answering, optional_text, texts

COMMAND_FAILURES: Final = {
    AckError.TIMEOUT: "{command} failed because the app did not respond",
    AckError.FAILED: '{command} failed with the error "dispatch_failed"',
    AckError.BAD_RESPONSE: "{command} failed because the app's answer is not a message that Slack takes",
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


def add_page(
    app: web.Application,
    slack: LocalSlack,
    files: Path,
    *,
    panel: ControlPanel | None = None,
    inspector: Inspector | None = None,
) -> None:
    """Add the page to an application that has not started.

    Args:
        files: the folder with ``index.html`` and what it loads.
        panel: the control panel; without it the page has none.
        inspector: without it the page's log is empty.
    """
    page = _Page(slack, files, panel, inspector)
    app.router.add_get("/", page.index)
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
    }
    for name, act in actions.items():
        app.router.add_post(f"/page/{name}", answering(act))
    app.on_shutdown.append(page.close)


class _Page:
    """What the page can ask for."""

    def __init__(
        self,
        slack: LocalSlack,
        files: Path,
        panel: ControlPanel | None,
        inspector: Inspector | None,
    ) -> None:
        self._slack = slack
        self._files = files
        self._panel = panel
        self._inspector = inspector
        self._app = slack.workspace.app
        self._sockets: set[web.WebSocketResponse] = set()

    async def index(self, _request: web.Request) -> web.StreamResponse:
        """Serve the page."""
        return self._serve("index.html")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Serve what the page loads."""
        return self._serve(request.match_info["file"])

    def _serve(self, name: str) -> web.StreamResponse:
        path = self._files / name
        return web.FileResponse(path) if path.is_file() else web.Response(status=404)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Send the whole state, then every change, until the page goes away."""
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        self._sockets.add(socket)
        changes: asyncio.Queue[Json] = asyncio.Queue()
        changes.put_nowait(self.state())
        try:
            async with self._feeding(changes.put_nowait), _running(_send_all(socket, changes)):
                async for _ in socket:
                    pass
        finally:
            self._sockets.discard(socket)
        return socket

    @contextlib.asynccontextmanager
    async def _feeding(self, tell: Callable[[Json], None]) -> AsyncIterator[None]:
        """Tell every change of the workspace, the inspector and the panel."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._slack.subscribe(tell))
            if self._inspector is not None:
                stack.callback(self._inspector.subscribe(tell))
            if self._panel is not None:
                await stack.enter_async_context(_running(self._panel.watch(tell)))
            yield

    async def close(self, _app: web.Application) -> None:
        """Close the live feeds, so that the server need not wait for them, and what the panel began."""
        if self._panel is not None:
            await self._panel.close()
        for socket in tuple(self._sockets):
            await socket.close()

    def state(self) -> Json:
        """Return everything that the page shows."""
        workspace = self._slack.workspace
        users = workspace.users.values()
        people = [user.id for user in users if not user.is_bot]
        connected = self._slack.bot_is_reachable
        return {
            "type": "state",
            "team": {"id": workspace.id, "name": workspace.name},
            "bot": {"user_id": self._app.bot_user_id, "name": self._app.name, "connected": connected},
            "command": self._app.command,
            "home_tab": self._slack.installation.home_tab,
            "users": [{"id": user.id, "name": user.name, "is_bot": user.is_bot} for user in users],
            "channels": [workspace.describe(channel) for channel in workspace.channels.values()],
            "messages": {channel: workspace.all_messages(channel) for channel in workspace.channels},
            "ephemerals": {user.id: workspace.ephemerals(user.id) for user in users},
            "homes": {user: self._slack.views.home(user) for user in people},
            "modals": {user: self._slack.views.modal(user) for user in people},
            "control": self._panel.state() if self._panel else None,
            "log": self._inspector.entries() if self._inspector else [],
        }

    async def command(self, asked: Json) -> Json:
        """Type a slash command: ``text`` is the whole line."""
        user, channel, line = texts(asked, "user", "channel", "text")
        name, _, text = line.strip().partition(" ")
        if name != self._app.command:
            return {"ok": False, "error": f"{name} is not a valid command."}
        ack = await self._slack.command(user, channel, text.strip(), name)
        return self._outcome(ack.error, COMMAND_FAILURES)

    async def say(self, asked: Json) -> Json:
        """Post as a person; the bot is mentioned by its name."""
        user, channel, text = texts(asked, "user", "channel", "text")
        if not text.strip():
            raise BadRequestError("A message needs some text.")
        text = text.replace(f"@{self._app.name}", f"<@{self._app.bot_user_id}>")
        ts = await self._slack.say(user, channel, text, optional_text(asked, "thread_ts"))
        return {"ok": True, "ts": ts, "error": ""}

    async def click(self, asked: Json) -> Json:
        """Use a button or a menu: of a message, or with ``view_id`` of a modal or of App Home."""
        if "view_id" in asked:
            return await self._click_in_view(asked)
        user, channel, ts, action_id = texts(asked, "user", "channel", "ts", "action_id")
        value = optional_text(asked, "value")
        press = partial(
            self._slack.click,
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
            ack = await press()  # the message was edited on the way: its blocks have other ids, the button is the same
        return self._outcome(ack.error, CLICK_FAILURES)

    async def _click_in_view(self, asked: Json) -> Json:
        user, view_id, action_id = texts(asked, "user", "view_id", "action_id")
        ack = await self._slack.views.click(
            user,
            view_id,
            action_id,
            block_id=optional_text(asked, "block_id"),
            value=optional_text(asked, "value"),
            values=_values(asked),
        )
        return self._outcome(ack.error, CLICK_FAILURES)

    async def view_submit(self, asked: Json) -> Json:
        """Submit a modal; what is wrong with an input stands in ``errors`` by its block_id."""
        user, view_id = texts(asked, "user", "view_id")
        submitted = await self._slack.views.submit(user, view_id, _values(asked))
        return {**self._outcome(submitted.error, SUBMIT_FAILURES), "ok": submitted.ok, "errors": submitted.errors}

    async def view_close(self, asked: Json) -> Json:
        """Close a modal by its cross or its close button."""
        user, view_id = texts(asked, "user", "view_id")
        self._slack.views.close(user, view_id)
        return {"ok": True, "error": ""}

    async def home(self, asked: Json) -> Json:
        """Open the bot's App Home."""
        [user] = texts(asked, "user")
        self._slack.views.open_home(user)
        return {"ok": True, "error": ""}

    async def channel(self, asked: Json) -> Json:
        """Archive a channel or bring it back, remove the bot or invite it."""
        user, channel, action = texts(asked, "user", "channel", "action")
        acts = {
            "archive": self._slack.archive,
            "unarchive": self._slack.unarchive,
            "remove_bot": self._slack.remove_bot,
            "invite_bot": self._slack.invite_bot,
        }
        if action not in acts:
            raise BadRequestError(f"There is no action {action}.")
        acts[action](channel, user)
        return {"ok": True, "error": ""}

    def _outcome(self, error: str, sentences: dict[AckError, str]) -> Json:
        """Return the outcome, with the sentence that Slack's client would show."""
        if not error:
            return {"ok": True, "error": ""}
        sentence = sentences[AckError(error)].format(app=self._app.name, command=self._app.command)
        return {"ok": False, "error": sentence}

    async def control(self, asked: Json) -> Json:
        """Turn a knob of the control panel."""
        if self._panel is None:
            raise BadRequestError("There is no control panel here.")
        return await self._panel.act(asked)


def _values(asked: Json) -> dict[str, dict[str, Json]]:
    """Return what a person filled in, by block_id and action_id."""
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
    """Run ``work`` beside the block, and end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
