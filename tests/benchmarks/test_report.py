"""The benchmark's table: what is written can be read, printed and put into a page."""

import pytest

from benchmarks.report import Row, heading, machine, read, table, write
from benchmarks.table import BEGIN, END, main, put_into

ROWS = [
    Row("acks", "1.0 ms", "≤ 2 ms", is_met=True, guarded=True, values={"p50_ms": 1.0}),
    Row("a|b", "3.0 ms", "≤ 2 ms", is_met=False),
    Row("idle", "5 MB"),
]


def test_a_row_says_whether_its_goal_is_met():
    """It's met or missed, or empty without a goal; a bar in a cell doesn't begin a column."""
    assert table(ROWS).splitlines()[2:] == [
        "| acks | 1.0 ms | ≤ 2 ms | met |",
        r"| a\|b | 3.0 ms | ≤ 2 ms | MISSED |",
        "| idle | 5 MB |  |  |",
    ]


def test_the_heading_names_the_machine_and_what_was_measured():
    """A number without its machine, date and versions means nothing."""
    about = machine() | {"all_took_s": 5.0}
    said = heading(about)
    assert f"Measured {about['at']} in 5 s, on {about['cores']} cores ({about['cpu']}" in said
    assert f"slack-bolt {about['versions']['slack-bolt']}" in said


def test_what_is_written_can_be_read(tmp_path):
    """The JSON has every row completely."""
    about = machine()
    write(tmp_path / "results.json", ROWS, about)
    assert read(tmp_path / "results.json") == (ROWS, about)


def test_a_page_gets_the_tables_of_several_runs(tmp_path):
    """The text between the markers is replaced; the rest of the page stays."""
    for name, row in (("a", ROWS[0]), ("b", ROWS[2])):
        write(tmp_path / name, [row], machine())
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    main([str(tmp_path / "a"), str(tmp_path / "b"), "--into", str(page)])
    found = page.read_text()
    assert found.startswith(f"before\n{BEGIN}\n\nMeasured")
    assert found.endswith(f"{END}\nafter\n")
    assert "| acks |" in found
    assert "| idle |" in found
    assert "old" not in found


@pytest.mark.parametrize("page", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN} {END} {BEGIN} {END}"])
def test_a_page_without_its_marks_is_refused(page):
    """Nothing is overwritten by guessing."""
    with pytest.raises(ValueError, match="once each"):
        put_into(page, "text")
