"""Check the Dockerfile without Docker: first its rules, then its build steps in a temporary folder.

Supports only the instructions that our Dockerfile uses; any other instruction is an error.
"""
# ruff: noqa: INP001, S603, S607, T201

from __future__ import annotations

import ast
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXIT_SETTINGS = 78
STEP_TIMEOUT_S = 240
PINNED = re.compile(r"^python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?$")
ABSOLUTE = re.compile(r"(?<![\w./-])/(app|src|dist|data)\b")
"""The image's own folders, where a step names them."""


@dataclass
class Stage:
    """One ``FROM`` and the instructions below it."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        """Return the arguments of every instruction of one kind."""
        return [rest for word, rest in self.steps if word == keyword]

    def last(self, keyword: str) -> str:
        """Return the arguments of the last instruction of one kind, or ""."""
        return (self.all(keyword) or [""])[-1]


def parse(text: str) -> list[Stage]:
    """Parse a Dockerfile into stages, without comments and with continued lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        if not line.strip():
            continue
        keyword, _, rest = line.strip().partition(" ")
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        else:
            stages[-1].steps.append((keyword, rest))
    return stages


def broken_rules(stages: list[Stage]) -> list[str]:
    """Name the rules that the Dockerfile breaks."""
    if len(stages) != 2:
        return [f"expected two stages (build and run), found {len(stages)}"]
    build, run = stages
    installs = [rest for rest in build.all("RUN") if "pip install" in rest and "requirements" in rest]
    environment = dict(re.findall(r"(\w+)=(\S+)", " ".join(run.all("ENV"))))
    rules = {
        "both stages start from the same Python": build.base == run.base,
        "the base is a slim Python, pinned by its full version": bool(PINNED.match(run.base)),
        "ADD isn't used, because it fetches and unpacks": not (build.all("ADD") or run.all("ADD")),
        "dependencies are installed with --require-hashes": bool(installs)
        and all("--require-hashes" in rest for rest in installs),
        "the bot itself is installed with --no-deps": any("--no-deps" in rest for rest in build.all("RUN")),
        "the run stage has no RUN": not run.all("RUN"),
        "the run stage copies only from the build stage": all(
            rest.startswith(f"--from={build.name} ") for rest in run.all("COPY")
        ),
        "the user is numeric and isn't root": bool(re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", run.last("USER"))),
        "the data folder belongs to the user": f"--chown={run.last('USER')} /data" in " ".join(run.all("COPY")),
        "HOME is set, because the numeric user has none": environment.get("HOME") == "/app",
        "the working directory is /app": run.last("WORKDIR") == "/app",
        "the data folder is a volume": run.last("VOLUME") == '["/data"]',
        "the database is a file in the volume": environment.get("DATABASE_URL", "")
        == "sqlite+aiosqlite:////data/flokit.db",
        "it listens on all addresses of the container": environment.get("HOST") == "0.0.0.0",  # noqa: S104
        "the port is exposed": run.last("EXPOSE") == environment.get("PORT"),
        "it starts without a shell": json_list(run.last("ENTRYPOINT")) == ["flokit-bot"]
        and json_list(run.last("CMD")) == ["run"],
        "the health check requests /livez without a shell": asks_livez(run.last("HEALTHCHECK")),
        "it contains no secrets": not re.search(r"xox[bp]-|xapp-|TOKEN=|SECRET=|API_KEY=", str(stages)),
        "everything that's copied passes .dockerignore": all(passes_dockerignore(name) for name in copied(build)),
    }
    return [rule for rule, holds in rules.items() if not holds]


def json_list(text: str) -> list[str]:
    """Parse an instruction's exec form; [] if it isn't one."""
    try:
        value = json.loads(text)
    except ValueError:
        return []
    return value if isinstance(value, list) else []


def asks_livez(healthcheck: str) -> bool:
    """Return whether the health check is valid Python that requests ``/livez``."""
    command = json_list(healthcheck.partition("CMD ")[2])
    if command[:2] != ["python3", "-c"]:
        return False
    ast.parse(command[2])
    return "/livez" in command[2]


def copied(stage: Stage) -> list[str]:
    """Return the paths that a stage copies from the repository."""
    return [name for rest in stage.all("COPY") if not rest.startswith("--") for name in rest.split()[:-1]]


def passes_dockerignore(name: str) -> bool:
    """Return whether .dockerignore lets a file through; the last matching pattern wins."""
    passes = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#") and fnmatch.fnmatch(name, pattern.removeprefix("!")):
            passes = pattern.startswith("!")
    return passes


def build_here(stage: Stage, root: Path) -> None:
    """Run a stage's steps with the image's folders below ``root``."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    folder = root
    for keyword, rest in stage.steps:
        here = ABSOLUTE.sub(lambda found: str(root / found[1]), rest)
        print(f"   {keyword} {rest}", flush=True)
        match keyword:
            case "ENV":
                environment.update(re.findall(r"(\w+)=(\S+)", here))
            case "WORKDIR":
                folder = Path(here)
                folder.mkdir(parents=True, exist_ok=True)
            case "COPY":
                *sources, target = here.split()
                for source in sources:
                    copy(ROOT / source, folder / target)
            case "RUN":
                subprocess.run(["sh", "-ec", here], cwd=folder, env=environment, check=True, timeout=STEP_TIMEOUT_S)
            case _:
                raise SystemExit(f"unsupported instruction: {keyword}")


def copy(source: Path, target: Path) -> None:
    """Copy as Docker does: a folder's contents, or a file into a folder."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copy(source, target)


def check_installed(root: Path) -> list[str]:
    """Run the installed bot in an empty folder without settings, and return the problems."""
    command = root / "app" / "venv" / "bin" / "flokit-bot"
    empty = root / "empty"
    empty.mkdir()

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *arguments],
            cwd=empty,
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    version = re.findall(r'^__version__ = "(.+)"$', (ROOT / "bot" / "__init__.py").read_text(), re.MULTILINE)[0]
    shown, refused = call("--version"), call("run")
    problems = []
    if (shown.returncode, shown.stdout.strip()) != (0, f"flokit-bot {version}"):
        problems.append(f"--version printed {shown.stdout!r} {shown.stderr!r}, code {shown.returncode}")
    if refused.returncode != EXIT_SETTINGS or "Traceback" in refused.stderr or "SLACK_BOT_TOKEN" not in refused.stderr:
        problems.append(f"run without settings printed {refused.stderr!r}, code {refused.returncode}")
    packages = next((root / "app" / "venv" / "lib").glob("python3*/site-packages"))
    needed = ("bot/store/migrations/env.py",)
    return problems + [f"the wheel is missing {name}" for name in needed if not (packages / name).is_file()]


def main() -> int:
    """Check the rules, then the steps; return the exit code."""
    stages = parse((ROOT / "Dockerfile").read_text())
    problems = broken_rules(stages)
    if not problems:
        with tempfile.TemporaryDirectory(prefix="flokit-image-") as temporary:
            root = Path(temporary)
            build_here(stages[0], root)
            problems = check_installed(root)
    for problem in problems:
        print(f"✗ Dockerfile: {problem}", file=sys.stderr)
    if not problems:
        print("✓ Dockerfile: the rules hold, the steps work, and the installed bot runs")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
