"""The row of sizes: what's counted, and what it says without the package index."""

import asyncio

import pytest

from benchmarks.options import Options
from benchmarks.rows import sizes
from benchmarks.rows.sizes import Size, size_of


def test_an_installation_is_its_files_and_its_distributions(tmp_path):
    """All files count once, links don't; every distribution except its own is a dependency."""
    wheel = tmp_path / "thing-1.2-py3-none-any.whl"
    wheel.write_bytes(b"x" * 10)
    for name in ("thing-1.2.dist-info", "other-3.dist-info", "thing"):
        (tmp_path / "all" / name).mkdir(parents=True)
    (tmp_path / "all/thing/code.py").write_bytes(b"x" * 7)
    (tmp_path / "all/other-3.dist-info/METADATA").write_bytes(b"x" * 5)
    (tmp_path / "all/link").symlink_to(tmp_path / "all/thing/code.py")
    assert size_of(wheel, tmp_path / "all") == Size("1.2", 10, 12, 1)


def test_without_the_package_index_the_row_says_so(monkeypatch):
    """Nothing is made up, and the rest of the table is still printed."""

    async def refuse(*_arguments):
        raise sizes.PipFailed

    monkeypatch.setattr(sizes, "_pip", refuse)
    [row] = asyncio.run(sizes.measure(Options()))
    assert row.measured == "not measured: pip couldn't get flokit-bot; is the package index reachable?"
    assert row.verdict == ""


@pytest.mark.parametrize("size", [Size("1.2", 12_345, 67_800_000, 9)])
def test_a_size_is_shown_with_its_units(size):
    """A kilobyte is 1,000 bytes, as on package pages."""
    assert size.shown == "1.2: wheel 12 kB, installed 68 MB, 9 dependencies"
