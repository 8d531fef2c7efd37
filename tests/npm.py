"""Packages of npm that tests use: exactly those of a lock file, in a folder of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

NODE, NPM = shutil.which("node"), shutil.which("npm")
INSTALLS_WITHIN_S = 120
NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def need_node() -> None:
    """Skip the test where there is no node; in CI there must be one."""
    if (NODE is None or NPM is None) and "CI" not in os.environ:
        pytest.skip("no node on this machine; CI has one")
    assert NODE, "node is missing: apt-get install nodejs npm"
    assert NPM, "npm is missing: apt-get install npm"


async def install(source: Path, folder: Path) -> None:
    """Install into ``folder`` the packages that are locked in ``source``."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    process = await asyncio.create_subprocess_exec(NPM, *NPM_CI, cwd=folder)
    async with asyncio.timeout(INSTALLS_WITHIN_S):
        assert await process.wait() == 0
