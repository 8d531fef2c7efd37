"""Feels the pulse of the event loop: how late it is, once a second."""

from __future__ import annotations

import asyncio
from typing import Final

from bot.observability.telemetry import Telemetry

BEAT_S: Final = 1.0


async def feel_pulse(telemetry: Telemetry, *, every_s: float = BEAT_S) -> None:
    """Report how late the loop wakes us, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_at = loop.time() + every_s
        await asyncio.sleep(every_s)
        telemetry.loop_lagged(loop.time() - due_at)
