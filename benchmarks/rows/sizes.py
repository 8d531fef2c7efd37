"""Installed sizes of this bot and of three that people would otherwise run, all from the package index.

Measured only if it's named, because it needs the index and about 400 MB of disk space.
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
"""Slack bots that are installed from the index and run commands, each installed as its documentation says. The newest
releases that support this Python."""

OURS: Final = "flokit-bot"


class PipFailed(Exception):
    """pip failed; its output is on stderr."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of an installation."""

    version: str
    wheel_bytes: int
    installed_bytes: int
    """All files except compiled ones, which are created at the first start and depend on Python's version."""
    dependencies: int
    """Distributions other than its own."""

    @property
    def shown(self) -> str:
        """Format it for people."""
        return (
            f"{self.version}: wheel {self.wheel_bytes / 1000:.0f} kB, installed {self.installed_bytes / 1e6:.0f} MB, "
            f"{self.dependencies} dependencies"
        )


async def measure(_options: Options) -> list[Row]:
    """Install each into its own folder."""
    what = "wheel, installed size and dependencies, without compiled files"
    sizes: dict[str, Size] = {}
    with tempfile.TemporaryDirectory(prefix="flokit-sizes-") as folder:
        for name in (OURS, *PEERS):
            try:
                sizes[name] = await _measure(name, Path(folder))
            except PipFailed:
                return [Row(what, f"not measured: pip couldn't get {name}; is the package index reachable?")]
    shown = "; ".join(f"{name} {size.shown}" for name, size in sizes.items())
    return [Row(what, shown, values={name: asdict(size) for name, size in sizes.items()})]


async def _measure(name: str, folder: Path) -> Size:
    wheels, installed = folder / f"{name}-wheel", folder / f"{name}-installed"
    if name == OURS:  # with the build backend from the development environment
        await _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT)
    else:
        await _pip("wheel", "--no-deps", "--wheel-dir", wheels, name)
    [wheel] = wheels.glob("*.whl")
    await _pip("install", "--no-compile", "--target", installed, wheel if name == OURS else name)
    return size_of(wheel, installed)


def size_of(wheel: Path, installed: Path) -> Size:
    """Measure a wheel and the folder that it was installed into."""
    files = (path for path in installed.rglob("*") if path.is_file() and not path.is_symlink())
    return Size(
        version=wheel.name.split("-")[1],
        wheel_bytes=wheel.stat().st_size,
        installed_bytes=sum(path.stat().st_size for path in files),
        dependencies=len(list(installed.glob("*.dist-info"))) - 1,
    )


async def _pip(*arguments: str | Path) -> None:
    """Run pip; if it fails, print its output to stderr.

    Raises:
        PipFailed: pip failed.
    """
    command = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments)
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        print(said.decode(errors="replace"), file=sys.stderr)
        raise PipFailed
