"""Signals that arrive before the bot is loaded, even if the kernel ignores those that the bot doesn't handle."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENDS_WITHIN_S = 60
MOMENTS_S = (0.0, 0.1, 0.3, 0.8)
"""When the signal is sent, counted from the moment at which the process handles it."""

SETTINGS = {
    "PATH": os.defpath,
    "SLACK_BOT_TOKEN": "xoxb-of-the-test",
    "SLACK_APP_TOKEN": "xapp-of-the-test",
    "SLACK_API_URL": "http://127.0.0.1:1/api/",
    "FLOKIT_API_KEY": "key-of-the-test",
    "FLOKIT_API_URL": "http://127.0.0.1:1",
    "PORT": "0",
    "PYTHONPATH": str(ROOT),
}
"""Nothing answers there: until it's stopped, the bot keeps calling Slack."""


def handles(pid, number):
    """Return whether a process has a handler for a signal, from the mask SigCgt of proc(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(mask >> (number - 1) & 1)


def ignore_signals():
    """Make the process ignore signals that it doesn't handle, as the kernel does for a container's first process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def started(folder, *command, **options):
    """Start a command, and stop it at the end of the test."""
    defaults = {"cwd": folder, "env": SETTINGS, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **{**defaults, **options})
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def pause(process, seconds):
    """Let the process continue for a while."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def until_handled(process, pid, number):
    """Wait until a process handles a signal."""
    while not handles(pid, number):
        assert process.poll() is None
        pause(process, 0.002)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment_s", MOMENTS_S)
def test_a_signal_during_loading_counts(tmp_path, number, moment_s):
    """SIGTERM and Ctrl+C end ``run`` with 0 at any moment of its start, even if unhandled signals are ignored."""
    with started(tmp_path, sys.executable, "-m", "bot", "run", preexec_fn=ignore_signals) as process:
        until_handled(process, process.pid, number)
        pause(process, moment_s)
        process.send_signal(number)
        _, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert (process.returncode, "Traceback" in err) == (0, False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_bot_that_never_finishes_loading_can_be_stopped(tmp_path, number):
    """A signal during the imports ends ``run`` with 0, even if unhandled signals are ignored."""
    (tmp_path / "structlog.py").write_text("import pathlib, time\npathlib.Path('loading').touch()\ntime.sleep(600)\n")
    env = {**SETTINGS, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = (sys.executable, "-m", "bot", "run")
    with started(tmp_path, *command, preexec_fn=ignore_signals, env=env) as process:
        while not (tmp_path / "loading").exists():
            assert process.poll() is None
            pause(process, 0.002)
        process.send_signal(number)
        assert process.wait(ENDS_WITHIN_S) == 0


def _may_unshare():
    unshare = shutil.which("unshare")
    command = [unshare, "--pid", "--fork", "true"] if unshare else ["false"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(sys.platform != "linux" or not _may_unshare(), reason="needs a PID namespace")
def test_the_first_process_of_a_container_can_be_stopped_immediately(tmp_path):
    """As PID 1, too, ``run`` ends with 0 if it's stopped before the bot is loaded."""
    command = ("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "bot", "run")
    with started(tmp_path, *command) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (listed := children.read_text().split()):
            assert process.poll() is None
            pause(process, 0.002)
        first = int(listed[0])
        until_handled(process, first, signal.SIGTERM)
        os.kill(first, signal.SIGTERM)
        assert process.wait(ENDS_WITHIN_S) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_check_does_not_succeed(tmp_path, number, code):
    """If ``check`` is stopped before its end, its exit code isn't that of a successful one."""
    with started(tmp_path, sys.executable, "-m", "bot", "check", preexec_fn=ignore_signals) as process:
        until_handled(process, process.pid, number)
        process.send_signal(number)
        assert process.wait(ENDS_WITHIN_S) == code


def test_signals_are_handled_before_anything_is_loaded():
    """The entry point imports nothing that takes time."""
    code = "import sys, bot.__main__; print({'asyncio', 'argparse', 'pydantic', 'structlog'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
