"""The structure of the code, read from its imports with ``ast``: docs/architecture.md has the same table."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]

FOLDERS = {
    "core": set(),
    "settings": {"core"},
    "observability": {"core", "settings"},
    "store": {"core", "settings", "observability"},
    "slack": {"core", "settings", "observability"},
    "flokit": {"core", "settings", "observability"},
    "lookups": {"core", "store", "slack", "flokit"},
    "listeners": {"core", "observability", "store", "slack"},
    "handlers": {"core", "settings", "observability", "store", "slack", "flokit", "lookups"},
    "workers": {"core", "observability", "store", "slack", "flokit", "lookups"},
    "ops": {"core", "settings", "observability", "store", "slack", "flokit", "handlers", "workers"},
}
"""What each folder of ``bot/`` may import, besides itself. Listeners, handlers and workers share only the store."""

ENTRY_POINTS = {"bot", "bot.__main__", "bot.app", "bot.cli", "bot.serving", "bot.tenants", "bot.workspace"}
"""The modules beside the folders: they assemble the parts and may import all of them."""

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
"""Modules of the standard library that do I/O, read a clock or use randomness."""

SLEEPS_ALLOWED = {
    # These poll another process, or the SDK, because nothing notifies them.
    "tests/adapters/test_slack_socket.py",
    "tests/scenarios/conftest.py",
    "tests/scenarios/test_start.py",
    "tests/scenarios/test_replicas.py",
    "tests/scenarios/test_database_trouble.py",
    # This lets seconds pass, within which requests share one check.
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
    """Return the name of a file's module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def folder_of(module):
    """Return the folder of ``bot/`` that a module is in; an entry point is its own."""
    return module if module in ENTRY_POINTS else module.split(".")[1]


def imports_of(path):
    """Return every module and every ``module.name`` that a file imports, anywhere in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what is imported"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def bot_imports():
    """Return, for each module of the bot, the modules that import it."""
    modules = bot_files()
    return [
        (module, imported)
        for module, path in modules.items()
        for imported in imports_of(path)
        if imported in modules and not (imported == "bot" and module != "bot.cli")
    ]


def importers_of(*names):
    """Return the modules of the bot that import one of these, or something in them."""
    return {
        module
        for module, path in bot_files().items()
        for imported in imports_of(path)
        if any(imported == name or imported.startswith(f"{name}.") for name in names)
    }


def test_every_module_is_in_a_folder_of_the_table():
    """Each module of the bot is an entry point or in one of the folders, and each folder exists."""
    assert {folder_of(module) for module in bot_files()} == set(FOLDERS) | ENTRY_POINTS


def test_imports_follow_the_table():
    """No folder imports one that the table doesn't allow."""
    wrong = {
        (module, imported)
        for module, imported in bot_imports()
        for mine, theirs in [(folder_of(module), folder_of(imported))]
        if mine in FOLDERS and mine != theirs and theirs not in FOLDERS[mine]
    }
    assert wrong == set()


def test_the_table_allows_nothing_unused():
    """Every import that the table allows exists."""
    used = {(folder_of(module), folder_of(imported)) for module, imported in bot_imports()}
    assert {(mine, theirs) for mine, allowed in FOLDERS.items() for theirs in allowed} <= used


def test_the_folders_have_no_import_cycles():
    """The folders of the table can be put in an order in which each imports only earlier ones."""
    TopologicalSorter(FOLDERS).prepare()


def test_the_core_imports_only_the_standard_library():
    """The core imports only itself and the standard library."""
    foreign = {
        (module, imported)
        for module, path in bot_files().items()
        if folder_of(module) == "core"
        for imported in imports_of(path)
        if imported.split(".")[0] not in sys.stdlib_module_names and not f"{imported}.".startswith("bot.core.")
    }
    assert foreign == set()


def test_the_core_does_no_io_and_has_no_clock():
    """The core imports nothing that does I/O, logs, reads a clock or uses randomness, and never asks for the time."""
    core = {module: path for module, path in bot_files().items() if folder_of(module) == "core"}
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
    """Return whether this names a class whose ``now`` reads a clock."""
    return isinstance(node, ast.Name) and node.id in {"datetime", "date"}


def test_settings_are_never_created_at_import():
    """No module creates or loads settings while it's imported."""
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
    """Return the calls that run when a module is imported: all except those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from calls_at_import(child)


def name_of(node):
    """Return ``a.b.c`` as text; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_only_the_settings_read_the_environment():
    """Outside the settings, nothing reads environment variables."""
    readers = {
        module
        for module, path in bot_files().items()
        for node in ast.walk(tree_of(path))
        if name_of(node) in {"os.environ", "os.getenv"}
    }
    assert readers <= {"bot.settings.settings", "sandbox.child"}


def test_httpx_stays_in_the_flokit_client():
    """Only the FloKit client imports httpx."""
    assert {folder_of(module) for module in importers_of("httpx")} == {"flokit"}


def test_slacks_errors_stay_in_the_slack_client():
    """Only one module reads slack_sdk's exceptions."""
    assert importers_of("slack_sdk.errors") == {"bot.slack.calls"}


def test_prometheus_stays_in_the_metrics():
    """Only one module imports the Prometheus client; the others only report."""
    assert importers_of("prometheus_client") == {"bot.ops.metrics"}


def test_opentelemetry_stays_in_the_traces():
    """Only one module imports OpenTelemetry, and that module is imported only where a bot with traces is built."""
    assert importers_of("opentelemetry") == {"bot.observability.traces"}
    assert importers_of("bot.observability.traces") == {"bot.app"}
    at_top = [node.module for node in tree_of(ROOT / "bot" / "app.py").body if isinstance(node, ast.ImportFrom)]
    assert "bot.observability.traces" not in at_top


def test_sqlalchemy_stays_in_the_store():
    """Only the store imports SQLAlchemy and Alembic."""
    assert {folder_of(module) for module in importers_of("sqlalchemy", "alembic")} == {"store"}


def test_only_the_command_line_knows_the_sandbox():
    """Nothing in the bot imports the sandbox or the local Slack, except the command that starts the sandbox."""
    assert importers_of("sandbox", "local_slack") == {"bot.cli"}


def test_the_command_line_loads_the_sandbox_only_when_asked():
    """Importing the command line imports neither the sandbox nor the bot itself."""
    at_top = {node.module for node in tree_of(ROOT / "bot" / "cli.py").body if isinstance(node, ast.ImportFrom)}
    assert not any(name.startswith(("sandbox", "bot.app", "bot.ops", "bot.store")) for name in at_top)


def test_the_local_slack_imports_nothing_of_the_bot_or_the_sandbox():
    used = {name for path in (ROOT / "local_slack").rglob("*.py") for name in imports_of(path)}
    assert not any(name.split(".")[0] in {"bot", "sandbox", "soak", "benchmarks", "tests"} for name in used)


def test_the_local_flokit_imports_nothing_of_the_bot():
    used = {name for path in (ROOT / "sandbox" / "local_flokit").rglob("*.py") for name in imports_of(path)}
    assert not any(name.split(".")[0] == "bot" for name in used)


def test_the_soak_imports_nothing_of_the_bot():
    """It runs the bot as a process."""
    used = {name for path in (ROOT / "soak").glob("*.py") for name in imports_of(path)}
    assert not any(name.split(".")[0] == "bot" for name in used)


def test_the_bot_does_not_import_its_tests():
    """No module of the bot imports the soak, the benchmarks or the tests."""
    assert importers_of("soak", "benchmarks", "tests") == set()


def test_no_test_uses_mocks():
    """unittest.mock isn't used anywhere: tests use fakes."""
    mocking = {
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        for imported in imports_of(path)
        if imported.startswith(("unittest.mock", "mock")) or imported == "pytest_mock"
    }
    assert mocking == set()


def test_no_test_sleeps():
    """No test waits for time to pass; tests wait for something to happen."""
    sleeping = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and name_of(node.func) in {"time.sleep", "asyncio.sleep", "sleep"}
        if ast.unparse(node.args[0]) != "0"  # that only lets other tasks run
    }
    assert sleeping <= SLEEPS_ALLOWED


def test_the_documentation_shows_this_table():
    """The table in docs/architecture.md has exactly these folders, and what each may import."""
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)/` \| .+ \| (.+) \|$", text, re.MULTILINE)
    shown = {folder: set(re.findall(r"`([a-z_]+)`", allowed)) for folder, allowed in rows}
    assert shown == FOLDERS
