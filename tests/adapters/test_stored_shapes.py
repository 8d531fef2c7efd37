"""The examples of stored JSON in docstrings match what is stored."""

from __future__ import annotations

import inspect
import json

import pytest

from bot.core.incidents.incidents import Incident, Watched
from bot.core.models import Integration, Message, SyncRun
from bot.core.panels import Panel
from bot.core.requests import Request
from bot.core.subscriptions.subscriptions import Subscription
from bot.store import codec


def has_all(stored, shown):
    """Return whether a stored value has everything that an example shows, in the same form."""
    if isinstance(shown, dict):
        return all(name in stored and has_all(stored[name], value) for name, value in shown.items())
    if isinstance(shown, list):
        everything = sorted(map(str, stored)) == sorted(map(str, shown))
        return everything or (len(stored) == len(shown) and all(map(has_all, stored, shown)))
    return stored == shown


@pytest.mark.parametrize(
    "type_",
    [Incident, Integration, Message, Panel, Request, Subscription, SyncRun, Watched],
    ids=lambda it: it.__name__,
)
def test_a_documented_shape_is_the_stored_one(type_):
    """The example can be read, and when it's written again, all of its fields are there; sets have any order."""
    example = inspect.getdoc(type_).partition("::")[2]
    stored = json.loads(codec.dump(codec.load(type_, example)))
    assert has_all(stored, json.loads(example))
