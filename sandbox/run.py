"""``flokit-bot sandbox``: a local Slack with a page, a local FloKit, and the real bot between them."""

from __future__ import annotations

import asyncio
import secrets
import signal
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from bot.core.errors import SettingsError
from bot.core.hosts import is_loopback
from local_slack import LocalSlack, NotYet, OAuth
from sandbox.child import BotProcess
from sandbox.clock import WorldClock
from sandbox.control import ControlPanel
from sandbox.inspector import Inspector
from sandbox.keeper import BotKeeper
from sandbox.local_flokit import LocalFlokit
from sandbox.local_flokit.webhooks import SIGNATURE_HEADER, Webhooks
from sandbox.many import ManyWorkspaces
from sandbox.page import add_page
from sandbox.slack import BETA, BOT_USER_ID, FLOKIT_APP, GAMMA_WORKSPACES, WORKSPACE, flokit_slack

PAGE_FILES: Final = Path(__file__).parent / "page_files"
READY_WITHIN_S: Final = 60.0

# Shorter than in production, so that you can see every outcome in a few minutes.
PATIENCE: Final = {
    "FOLLOW_UP_FIRST_LOOK_S": "1",
    "FOLLOW_UP_MAX_INTERVAL_S": "3",
    "FOLLOW_UP_GRACE_S": "10",
    "FOLLOW_UP_DEADLINE_S": "60",
    "WATCH_INTERVAL_S": "10",
    "LEASE_S": "5",
    "SYNC_COOLDOWN_S": "0",
}

WELCOME: Final = """
  The sandbox is running: a local Slack, a local FloKit, and the real bot.

      {url}

  Three things to try:
    1. Type  /flokit status  and press Resync next to Stripe. The outcome is posted in the thread.
    2. Type  /flokit sync appsflyer  There are two, so the bot asks which one you mean.
    3. Switch to ben (bottom left) and press Resync for the same one. He joins the sync that's already running.

  Press Ctrl+C to stop. Nothing is kept.
"""

MOST_RECORDS: Final = 2000
"""How many calls, envelopes and versions the sandbox keeps, because it may run for days."""


def bot_settings(slack: LocalSlack, flokit: LocalFlokit, folder: Path, webhook_secret: str) -> dict[str, str]:
    """Return the documented settings that connect a bot to the two stand-ins over Socket Mode."""
    keys = {rights: key for key, rights in flokit.keys.items()}
    return {
        "SLACK_BOT_TOKEN": slack.installation.tokens.bot,
        "SLACK_APP_TOKEN": slack.installation.tokens.app,
        "SLACK_API_URL": slack.api_url,
        "FLOKIT_API_KEY": keys["read"],
        "FLOKIT_SYNC_API_KEY": keys["write"],
        "FLOKIT_API_URL": flokit.url,
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'flokit.db'}",
        "FLOKIT_WEBHOOK_SECRET": webhook_secret,
        "FLOKIT_WEBHOOK_SIGNATURE_HEADER": SIGNATURE_HEADER,
        "PORT": "0",
        **PATIENCE,
    }


async def run_sandbox(*, port: int, host: str = "127.0.0.1") -> None:
    """Run until Ctrl+C, restarting the bot whenever it exits. Only the page may listen beyond this machine.

    Raises:
        SettingsError: the port is taken.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with tempfile.TemporaryDirectory(prefix="flokit-sandbox-") as temporary:
        folder = Path(temporary)
        clock = WorldClock(folder / "clock")
        slack, flokits, webhook_secret = make_services(clock)
        flokit = flokits[WORKSPACE.id]
        bot = BotProcess({}, folder, clock=clock)
        keeper = BotKeeper(bot)
        many = ManyWorkspaces(slack, flokits, bot, keeper)
        panels = {
            one.workspace.id: ControlPanel(
                slack,
                flokits[one.workspace.id],
                keeper,
                clock=clock,
                webhooks=Webhooks(partial(many.webhook_url, one), webhook_secret),
            )
            for one in slack.workspaces
        }
        add_page(
            slack.server,
            slack,
            PAGE_FILES,
            panels=panels,
            inspector=Inspector(slack, flokits),
            many=many if is_loopback(host) else None,  # the bot's own pages are for this machine only
        )
        await flokit.start()
        try:
            await slack.start(host, port, exposed=not is_loopback(host))
        except OSError as error:
            await flokit.stop()
            raise SettingsError(
                [f"--port: {host}:{port} is in use or not available; choose another port, or 0 for any free one."]
            ) from error
        many.start_with(bot_settings(slack, flokit, folder, webhook_secret))
        keeping = asyncio.create_task(keeper.run())
        try:
            await _welcome(slack, bot)
            await stopped.wait()
        finally:
            keeping.cancel()
            await bot.stop()
            await slack.stop()
            await flokit.stop()


class BetaFlokit(LocalFlokit):
    """The FloKit of Beta Corp, where another integration fails."""

    def demo(self) -> None:
        """Add the demo integrations, or reset them."""
        super().demo()
        for repaired in ("int_01hx4j7stripe", "int_01hx4ja3googleplay"):
            self.repair(repaired)
        self.set("int_01hx4j7revenuecat", status="error", error_message="The API key was revoked in RevenueCat")


def make_services(clock: WorldClock) -> tuple[LocalSlack, dict[str, LocalFlokit], str]:
    """Create the local Slack, the FloKit of each workspace by its ID, and the webhook secret.

    The app is installed in the first workspace. Tokens are random, so that no website can know them.
    """
    slack = flokit_slack(
        clock.time,
        oauth=OAuth(client_secret=secrets.token_urlsafe(), is_org_ready=True),
        events=FLOKIT_APP.events | {"app_uninstalled", "team_access_granted", "team_access_revoked", "tokens_revoked"},
        app_token=f"xapp-sandbox-{secrets.token_urlsafe()}",
        signing_secret=secrets.token_urlsafe(),
        most_records=MOST_RECORDS,
        most_messages=MOST_RECORDS,
    )
    slack.oauth.grant(slack, next(iter(slack.workspace.users)))
    slack.workspace.channels["C0DATA"].members.add(BOT_USER_ID)
    flokits = {WORKSPACE.id: LocalFlokit(clock=clock.now)}
    for workspace in (BETA, *GAMMA_WORKSPACES):
        slack.add_workspace(workspace)
        kind = BetaFlokit if workspace is BETA else LocalFlokit
        flokits[workspace.id] = kind(clock=clock.now)
    first, *others = flokits.values()
    for one in flokits.values():
        one.keys = {f"flo_sandbox_{secrets.token_urlsafe()}": rights for rights in one.keys.values()}
        one.demo()
    first.neighbors = {key: one for one in others for key in one.keys}
    return slack, flokits, secrets.token_urlsafe()


async def _welcome(slack: LocalSlack, bot: BotProcess) -> None:
    try:
        await slack.wait_connected(timeout_s=READY_WITHIN_S)
    except NotYet as error:
        raise SettingsError([f"The bot didn't start. Its log:\n{bot.log}"]) from error
    print(WELCOME.format(url=slack.url), flush=True)  # noqa: T201 - this is what the command is for
