"""What the logs say, and what they never say: each test logs in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TOKEN = "xoxb-0123456789-0123456789-" + "abcdefghijklmnopqrstuvwx" * 6
SCRIPT = """
import logging, sys, structlog
from bot.logs import configure_logging

configure_logging(sys.argv[1], "INFO", secrets=[sys.argv[2]])
log = structlog.get_logger("bot.test")

def fail(words, key):
    raise RuntimeError(f"it broke after {len(words + key)} characters")

bolt = logging.getLogger("slack_bolt.AsyncApp")
try:
    raise RuntimeError("status: 500")
except RuntimeError as error:
    bolt.exception(f"Failed to run message listeners: {error}, session: s_1")
    bolt.exception(f"Failed to run a request listener: {error}, session: s_1")
log.info("called", key=f"Bearer {sys.argv[2]}!")
try:
    fail("what " + "ana " + "wrote", "Bearer " + sys.argv[2])
except RuntimeError:
    log.exception("work_failed")
logging.getLogger("some.library").warning("hm\\n%s", "two lines")
"""


def written(format_):
    """Log a secret, an error and a library's words, and return what came out."""
    command = [sys.executable, "-c", SCRIPT, format_, TOKEN]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_tells_where_but_not_what_was_at_hand(format_):
    """The place and the reason of an error are logged; local variables, with keys and people's words, are not."""
    log = written(format_)
    assert "it broke after" in log
    assert "in fail" in log or '"name": "fail"' in log
    assert "what ana wrote" not in log
    assert "xoxb-0123456789" not in log


@pytest.mark.parametrize("format_", ["json", "console"])
def test_secrets_are_blotted_out(format_):
    """A secret that somebody logs all the same is not readable."""
    log = written(format_)
    assert "Bearer (redacted)!" in log
    assert TOKEN not in log


def test_json_is_one_object_a_line():
    """Each line of the JSON format can be read by a machine, a traceback included."""
    lines = [json.loads(line) for line in written("json").splitlines()]
    assert [line["event"] for line in lines][2:] == ["called", "work_failed", "hm\ntwo lines"]
    assert lines[3]["exception"][0]["exc_type"] == "RuntimeError"


def test_a_socket_that_the_sdk_mends_is_no_error():
    """What the SDK reports about its socket is a warning in one line; a listener that fails stays an error."""
    lines = [json.loads(line) for line in written("json").splitlines()]
    assert [(line["level"], "exception" in line) for line in lines[:2]] == [("warning", False), ("error", True)]


def test_the_sdk_writes_no_payloads_down():
    """Even at DEBUG, Slack's SDK and Bolt do not log payloads, which hold response_urls and people's words."""
    script = (
        "import logging; from bot.logs import configure_logging; configure_logging('json', 'DEBUG', secrets=[])\n"
        "for name in ('slack_sdk.web.async_client', 'slack_bolt.AsyncApp', 'slack_sdk.socket_mode.aiohttp'):\n"
        "    logging.getLogger(name).debug('https://hooks.slack.com/secret')\n"
        "logging.getLogger('bot').debug('ours')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "ours" in done.stderr
    assert "hooks.slack.com" not in done.stderr
