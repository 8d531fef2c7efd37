"""Who may ask the sandbox: this machine's own page, and programs. No website may, through somebody's browser.

The sandbox is meant for one machine and has no login. A page of another origin can make a browser send requests here,
and a name can be made to lead here (DNS rebinding). So only a local ``Host`` is answered, and nothing of which a
browser says that it comes from another page; programs such as the bot say nothing of the kind. All routes are behind
this: the page's, the Web API's, the response URLs' and the sockets'.
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
"""Further names that lead here on purpose, such as those of a proxy in front."""

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
    """Refuse what does not come from this machine's own page or a program, and add the security headers."""
    if not _is_ours(request) or _is_foreign(request):
        return web.json_response(
            {"ok": False, "error": "Only this page may do that."}, status=403, headers=SECURITY_HEADERS
        )
    response = await handler(request)
    if not response.prepared:
        response.headers.update(SECURITY_HEADERS)
    return response


def _is_ours(request: web.Request) -> bool:
    """Tell whether a browser means this server: a name can be made to lead here, an address of numbers cannot."""
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
    """Tell another page's request: browsers name its origin, or at least how far away it is. Programs name neither.

    A page on another port of this machine is another page, though a browser calls it of the same site. A link to the
    page may be followed from anywhere.
    """
    origins = request.headers.getall("Origin", [])
    if any(origin != f"{request.scheme}://{request.host}" for origin in origins):
        return True
    is_link = request.method == "GET" and request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    distances = request.headers.getall("Sec-Fetch-Site", [])
    return any(distance not in {"same-origin", "none"} for distance in distances) and not is_link
