"""How much an installation is: ours, and three bots that people would otherwise run, all taken from the package index.

It is measured only when it is asked for, since it needs the index and some 400 MB of room.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.subjects import ROOT

PEERS: Final = ("errbot[slack]", "opsdroid[connector-slack]", "slack-machine")
"""Bots that are themselves installed from the index, talk to Slack and run commands, each as its own documentation
installs it for Slack. Of each the newest release that this Python takes."""

OURS: Final = "flokit-bot"


class PipFailed(Exception):
    """pip could not do it; what it said stands on stderr."""


@dataclass(frozen=True, slots=True)
class Size:
    """What an installation is made of."""

    version: str
    wheel_bytes: int
    installed_bytes: int
    """All files, without compiled ones: those are made at the first start, and differ between versions of Python."""
    dependencies: int
    """Distributions beside its own."""

    @property
    def shown(self) -> str:
        """Write it for people."""
        return (
            f"{self.version}: wheel {self.wheel_bytes / 1000:.0f} kB, installed {self.installed_bytes / 1e6:.0f} MB, "
            f"{self.dependencies} dependencies"
        )


async def measure(_options: Options) -> list[Row]:
    """Install each into a folder of its own."""
    what = "wheel, installed size and dependencies, without compiled files"
    sizes: dict[str, Size] = {}
    with tempfile.TemporaryDirectory(prefix="flokit-sizes-") as folder:
        for name in (OURS, *PEERS):
            try:
                sizes[name] = await _measure(name, Path(folder))
            except PipFailed:
                return [Row(what, f"not measured: pip could not get {name}; is the package index reachable?")]
    shown = "; ".join(f"{name} {size.shown}" for name, size in sizes.items())
    return [Row(what, shown, values={name: asdict(size) for name, size in sizes.items()})]


async def _measure(name: str, folder: Path) -> Size:
    wheels, installed = folder / f"{name}-wheel", folder / f"{name}-installed"
    if name == OURS:  # with the build backend that development has anyway
        await _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT)
    else:
        await _pip("wheel", "--no-deps", "--wheel-dir", wheels, name)
    [wheel] = wheels.glob("*.whl")
    await _pip("install", "--no-compile", "--target", installed, wheel if name == OURS else name)
    return size_of(wheel, installed)


def size_of(wheel: Path, installed: Path) -> Size:
    """Count what a wheel brought into a folder."""
    files = (path for path in installed.rglob("*") if path.is_file() and not path.is_symlink())
    return Size(
        version=wheel.name.split("-")[1],
        wheel_bytes=wheel.stat().st_size,
        installed_bytes=sum(path.stat().st_size for path in files),
        dependencies=len(list(installed.glob("*.dist-info"))) - 1,
    )


async def _pip(*arguments: str | Path) -> None:
    """Run it; what it prints when it fails goes to stderr.

    Raises:
        PipFailed: it ended with an error.
    """
    command = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments)
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        print(said.decode(errors="replace"), file=sys.stderr)
        raise PipFailed
