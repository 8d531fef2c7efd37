"""One process serves every workspace that installed the app: they have the same IDs, and see nothing of each other."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio

from bot.settings.encryption_keys import new_encryption_key
from local_slack import LocalSlack, OAuth
from sandbox.local_flokit import WRITE_KEY, LocalFlokit
from sandbox.local_flokit.sources import Plan
from sandbox.slack import FLOKIT_APP, WORKSPACE
from tests.scenarios.conftest import World, buttons, held_to_promises, words

BETA_KEY = "flo_beta_write"
EVENTS = frozenset({"app_uninstalled", "tokens_revoked"})
CLIENT = OAuth("1.2", "a-secret-of-the-client", ("https://not.known.yet/slack/oauth_redirect",))


class ManyWorld(World):
    """A Slack with two workspaces, each with a FloKit of its own, and a bot that has no token in its settings."""

    def __init__(self, folder, *, mode="socket", **settings):
        super().__init__(folder, mode=mode, **settings)
        app = replace(FLOKIT_APP, oauth=CLIENT, events=FLOKIT_APP.events | EVENTS)
        self.slack = LocalSlack(app, WORKSPACE, clock=self.clock.time)
        self.acme = self.slack
        self.beta = self.slack.add_workspace(replace(WORKSPACE, id="T0BETA", name="Beta Corp"))
        self.beta_flokit = LocalFlokit(clock=self.clock.now)
        self.beta_flokit.keys = {BETA_KEY: "write"}
        self.flokit.neighbors[BETA_KEY] = self.beta_flokit
        self.master_key = new_encryption_key()
        self.port = 0

    @property
    def settings(self):
        """What the bot is started with."""
        of_one = {"SLACK_BOT_TOKEN", "FLOKIT_API_KEY", "FLOKIT_SYNC_API_KEY"}
        return {
            **{name: value for name, value in super().settings.items() if name not in of_one},
            "SLACK_CLIENT_ID": CLIENT.client_id,
            "SLACK_CLIENT_SECRET": CLIENT.client_secret,
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "PORT": str(self.port),
            "ENCRYPTION_KEYS": self.master_key,
        }

    async def start_bot(self, **options):
        """Start the bot, on a port that its own address names."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        await super().start_bot(**options)
        self.slack.oauth.redirect_urls = (f"{self.url}/slack/oauth_redirect",)

    async def install(self, workspace, user="UANA", **options):
        """Install the app as a person does with a browser, and return the page at the end."""
        return await self.slack.oauth.install(workspace, user, f"{self.url}/slack/install", **options)

    async def open_form(self, workspace, user="UANA"):
        """Type ``connect`` and return the form that opens."""
        ack = await workspace.command(user, "C0DATA", "connect")
        assert ack.ok, (ack, self.bot.log)
        return await self.slack.wait_for(lambda: workspace.views.modal(user), 10, "the form")

    async def connect(self, workspace, key, user="UANA"):
        """Submit the form with a key."""
        form = await self.open_form(workspace, user)
        given = {"key": {"key": {"type": "plain_text_input", "value": key}}}
        return await workspace.views.submit(user, form["id"], given)

    async def direct(self, workspace, part, user="UANA"):
        """Wait for a direct message that says ``part``."""
        channel = workspace.workspace.open_im(user).id
        return await self.slack.wait_for(
            lambda: next((one for one in workspace.messages(channel) if part in words(one)), None), 10, part
        )

    async def ask(self, workspace, text, part, user="UANA"):
        """Type a command and return what says ``part``, in the channel or to one person."""
        ack = await workspace.command(user, "C0DATA", text)
        assert ack.ok, (ack, self.bot.log)
        return await self.slack.wait_for(
            lambda: next(
                (one for one in (*workspace.messages("C0DATA"), *workspace.ephemerals(user)) if part in words(one)),
                None,
            ),
            10,
            f"{part} after {text}",
        )

    def tokens(self):
        """The bot tokens that Slack gave out."""
        return [workspace.installation.tokens.bot for workspace in (self.acme, self.beta)]

    @property
    def file(self):
        """All that is in the database, as whoever steals it sees it."""
        return b"".join(path.read_bytes() for path in self.folder.glob("flokit.db*"))

    async def close(self):
        """Take everything down."""
        await super().close()
        await self.beta_flokit.stop()


async def home_of(world, workspace, user, part):
    """Open a person's App Home, and wait until it says ``part``."""
    workspace.views.open_home(user)
    return await world.slack.wait_for(
        lambda: (view := workspace.views.home(user)) and part in words(view) and view, 10, f"{part} in App Home"
    )


@pytest.fixture
def mode():
    """Return how Slack reaches the bot."""
    return "socket"


@pytest_asyncio.fixture
async def many(mode, tmp_path):
    """Run the bot for both workspaces; nobody has installed it yet."""
    world = ManyWorld(tmp_path, mode=mode, LOG_LEVEL="DEBUG")
    await world.start_services()
    world.flokit.add("int_1", "stripe", status="error", error_message="Acme's secret is wrong")
    world.beta_flokit.add("int_1", "stripe", status="error", error_message="Beta's secret is wrong")
    async with held_to_promises(world):
        await world.start_bot()
        yield world


@pytest_asyncio.fixture
async def both(many):
    """Have both workspaces install the app and connect their FloKit."""
    for workspace, key in ((many.acme, WRITE_KEY), (many.beta, BETA_KEY)):
        await many.install(workspace)
        submitted = await many.connect(workspace, key)
        assert not submitted.errors
        await many.direct(workspace, "Connected: 1 integration, 1 needs attention.")
    return many


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_each_workspace_sees_only_its_own_flokit(both):
    """The same integration ID means another integration in each, and an outcome is told in the workspace that asked."""
    await both.ask(both.acme, "show int_1", "Acme's secret")
    await both.ask(both.beta, "show int_1", "Beta's secret")
    both.beta_flokit.plan("int_1", Plan(0.1, 0.6, "succeeded"))
    ack = await both.beta.command("UBEN", "C0DATA", "sync int_1")
    assert ack.ok
    told = await both.slack.wait_for(
        lambda: [
            one
            for one in both.beta.workspace.all_messages("C0DATA")
            if (one.get("metadata") or {}).get("event_type") == "flokit_sync_outcome"
        ],
        15,
        "an outcome",
    )
    assert told[0]["metadata"]["event_payload"]["outcome"] == "succeeded"
    assert "Beta's" not in "".join(words(one) for one in both.acme.workspace.all_messages("C0DATA"))
    assert both.beta_flokit.posts("int_1")
    assert not both.flokit.posts("int_1")


async def test_the_keys_are_nowhere_in_clear(both):
    """Neither the keys nor the tokens stand in the database or in the log at DEBUG, and nobody is shown them."""
    await both.settle()
    shown = "".join(
        words(one)
        for workspace in (both.acme.workspace, both.beta.workspace)
        for channel in workspace.channels
        for one in workspace.all_messages(channel)
    )
    assert "Connected: 1 integration" in shown
    for secret in (WRITE_KEY, BETA_KEY, *both.tokens()):
        assert secret.encode() not in both.file
        assert secret not in both.bot.log
        assert secret not in shown


async def test_installing_ends_with_a_page_and_a_greeting(many):
    """The page says what is next, and the person who installed the app gets one direct message."""
    shown = await many.install(many.beta)
    assert shown.status == 200
    assert "Beta Corp" in shown.text
    await many.direct(many.beta, "One step is left: connect your FloKit workspace.")


async def test_a_canceled_installation_installs_nothing(many):
    """The page says so."""
    shown = await many.install(many.beta, press="cancel")
    assert "Installation canceled" in shown.text
    assert "oauth.v2.access" not in {call.method for call in many.slack.calls}


async def test_a_webhook_has_its_workspace_checked(both):
    """Each workspace has an address of its own, which its person was told; an unknown one is refused."""
    told = await both.direct(both.beta, "Optional: to hear about failures sooner")
    path = re.search(r"/webhooks/flokit/[\w-]+", words(told))[0]
    await both.settle()
    before = len(both.beta_flokit.requests), len(both.flokit.requests)
    async with httpx.AsyncClient(base_url=both.url) as http:
        assert (await http.post(f"{path}x", json={})).status_code == 401
        assert (await http.post(path, json={"type": "integration.error"})).status_code == 202
    await both.beta_flokit.wait_for(lambda: len(both.beta_flokit.requests) > before[0], 10)
    assert len(both.flokit.requests) == before[1]


async def test_a_wrong_key_is_an_error_under_its_input(many):
    """Nothing is saved, and the form stays open for another try."""
    await many.install(many.beta)
    submitted = await many.connect(many.beta, "flo_of_nobody")
    assert "refuses this key (HTTP 401)" in submitted.errors["key"]
    await many.ask(many.beta, "status", "FloKit isn't connected to this workspace yet.")


async def test_a_slack_token_is_not_taken_for_a_key(many):
    """A secret that was pasted into the wrong form goes nowhere."""
    await many.install(many.beta)
    submitted = await many.connect(many.beta, "xoxb-not-for-flokit")
    assert "This is a Slack token" in submitted.errors["key"]
    assert not many.beta_flokit.requests


async def test_only_some_people_may_connect(many):
    """Whoever neither installed the app nor runs the workspace is refused, and that is audited."""
    await many.install(many.beta)
    await many.ask(many.beta, "connect", "can connect or disconnect FloKit. Nothing was changed.", user="UBEN")
    assert many.beta.views.modal("UBEN") is None


async def test_disconnecting_erases_the_key(both):
    """It asks first; then nobody sees integrations until somebody connects again, and the other workspace goes on."""
    asked = await both.ask(both.beta, "disconnect", "Disconnect FloKit")
    (button,) = [one for one in buttons(asked) if one["action_id"] == "flokit_disconnect"]
    ack = await both.beta.click(
        "UANA", "C0DATA", asked["ts"], "flokit_disconnect", value=button["value"], ephemeral=True
    )
    assert ack.ok
    await both.slack.wait_for(
        lambda: any("its key is erased" in words(one) for one in both.beta.ephemerals("UANA")), 10, "the answer"
    )
    await both.ask(both.beta, "status", "FloKit isn't connected to this workspace yet.", user="UBEN")
    await both.ask(both.acme, "show int_1", "Acme's secret")


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_nothing_is_sent_after_an_uninstall(both):
    """The tokens are erased, and no call is made for that workspace; the other one goes on."""
    both.expected_refusals |= {"account_inactive"}
    await both.settle()
    before = len(both.beta_flokit.requests)
    await both.move_clock(seconds=2)  # an event has whole seconds; one of the second of the install may be older
    both.slack.oauth.uninstall(both.beta)
    await both.logged("uninstalled")
    await both.ask(both.acme, "show int_1", "Acme's secret")
    assert len(both.beta_flokit.requests) == before


async def test_an_old_uninstall_is_ignored(both):
    """An event from before the newest installation, delivered late, takes nothing away."""
    hour_ago = int(both.clock.time()) - 3600
    ack = await both.beta.event({"type": "app_uninstalled"}, event_time=hour_ago)
    assert ack.ok
    await both.ask(both.beta, "show int_1", "Beta's secret")


async def test_a_revocation_of_others_is_ignored(both):
    """``tokens_revoked`` may name people, or other bots."""
    ack = await both.beta.event({"type": "tokens_revoked", "tokens": {"oauth": ["UBEN"], "bot": ["UOTHER"]}})
    assert ack.ok
    await both.ask(both.beta, "show int_1", "Beta's secret")


async def test_a_silent_uninstall_is_noticed_at_the_next_call(both):
    """An organization's uninstall sends no event: what Slack answers to a call counts as well."""
    both.expected_refusals |= {"account_inactive"}
    await both.settle()
    async with asyncio.timeout(10):
        both.slack.oauth.uninstall(both.beta, told=())
        await both.beta.event(
            {"type": "app_home_opened", "user": "UANA", "tab": "home", "channel": "D0", "event_ts": "1.1"}
        )
        await both.logged("uninstalled")


async def test_installing_again_brings_subscriptions_back(both):
    """The FloKit key was erased, so it's connected again; what the channel asked for is still there."""
    both.expected_refusals |= {"account_inactive"}
    await both.ask(both.beta, "subscribe all", "subscribed this channel")
    await both.settle()
    both.slack.oauth.uninstall(both.beta)
    await both.logged("uninstalled")
    await both.move_clock(seconds=2)
    await both.install(both.beta)
    await both.move_clock(seconds=61)
    await both.connect(both.beta, BETA_KEY)
    await both.ask(both.beta, "subscriptions", "1 subscription")
