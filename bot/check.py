"""``flokit-bot check``: are the settings, the Slack tokens, the FloKit keys and the database right? One line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.core.errors import FlokitError, SettingsError, SlackError, SlackUnavailable, StoreUnavailable
from bot.core.policy import explain
from bot.flokit import FlokitClient
from bot.policy_file import load_policy
from bot.scopes import BOT_SCOPES
from bot.settings import Mode
from bot.slack import SlackClient
from bot.store import schema
from bot.store.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pydantic import SecretStr

    from bot.flokit import Listing
    from bot.settings import Settings


LONG_ENOUGH: Final = 16
"""Characters of a webhook secret: the route is open to the world, and to any number of guesses."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was checked, and what to do when it is not right."""

    is_fine: bool
    text: str

    def __str__(self) -> str:
        return f"{'✓' if self.is_fine else '✗'} {self.text}"


async def check(settings: Settings) -> AsyncIterator[Finding]:
    """Check one thing after the other; nothing is changed anywhere."""
    how = "Socket Mode" if settings.mode is Mode.SOCKET else "HTTP"
    yield Finding(is_fine=True, text=f"settings: complete, Slack over {how}")
    async for finding in _check_slack(settings):
        yield finding
    async for finding in _check_flokit(settings):
        yield finding
    for finding in _explain_policy(settings):
        yield finding
    if settings.flokit_webhook_secret:
        yield _check_webhook_secret(settings.flokit_webhook_secret)
    yield await _check_database(settings)


def _explain_policy(settings: Settings) -> Iterator[Finding]:
    """Say who may do what, or what is wrong with the file that says it."""
    try:
        policy = load_policy(settings.policy_file)
    except SettingsError as error:
        for problem in error.problems:
            yield Finding(is_fine=False, text=problem)
        return
    where = settings.policy_file or "not set; the built-in rules hold"
    yield Finding(is_fine=True, text=f"POLICY_FILE: {where}")
    for line in explain(policy):
        yield Finding(is_fine=True, text=f"  {line}")


def _check_webhook_secret(secret: SecretStr) -> Finding:
    if len(secret.get_secret_value()) < LONG_ENOUGH:
        return Finding(
            is_fine=False,
            text="FLOKIT_WEBHOOK_SECRET: is short, and anybody may guess at it; make one with: openssl rand -hex 32",
        )
    return Finding(is_fine=True, text="FLOKIT_WEBHOOK_SECRET: set, so POST /webhooks/flokit is open to who knows it")


async def _check_slack(settings: Settings) -> AsyncIterator[Finding]:
    slack = SlackClient(settings.slack_bot_token.get_secret_value(), api_url=settings.slack_web_api_url)
    try:
        yield await _check_bot_token(slack)
        if settings.slack_app_token:
            yield await _check_app_token(slack, settings.slack_app_token.get_secret_value())
        else:
            yield Finding(is_fine=True, text="SLACK_SIGNING_SECRET: set; Slack's first request will prove it")
    finally:
        await slack.aclose()


async def _check_bot_token(slack: SlackClient) -> Finding:
    try:
        identity = await slack.fetch_identity()
    except SlackUnavailable as error:
        return Finding(is_fine=False, text=f"SLACK_BOT_TOKEN: {error}; can this machine reach Slack (SLACK_API_URL)?")
    except SlackError as error:
        return Finding(is_fine=False, text=f"SLACK_BOT_TOKEN: {error}; copy it from your app's OAuth & Permissions")
    missing = ", ".join(sorted(BOT_SCOPES.keys() - identity.scopes))
    if missing:
        todo = "add them in OAuth & Permissions and reinstall the app"
        return Finding(is_fine=False, text=f"SLACK_BOT_TOKEN: lacks {missing}; {todo}")
    return Finding(is_fine=True, text=f"SLACK_BOT_TOKEN: valid in {identity.team}, with all {len(BOT_SCOPES)} scopes")


async def _check_app_token(slack: SlackClient, app_token: str) -> Finding:
    try:
        await slack.check_app_token(app_token)
    except SlackError as error:
        return Finding(
            is_fine=False,
            text=f"SLACK_APP_TOKEN: {error}; make one with connections:write under Basic Information, "
            "and switch Socket Mode on",
        )
    return Finding(is_fine=True, text="SLACK_APP_TOKEN: valid, a socket can be opened")


async def _check_flokit(settings: Settings) -> AsyncIterator[Finding]:
    flokit = FlokitClient(
        api_url=settings.flokit_api_url,
        look_key=settings.flokit_api_key.get_secret_value(),
        sync_key=settings.sync_key.get_secret_value(),
    )
    try:
        keys = await flokit.check_keys()
    finally:
        await flokit.aclose()
    yield _judge_key("FLOKIT_API_KEY", keys.look)
    if not keys.distinct:
        yield Finding(is_fine=True, text="FLOKIT_SYNC_API_KEY: not set; FLOKIT_API_KEY is used, and must be read-write")
    elif keys.same_workspace is False:
        yield Finding(is_fine=False, text="FLOKIT_SYNC_API_KEY: belongs to another workspace than FLOKIT_API_KEY")
    else:
        yield _judge_key("FLOKIT_SYNC_API_KEY", keys.sync)


def _judge_key(name: str, found: Listing | FlokitError) -> Finding:
    if isinstance(found, FlokitError):
        return Finding(is_fine=False, text=f"{name}: {found}")
    return Finding(is_fine=True, text=f"{name}: valid, sees {len(found.integrations)} integrations")


async def _check_database(settings: Settings) -> Finding:
    database = Database(settings.database_url)
    if database.file and not database.file.exists():
        return Finding(is_fine=True, text="DATABASE_URL: a file that the first start makes")
    try:
        revision = await schema.current(database)
    except StoreUnavailable as error:
        return Finding(is_fine=False, text=f"DATABASE_URL: {error}; is the server running, and the address right?")
    finally:
        await database.close()
    if revision == schema.head():
        return Finding(is_fine=True, text="DATABASE_URL: reachable, tables are current")
    if database.is_sqlite:
        return Finding(is_fine=True, text="DATABASE_URL: reachable; the next start brings its tables up to date")
    return Finding(is_fine=False, text="DATABASE_URL: its tables are of another version; run flokit-bot migrate")
