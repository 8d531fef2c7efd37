"""Rows of the table: what was measured, against which goal, and whether it is met."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

MET: Final = "met"
MISSED: Final = "MISSED"
SHOWN: Final = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Args:
        what: what is measured.
        measured: what came out, for people.
        goal: what was wanted; "" when the value is only shown.
        is_met: whether it is; None when there is no goal.
        guarded: the same with a generous margin, which CI holds; None when it does not.
        values: what came out, for programs.
    """

    what: str
    measured: str
    goal: str = ""
    is_met: bool | None = None
    guarded: bool | None = None
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Say whether the goal is met."""
        return SHOWN if self.is_met is None else MET if self.is_met else MISSED


def table(rows: list[Row]) -> str:
    """Write the rows as Markdown."""
    lines = ["| row | measured | goal | |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.what} | {row.measured} | {row.goal} | {row.verdict} |" for row in rows)])


def machine() -> dict[str, Any]:
    """Say where this ran."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "cpu": model,
        "python": platform.python_version(),
        "system": platform.system(),
        "load_average": os.getloadavg()[0],
    }


def write(path: Path, rows: list[Row], about: dict[str, Any]) -> None:
    """Write everything as JSON."""
    everything = {"machine": about, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(everything, indent=2, ensure_ascii=False) + "\n")
