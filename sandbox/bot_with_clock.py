"""``python -m sandbox.bot_with_clock FILE``: runs the bot like ``flokit-bot run``, on the clock in FILE."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bot.cli import load_build
from bot.core.errors import SettingsError
from bot.observability.logs import configure_logging
from bot.settings.settings import load_settings
from sandbox.clock import WorldClock


async def run(clock: WorldClock) -> None:
    """Run until stopped.

    Raises:
        SettingsError: as from ``flokit-bot run``.
    """
    build = load_build()
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level, secrets=settings.secrets)
    await build(settings, clock=clock.now).run()


def main(clock_file: Path) -> int:
    """Run until stopped, and return the exit code."""
    try:
        asyncio.run(run(WorldClock(clock_file)))
    except SettingsError as error:
        print(*error.problems, sep="\n", file=sys.stderr)  # noqa: T201 - where the command line says it
        return os.EX_CONFIG
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
