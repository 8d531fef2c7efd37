"""Access control for the sandbox: only its own page and programs are allowed, not other websites.

The sandbox is meant for one machine and has no login. A page of another origin can make a browser send requests here,
and a hostname can be made to resolve here (DNS rebinding). So requests need a local ``Host``, and are refused if the
browser says that they come from another page; programs such as the bot don't send such headers. All routes are behind
this guard: the page, the Web API, the response URLs and the sockets.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from local_slack.loopback import EXPOSED

NAMES: Final = web.AppKey("names", set[str])
"""Other allowed hostnames, such as that of a reverse proxy."""

AUTHORIZE_PATH: Final = "/oauth/v2/authorize"

APP_REDIRECT_PATH: Final = "/app_redirect"
"""Opens an app in a workspace: https://docs.slack.dev/interactivity/deep-linking."""

MANAGE_PATH: Final = "/manage/"
"""Where an organization's admins manage its apps; the rest of the path names both."""

OPENED: Final = frozenset({"/", AUTHORIZE_PATH, APP_REDIRECT_PATH})
"""Pages that links of other sites may lead to, and those below `MANAGE_PATH`."""

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


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests from other websites, and add the security headers."""
    if not _is_ours(request) or _is_foreign(request):
        return web.json_response(
            {"ok": False, "error": "Only this page may do that."}, status=403, headers=SECURITY_HEADERS
        )
    response = await handler(request)
    if not response.prepared:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
    return response


def _is_ours(request: web.Request) -> bool:
    """Whether ``Host`` names this server: a hostname can be made to resolve here, a numeric address can't."""
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    return (
        host in LOCAL_HOSTS
        or host in request.app.get(NAMES, ())
        or (request.app.get(EXPOSED, False) and _is_address(host))
    )


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _is_foreign(request: web.Request) -> bool:
    """Whether a request comes from another page: browsers send its origin or ``Sec-Fetch-Site``; programs send neither.

    A page on another port of this machine counts as another page, although browsers call it same-site. Links to the
    pages that people open may be followed from anywhere.
    """
    origins = request.headers.getall("Origin", [])
    if any(origin != f"{request.scheme}://{request.host}" for origin in origins):
        return True
    is_opened = request.path in OPENED or request.path.startswith(MANAGE_PATH)
    is_link = request.method == "GET" and is_opened and request.headers.get("Sec-Fetch-Mode") == "navigate"
    distances = request.headers.getall("Sec-Fetch-Site", [])
    return any(distance not in {"same-origin", "none"} for distance in distances) and not is_link
