"""Names for new rows."""

from __future__ import annotations

import secrets


def new_id(prefix: str) -> str:
    """Make an id that nothing else has: ``run_3f9c2a…``, 64 random bits behind a readable prefix."""
    return f"{prefix}_{secrets.token_hex(8)}"
