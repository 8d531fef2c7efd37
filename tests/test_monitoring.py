"""The monitoring files match the bot: its metrics, their documentation, the alert rules and the dashboard."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bot.core.commands.catalog import COMMANDS, command_name
from bot.core.commands.text import parse_command
from bot.ops.metrics import Metrics, Scrape, SocketState
from bot.store.gauges import Readings

ROOT = Path(__file__).parents[1]
RULES = ROOT / "manifests" / "prometheus" / "rules.yaml"
RULE_TESTS = RULES.with_name("tests.yaml")
DASHBOARD = json.loads((ROOT / "manifests" / "grafana" / "dashboard.json").read_text())
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PROMTOOL = shutil.which("promtool")
ADDED = {"le", "quantile", "instance", "job"}
"""Labels that Prometheus adds."""

EVERYTHING = Scrape(
    Readings({}, 0.0, 0, 0.0, {}, 0.0, 0, 0, 1, 100),
    {"database": True, "migrations": True, "slack": True},
    SocketState(connected=True, age_s=1.0, reconnects=0),
)


def promtool(*arguments):
    """Run promtool; if it's missing, the test is skipped, but fails in CI."""
    if PROMTOOL is None:
        reason = "promtool is not installed (Debian: prometheus)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def families():
    """Return each of our metrics with its labels, as exposed when everything has happened once."""
    metrics = Metrics()
    metrics.answered_slack("command", "acked", 0.1)
    metrics.asked(command="status", button="flokit_resync")
    metrics.run_ended("succeeded", "stripe", 12.0)
    metrics.called_flokit("list", "ok", 0.1, priority="click")
    metrics.called_slack("chat.update", "ok", 0.1)
    metrics.claim_lost("follower")
    metrics.fault("run")
    metrics.webhook("accepted")
    metrics.loop_lagged(0.001)
    found = {}
    metrics.expose(EVERYTHING)
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("flokit_bot_"):
            found[name] = {label for sample in family.samples for label in sample.labels} - ADDED
    return found


def documented():
    """Return each metric that docs/operations.md lists, with its labels."""
    rows = re.findall(r"^\| `(flokit_bot_\w+)` \| (.*?) \|", OPERATIONS, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def expressions():
    """Return every query of the dashboard and of the rules."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return queries + [rule["expr"] for rule in rules()]


def rules():
    """Return the alert rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_the_documentation_lists_every_metric_with_its_labels():
    """docs/operations.md has exactly the exposed metrics, each with its labels."""
    assert documented() == families()


@pytest.mark.parametrize("query", expressions())
def test_every_query_uses_metrics_and_labels_that_exist(query):
    """The dashboard and the rules query nothing that isn't exposed."""
    known = families()
    for name, selector in re.findall(r"\b(flokit_bot_\w+)(?:\{([^}]*)\})?", query):
        bare = re.sub(r"_(bucket|sum|count)$", "", name)
        base = name if name in known else bare
        assert base in known, name
        assert set(re.findall(r"(\w+)=", selector)) <= known[base]
    grouped = {label.strip() for part in re.findall(r"by \(([^)]*)\)", query) for label in part.split(",")}
    assert grouped - ADDED <= set().union(*known.values())


def test_every_panel_has_a_query_and_its_own_place():
    """No two panels of the dashboard overlap, and each has a title, its own ID and a query."""
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert panel["targets"]
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_every_query_of_the_dashboard_parses(tmp_path):
    """Promtool accepts each query of the dashboard as a rule's expression."""
    recorded = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(expressions())
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    code, words = promtool("check", "rules", path)
    assert code == 0, words


def test_the_rules_and_the_example_are_valid():
    """Promtool accepts the rules, and the example configuration that includes them."""
    code, words = promtool("check", "config", RULES.with_name("prometheus.example.yaml"))
    assert code == 0, words


def test_the_rules_fire_and_stay_silent():
    """Promtool runs tests.yaml: each alert fires when it must, and doesn't otherwise."""
    code, words = promtool("test", "rules", RULE_TESTS)
    assert code == 0, words


def test_each_rule_is_tested_both_ways():
    """tests.yaml has a case in which each alert fires, and one in which it doesn't."""
    stories = {story["name"] for story in yaml.safe_load(RULE_TESTS.read_text())["tests"]}
    assert stories == {f"{rule['alert']} {end}" for rule in rules() for end in ("fires", "stays silent")}


def test_untrusted_text_never_becomes_a_label():
    """An unknown type, command, button or webhook result is counted under ``other``."""
    metrics = Metrics()
    metrics.run_ended("failed", "evil type", 1.0)
    metrics.asked(command="evil command", button="evil button")
    metrics.webhook("evil result")
    text = metrics.expose(Scrape(Readings({"evil kind": 2}, 0, 0, 0, {"evil phase": 1}, 0, 0, 0, 0, 0))).decode()
    assert "evil" not in text
    assert 'flokit_bot_outbox_depth{kind="other"} 2.0' in text
    assert 'flokit_bot_runs_active{phase="other"} 1.0' in text


@pytest.mark.parametrize("doc", COMMANDS, ids=lambda doc: doc.name)
def test_a_typed_command_is_counted_under_its_name(doc):
    """Each example in the help is parsed as a command whose name is the label."""
    assert {command_name(parse_command(example)) for example in doc.examples} == {doc.name}


def test_every_command_is_counted_by_its_name():
    """The commands in the help are the values of the label, starting at 0."""
    text = Metrics().expose(EVERYTHING).decode()
    assert set(re.findall(r'flokit_bot_commands_total\{command="(\w+)"\} 0\.0', text)) == {doc.name for doc in COMMANDS}


def test_without_the_database_its_gauges_are_absent():
    """What couldn't be read is missing, and database_up says so."""
    text = Metrics().expose(Scrape(None)).decode()
    assert "flokit_bot_database_up 0.0" in text
    assert not re.search(r"flokit_bot_(outbox|inbox|runs_active|incidents|ready|socket)", text)


def test_two_bots_have_separate_counts():
    """Each bot has its own registry."""
    one, other = Metrics(), Metrics()
    one.fault("run")
    assert 'flokit_bot_faults_total{part="run"} 1.0' in one.expose(EVERYTHING).decode()
    assert 'flokit_bot_faults_total{part="run"} 0.0' in other.expose(EVERYTHING).decode()
