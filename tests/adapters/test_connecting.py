"""Keys from the form are kept, and the form says truly whether they were."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from bot.core.forms.keys import FORM, KEY, Keys
from bot.core.models import Person
from bot.core.requests import Origin, Request, RequestKind
from bot.handlers.connecting import KEPT
from bot.listeners.reception import NOT_SAVED
from bot.store.installations.connections import Connections
from tests.adapters.test_store_away import hanging_up
from tests.adapters.test_tenants import TEAMS, bot, outside

__all__ = ["bot", "outside"]

TEAM = TEAMS[0]


async def submit(bot, clock, id_="view_1"):
    """Submit the form with a new key, and return the error messages."""
    request = Request(id_, RequestKind.CONNECTED, Origin(TEAM, Person("UANA"), ""), clock.now)
    reception = (await bot._many.of(TEAM)).addressee.reception
    return await reception.save_form(FORM, request, Keys("flo_new", ""))


async def kept_key(bot):
    """Return the key that is kept."""
    return (await bot._many._installations.connections.of(TEAM)).api_key


@pytest.mark.parametrize("moment", ["begin", "commit"])
async def test_a_key_that_was_kept_is_never_said_not_to_be(bot, clock, monkeypatch, moment):
    """The database goes away before the request for the next steps is saved. Connecting again works and tells them."""
    keep = Connections.save
    with ExitStack() as away:

        async def keep_and_lose(*arguments):
            token = await keep(*arguments)
            away.enter_context(hanging_up(bot._database, moment, monkeypatch))
            return token

        monkeypatch.setattr(Connections, "save", keep_and_lose)
        assert await submit(bot, clock) == {KEY: KEPT}
    monkeypatch.setattr(Connections, "save", keep)
    assert await kept_key(bot) == "flo_new"
    assert await submit(bot, clock, "view_2") == {}
    [asked] = [one.request for one in await bot._base.store.inbox.claim(clock.now, 9) if one.request.id == "view_2"]
    assert asked.text


async def test_a_key_that_was_not_kept_is_said_not_to_be(bot, clock, monkeypatch):
    """The database is away from the beginning."""
    reception = (await bot._many.of(TEAM)).addressee.reception
    request = Request("view_1", RequestKind.CONNECTED, Origin(TEAM, Person("UANA"), ""), clock.now)
    with hanging_up(bot._database, "begin", monkeypatch):
        assert await reception.save_form(FORM, request, Keys("flo_new", "")) == {KEY: NOT_SAVED}
    assert await kept_key(bot) == f"flo_of_{TEAM}"
