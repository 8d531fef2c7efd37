"""Where the sandbox may listen: it has no login, so only this machine may reach it."""

from __future__ import annotations

import ipaddress
from typing import Final

from aiohttp import web

EXPOSED: Final = web.AppKey("exposed", bool)
"""Whether other machines may reach it, as requested explicitly."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: a loopback address or ``localhost``."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(host: str) -> None:
    """Refuse an address that other machines could reach.

    Raises:
        ValueError: it isn't a loopback address; names other than ``localhost`` aren't resolved.
    """
    if not is_loopback(host):
        raise ValueError(f"The sandbox only listens on this machine, not on {host or 'all addresses'}.")
