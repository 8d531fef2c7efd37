"""What the handlers of one workspace have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.core.commands.catalog import Command
from bot.core.commands.presses import Action
from bot.core.forms.form import CheckedForm
from bot.core.requests import Request, RequestKind
from bot.handlers.answers import Answers
from bot.handlers.forms import Forms
from bot.handlers.permits import Permits
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge
from bot.lookups.nicknames import Naming
from bot.lookups.people import People
from bot.observability.context import Context
from bot.store.store import Store

Asked: TypeAlias = type[Command] | Action | RequestKind
Handler: TypeAlias = Callable[[Request, Any], Awaitable[None]]
"""It gets the request, and the command or the press if any."""

Handlers: TypeAlias = Mapping[Asked, Handler]
"""The function for each command, button and other request."""

SaveForm: TypeAlias = Callable[[Request, Any], Awaitable[Mapping[str, str]]]
"""It gets the request and what's filled in, and returns what's wrong, by input. It may raise StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Services:
    """What a handler can use: what is stored, what is known, who may do what, and how to answer."""

    context: Context
    store: Store
    knowledge: Knowledge
    naming: Naming
    people: People
    access: Access
    permits: Permits
    answers: Answers
    forms: Forms


class Feature:
    """A group of handlers. Each subclass returns its own as ``handlers``; `find_handler` looks there."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._knowledge = services.knowledge
        self._naming = services.naming
        self._people = services.people
        self._access = services.access
        self._permits = services.permits
        self._answers = services.answers
        self._forms = services.forms
        self._team_id = services.context.team_id
        self._clock = services.context.clock
        self._command = services.context.command

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        raise NotImplementedError

    @property
    def forms(self) -> Mapping[CheckedForm, SaveForm]:
        """What saves the forms of this feature that are checked while they're open."""
        return {}


def find_handler(features: Iterable[Feature], asked: Asked) -> Handler:
    """Return the function for a request. No table of them is kept: with thousands of workspaces, it would add up.

    Raises:
        KeyError: there is none.
    """
    for feature in features:
        if handler := feature.handlers.get(asked):
            return handler
    raise KeyError(asked)


def find_save(features: Iterable[Feature], form: CheckedForm) -> SaveForm:
    """Return what saves a form.

    Raises:
        KeyError: there is none.
    """
    for feature in features:
        if save := feature.forms.get(form):
            return save
    raise KeyError(form)
