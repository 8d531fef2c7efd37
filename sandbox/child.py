"""The real bot as a child process with the documented settings: what the sandbox runs and the scenario tests kill."""

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
from pathlib import Path
from typing import Final

from bot.settings.settings import Settings
from sandbox.clock import WorldClock

PACKAGE_ROOT: Final = Path(__file__).resolve().parents[1]
STOPS_WITHIN_S: Final = 10.0


class BotProcess:
    """``python -m bot run`` in a folder of its own: no ``.env`` and no setting of the caller leaks in.

    Args:
        settings: names and values of the documented settings.
        folder: its working directory; the log is ``bot.log`` in it.
        clock: what it takes for the time, instead of the real time.
        descriptors: how many files and sockets it may open: the soft limit and the hard one.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        folder: Path,
        *,
        clock: WorldClock | None = None,
        descriptors: tuple[int, int] | None = None,
    ) -> None:
        self._settings = dict(settings)
        self._folder = folder
        self._descriptors = descriptors
        self._program = ("sandbox.bot_with_clock", str(clock.path.resolve())) if clock else ("bot", "run")
        self.process: asyncio.subprocess.Process | None = None
        self._logged_before = 0

    def use(self, settings: Mapping[str, str]) -> None:
        """Start it with these settings from now on."""
        self._settings = dict(settings)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.process.pid if self.process and self.process.returncode is None else None

    @property
    def log(self) -> str:
        """All that it has logged, over all its lives."""
        path = self._folder / "bot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def address(self) -> str:
        """Where the routes of the process that runs are, as it logs it; "" until it listens."""
        if self.pid is None:
            return ""
        lines = self.log.encode()[self._logged_before :].splitlines()
        found = [re.search(rb"http://[\d.]+:\d+", line) for line in lines if b"listening" in line]
        return found[-1][0].decode() if found and found[-1] else ""

    async def start(self) -> None:
        """Start the process; it is not ready yet when this returns."""
        self._logged_before = len(self.log.encode())
        ours = {name.upper() for name in Settings.model_fields}
        inherited = {name: value for name, value in os.environ.items() if name.upper() not in ours}
        search_path = os.pathsep.join(filter(None, (str(PACKAGE_ROOT), inherited.get("PYTHONPATH"))))
        with (self._folder / "bot.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self._program,
                cwd=self._folder,
                env={**inherited, "PYTHONPATH": search_path, **self._settings},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._prepare,
            )

    def _prepare(self) -> None:
        """Run in the child, before the program."""
        if self._descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._descriptors)
        if sys.platform == "linux":
            _die_with_parent()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.process and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def kill(self) -> None:
        """End it as a crash would: ``kill -9``."""
        self.signal(signal.SIGKILL)
        await self.wait()

    async def stop(self) -> int:
        """Ask it to stop, and return its exit code; kill it when it does not stop in time."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOPS_WITHIN_S):
                return await self.wait()
        except TimeoutError:
            await self.kill()
            raise

    async def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        return await self.process.wait() if self.process else 0


def _die_with_parent() -> None:
    """Have the kernel end this process with its parent, however that ends: prctl(2), PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
