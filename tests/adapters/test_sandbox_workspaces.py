"""The sandbox's page with two workspaces, and what happens if the bot can't serve both."""

from __future__ import annotations

import aiohttp
import pytest
import pytest_asyncio

from sandbox import many as serving_many
from sandbox.child import BotProcess
from sandbox.clock import WorldClock
from sandbox.keeper import BotKeeper
from sandbox.many import ManyWorkspaces
from sandbox.page import add_page
from sandbox.run import make_services
from sandbox.slack import GAMMA, GAMMA_WORKSPACES
from tests.adapters.test_sandbox_control import MortalProcess


class Sandbox:
    """The two stand-ins and the page, with a bot that's never ready."""

    def __init__(self, folder):
        self.slack, self.flokits, _ = make_services(WorldClock(folder / "clock"))
        self.beta = self.slack.workspaces["T0BETA"]
        self.process = MortalProcess()
        self.bot = BotProcess({}, folder)
        self.many = ManyWorkspaces(self.slack, self.flokits, self.bot, BotKeeper(self.process))
        add_page(self.slack.server, self.slack, folder, many=self.many)

    async def ask(self, action, **asked):
        """Send a request as the page does; return the status and the answer."""
        async with self.session.post(f"/page/{action}", json=asked) as reply:
            return reply.status, await reply.json()

    async def open(self, team=""):
        """Return the first state that a tab gets."""
        async with self.session.ws_connect(f"/page/live?team={team}") as feed:
            return await feed.receive_json(timeout=5)


@pytest_asyncio.fixture
async def sandbox(tmp_path):
    """The page, running."""
    sandbox = Sandbox(tmp_path)
    await sandbox.slack.start()
    async with aiohttp.ClientSession(sandbox.slack.url) as sandbox.session:
        yield sandbox
    await sandbox.slack.stop()


async def test_there_is_one_workspace_at_first(sandbox):
    """The app is installed there, and can be installed in another one and in an organization."""
    state = await sandbox.open()
    assert state["team"] == {"id": "T0SANDBOX", "name": "Sandbox"}
    assert state["teams"] == [state["team"]]
    assert state["installable"] == [
        {"id": "T0BETA", "name": "Beta Corp", "is_org": False},
        {"id": "E0GAMMA", "name": "Gamma Group", "is_org": True},
    ]
    assert (state["installed"], state["can_uninstall"]) == (True, False)


async def test_a_tab_shows_the_workspace_in_its_address(sandbox):
    """It has its own people and channels; for an unknown workspace, the first one is shown."""
    assert (await sandbox.open("T0BETA"))["channels"] != (await sandbox.open("T0NONE"))["channels"]
    assert (await sandbox.open("T0NONE"))["team"]["id"] == "T0SANDBOX"


async def test_an_action_is_done_in_the_workspace_that_it_names(sandbox):
    """People of one workspace can't act in the other, and an unknown workspace is a 400."""
    said = {"user": "UMIA", "channel": "C0GROWTH", "text": "hello"}
    assert (await sandbox.ask("say", team="T0BETA", **said))[0] == 200
    assert [message["text"] for message in sandbox.beta.messages("C0GROWTH")] == ["hello"]
    assert (await sandbox.ask("say", **said))[0] == 400
    assert await sandbox.ask("say", team="T0NONE", **said) == (
        400,
        {"ok": False, "error": "There's no such workspace."},
    )


async def test_a_tab_hears_of_other_workspaces(sandbox):
    """It learns that the app was installed there or posted something, but not what was posted."""
    async with sandbox.session.ws_connect("/page/live") as feed:
        await feed.receive_json(timeout=5)
        sandbox.slack.oauth.grant(sandbox.beta, "UMIA")
        teams = await feed.receive_json(timeout=5)
        sandbox.beta.workspace.post("C0GROWTH", {**sandbox.beta.workspace.bot_author, "text": "secret of Beta"})
        news = await feed.receive_json(timeout=5)
    assert [team["id"] for team in teams["teams"]] == ["T0SANDBOX", "T0BETA"]
    assert [one["id"] for one in teams["installable"]] == ["E0GAMMA"]
    assert news == {"type": "elsewhere", "team": "T0BETA"}


async def test_a_tab_sees_that_its_app_was_uninstalled_and_installed_again(sandbox):
    """Each time it gets the complete state; its direct messages remain, so the workspace is still listed."""
    sandbox.slack.oauth.grant(sandbox.beta, "UMIA")
    async with sandbox.session.ws_connect("/page/live?team=T0BETA") as feed:
        assert (await feed.receive_json(timeout=5))["installed"] is True
        sandbox.slack.oauth.uninstall(sandbox.beta)
        gone = await state_of(feed)
        sandbox.slack.oauth.grant(sandbox.beta, "UNOAH")
        back = await state_of(feed)
    assert (gone["installed"], back["installed"]) == (False, True)
    assert [team["id"] for team in gone["teams"]] == ["T0SANDBOX", "T0BETA"]


async def test_slacks_link_opens_the_app_as_the_person_who_installed_it(sandbox):
    """If the app isn't installed there, the link opens the page without a person."""
    assert await redirect(sandbox, "T0BETA") == "/"
    assert await redirect(sandbox, "T0NONE") == "/"
    sandbox.slack.oauth.grant(sandbox.beta, "UNOAH")
    assert await redirect(sandbox, "T0BETA") == "/?team=T0BETA&as=UNOAH#D0NOAH"


async def test_an_organization_is_offered_until_all_its_workspaces_have_the_app(sandbox):
    """A tab hears of each; Slack's link opens the app there as the person who installed it for all of them."""
    sandbox.slack.oauth.grant(GAMMA, "ULEV")
    europe, asia = (sandbox.slack.workspaces[one.id] for one in GAMMA_WORKSPACES)
    async with sandbox.session.ws_connect("/page/live") as feed:
        await feed.receive_json(timeout=5)
        sandbox.slack.oauth.grant_access(europe)
        half = await feed.receive_json(timeout=5)
        sandbox.slack.oauth.grant_access(asia)
        whole = await feed.receive_json(timeout=5)
    assert [one["id"] for one in half["installable"]] == ["T0BETA", "E0GAMMA"]
    assert [one["id"] for one in whole["installable"]] == ["T0BETA"]
    assert await redirect(sandbox, "T0GAMMAASIA") == "/?team=T0GAMMAASIA&as=ULEV#D0LEV"


async def test_an_organizations_app_is_uninstalled_from_one_workspace(sandbox, monkeypatch):
    """It stays in the others, and can be added to this one again."""
    monkeypatch.setattr(ManyWorkspaces, "is_on", True)
    sandbox.slack.oauth.grant(GAMMA, "UIDA")
    europe, asia = (sandbox.slack.workspaces[one.id] for one in GAMMA_WORKSPACES)
    for one in (europe, asia):
        sandbox.slack.oauth.grant_access(one)
    assert (await sandbox.ask("uninstall", team="T0GAMMAEU"))[0] == 200
    assert (europe.installation.is_installed, asia.installation.is_installed) == (False, True)
    state = await sandbox.open("T0GAMMAEU")
    assert (state["installed"], state["org"]) == (False, "Gamma Group")
    assert [one["id"] for one in state["installable"]] == ["T0BETA", "E0GAMMA"]


async def test_the_first_workspace_can_be_uninstalled_only_if_the_bot_serves_many(sandbox):
    """Until then, its token is in the settings, and the bot would stop permanently."""
    status, answer = await sandbox.ask("uninstall")
    assert status == 400
    assert "has this workspace's token in its settings" in answer["error"]
    assert sandbox.slack.installation.is_installed


async def test_a_bot_that_does_not_restart_is_reported(sandbox, monkeypatch):
    """The page says so, and trying again doesn't restart it again."""
    monkeypatch.setattr(serving_many, "READY_WITHIN_S", 0.1)
    for _ in range(2):
        status, answer = await sandbox.ask("another", install="T0BETA")
        assert (status, answer["error"]) == (400, "The bot didn't restart in time. Try again.")
    assert sandbox.process.pid is None
    assert await sandbox.ask("another", install="T0NONE") == (
        400,
        {"ok": False, "error": "There's no such workspace."},
    )


@pytest.mark.parametrize(("team", "rights"), [("T0SANDBOX", "read"), ("T0BETA", "read"), ("T0BETA", "write")])
async def test_each_workspace_has_keys_of_its_own_flokit(sandbox, team, rights):
    """As on FloKit's page Settings → API Keys."""
    _, answer = await sandbox.ask("flokit_key", team=team, rights=rights)
    assert sandbox.flokits[team].keys[answer["key"]] == rights


async def test_an_unknown_kind_of_key_is_a_400(sandbox):
    assert (await sandbox.ask("flokit_key", rights="admin"))[0] == 400


async def state_of(feed):
    """Return the next complete state of a live feed."""
    while True:
        message = await feed.receive_json(timeout=5)
        if message["type"] == "state":
            return message


async def redirect(sandbox, team):
    """Return where https://slack.com/app_redirect leads."""
    async with sandbox.session.get(f"/app_redirect?app=A&team={team}", allow_redirects=False) as reply:
        assert reply.status == 302
        return reply.headers["Location"]
