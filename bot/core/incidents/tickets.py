"""Tickets about incidents: the address at which one is opened, from the workspace's template.

A template is an address with ``{title}``, ``{body}``, ``{integration}`` or ``{id}`` in its path or query, such as
``https://jira.example.com/new?summary={title}&description={body}``. The values are percent-encoded, so nothing in
FloKit's texts can change where the address leads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

PLACEHOLDERS: Final = ("title", "body", "integration", "id")
TEMPLATE_CHARS: Final = 1000
URL_CHARS: Final = 3000
"""The longest address of a button in Slack."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_ALLOWED: Final = re.compile(r"[\w.~:/?#\[\]@!$&'()*+,;=%{}-]+", re.ASCII)


def template_problem(template: str) -> str:
    """Say why an address can't be a template; "" if it can."""
    if len(template) > TEMPLATE_CHARS:
        return f"a ticket's address can have up to {TEMPLATE_CHARS:,} characters"
    if not _ALLOWED.fullmatch(template):
        return "a ticket's address has characters that don't belong in one; encode them, such as a space as %20"
    unknown = [one for one in _PLACEHOLDER.findall(template) if one not in PLACEHOLDERS]
    if unknown or re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        named = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
        return f"a ticket's address can have {named}, and no other braces"
    try:
        parts = urlsplit(template)
        _port = parts.port
    except ValueError:
        return "this isn't a ticket's address"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "a ticket's address begins with https:// or http://"
    if "@" in parts.netloc or "{" in parts.netloc:
        return "a ticket's address has a fixed host, without a user name or a password"
    if not _PLACEHOLDER.search(template):
        return "a ticket's address has {title} or another of the values, such as https://jira.example.com/new?summary={title}"
    return ""


def ticket_url(template: str, values: Mapping[str, str]) -> str:
    """Fill in a template; long values are cut so that Slack takes the address. "" if even that isn't enough."""
    most = max((len(one) for one in values.values()), default=0)
    while True:
        url = _filled(template, {name: value[:most] for name, value in values.items()})
        if len(url) <= URL_CHARS:
            return url
        if most == 0:
            return ""
        most //= 2


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: quote(values.get(found[1], ""), safe="", errors="replace"), template)
