"""What the repository offers to contributors is valid, and matches what the project uses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CHECK_JSONSCHEMA = str(Path(sys.executable).with_name("check-jsonschema"))
SCHEMAS = {
    ".github/workflows/ci.yaml": "vendor.github-workflows",
    ".github/dependabot.yml": "vendor.dependabot",
    ".github/ISSUE_TEMPLATE/bug.yml": "vendor.github-issue-forms",
    ".github/ISSUE_TEMPLATE/question.yml": "vendor.github-issue-forms",
    ".github/ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
}


@pytest.mark.parametrize(("path", "schema"), SCHEMAS.items(), ids=SCHEMAS)
def test_github_accepts_its_files(path, schema):
    """Each file that GitHub reads is valid according to its published schema."""
    done = subprocess.run(
        [CHECK_JSONSCHEMA, "--builtin-schema", schema, path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_workflow_runs_the_same_script():
    """GitHub's CI runs the same script as developers do, on each supported Python."""
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())["jobs"]["test"]
    assert any(step.get("run") == "bash .ci/run" for step in job["steps"])
    lowest = re.search(r'requires-python = ">=(3\.\d+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert job["strategy"]["matrix"]["python"][0] == lowest


def test_a_bug_report_asks_for_the_check():
    """The template asks for the output of ``flokit-bot check``."""
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text())
    assert any("flokit-bot check" in field["attributes"].get("label", "") for field in form["body"])


def test_the_hooks_use_the_ruff_of_the_lock():
    """A commit hook that formats differently than CI would be a trap."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    locked = re.search(r"^ruff==(\S+)", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE)[1]
    assert [repo["rev"] for repo in hooks["repos"]] == [f"v{locked}"]
