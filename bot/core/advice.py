"""What is known about each integration type: its name, how fresh it should be, what to check when it fails.

Everything here is a documented set-up fact of the vendor's (collected in the table "Per type" of the project's
FloKit API notes), never a diagnosis: FloKit does not say why a sync failed beyond its error text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.models import Integration

RECONNECT: Final = "FloKit → Settings → Integrations"
"""Where credentials are repaired; no deep link is documented."""

API_KEYS: Final = "FloKit → Settings → API Keys"
"""Where API keys are made and rotated."""

NAME_CHARS: Final = 40
"""The longest display name, in code points; the longest known one has 17."""

_HOUR_S: Final = 3600
_DAY_S: Final = 24 * _HOUR_S

_NO_FACT_S: Final = _DAY_S
"""How old a success may be where no page says how often FloKit gets the data: a day, so that a night is no alert."""


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
        # Polled every 6 h where its webhook is not set up: three polls in a row are missing.
        stale_after_s=18 * _HOUR_S,
    ),
    "adapty": _Type(
        "Adapty",
        (
            "The key is the server-side (secret) key, not the public SDK key",
            "The webhook sends all subscription events",
            "customer_user_id is set",
        ),
        # Webhook and pull, how often is not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "appsflyer": _Type(
        "AppsFlyer",
        (
            "The token is a V2.0 API token; V1 tokens can't pull data",
            "The app ID has the right form: id123… for iOS, the package name for Android",
            "iOS and Android are two separate integrations",
        ),
        # Pull, how often is not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "adjust": _Type(
        "Adjust",
        (
            "The API token and the app token aren't swapped; they're different things",
            "iOS and Android are two separate integrations",
        ),
        # Pull, with optional callbacks, how often is not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "stripe": _Type(
        "Stripe",
        (
            "The signing secret belongs to the webhook endpoint in use, in live mode",
            "The restricted key can read Customers, Subscriptions, Invoices, Charges and Refunds",
            "The webhook endpoint is subscribed to the six events that FloKit documents",
        ),
        # Pull and webhook, how often is not documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "app_store_connect": _Type(
        "App Store Connect",
        (
            "The key has the role Finance, or at least Sales and Trends",
            "The .p8 key hasn't been revoked; it can be downloaded only once",
            "Apple's data is 1-2 business days late, so don't expect same-day revenue",
        ),
        # The source lags 1-2 business days, and a weekend can lie between: two days and a weekend.
        stale_after_s=4 * _DAY_S,
    ),
    "google_play": _Type(
        "Google Play",
        (
            "The service account has “View financial data” in the Play Console",
            "The Play Console is linked to the Cloud project",
        ),
        # Nothing is documented: a day.
        stale_after_s=_NO_FACT_S,
    ),
    "warehouse": _Type(
        "Warehouse",
        (
            "BigQuery: the account has both roles, Data Viewer and Job User",
            "Other warehouses: the account has a role that can read",
        ),
        # Queried on the customer's own schedule, typically every 6 h: a daily one is not late yet.
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
    """Name a type for people: "App Store Connect".

    An unknown type keeps only its letters and digits, at most `NAME_CHARS` of them: it can carry no markup.
    """
    known = _TYPES.get(type_)
    if known:
        return known.name
    words = re.findall(r"[^\W_]+", type_)
    name = " ".join(word[:1].upper() + word[1:] for word in words) or "Unknown type"
    return name if len(name) <= NAME_CHARS else name[: NAME_CHARS - 1] + "…"


def things_to_check(type_: str) -> tuple[str, ...]:
    """List what may be wrong with a failing integration of this type, as plain text; the likeliest first."""
    known = _TYPES.get(type_)
    return known.checks if known else _UNKNOWN_CHECKS


def stale_after_s(integration: Integration) -> float:
    """Return how old the last success may be, in seconds, before it is worth a look."""
    if integration.stale_after_s is not None:
        return integration.stale_after_s
    known = _TYPES.get(integration.type)
    return known.stale_after_s if known else _NO_FACT_S


def is_stale(integration: Integration, now: datetime) -> bool:
    """Tell whether the last success is older than this type's should be; without one, it is.

    One whose time can't be read may be new.
    """
    if integration.last_synced_at is None:
        return not integration.unreadable_time
    return (now - integration.last_synced_at).total_seconds() > stale_after_s(integration)
