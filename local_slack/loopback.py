"""Where the sandbox may listen: it has made-up secrets and no login, so only this machine may reach it."""

from __future__ import annotations

import ipaddress
from typing import Final

from aiohttp import web

EXPOSED: Final = web.AppKey("exposed", bool)
"""Whether somebody asked, on purpose, to be reachable from other machines."""


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine; of names only ``localhost`` is."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(host: str) -> None:
    """Refuse an address that other machines could reach.

    Raises:
        ValueError: it is no loopback address; names other than ``localhost`` are not looked up.
    """
    if not is_loopback(host):
        raise ValueError(f"The sandbox listens on this machine only, not on {host or 'every address'}.")
