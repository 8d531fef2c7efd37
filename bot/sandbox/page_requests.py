"""What the page's requests may hold: who may ask, and how the JSON is read.

Meant for one machine: only a local ``Host`` is answered and nothing is taken from a page of another origin, so that no
website can reach the sandbox through the browser (DNS rebinding, cross-site requests).
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from bot.sandbox.loopback import EXPOSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.sandbox.slack.workspace import Json

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data: https:; "
        "connect-src 'self' ws:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class BadRequestError(Exception):
    """The page sent something that cannot be done; the sentence says what."""


def guarded(handler: Handler, *, same_origin: bool = False) -> Handler:
    """Refuse what does not come from this machine's own page, and add the security headers."""

    async def guard(request: web.Request) -> web.StreamResponse:
        if not _is_ours(request) or (same_origin and _is_foreign(request)):
            return web.json_response(
                {"ok": False, "error": "Only this page may do that."}, status=403, headers=SECURITY_HEADERS
            )
        response = await handler(request)
        if not response.prepared:
            response.headers.update(SECURITY_HEADERS)
        return response

    return guard


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


def _is_ours(request: web.Request) -> bool:
    """Tell whether a browser means this server: a name can be made to lead here, an address of numbers cannot."""
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    return host in LOCAL_HOSTS or (request.app.get(EXPOSED, False) and _is_address(host))


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _is_foreign(request: web.Request) -> bool:
    """Tell another site's request: browsers name its origin. What is no browser names none."""
    origin = request.headers.get("Origin")
    return origin is not None and origin != f"{request.scheme}://{request.host}"


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
