"""Rows of the table: what was measured, its goal, and whether it's met."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

MET: Final = "met"
MISSED: Final = "MISSED"
SHOWN: Final = ""

MEASURED: Final = ("flokit-bot", "slack-bolt", "slack-sdk", "aiohttp", "httpx", "SQLAlchemy", "asyncpg")
"""Packages whose versions affect the numbers."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Args:
        what: what is measured.
        measured: the result, formatted for people.
        goal: the goal; "" if there is none.
        is_met: whether the goal is met; None if there is none.
        guarded: whether it's met with the generous margin that CI checks; None if CI doesn't.
        values: the result, for programs.
    """

    what: str
    measured: str
    goal: str = ""
    is_met: bool | None = None
    guarded: bool | None = None
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``met`` or ``MISSED``; "" if there is no goal."""
        return SHOWN if self.is_met is None else MET if self.is_met else MISSED


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| row | measured | goal | |", "|---|---|---|---|"]
    return "\n".join([*lines, *(_line(row.what, row.measured, row.goal, row.verdict) for row in rows)])


def _line(*cells: str) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def heading(about: Mapping[str, Any]) -> str:
    """Return a sentence that says when, where and with which versions the rows were measured."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"Measured {about['at']} in {about.get('all_took_s', 0):.0f} s, on {about['cores']} cores "
        f"({about['cpu']}, {about['system']}) with a load of {about['load_average']:.1f} before; {versions}."
    )


def machine() -> dict[str, Any]:
    """Return the time, the machine and the versions."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "cpu": model,
        "system": platform.system(),
        "load_average": os.getloadavg()[0],
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in MEASURED}},
    }


def write(path: Path, rows: Sequence[Row], about: Mapping[str, Any]) -> None:
    """Write the rows and the machine as JSON."""
    everything = {"machine": about, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(everything, indent=2, ensure_ascii=False) + "\n")


def read(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """Read the file that ``write`` wrote. Return the rows and the machine."""
    everything = json.loads(path.read_text())
    return [Row(**row) for row in everything["rows"]], everything["machine"]
