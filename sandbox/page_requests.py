"""Parsing of the page's requests. ``guard.py`` decides who may send them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local_slack.workspace import Json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequestError(Exception):
    """The page sent an invalid request; the message says why."""


def answering(act: Callable[[Json], Awaitable[Json]]) -> Handler:
    """Wrap an action as a JSON handler; invalid requests get a 400 with an error message."""

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response(await act(await _read_object(request)))
        except (BadRequestError, LookupError) as error:
            sentence = str(error.args[0]) if error.args else "Not found."
            return web.json_response({"ok": False, "error": sentence}, status=400)

    return handler


def texts(asked: Json, *names: str) -> list[str]:
    """Return the named members.

    Raises:
        BadRequestError: one is missing or not a string.
    """
    for name in names:
        if not isinstance(asked.get(name), str):
            raise BadRequestError(f"{name} must be text.")
    return [asked[name] for name in names]


def optional_text(asked: Json, name: str) -> str | None:
    """Return an optional member."""
    return None if asked.get(name) is None else texts(asked, name)[0]


def seconds(asked: Json, name: str) -> float:
    """Return a duration.

    Raises:
        BadRequestError: it isn't a number between 0 and 3600.
    """
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 3600:
        raise BadRequestError(f"{name} must be between 0 and 3600 seconds.")
    return float(value)


async def _read_object(request: web.Request) -> Json:
    if request.content_type != "application/json":
        raise BadRequestError("Send JSON.")
    try:
        value: Any = json.loads(await request.text())
    except ValueError as error:
        raise BadRequestError("The body isn't valid JSON.") from error
    if not isinstance(value, dict):
        raise BadRequestError("Send a JSON object.")
    return value
