"""What logs contain, and what they never contain: each test logs in its own process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TOKEN = "xoxb-0123456789-0123456789-" + "abcdefghijklmnopqrstuvwx" * 6
SCRIPT = """
import logging, sys, structlog
from bot.observability.logs import configure_logging

configure_logging(sys.argv[1], "INFO", secrets=[sys.argv[2]])
log = structlog.get_logger("bot.test")

def fail(words, key):
    raise RuntimeError(f"it broke after {len(words + key)} characters")

log.info("called", key=f"Bearer {sys.argv[2]}!")
try:
    fail("what " + "ana " + "wrote", "Bearer " + sys.argv[2])
except RuntimeError:
    log.exception("work_failed")
logging.getLogger("some.library").warning("hm\\n%s", "two lines")
"""


def written(format_):
    """Log a secret, an error and a library's message, and return the output."""
    command = [sys.executable, "-c", SCRIPT, format_, TOKEN]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_has_no_local_variables(format_):
    """They contain API keys and what people wrote."""
    log = written(format_)
    assert "it broke after" in log
    assert "in fail" in log or '"name": "fail"' in log
    assert "what ana wrote" not in log
    assert "xoxb-0123456789" not in log


@pytest.mark.parametrize("format_", ["json", "console"])
def test_secrets_are_redacted(format_):
    log = written(format_)
    assert "Bearer (redacted)!" in log
    assert TOKEN not in log


def test_json_is_one_object_a_line():
    """Each line of the JSON format can be parsed, even with a traceback."""
    lines = [json.loads(line) for line in written("json").splitlines()]
    assert [line["event"] for line in lines] == ["called", "work_failed", "hm\ntwo lines"]
    assert lines[1]["exception"][0]["exc_type"] == "RuntimeError"


LIBRARIES = """
import logging, sys
from bot.observability.logs import configure_logging
configure_logging(sys.argv[1], "DEBUG", secrets=[])
for name in (
    "slack_sdk.web.async_client", "slack_bolt.AsyncApp", "slack_sdk.socket_mode.aiohttp", "aiosqlite", "aiohttp.server",
    "aiohttp.access", "httpx", "httpcore.http11", "asyncio", "sqlalchemy.engine.Engine", "asyncpg", "alembic.runtime",
    "urllib3", "a_library_of_tomorrow", "botocore",
):
    logging.getLogger(name).debug("https://hooks.slack.com/secret")
    logging.getLogger(name).info("https://hooks.slack.com/secret")
logging.getLogger("slack_sdk").warning("Failed: https://hooks.slack.com/actions/T1/2/abc and wss://x/?ticket=t1c&a=b")
logging.getLogger("bot.x").debug("ours")
"""


def run(script, *arguments):
    """Run a script, and return what it logged."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_library_logs_payloads(format_):
    """Even at DEBUG, libraries log only warnings, without secret addresses."""
    log = run(LIBRARIES, format_)
    assert "ours" in log
    assert "secret" not in log
    assert "hooks.slack.com/(redacted) and wss://x/?ticket=(redacted)&a=b" in log
    assert len(log.splitlines()) == 2


FORGED = "2026-01-01T00:00:00Z [info     ] sync_started"
TRICKS = {
    "a line": f"x\n{FORGED}",
    "a carriage return": f"x\r{FORGED}",
    "all kinds of lines": f"x\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029{FORGED}",
    "colours": "\x1b[2K\x1b[31mred\x1b[0m\x9b31m",
    "a title": "\x1b]0;owned\x07",
    "turned around": "\u202egpj.exe\u202c\u2066\u2069\u200f",
    "nothing to see": "\u200b\ufeff\x00\x7f\ud800",
}
WRITES = """
import json, logging, sys, structlog
from bot.observability.logs import configure_logging
configure_logging(sys.argv[1], "INFO", secrets=[])
log = structlog.get_logger("bot.test")
for trick in json.loads(sys.argv[2]):
    log.info("event", value=trick, values=[trick], named={"a": trick}, number=1)
    log.info(trick)
    logging.getLogger("library").warning("hm %s", trick)
    try:
        try:
            raise ValueError(trick)
        except ValueError as error:
            error.add_note(trick)
            raise RuntimeError(trick) from error
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("library").exception("failed: %s", trick)
"""


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
def test_logged_values_cannot_forge_lines(format_, trick):
    """They begin no line, move no cursor and reverse no text."""
    log = run(WRITES, format_, json.dumps([trick]))
    assert all(char.isprintable() for line in log.split("\n") for char in line)
    lines = log.splitlines()
    if format_ == "json":
        assert [json.loads(line)["level"] for line in lines] == ["info", "info", "warning", "error", "error"]
    else:
        assert [line[:2] for line in lines if not line.startswith("  | ")] == ["20"] * 5
        assert not any(line.startswith(FORGED) for line in lines)


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("secret", ['quote"d-secret', "back\\slash-secret", "it's-a-secret", "sl/ash+per%cent"])
def test_secrets_are_redacted_in_every_notation(format_, secret):
    """In JSON, in the repr of a value, and in an address."""
    script = (
        "import sys, structlog; from urllib.parse import quote; from bot.observability.logs import configure_logging\n"
        "configure_logging(sys.argv[1], 'INFO', secrets=[sys.argv[2]])\n"
        "log = structlog.get_logger('bot.x')\n"
        "log.info('a b ' + sys.argv[2], value='a ' + sys.argv[2], values=[sys.argv[2]])\n"
        "log.info('address', url='/webhooks/flokit/' + quote(sys.argv[2], safe=''))\n"
    )
    log = run(script, format_, secret)
    assert log.count("(redacted)") == 4
    assert not [part for part in ("quote", "slash-secret", "a-secret", "cent", "ash") if part in log]


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize(
    "written",
    [
        "xoxb-1-2-HIDDEN",
        "xoxe.xoxb-1-HIDDEN",
        "xoxe-1-HIDDEN",
        "xapp-1-A1-HIDDEN",
        "https://bot.example.com/slack/oauth_redirect?code=1.2.HIDDEN&state=HIDDEN",
        "/webhooks/flokit/HIDDEN-HIDDEN-HIDDEN-HIDDEN-HIDDEN-HIDDEN-7",
        "Authorization: Bearer flo_HIDDEN-key",
    ],
)
def test_secrets_of_other_workspaces_are_redacted_by_their_form(format_, written):
    """With many workspaces, their secrets are unknown when logging starts."""
    script = (
        "import sys, structlog; from bot.observability.logs import configure_logging\n"
        "configure_logging(sys.argv[1], 'DEBUG', secrets=[])\n"
        "structlog.get_logger('bot.x').info('a ' + sys.argv[2], value=sys.argv[2], values=[{'a': sys.argv[2]}])\n"
    )
    log = run(script, format_, written)
    assert log.count("(redacted)") >= 3
    assert "HIDDEN" not in log


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_crash_is_logged_like_everything_else(format_):
    """In the log's format, without secrets; the exit code says so."""
    script = (
        "import sys; from bot.observability.logs import configure_logging\n"
        "configure_logging(sys.argv[1], 'INFO', secrets=[sys.argv[2]])\n"
        "raise RuntimeError('it broke with ' + sys.argv[2] + chr(10) + sys.argv[3])\n"
    )
    command = [sys.executable, "-c", script, format_, TOKEN, FORGED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "it broke with (redacted)" in done.stderr
    lines = done.stderr.splitlines()
    if format_ == "json":
        assert [json.loads(line)["event"] for line in lines] == ["crashed"]
    else:
        assert "crashed" in lines[0]
        assert all(line.startswith("  | ") for line in lines[1:])
