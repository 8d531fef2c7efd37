"""Measures the event loop's lag once a second."""

from __future__ import annotations

import asyncio
from typing import Final

from bot.observability.telemetry import Telemetry

BEAT_S: Final = 1.0


async def feel_pulse(telemetry: Telemetry, *, every_s: float = BEAT_S) -> None:
    """Report the lag until canceled."""
    loop = asyncio.get_running_loop()
    while True:
        due_at = loop.time() + every_s
        await asyncio.sleep(every_s)
        telemetry.loop_lagged(loop.time() - due_at)
