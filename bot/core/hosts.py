"""Facts about hostnames, without DNS lookups."""

from __future__ import annotations

import ipaddress
from typing import Final

SLACK_DOMAINS: Final = ("slack.com", "slack-gov.com")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: a loopback address or ``localhost``."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def slack_domain(host: str) -> str:
    """Return Slack's domain that a host belongs to, or ""."""
    return next((domain for domain in SLACK_DOMAINS if host == domain or host.endswith(f".{domain}")), "")
