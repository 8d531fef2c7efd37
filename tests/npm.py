"""Packages of npm, exactly those of a lock file, in their own folder, and programs that use them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

NODE, NPM = shutil.which("node"), shutil.which("npm")
INSTALLS_WITHIN_S = 120
READY_WITHIN_S = 20
NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def need_node() -> None:
    """Skip the test where there is no node; in CI there must be one."""
    if (NODE is None or NPM is None) and "CI" not in os.environ:
        pytest.skip("no node on this machine; CI has one")
    assert NODE, "node is missing: apt-get install nodejs npm"
    assert NPM, "npm is missing: apt-get install npm"


async def install(source: Path, folder: Path) -> None:
    """Install the packages that are locked in ``source`` into ``folder``."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    process = await asyncio.create_subprocess_exec(NPM, *NPM_CI, cwd=folder)
    async with asyncio.timeout(INSTALLS_WITHIN_S):
        assert await process.wait() == 0


@asynccontextmanager
async def running(folder: Path, script: str, settings: dict[str, str]):
    """Run a program until the end of the block; yields the JSON that it says when it's ready.

    Args:
        settings: its environment.
    """
    process = await asyncio.create_subprocess_exec(
        NODE,
        script,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **settings},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            line = await process.stdout.readline()
        yield json.loads(line)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                assert await process.wait() == 0
        except TimeoutError:
            process.kill()
            raise
