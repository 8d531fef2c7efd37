"""Every command and button asks the policy: one that refuses everything lets nothing through."""

from __future__ import annotations

from typing import get_args

import pytest
import pytest_asyncio

from bot.core.access.audit import AuditFilter, Ruling
from bot.core.access.policy import Policy, Rule, Verb
from bot.core.commands.catalog import (
    COMMANDS,
    Command,
    ConnectCommand,
    DisconnectCommand,
    HelpCommand,
    PolicyCommand,
)
from bot.core.commands.presses import Action, Press
from bot.core.commands.text import parse_command
from bot.core.models import Message
from bot.core.requests import Request, RequestKind
from bot.core.subscriptions.words import parse_subscribe
from bot.flokit import endpoint_of
from bot.handlers.doctor import Live
from bot.observability.context import Runtime
from bot.settings.settings import load_settings
from bot.slack.client import SlackClient
from bot.store import codec
from bot.store.audit import Audit
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.outbox_rows import OutboxKind
from bot.store.store import Store
from bot.store.timers import Timers
from bot.workspace import Base, Tenant, build_workspace

FREE_COMMANDS = {"help", "connect", "disconnect", "policy"}
"""What anyone may type: help shows no data, and connecting FloKit is refused before any policy is asked."""

FREE_ACTIONS = {Action.CONNECT, Action.DISCONNECT, Action.EARLIER_VERSION, Action.EDIT_POLICY}

FREE_KINDS = {RequestKind.CHANNEL, RequestKind.INSTALLED, RequestKind.CONNECTED, RequestKind.KEY_LOST}
"""Requests that no one types or clicks: a channel was opened or closed, or an allowed action is confirmed."""

EXAMPLES = [text for one in COMMANDS if one.name not in FREE_COMMANDS for text in one.examples]
"""The examples of all commands in the help."""

OPENS_A_FORM = "subscribe"

REFUSES = Policy((Rule("nobody", False, frozenset(Verb)),))


class Office:
    """A workspace with a policy that refuses everything, and no FloKit."""

    def __init__(self, store, audit, workspace, make):
        self.store, self.make, self.audit = store, make, audit
        self.responder = workspace.work[Work.REQUESTS]

    async def ask(self, request):
        """Have a request answered; return the audit entries and the messages that would be posted."""
        await self.store.inbox.add(request)
        for claim in await self.store.inbox.claim(self.make.clock.now, 1):
            await self.responder(claim)
        audited = await self.audit.page(AuditFilter(), number=0, size=10)
        return audited.entries, await self.store.outbox.claim(self.make.clock.now, 10)


@pytest_asyncio.fixture
async def office(sqlite_url, local_slack, make, monkeypatch, tmp_path):
    """The handlers of a workspace, between a local Slack and no FloKit."""
    tokens = local_slack.installation.tokens
    settings = {
        "SLACK_BOT_TOKEN": tokens.bot,
        "SLACK_APP_TOKEN": tokens.app,
        "SLACK_API_URL": local_slack.api_url,
        "FLOKIT_API_KEY": "flk_no_key_of_anybody",
        "FLOKIT_API_URL": "http://127.0.0.1:9",
        "DATABASE_URL": sqlite_url,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    database, client = Database(sqlite_url), SlackClient(tokens.bot, api_url=local_slack.api_url)
    store, timers = Store(database, owner="me"), Timers(database, owner="me", lease_s=10)
    identity = await client.fetch_identity()
    live = Live(socket=lambda: None, webhook_at=lambda: None)
    loaded = load_settings()
    base = Base(loaded, database, store, timers, live, Runtime(make.clock))
    tenant = Tenant(identity, tokens.bot, client, endpoint_of(loaded, timeout_s=8), REFUSES)
    workspace = build_workspace(base, tenant)
    yield Office(store, Audit(database, identity.team_id), workspace, make)
    await workspace.flokit.aclose()
    await client.aclose()
    await database.close()


async def assert_refused(office, request):
    """Check that the answer is a refusal, that it's audited, and that nothing else is shown."""
    audited, shown = await office.ask(request)
    assert [(one.decision, one.rule) for one in audited] == [(Ruling.REFUSED, "nobody")]
    assert {one.kind for one in shown} <= {OutboxKind.NOTE}
    for one in shown:
        assert "nobody" in codec.load(Message, one.data).text
    assert request.kind is RequestKind.HOME or request.press or shown


@pytest.mark.parametrize(
    "text",
    [*EXAMPLES, OPENS_A_FORM],
)
async def test_every_command_is_refused(office, text):
    await assert_refused(office, office.make.command(text))


@pytest.mark.parametrize("action", [one for one in Action if one not in FREE_ACTIONS])
async def test_every_button_is_refused(office, action):
    names = ("integration", "panel", "run", "subscription", "incident")
    ids = {f"{name}_id": f"{name[:3]}_1" for name in names}
    request = office.make.press()
    press = Press(action, choice="1h", **ids)
    await assert_refused(office, Request(request.id, request.kind, request.origin, request.received_at, press=press))


@pytest.mark.parametrize("kind", [RequestKind.FORM, RequestKind.HOME])
async def test_every_other_request_is_refused(office, kind):
    """A form that was open before the policy changed, and App Home."""
    opened = office.make.command("subscribe")
    await office.store.inbox.add(opened)
    await office.store.inbox.finish(opened.id, kept=opened)
    wish = parse_subscribe("all", command="/flokit") if kind is RequestKind.FORM else None
    request = Request("view_1", kind, opened.origin, opened.received_at, wish=wish, asked_id=opened.id)
    await assert_refused(office, request)


def test_there_is_an_example_of_every_command():
    tried = {type(parse_command(text, command="/flokit", bot_user_id="UFLOKIT")) for text in EXAMPLES}
    assert tried == set(get_args(Command)) - {HelpCommand, ConnectCommand, DisconnectCommand, PolicyCommand}


def test_the_lists_have_every_kind_of_request():
    asked = {RequestKind.COMMAND, RequestKind.MENTION, RequestKind.PRESS, RequestKind.FORM, RequestKind.HOME}
    assert asked | FREE_KINDS == set(RequestKind)
