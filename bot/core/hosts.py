"""What the name of a host tells. Nothing is looked up."""

from __future__ import annotations

import ipaddress
from typing import Final

SLACK_DOMAINS: Final = ("slack.com", "slack-gov.com")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine; of names only ``localhost`` is."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def slack_domain(host: str) -> str:
    """Return which of Slack's domains a host belongs to; "" for none."""
    return next((domain for domain in SLACK_DOMAINS if host == domain or host.endswith(f".{domain}")), "")
