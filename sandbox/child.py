"""The real bot as a child process with documented settings, run by the sandbox and killed by the scenario tests."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import resource
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from bot.settings.settings import Settings
from sandbox.clock import WorldClock

PACKAGE_ROOT: Final = Path(__file__).resolve().parents[1]
STOPS_WITHIN_S: Final = 10.0


class Process(Protocol):
    """What is needed of ``asyncio.subprocess.Process``."""

    @property
    def pid(self) -> int:
        """The process ID."""

    @property
    def returncode(self) -> int | None:
        """The exit code, or a signal's number below zero; None while it's running."""

    async def wait(self) -> int:
        """Wait until it exits and return the exit code."""

    def send_signal(self, signal: int) -> None:
        """Send a signal."""


class BotProcess:
    """``python -m bot run`` in its own folder, isolated from the caller's ``.env`` and environment.

    Args:
        settings: documented settings by name.
        folder: its working directory, with the log in ``bot.log``.
        clock: the file of its clock; without it, real time.
        program: the module that runs the bot on a clock.
        descriptors: the soft and hard limits on open files and sockets.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        folder: Path,
        *,
        clock: WorldClock | None = None,
        program: str = "sandbox.bot_with_clock",
        descriptors: tuple[int, int] | None = None,
    ) -> None:
        self._settings = dict(settings)
        self._folder = folder
        self._descriptors = descriptors
        self._program = (program, str(clock.path.resolve())) if clock else ("bot", "run")
        self.process: Process | None = None
        self._logged_before = 0

    def use(self, settings: Mapping[str, str]) -> None:
        """Use these settings from the next start."""
        self._settings = dict(settings)

    @property
    def pid(self) -> int | None:
        """The process ID, while it's running."""
        return self.process.pid if self.process and self.process.returncode is None else None

    @property
    def log(self) -> str:
        """The whole log, across restarts."""
        path = self._folder / "bot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def address(self) -> str:
        """The address of its HTTP routes, from the log of the running process; "" until it listens."""
        if self.pid is None:
            return ""
        lines = self.log.encode()[self._logged_before :].splitlines()
        found = [re.search(rb"http://[\d.]+:\d+", line) for line in lines if b"listening" in line]
        return found[-1][0].decode() if found and found[-1] else ""

    async def start(self) -> None:
        """Start the process; it isn't ready yet when this returns."""
        self._logged_before = len(self.log.encode())
        ours = {name.upper() for name in Settings.model_fields}
        inherited = {name: value for name, value in os.environ.items() if name.upper() not in ours}
        search_path = os.pathsep.join(filter(None, (str(PACKAGE_ROOT), inherited.get("PYTHONPATH"))))
        self.process = await self._launch({**inherited, "PYTHONPATH": search_path, **self._settings})

    async def _launch(self, environment: dict[str, str]) -> Process:
        with (self._folder / "bot.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self._program,
                cwd=self._folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=partial(prepare, self._descriptors),
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it's still running."""
        if self.process and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def kill(self) -> None:
        """Kill it with ``kill -9``, like a crash."""
        self.signal(signal.SIGKILL)
        await self.wait()

    async def stop(self) -> int:
        """Ask it to stop and return its exit code; kill it if it doesn't stop in time."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOPS_WITHIN_S):
                return await self.wait()
        except TimeoutError:
            await self.kill()
            raise

    async def wait(self) -> int:
        """Wait until it exits and return the exit code."""
        return await self.process.wait() if self.process else 0


def prepare(descriptors: tuple[int, int] | None = None) -> None:
    """Limit a child process, in itself: its open files, and its life to that of its parent.

    See prctl(2), PR_SET_PDEATHSIG.
    """
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
