"""What is known about each integration type: its name, how fresh its data should be, what to check if it fails.

Everything here is a fact from the vendors' setup documentation, never a diagnosis: beyond its error text, FloKit
doesn't say why a sync failed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.characters import cut
from bot.core.models import Integration

RECONNECT: Final = "FloKit → Settings → Integrations"
"""Where credentials are fixed; no deep link is documented."""

API_KEYS: Final = "FloKit → Settings → API Keys"
"""Where API keys are created and rotated."""

NAME_CHARS: Final = 40
"""The longest display name, in code points; the longest known one has 17."""

_HOUR_S: Final = 3600
_DAY_S: Final = 24 * _HOUR_S

_NO_FACT_S: Final = _DAY_S
"""How old a success may be if the sync interval isn't documented: a day, so that a quiet night isn't an alert."""


@dataclass(frozen=True, slots=True)
class _Type:
    name: str
    checks: tuple[str, ...]
    stale_after_s: int


_TYPES: Final = {
    "revenuecat": _Type(
        "RevenueCat",
        (
            "The key is still valid: a read-only v1 project key (RevenueCat shows it only once, when you create it)",
            "RevenueCat's webhook to FloKit is set up",
            "app_user_id is your backend's user ID, not an anonymous ID",
        ),
        # Polled every 6 h if its webhook isn't set up, so three polls are missing.
        stale_after_s=18 * _HOUR_S,
    ),
    "adapty": _Type(
        "Adapty",
        (
            "The key is the server-side (secret) key, not the public SDK key",
            "The webhook sends all subscription events",
            "customer_user_id is set",
        ),
        # Webhook and pull, interval not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "appsflyer": _Type(
        "AppsFlyer",
        (
            "The token is a V2.0 API token; V1 tokens can't pull data",
            "The app ID has the right form: id123… for iOS, the package name for Android",
            "iOS and Android are two separate integrations",
        ),
        # Pull, interval not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "adjust": _Type(
        "Adjust",
        (
            "The API token and the app token aren't swapped; they're different things",
            "iOS and Android are two separate integrations",
        ),
        # Pull, with optional callbacks, interval not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "stripe": _Type(
        "Stripe",
        (
            "The signing secret belongs to the webhook endpoint in use, in live mode",
            "The restricted key can read Customers, Subscriptions, Invoices, Charges and Refunds",
            "The webhook endpoint is subscribed to the six events that FloKit documents",
        ),
        # Pull and webhook, interval not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "app_store_connect": _Type(
        "App Store Connect",
        (
            "The key has the role Finance, or at least Sales and Trends",
            "The .p8 key hasn't been revoked; it can be downloaded only once",
            "Apple's data is 1-2 business days late, so don't expect same-day revenue",
        ),
        # The source lags 1-2 business days: two days and a weekend.
        stale_after_s=4 * _DAY_S,
    ),
    "google_play": _Type(
        "Google Play",
        (
            "The service account has “View financial data” in the Play Console",
            "The Play Console is linked to the Cloud project",
        ),
        # Interval not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "warehouse": _Type(
        "Warehouse",
        (
            "BigQuery: the account has both roles, Data Viewer and Job User",
            "Other warehouses: the account has a role that can read",
        ),
        # Queried on the customer's schedule, typically every 6 h, but maybe daily.
        stale_after_s=30 * _HOUR_S,
    ),
}

_UNKNOWN_CHECKS: Final = (
    "The key or password that FloKit uses is still valid and hasn't been rotated",
    "The account it belongs to can still read the data",
)

KNOWN_TYPES: Final = tuple(_TYPES)
"""The documented values of an integration's ``type``."""


def display_name(type_: str) -> str:
    """Return a type's display name, such as "App Store Connect".

    An unknown type keeps at most `NAME_CHARS` letters and digits, so it can't contain markup.
    """
    known = _TYPES.get(type_)
    if known:
        return known.name
    words = re.findall(r"[^\W_]+", type_)
    return cut(" ".join(word[:1].upper() + word[1:] for word in words) or "Unknown type", NAME_CHARS)


def things_to_check(type_: str) -> tuple[str, ...]:
    """Return what to check if an integration of this type fails, as plain text; the likeliest cause first."""
    known = _TYPES.get(type_)
    return known.checks if known else _UNKNOWN_CHECKS


def stale_after_s(integration: Integration) -> float:
    """Return how old the last success may be, in seconds, before the integration is stale."""
    if integration.stale_after_s is not None:
        return integration.stale_after_s
    known = _TYPES.get(integration.type)
    return known.stale_after_s if known else _NO_FACT_S


def is_stale(integration: Integration, now: datetime) -> bool:
    """Whether the last success is too old for this type, or there is none.

    A success whose time can't be read isn't stale.
    """
    if integration.last_synced_at is None:
        return not integration.unreadable_time
    return (now - integration.last_synced_at).total_seconds() > stale_after_s(integration)
