"""Filters integrations by texts such as ``failing`` or ``stale stripe``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from bot.core.advice import display_name, is_stale
from bot.core.commands.targets import of_type
from bot.core.models import Integration, Status
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.typed import readings

_Filter: TypeAlias = "Callable[[Integration, datetime], bool]"


def _has_status(*statuses: Status) -> _Filter:
    return lambda integration, _now: integration.status in statuses


_FILTERS: Final[dict[str, _Filter]] = {
    "failing": _has_status(Status.ERROR, Status.DISCONNECTED),
    "stale": is_stale,
    **{status.value: _has_status(status) for status in Status},
}


FILTER_WORDS: Final = tuple(_FILTERS)


def filter_integrations(
    query: str, integrations: Sequence[Integration], now: datetime, nicknames: Nicknames = NO_NICKNAMES
) -> tuple[Integration, ...]:
    """Return the integrations that match a filter, in order; an empty one matches all.

    An exact ID, name or type matches only that. Otherwise every word must match: as a filter word (``failing``,
    ``stale``, a status) or as part of the integration's name or of FloKit's data about it.
    """
    for wanted in readings(query):
        called = {nicknames.called(wanted), *(one.id for one in of_type(wanted, integrations))}
        exact = [one for one in integrations if one.id == wanted] or [one for one in integrations if one.id in called]
        words = tuple(dict.fromkeys(wanted.casefold().split()))
        if found := exact or [one for one in integrations if _words_hold(words, one, now, nicknames)]:
            return tuple(found)
    return ()


def _words_hold(words: Iterable[str], integration: Integration, now: datetime, nicknames: Nicknames) -> bool:
    said = (
        integration.id,
        integration.type,
        display_name(integration.type),
        integration.status,
        integration.error_message or "",
        nicknames.of(integration.id).name,
    )
    texts = [text.casefold() for text in said]
    return all(
        _FILTERS[word](integration, now) if word in _FILTERS else any(word in text for text in texts) for word in words
    )
