"""The JavaScript programs, with exactly the packages of their lock file."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.npm import install, need_node

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory) -> Path:
    """A folder with copies of the programs."""
    need_node()
    folder = tmp_path_factory.mktemp("foreign")
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, folder)
    asyncio.run(install(HERE, folder))
    return folder
