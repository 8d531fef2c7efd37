"""From a click to its row: when the panel shows that a sync was requested, accepted, and seen running."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

from benchmarks.arithmetic import Spread
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.slack import LoadSlack
from benchmarks.subjects import BOT, fetch_calls, running, running_flokit
from bot.core.commands.presses import Action

SAMPLES: Final = 12
LATENCY_S: Final = 0.05
"""The latency of Slack and FloKit."""

KEY: Final = "flokit-key"
SYNC_S: Final = 4.0
"""Long enough to be seen, and finished before the same row is pressed again."""

TRIPS: Final = 3
"""Reading FloKit's state, the POST, and updating the message."""

ALLOWED_S: Final = TRIPS * LATENCY_S + 0.1
SHOWN_WITHIN_S: Final = 10.0


class Panel:
    """One message with a row for each integration, in its own channel. Records when and how it's updated."""

    def __init__(self, slack: LoadSlack, channel: str) -> None:
        self._slack = slack
        self._channel = channel
        self._changed = asyncio.Event()
        self._clicked_at = 0.0
        self.ts = ""
        self.blocks: list[dict[str, Any]] = []
        self.edits: list[tuple[float, str]] = []
        """Seconds after the click until Slack had each version, and its blocks as text."""

    def note(self, method: str, arguments: dict[str, Any], ts: str, at: float) -> None:
        """Record a call of the bot."""
        if arguments.get("channel") != self._channel:
            return
        if method == "chat.postMessage" and not self.ts:
            self.ts, self.blocks = ts, arguments["blocks"]
        elif method == "chat.update" and ts == self.ts:
            self.edits.append((at + LATENCY_S - self._clicked_at, json.dumps(arguments["blocks"], ensure_ascii=False)))
        self._changed.set()

    async def open(self) -> None:
        """Run the status command, and wait for the message."""
        await self._slack.command("status", channel=self._channel)
        while not self.ts:
            await self._change()
        await asyncio.sleep(0.5)  # lets the rest of the work finish

    async def resync(self, integration_id: str) -> None:
        """Press a row's button. Return once the row says that FloKit is syncing."""
        buttons = [block.get("accessory", {}) for block in self.blocks]
        values = [button["value"] for button in buttons if button.get("action_id") == Action.RESYNC]
        self._clicked_at = time.perf_counter()
        [value] = [value for value in values if integration_id in value]
        await self._slack.click(Action.RESYNC, value, channel=self._channel, ts=self.ts)
        already = _syncing(json.dumps(self.blocks, ensure_ascii=False))
        while not self.edits or _syncing(self.edits[-1][1]) == already:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        async with asyncio.timeout(SHOWN_WITHIN_S):
            await self._changed.wait()


def _syncing(blocks: str) -> int:
    """Count the rows with a running sync, including those of earlier clicks."""
    return blocks.count("syncing — resync")


async def measure(options: Options) -> list[Row]:
    """Click on a new panel each time, with Slack and FloKit at 50 ms."""
    asked, accepted, seen, trips = [], [], [], []
    async with (
        running_flokit(integrations=8, sync_s=SYNC_S, latency_s=LATENCY_S) as flokit_url,
        running(BOT, flokit_url, key=KEY) as subject,
    ):
        subject.slack.latency_s = LATENCY_S
        for number in range(options.rounds(SAMPLES)):
            panel = Panel(subject.slack, f"C{number:08d}")
            subject.slack.on_call = panel.note
            await panel.open()
            before = (await fetch_calls(flokit_url))[KEY]
            await panel.resync(f"int_{number % 8:05d}")
            trips.append((await fetch_calls(flokit_url))[KEY] - before)
            asked.append(panel.edits[0][0])
            accepted.append(panel.edits[:2][-1][0])  # late updates are merged
            seen.append(panel.edits[-1][0])
    shown = Spread.of(accepted)
    return [
        Row(
            "click to updated row, with Slack and FloKit at 50 ms: until it shows who clicked; until it shows that "
            "FloKit accepted",
            f"{Spread.of(asked).shown('ms', 1000, 0)}; {shown.shown('ms', 1000, 0)}; until it shows *syncing* "
            f"{Spread.of(seen).shown('s')}",
            goal=f"≤ {TRIPS} API round trips + 100 ms ({ALLOWED_S * 1000:.0f} ms), p50",
            is_met=shown.median <= ALLOWED_S,
            values={"asked_s": asked, "accepted_s": accepted, "seen_syncing_s": seen, "flokit_calls": trips},
        )
    ]
