"""stdout and stderr as they are found: in any encoding, closed, full, or read by nobody any more.

What a command says never ends it, and its exit code stays true.
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
"""How the characters that the bot uses are written where only ASCII can be; others become escapes."""

_HANDLER: Final = "flokit_plain"


def prepare() -> bool:
    """Make both streams take any text; return whether there is a stdout at all."""
    codecs.register_error(_HANDLER, _write_plainly)
    has_stdout = sys.stdout is not None
    # A descriptor that the caller closed would be given to the next file or socket, and be written over.
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
    """Have stdout take UTF-8, whatever the terminal's encoding is: what is exported is for programs."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def say(line: object, *, to_stderr: bool = False) -> None:
    """Write a line; if nobody can read it, say nothing more."""
    stream = sys.stderr if to_stderr else sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError:
        hush(stream)


def finish() -> None:
    """Write what is still buffered, so that nothing can fail while the interpreter ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            hush(stream)


def hush(stream: TextIO) -> None:
    """Drop what is still to be written, now and later."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unwritable = error.object[error.start : error.end]
    return "".join(PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in unwritable), error.end
