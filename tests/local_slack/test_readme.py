"""The README's examples work as they're written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "local_slack" / "README.md"


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["test_hello", "test_install"])
async def test_the_examples_pass(name):
    """The examples, copied from the README, are tests that pass."""
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(examples) == 2
    [example] = [one for one in examples if f"def {name}(" in one]
    names: dict[str, object] = {}
    exec(compile(example, str(README), "exec"), names)  # noqa: S102 - our own text
    await names[name]()


def test_every_documented_name_exists():
    """Every attribute in the README's table belongs to LocalSlack or to one of its attributes."""
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
