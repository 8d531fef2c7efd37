"""Reads a policy, from the policy file or from a text; ``policy_text`` parses it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bot.core.access.policy import Policy, Problem
from bot.core.errors import SettingsError

MAX_BYTES: Final = 256 * 1024


def load_policy(path: Path | None) -> Policy:
    """Read the policy file; without one, the built-in rules are the policy.

    Raises:
        SettingsError: one sentence for each thing that is wrong, with line and column.
    """
    if path is None:
        return Policy()
    if path.is_fifo():  # opening it would block
        raise SettingsError([f"POLICY_FILE: {path} is a pipe; name a file."])
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError([f"POLICY_FILE: {path} can't be read ({error.strerror})."]) from error
    if len(data) > MAX_BYTES:
        raise SettingsError([f"POLICY_FILE: {path} has more than {MAX_BYTES // 1024} kB; is it the right file?"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError([f"POLICY_FILE: {path} isn't UTF-8 text; save it as UTF-8."]) from error
    from bot.settings.policy_text import parse_policy  # noqa: PLC0415 - most bots have no policy file, and importing YAML is slow

    return parse_policy(text, str(path))


def read_policy(text: str) -> Policy | tuple[Problem, ...]:
    """Read the text of a policy; return what is wrong with it, if anything is. It takes up to 5 µs a character."""
    from bot.settings import policy_text  # noqa: PLC0415 - see above

    return policy_text.read_policy(text)
