"""``python -m soak``: run one soak, or one on each database, and print the closing tables."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from soak.report import Result
from soak.settings import CLICKS_PER_MINUTE, KILLS_PER_MINUTE, Settings
from soak.storm import Storm


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told by the command line; 1 when a promise was broken."""
    told = _parser().parse_args(arguments)
    seed = random.SystemRandom().randrange(100_000) if told.seed is None else told.seed
    broken = False
    for kind in ("sqlite", "postgresql") if told.database == "both" else (told.database,):
        replicas = 1 if kind == "sqlite" else told.replicas
        settings = Settings(told.minutes, seed, kind, replicas, told.kills, told.clicks)
        folder = Path(tempfile.mkdtemp(prefix=f"flokit-soak-{kind}-"))
        print(f"soak on {kind}: seed {seed}, {told.minutes:g} min, {replicas} replicas, logs in {folder}", flush=True)
        result = asyncio.run(Storm(settings, folder).run())
        _show(result, folder)
        broken |= bool(result.violations)
    return int(broken)


def _show(result: Result, folder: Path) -> None:
    result.write(folder / "report.json")
    print(result.table)
    for violation in result.violations:
        print(f"\nBROKEN: {violation.promise}\n   {violation.proof}")
    print(flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of storm; clearing up comes on top")
    parser.add_argument("--seed", type=int, help="a random one by default; it is printed")
    parser.add_argument("--replicas", type=int, default=3, help="on PostgreSQL; a SQLite file is for one process")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--kills", type=float, default=KILLS_PER_MINUTE, help="kill -9 a minute and replica")
    parser.add_argument("--clicks", type=float, default=CLICKS_PER_MINUTE, help="errands of people a minute")
    return parser


if __name__ == "__main__":
    sys.exit(main())
