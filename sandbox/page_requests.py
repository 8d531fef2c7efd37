"""What the page's requests may hold, and how the JSON is read. Who may ask is for ``guard.py`` to say."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local_slack.workspace import Json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequestError(Exception):
    """The page sent something that cannot be done; the sentence says what."""


def answering(act: Callable[[Json], Awaitable[Json]]) -> Handler:
    """Make a handler of an action on JSON: what cannot be done is a 400 with a sentence."""

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response(await act(await _read_object(request)))
        except (BadRequestError, LookupError) as error:
            sentence = str(error.args[0]) if error.args else "That does not exist."
            return web.json_response({"ok": False, "error": sentence}, status=400)

    return handler


def texts(asked: Json, *names: str) -> list[str]:
    """Return the named members.

    Raises:
        BadRequestError: one is missing or no text.
    """
    for name in names:
        if not isinstance(asked.get(name), str):
            raise BadRequestError(f"{name} must be text.")
    return [asked[name] for name in names]


def optional_text(asked: Json, name: str) -> str | None:
    """Return a member that may be left out."""
    return None if asked.get(name) is None else texts(asked, name)[0]


def seconds(asked: Json, name: str) -> float:
    """Return a member that is a time span.

    Raises:
        BadRequestError: it is no number, negative, or beyond an hour.
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
        raise BadRequestError("This is no JSON.") from error
    if not isinstance(value, dict):
        raise BadRequestError("Send a JSON object.")
    return value
