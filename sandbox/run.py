"""``flokit-bot sandbox``: a local Slack with a page, a local FloKit, and the real bot between them."""

from __future__ import annotations

import asyncio
import secrets
import signal
import tempfile
from pathlib import Path
from typing import Final

from bot.core.errors import SettingsError
from bot.core.hosts import is_loopback
from bot.ops.web import WEBHOOK_PATH
from local_slack import LocalSlack, NotYet
from sandbox.child import BotProcess
from sandbox.clock import WorldClock
from sandbox.control import ControlPanel
from sandbox.inspector import Inspector
from sandbox.keeper import BotKeeper
from sandbox.local_flokit import LocalFlokit
from sandbox.local_flokit.webhooks import SIGNATURE_HEADER, Webhooks
from sandbox.page import add_page
from sandbox.slack import flokit_slack

PAGE_FILES: Final = Path(__file__).parent / "page_files"
READY_WITHIN_S: Final = 30.0

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
"""How many calls, envelopes and versions the sandbox keeps: it runs for days."""


def bot_settings(slack: LocalSlack, flokit: LocalFlokit, folder: Path, webhook_secret: str) -> dict[str, str]:
    """The documented settings that connect a bot to the two stand-ins, over Socket Mode."""
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
    """Run until Ctrl+C; the bot is started again whenever it ends. Only the page may listen beyond this machine.

    Raises:
        SettingsError: the port is taken.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with tempfile.TemporaryDirectory(prefix="flokit-sandbox-") as temporary:
        folder = Path(temporary)
        clock = WorldClock(folder / "clock")
        slack, flokit, webhook_secret = make_services(clock)
        flokit.demo()
        inspector = Inspector(slack, flokit)
        bot = BotProcess({}, folder, clock=clock)
        keeper = BotKeeper(bot)
        webhooks = Webhooks(lambda: bot.address and f"{bot.address}{WEBHOOK_PATH}", webhook_secret)
        panel = ControlPanel(slack, flokit, keeper, clock=clock, webhooks=webhooks)
        add_page(slack.server, slack, PAGE_FILES, panel=panel, inspector=inspector)
        await flokit.start()
        try:
            await slack.start(host, port, exposed=not is_loopback(host))
        except OSError as error:
            await flokit.stop()
            raise SettingsError(
                [f"--port: {host}:{port} is in use or not available; choose another port, or 0 for any free one."]
            ) from error
        bot.use(bot_settings(slack, flokit, folder, webhook_secret))
        keeping = asyncio.create_task(keeper.run())
        try:
            await _welcome(slack, bot)
            await stopped.wait()
        finally:
            keeping.cancel()
            await bot.stop()
            await slack.stop()
            await flokit.stop()


def make_services(clock: WorldClock) -> tuple[LocalSlack, LocalFlokit, str]:
    """Make the stand-ins and the webhooks' secret. No token is one that a website could know."""
    slack = flokit_slack(
        clock.time,
        bot_token=f"xoxb-sandbox-{secrets.token_urlsafe()}",
        app_token=f"xapp-sandbox-{secrets.token_urlsafe()}",
        signing_secret=secrets.token_urlsafe(),
        most_records=MOST_RECORDS,
        most_messages=MOST_RECORDS,
    )
    flokit = LocalFlokit(clock=clock.now)
    flokit.keys = {f"flo_sandbox_{secrets.token_urlsafe()}": rights for rights in flokit.keys.values()}
    return slack, flokit, secrets.token_urlsafe()


async def _welcome(slack: LocalSlack, bot: BotProcess) -> None:
    try:
        await slack.wait_connected(timeout_s=READY_WITHIN_S)
    except NotYet as error:
        raise SettingsError([f"The bot didn't start. Its log:\n{bot.log}"]) from error
    print(WELCOME.format(url=slack.url), flush=True)  # noqa: T201 - this is what the command is for
