"""Rows of the table: what was measured, against which goal, and whether it is met."""

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
"""What the numbers depend on beside the machine."""


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


def table(rows: Sequence[Row]) -> str:
    """Write the rows as Markdown."""
    lines = ["| row | measured | goal | |", "|---|---|---|---|"]
    return "\n".join([*lines, *(_line(row.what, row.measured, row.goal, row.verdict) for row in rows)])


def _line(*cells: str) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def heading(about: Mapping[str, Any]) -> str:
    """Say in a sentence when, where and with what the rows were measured."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"Measured {about['at']} within {about.get('all_took_s', 0):.0f} s, on {about['cores']} cores "
        f"({about['cpu']}, {about['system']}) whose load was {about['load_average']:.1f} before; {versions}."
    )


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
        "system": platform.system(),
        "load_average": os.getloadavg()[0],
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in MEASURED}},
    }


def write(path: Path, rows: Sequence[Row], about: Mapping[str, Any]) -> None:
    """Write everything as JSON."""
    everything = {"machine": about, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(everything, indent=2, ensure_ascii=False) + "\n")


def read(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """Read what ``write`` wrote: the rows, and about them."""
    everything = json.loads(path.read_text())
    return [Row(**row) for row in everything["rows"]], everything["machine"]
