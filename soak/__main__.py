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
from soak.settings import CLICKS_PER_MINUTE, KILLS_PER_MINUTE, LEASE_S, Settings
from soak.storm import Storm


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says; return 1 if there was a violation."""
    given = _parser().parse_args(arguments)
    seed = random.SystemRandom().randrange(100_000) if given.seed is None else given.seed
    broken = False
    for kind in ("sqlite", "postgresql") if given.database == "both" else (given.database,):
        replicas = 1 if kind == "sqlite" else given.replicas
        settings = Settings(
            given.minutes,
            seed,
            kind,
            replicas,
            given.kills,
            given.clicks,
            lease_s=given.lease,
            workspaces=given.workspaces,
            is_distributed=given.distributed,
        )
        folder = Path(tempfile.mkdtemp(prefix=f"flokit-soak-{kind}-"))
        print(f"soak on {kind}: seed {seed}, {given.minutes:g} min, replicas: {replicas}, logs in {folder}", flush=True)
        result = asyncio.run(Storm(settings, folder).run())
        _show(result, folder)
        broken |= bool(result.violations)
    return int(broken)


def _show(result: Result, folder: Path) -> None:
    result.write(folder / "report.json")
    print(result.table)
    for violation in result.violations:
        print(f"\nVIOLATION: {violation.promise}\n   {violation.proof}")
    print(flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument(
        "--minutes",
        type=float,
        default=1.0,
        help="how long faults are injected; waiting and comparing take two or three minutes more",
    )
    parser.add_argument("--seed", type=int, help="random by default; it is printed")
    parser.add_argument("--replicas", type=int, default=3, help="on PostgreSQL; SQLite always has one")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument(
        "--workspaces",
        type=int,
        default=1,
        help="more than one: all of them install the app, most uninstall it for a while, and nothing may cross over",
    )
    parser.add_argument("--kills", type=float, default=KILLS_PER_MINUTE, help="kill -9 signals per minute and replica")
    parser.add_argument(
        "--clicks",
        type=float,
        default=CLICKS_PER_MINUTE,
        help="how often per minute people start to do something that may sync",
    )
    parser.add_argument(
        "--lease",
        type=float,
        default=LEASE_S,
        help="seconds; each call of Slack or FloKit may take a share of it, so a busy machine needs more",
    )
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="let the app read history once a minute, 15 messages at a time, as outside the Marketplace",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
