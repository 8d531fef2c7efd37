"""The shape of the code, read from its imports with ``ast``: docs/architecture.md shows the same table."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    ("core", {"bot.core"}),
    (
        "ground",
        {
            "bot",
            "bot.policy_file",
            "bot.policy_text",
            "bot.settings",
            "bot.database_url",
            "bot.scopes",
            "bot.logs",
            "bot.network",
            "bot.pacing",
            "bot.telemetry",
            "bot.pulse",
        },
    ),
    ("adapters", {"bot.flokit", "bot.slack", "bot.slack_session", "bot.slack_socket", "bot.store", "bot.traces"}),
    (
        "application",
        {
            "bot.actions",
            "bot.alerts",
            "bot.answers",
            "bot.follower",
            "bot.home",
            "bot.diagnosis",
            "bot.digests",
            "bot.export",
            "bot.housekeeper",
            "bot.knowledge",
            "bot.looks",
            "bot.permits",
            "bot.records",
            "bot.responder",
            "bot.sender",
            "bot.syncs",
            "bot.watcher",
            "bot.worker",
            "bot.access",
            "bot.people",
        },
    ),
    (
        "entrances",
        {
            "bot.listeners",
            "bot.web",
            "bot.web_bodies",
            "bot.web_connections",
            "bot.slack_http",
            "bot.webhooks",
            "bot.health",
            "bot.metrics",
        },
    ),
    ("assembly", {"bot.app", "bot.check", "bot.workspace"}),
    ("sandbox", {"bot.sandbox"}),
    ("command line", {"bot.cli", "bot.__main__"}),
)
"""From the bottom to the top. A part imports what stands below it."""

SIDEWAYS = {
    ("bot.settings", "bot"),
    ("bot.settings", "bot.database_url"),
    ("bot.settings", "bot.network"),
    ("bot.policy_file", "bot.policy_text"),
    ("bot.slack", "bot.slack_session"),
    ("bot.slack_socket", "bot.slack_session"),
    ("bot.actions", "bot.access"),
    ("bot.actions", "bot.alerts"),
    ("bot.actions", "bot.answers"),
    ("bot.actions", "bot.home"),
    ("bot.actions", "bot.knowledge"),
    ("bot.actions", "bot.looks"),
    ("bot.actions", "bot.permits"),
    ("bot.actions", "bot.records"),
    ("bot.actions", "bot.syncs"),
    ("bot.looks", "bot.answers"),
    ("bot.looks", "bot.knowledge"),
    ("bot.looks", "bot.permits"),
    ("bot.looks", "bot.records"),
    ("bot.syncs", "bot.answers"),
    ("bot.syncs", "bot.knowledge"),
    ("bot.syncs", "bot.permits"),
    ("bot.permits", "bot.access"),
    ("bot.permits", "bot.answers"),
    ("bot.permits", "bot.knowledge"),
    ("bot.alerts", "bot.answers"),
    ("bot.records", "bot.answers"),
    ("bot.digests", "bot.knowledge"),
    ("bot.records", "bot.diagnosis"),
    ("bot.records", "bot.knowledge"),
    ("bot.records", "bot.people"),
    ("bot.alerts", "bot.people"),
    ("bot.access", "bot.people"),
    ("bot.digests", "bot.people"),
    ("bot.home", "bot.access"),
    ("bot.home", "bot.knowledge"),
    ("bot.app", "bot.workspace"),
    ("bot.responder", "bot.actions"),
    ("bot.web", "bot.health"),
    ("bot.web", "bot.metrics"),
    ("bot.pulse", "bot.telemetry"),
    ("bot.web", "bot.slack_http"),
    ("bot.web", "bot.web_bodies"),
    ("bot.web", "bot.web_connections"),
    ("bot.web", "bot.webhooks"),
    ("bot.__main__", "bot.cli"),
}
"""The imports within a layer, each on purpose."""

STRANGERS = ("bot.listeners", "bot.responder", "bot.follower", "bot.sender")
"""They meet in the store."""

IMPURE = {
    "asyncio",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
}
"""Modules of the standard library that do I/O, read a clock or throw dice."""

SLEEPS_ALLOWED = {
    # These ask another process, or the SDK, again and again: there is nothing to be woken by.
    "tests/adapters/test_slack_socket.py",
    "tests/scenarios/conftest.py",
    "tests/scenarios/test_start.py",
    "tests/scenarios/test_replicas.py",
    "tests/scenarios/test_database_trouble.py",
    # This lets seconds pass, within which one look serves all who ask.
    "tests/scenarios/test_flokit_trouble.py",
    # This makes each statement take as long as over a network.
    "tests/adapters/test_store_deadlocks.py",
}
"""Test files that may sleep; each needs a reason."""


@cache
def tree_of(path):
    """Parse a file once."""
    return ast.parse(path.read_text(), str(path))


def bot_files():
    """Return the modules of the bot and their files."""
    return {module_of(path): path for path in sorted((ROOT / "bot").rglob("*.py")) if "migrations" not in path.parts}


def module_of(path):
    """Name the module that a file is."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def part_of(module):
    """The part of the table that a module belongs to: the longest name that it begins with."""
    parts = [part for _, members in LAYERS for part in members if module == part or module.startswith(f"{part}.")]
    return max(parts, key=len)


def rank_of(part):
    """Count the layers below a part."""
    return next(rank for rank, (_, members) in enumerate(LAYERS) if part in members)


def imports_of(path):
    """Every module and every ``module.name`` that a file imports, wherever in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what is imported"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def bot_imports():
    """Who imports which module of the bot."""
    modules = bot_files()
    return [
        (module, imported)
        for module, path in modules.items()
        for imported in imports_of(path)
        if imported in modules and not (imported == "bot" and module != "bot.cli")
    ]


def importers_of(*names):
    """The modules of the bot that import one of these, or something in them."""
    return {
        module
        for module, path in bot_files().items()
        for imported in imports_of(path)
        if any(imported == name or imported.startswith(f"{name}.") for name in names)
    }


def test_every_module_has_its_place_in_the_table():
    """Each module under bot/ belongs to a part of the table, and each part exists."""
    in_table = {part for _, members in LAYERS for part in members}
    tops = {".".join(module.split(".")[:2]) for module in bot_files()}
    assert tops == in_table


def test_imports_point_downward():
    """No module imports one of a layer above its own, nor one beside it unless that is listed."""
    wrong = {
        (module, imported)
        for module, imported in bot_imports()
        for mine, theirs in [(part_of(module), part_of(imported))]
        if mine != theirs and rank_of(theirs) >= rank_of(mine) and (mine, theirs) not in SIDEWAYS
    }
    assert wrong == set()


def test_no_sideways_import_is_listed_in_vain():
    """Every import that the table allows within a layer exists."""
    used = {(part_of(module), part_of(imported)) for module, imported in bot_imports()}
    assert SIDEWAYS - used <= {("bot.settings", "bot")}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_those_who_meet_in_the_store_do_not_know_each_other(stranger):
    """Listeners, responder, follower and sender never import each other."""
    known = {part_of(imported) for module, imported in bot_imports() if part_of(module) == stranger}
    assert known & set(STRANGERS) <= {stranger}


def test_the_core_imports_the_standard_library_only():
    """The core knows nothing but itself and the standard library."""
    foreign = {
        (module, imported)
        for module, path in bot_files().items()
        if part_of(module) == "bot.core"
        for imported in imports_of(path)
        if imported.split(".")[0] not in sys.stdlib_module_names and not f"{imported}.".startswith("bot.core.")
    }
    assert foreign == set()


def test_the_core_does_no_io_and_has_no_clock():
    """The core imports nothing that does I/O, logs, reads a clock or throws dice, and never asks for the time."""
    core = {module: path for module, path in bot_files().items() if part_of(module) == "bot.core"}
    impure = {
        (module, name) for module, path in core.items() for name in imports_of(path) if name.split(".")[0] in IMPURE
    }
    clocks = {
        (module, node.attr)
        for module, path in core.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"} and is_datetime(node.value)
    }
    assert impure | clocks == set()


def is_datetime(node):
    """Tell whether this names the class whose ``now`` is a clock."""
    return isinstance(node, ast.Name) and node.id in {"datetime", "date"}


def test_settings_are_never_made_at_import():
    """No module makes or loads settings while it is imported."""
    makers = {"Settings", "load_settings", "_SlackTokens"}
    at_import = {
        (module, name)
        for module, path in bot_files().items()
        for call in calls_at_import(tree_of(path))
        for name in [name_of(call.func).rpartition(".")[2]]
        if name in makers
    }
    assert at_import == set()


def calls_at_import(node):
    """The calls that run when a module is imported: all but those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from calls_at_import(child)


def name_of(node):
    """``a.b.c`` as text; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_only_the_settings_read_the_environment():
    """Outside the settings and the sandbox's child process, nothing reads environment variables."""
    readers = {
        module
        for module, path in bot_files().items()
        for node in ast.walk(tree_of(path))
        if name_of(node) in {"os.environ", "os.getenv"}
    }
    assert readers <= {"bot.settings", "bot.sandbox.child"}


def test_httpx_stays_in_the_flokit_client():
    """Only the FloKit client knows httpx."""
    assert {part_of(module) for module in importers_of("httpx")} == {"bot.flokit"}


def test_slacks_errors_stay_in_the_slack_client():
    """Only the Slack client reads slack_sdk's exceptions; the stand-in for Slack may."""
    outside = {module for module in importers_of("slack_sdk.errors") if part_of(module) != "bot.sandbox"}
    assert outside == {"bot.slack"}


def test_prometheus_stays_in_the_metrics():
    """Only one module knows the Prometheus client: the parts report, and do not know to whom."""
    assert importers_of("prometheus_client") == {"bot.metrics"}


def test_opentelemetry_stays_in_the_traces():
    """Only one module knows OpenTelemetry, and only where a bot is put together it is imported, when it is wanted."""
    assert importers_of("opentelemetry") == {"bot.traces"}
    assert importers_of("bot.traces") == {"bot.app"}
    at_top = [node.module for node in tree_of(ROOT / "bot" / "app.py").body if isinstance(node, ast.ImportFrom)]
    assert "bot.traces" not in at_top


def test_sqlalchemy_stays_in_the_store():
    """Only the store knows SQLAlchemy and Alembic."""
    assert {part_of(module) for module in importers_of("sqlalchemy", "alembic")} == {"bot.store"}


def test_only_the_command_line_knows_the_sandbox():
    """Nothing but the command line and the sandbox itself imports the sandbox."""
    assert {part_of(module) for module in importers_of("bot.sandbox")} <= {"bot.cli", "bot.sandbox"}


def test_the_soak_stands_outside():
    """The soak uses nothing of the bot but its sandbox, and no module of the bot knows the soak."""
    used = {name for path in (ROOT / "soak").glob("*.py") for name in imports_of(path) if name.startswith("bot.")}
    assert {part_of(name) for name in used} == {"bot.sandbox"}
    assert importers_of("soak") == set()


def test_the_benchmark_stands_outside():
    """No module of the bot knows the benchmark."""
    assert importers_of("benchmarks") == set()


def test_the_command_line_loads_the_sandbox_only_when_asked():
    """Importing the command line imports neither the sandbox nor the bot itself."""
    at_top = {
        node.module
        for node in tree_of(ROOT / "bot" / "cli.py").body
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert not any(part_of(module) in {"bot.sandbox", "bot.app", "bot.check"} for module in at_top if "bot" in module)


def test_no_test_uses_mocks():
    """unittest.mock is used nowhere: there are fakes."""
    mocking = {
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        for imported in imports_of(path)
        if imported.startswith(("unittest.mock", "mock")) or imported == "pytest_mock"
    }
    assert mocking == set()


def test_no_test_sleeps():
    """No test waits for time to pass: it waits for something to happen."""
    sleeping = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and name_of(node.func) in {"time.sleep", "asyncio.sleep", "sleep"}
        if ast.unparse(node.args[0]) != "0"  # that only lets others run
    }
    assert sleeping <= SLEEPS_ALLOWED


def test_every_test_states_a_fact():
    """Each test has a docstring of one sentence."""
    silent = {
        f"{path.name}::{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if node.name.startswith("test_")
        if not re.fullmatch(r"\S.*\.", ast.get_docstring(node) or "", re.DOTALL)
    }
    assert silent == set()


def test_the_documentation_shows_these_layers():
    """The table in docs/architecture.md has exactly these layers with these modules."""
    rows = re.findall(r"^\| ([a-z ]+) \| (`.+?) \| .+ \|$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    shown = {
        layer: {f"bot.{name}".rstrip("/") for name in re.findall(r"`([a-z_]+)/?`", names)} for layer, names in rows
    }
    assert shown == {layer: members - {"bot"} for layer, members in LAYERS}
