"""``flokit-bot`` and ``python -m bot``: handles signals first, then loads the bot.

The first process of a container ignores signals without a handler. Loading the bot takes up to a second, and a SIGTERM
in that second must not be lost, so this module imports nothing slow.
"""

import os
import signal
import sys
from types import FrameType

STOPPED_WELL = ("run", "sandbox")
"""Commands that run until stopped. For the others, which have a task to finish, a signal is a failure."""


def main() -> int:
    """Run one command and return its exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    from bot.cli import main as run  # noqa: PLC0415 - only now

    return run()


def _stop(number: int, _frame: FrameType | None) -> None:
    """Exit immediately: no work has started yet, or the database rolls it back. A running bot replaces this handler."""
    os._exit(0 if sys.argv[1:2] and sys.argv[1] in STOPPED_WELL else 128 + number)


if __name__ == "__main__":
    sys.exit(main())
