"""``flokit-bot`` and ``python -m bot``: handle signals first, then load the bot.

The first process of a container ignores a signal that it has no handler for. Loading the bot takes up to a second, and
a SIGTERM in that second must count. This module imports nothing that takes time.
"""

import os
import signal
import sys
from types import FrameType

STOPPED_WELL = ("run", "sandbox")
"""Commands that work until they are stopped. The others have something to finish: there a signal is a failure."""


def main() -> int:
    """Run one command and return its exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    from bot.cli import main as run  # noqa: PLC0415 - only now

    return run()


def _stop(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing is in hand yet, or the database rolls it back. A bot that runs replaces this handler."""
    os._exit(0 if sys.argv[1:2] and sys.argv[1] in STOPPED_WELL else 128 + number)


if __name__ == "__main__":
    sys.exit(main())
