"""``flokit-bot check``: checks the settings, the Slack tokens, the FloKit keys and the database. One line each."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import Final

from bot.core.health.findings import Finding, fine, wrong
from bot.flokit import endpoint_of
from bot.handlers.doctor import Diagnosis
from bot.observability.context import now_utc
from bot.settings.settings import Settings
from bot.slack.client import SlackClient
from bot.store.database import Database
from bot.store.vitals import Vitals

ANSWERS_WITHIN_S: Final = 2.0
LINE_BYTES: Final = 1024


async def check(settings: Settings, *, blocks: bool = False) -> list[Finding]:
    """Check everything, without changing anything."""
    database = Database(settings.database_url)
    endpoint = None if settings.is_distributed else endpoint_of(settings)
    token = "" if settings.is_distributed else settings.bot_token.get_secret_value()
    slack = SlackClient(token, api_url=settings.slack_web_api_url, network=settings.network)
    async with contextlib.AsyncExitStack() as parts:
        parts.push_async_callback(database.close)
        parts.push_async_callback(slack.aclose)
        diagnosis = Diagnosis(settings, slack, Vitals(database), endpoint, clock=now_utc)
        found, address = await asyncio.gather(
            diagnosis.findings(blocks=blocks and endpoint is not None), judge_address(settings.host, settings.port)
        )
        return [*address, *found]


async def judge_address(host: str, port: int) -> list[Finding]:
    """Try to listen on the bot's address. No finding if that works."""
    try:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _is_bot(host, port):
            return [fine(f"HOST, PORT: a bot is already listening on {host}:{port}")]
        return [wrong(f"HOST, PORT: can't listen on {host}:{port} ({error.strerror}); choose different values")]
    server.close()
    await server.wait_closed()
    return []


async def _is_bot(host: str, port: int) -> bool:
    """Return whether a bot is listening there: it answers ``/livez``, and 404 at the root."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            return await _status(host, port, "/livez") in (b"200", b"503") and await _status(host, port, "/") == b"404"
    except (OSError, TimeoutError):
        return False


async def _status(host: str, port: int, path: str) -> bytes:
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the addresses that mean all interfaces
    reader, writer = await asyncio.open_connection(here, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.read(LINE_BYTES)).partition(b" ")[2][:3]
    finally:
        writer.close()
