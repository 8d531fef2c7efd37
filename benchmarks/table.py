"""``python -m benchmarks.table``: print results as Markdown, or put them into a page of the documentation."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.report import heading, read, table

RESULTS: Final = Path(__file__).parent / "results.json"
BEGIN: Final = "<!-- python -m benchmarks.table: begin -->"
END: Final = "<!-- python -m benchmarks.table: end -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or write them between the two markers of a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument(
        "results", nargs="*", type=Path, default=[RESULTS], help="one or more files that --output wrote"
    )
    parser.add_argument("--into", type=Path, help="a page with the two markers; printed if omitted")
    given = parser.parse_args(arguments)
    text = "\n\n".join(shown(path) for path in given.results)
    if given.into is None:
        print(text)
        return 0
    given.into.write_text(put_into(given.into.read_text(), text))
    return 0


def shown(path: Path) -> str:
    """Return one run's heading and table."""
    rows, about = read(path)
    return f"{heading(about)}\n\n{table(rows)}"


def put_into(page: str, text: str) -> str:
    """Return the page with the text between its markers.

    Raises:
        ValueError: the page doesn't have each marker once, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in old + after or END in before + after:
        raise ValueError(f"the page must contain {BEGIN} and {END} once each")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
