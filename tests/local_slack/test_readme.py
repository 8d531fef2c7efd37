"""The README's example works as it's written."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "local_slack" / "README.md"


async def test_the_example_passes():
    """The example, copied from the README, is a test that passes."""
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, str(README), "exec"), names)  # noqa: S102 - our own text
    await names["test_hello"]()


def test_every_name_exists():
    """Every attribute that the README's table names belongs to LocalSlack or to what it holds."""
    from local_slack import App, LocalSlack  # noqa: PLC0415

    slack = LocalSlack(App())
    table = README.read_text().split("## What you can do")[1].split("## What it refuses")[0]
    names = [name for name in re.findall(r"`([a-z_.]+)(?:\(.*?\))?`", table) if name]
    assert len(names) > 20
    for name in names:
        found = slack
        for part in name.split("."):
            assert hasattr(found, part), name
            found = getattr(found, part)
