"""Bots that are forked off a process that has imported them: a second of CPU less for each of about 1,000 starts.

``python -m tests.scenarios.forks SOCKET`` is that process. A client connects, sends a line of JSON (``Birth``), and
gets a line with the process ID and, when that process has ended, one with its exit code. Starts that are the point of a
test use ``BotProcess``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bot.cli import load_build
from sandbox import bot_with_clock
from sandbox.child import PACKAGE_ROOT, BotProcess, Process, prepare

LISTENS_WITHIN_S: Final = 60.0


class Forked:
    """A forked process, as much like ``asyncio.subprocess.Process`` as ``BotProcess`` needs."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._writer = writer
        self._ended = asyncio.create_task(self._learn_code(reader))

    async def _learn_code(self, reader: asyncio.StreamReader) -> int:
        line = await reader.readline()
        self._writer.close()
        self.returncode = int(line) if line else -signal.SIGKILL
        return self.returncode

    async def wait(self) -> int:
        """Wait until it exits and return the exit code."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it's still running."""
        if self.returncode is None:
            os.kill(self.pid, number)


class ForkedBot(BotProcess):
    """A bot on a clock, forked."""

    nursery: Path | None = None
    """The socket of the process that forks; None: each bot is started as usual."""

    async def _launch(self, environment: dict[str, str]) -> Process:
        if self.nursery is None:
            return await super()._launch(environment)
        reader, writer = await asyncio.open_unix_connection(self.nursery)
        birth = {
            "clock": self._program[1],
            "folder": str(self._folder.resolve()),
            "environment": environment,
            "descriptors": self._descriptors,
        }
        writer.write(json.dumps(birth).encode() + b"\n")
        return Forked(int(await reader.readline()), reader, writer)


@contextlib.contextmanager
def running_nursery() -> Iterator[Path]:
    """Run the process that forks; yield its socket."""
    with tempfile.TemporaryDirectory(prefix="flokit-forks-") as folder:
        path = Path(folder) / "socket"
        process = subprocess.Popen([sys.executable, "-m", __name__, path], cwd=PACKAGE_ROOT, stdin=subprocess.DEVNULL)
        try:
            ends_at = time.monotonic() + LISTENS_WITHIN_S
            while not path.exists():
                if process.poll() is not None or time.monotonic() > ends_at:
                    raise AssertionError("the process that forks bots didn't start")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            yield path
        finally:
            process.kill()
            process.wait()


def _serve(path: str) -> dict[str, Any]:
    """Fork bots until killed. Returns in each of them, with what it shall be."""
    selector = selectors.DefaultSelector()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen()
    Path(f"{path}.new").rename(path)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                client, _ = listener.accept()
                with client.makefile() as lines:
                    birth: dict[str, Any] = json.loads(lines.readline())
                pid = os.fork()
                if not pid:
                    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                    return birth
                client.sendall(b"%d\n" % pid)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, client))
            else:
                pid, client = key.data
                selector.unregister(key.fd)
                os.close(key.fd)
                _, status = os.waitpid(pid, 0)
                with client, contextlib.suppress(OSError):
                    client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(birth: dict[str, Any]) -> int:
    """Be a bot until it stops; return its exit code."""
    prepare(birth["descriptors"])
    os.chdir(birth["folder"])
    log = os.open("bot.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(birth["environment"])
    time.tzset()
    return bot_with_clock.main(Path(birth["clock"]))


if __name__ == "__main__":
    prepare()
    load_build()
    for lazy in ("bot.store.embedded", "bot.store.server", "bot.store.schema"):
        importlib.import_module(lazy)
    gc.collect()
    gc.freeze()
    sys.exit(_become(_serve(sys.argv[1])))
