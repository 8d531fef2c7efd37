"""The replicas: real processes that are started, killed, frozen and stopped; one that ends is started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.child import STOPS_WITHIN_S, BotProcess
from sandbox.clock import WorldClock
from soak.evidence import Exit, Sample, Span

AWAY_S: Final = 0.3
"""The pause before a replica is started again."""

SAMPLED_EVERY_S: Final = 2.0


class Replica:
    """One place in the fleet: a process, and the next one when that ends."""

    def __init__(self, name: str, settings: Mapping[str, str], folder: Path, clock: WorldClock, program: str) -> None:
        self.name = name
        self.process = BotProcess(settings, folder, clock=clock, program=program)
        self._now = clock.time
        self.exits: list[Exit] = []
        self.samples: list[Sample] = []
        self.spans: list[Span] = []
        self._log_path = folder / "bot.log"
        self._ordered = ""
        self._ordered_at = 0.0
        self._ordered_mono = 0.0
        self._frozen = False
        self._closing = False
        self._logged_before = 0

    @property
    def is_up(self) -> bool:
        """Whether it works: a process that has not logged anything is still being loaded, and has nothing to lose."""
        works = self.process.pid is not None and self._log_size > self._logged_before
        return works and not self._ordered and not self._frozen

    @property
    def _log_size(self) -> int:
        return self._log_path.stat().st_size if self._log_path.exists() else 0

    async def run(self) -> None:
        """Keep a process here until closed."""
        while not self._closing:
            self._ordered = ""
            self._logged_before = self._log_size
            await self.process.start()
            code = await self.process.wait()
            now = self._now()
            took_s = time.monotonic() - self._ordered_mono if self._ordered else 0.0
            self.exits.append(Exit(self.name, now, code, self._ordered, took_s))
            self.spans.append(Span("ended", self._ordered_at if self._ordered else now, now))
            if not self._closing:
                await asyncio.sleep(AWAY_S)

    def kill(self) -> bool:
        """End it as a crash would, now; False when it is not up."""
        return self._order(signal.SIGKILL)

    def terminate(self) -> bool:
        """Ask it to stop; if it doesn't in time, it's killed, which the checker reports."""
        if not self._order(signal.SIGTERM):
            return False
        asyncio.get_running_loop().call_later(STOPS_WITHIN_S, self._insist, self.process.pid)
        return True

    def _insist(self, pid: int | None) -> None:
        if self.process.pid == pid:
            self.process.signal(signal.SIGKILL)

    def _order(self, number: signal.Signals) -> bool:
        if not self.is_up:
            return False
        self._note_order(number)
        self.process.signal(number)
        return True

    def _note_order(self, number: signal.Signals) -> None:
        self._ordered, self._ordered_at, self._ordered_mono = number.name, self._now(), time.monotonic()

    async def freeze(self, seconds: float) -> bool:
        """Let it stand still for a while, as a machine that swaps or moves does."""
        if not self.is_up:
            return False
        began_at = self._now()
        self._frozen = True
        self.process.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.process.signal(signal.SIGCONT)
            self._frozen = False
            self.spans.append(Span("frozen", began_at, self._now()))
        return True

    async def close(self) -> None:
        """Ask it to stop for good, and wait."""
        self._closing = True
        if not self.terminate():
            self._note_order(signal.SIGKILL)
            self.process.signal(signal.SIGKILL)
        await self.process.wait()

    def sample(self) -> None:
        """Note its memory once it is loaded: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html."""
        pid = self.process.pid if self._log_size > self._logged_before else None  # what loads is small
        statm = Path(f"/proc/{pid}/statm")
        if pid is None or not statm.exists():
            return
        pages = int(statm.read_text().split()[1])
        self.samples.append(Sample(self.name, pid, time.monotonic(), pages * os.sysconf("SC_PAGE_SIZE") / 2**20))

    @property
    def webhook_url(self) -> str:
        """Where its newest process takes webhooks; "" while it is not up."""
        address = self.process.address if self.is_up else ""
        return f"{address}/webhooks/flokit" if address else ""

    @property
    def log(self) -> list[dict[str, Any]]:
        """What all its processes logged; a line that is no JSON is kept as ``raw``. A kill may cut a line short."""
        entries: list[dict[str, Any]] = []
        for line in self.process.log.splitlines():
            try:
                entries.append({"replica": self.name, **json.loads(line)})
            except ValueError:
                entries.append({"replica": self.name, "event": line, "level": "raw"})
        return entries


class Fleet:
    """All replicas."""

    def __init__(
        self,
        count: int,
        settings: Mapping[str, str],
        folder: Path,
        clock: WorldClock,
        program: str,
        *,
        first_port: int = 0,
    ) -> None:
        """Make them; the first one listens on ``first_port``, and 0 is any free one."""
        self.replicas: list[Replica] = []
        for number in range(1, count + 1):
            home = folder / f"replica-{number}"
            home.mkdir(parents=True)
            own = {**settings, "PORT": str(first_port)} if number == 1 else settings
            self.replicas.append(Replica(home.name, own, home, clock, program))

    @property
    def webhook_url(self) -> str:
        """Where a replica takes webhooks; "" while none listens."""
        return next((url for replica in reversed(self.replicas) if (url := replica.webhook_url)), "")

    @property
    def mortal(self) -> list[Replica]:
        """Those that may be killed: all but the first, if there are others."""
        return self.replicas[1:] or self.replicas

    async def run(self) -> None:
        """Keep all of them running, and watch their memory, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for replica in self.replicas:
                group.create_task(replica.run())
            group.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SAMPLED_EVERY_S)
            for replica in self.replicas:
                replica.sample()

    async def close(self) -> None:
        """Stop all of them politely."""
        await asyncio.gather(*(replica.close() for replica in self.replicas))
