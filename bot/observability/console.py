"""Writing to stdout and stderr in any encoding, even if they are closed, full, or no longer read.

A failed write never stops a command or changes its exit code.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Final, TextIO

PLAIN: Final = {
    "✓": "ok",
    "✗": "wrong",
    "…": "...",
    "→": "->",
    "\u2013": "-",
    "—": "-",
    "·": "-",
    "\u2018": "'",
    "\u2019": "'",
    "“": '"',
    "”": '"',
}
"""ASCII forms of the characters that the bot prints; any others are escaped."""

_HANDLER: Final = "flokit_plain"


def prepare() -> bool:
    """Make both streams accept any text; return whether there is a stdout."""
    codecs.register_error(_HANDLER, _write_plainly)
    has_stdout = sys.stdout is not None
    # A closed descriptor would be reused by the next file or socket, and prints would be written into that.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)
    return has_stdout


def write_utf8() -> None:
    """Make stdout use UTF-8 whatever the terminal's encoding is: exports are read by programs."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def say(line: object, *, to_stderr: bool = False) -> None:
    """Write a line; if that fails, drop this stream's output from now on."""
    stream = sys.stderr if to_stderr else sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError:
        hush(stream)


def finish() -> None:
    """Flush both streams, so that nothing fails when the interpreter exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            hush(stream)


def hush(stream: TextIO) -> None:
    """Discard what is buffered and everything written later."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unwritable = error.object[error.start : error.end]
    return "".join(PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in unwritable), error.end
