"""Each fact has one home: settings, commands, scopes, events and outcomes agree wherever they're written."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml

from bot import __version__, listeners
from bot.core.blocks import outcome_message, panel_message
from bot.core.bulks import Bulk, Member
from bot.core.commands.catalog import COMMANDS
from bot.core.commands.presses import Action
from bot.core.models import Integration, Outcome, Person, Phase, SyncRun
from bot.core.panels import Panel, PanelKind, RowRun
from bot.listeners.payloads import parse_access_news
from bot.ops import web
from bot.settings.settings import Settings, has_slack_tokens
from bot.slack.oauth import REDIRECT_PATH
from bot.slack.scopes import BOT_SCOPES, DISTRIBUTED_SCOPES, OPTIONAL_SCOPES
from bot.store.tables import metadata
from sandbox.slack import FLOKIT_APP

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests" / "samples" / "slack"
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
SKIPPED_FOLDERS = {".venv", "node_modules", "artifacts"}
DOCS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part in SKIPPED_FOLDERS or part.endswith("_cache") for part in path.relative_to(ROOT).parts)
)
MANIFESTS = ("slack-socket-mode.yaml", "slack-http.yaml")
DISTRIBUTED = ("slack-distributed.yaml", "slack-distributed-grid.yaml")
LOCKS = ("requirements.lock", "requirements-dev.lock")
EVENT_OF_MANIFEST = {"message.im": "message"}
"""Slack's name of a subscription, if the event itself has another one."""

INSTALLATION_EVENTS = {"app_uninstalled", "team_access_granted", "team_access_revoked", "tokens_revoked"}
"""What only an app for many workspaces gets."""

UNLISTED_EVENTS = {
    "channel_archive": {"channels:read"},
    "channel_unarchive": {"channels:read"},
    "group_archive": {"groups:read"},
    "group_unarchive": {"groups:read"},
}
"""Events that Slack lists only as subtypes of messages; https://docs.slack.dev/reference/events/channel_archive."""


def doc(name):
    """Return the text of one of the documents."""
    return (ROOT / "docs" / name).read_text()


def manifest(name):
    """Return one of the manifests."""
    return yaml.safe_load((ROOT / "manifests" / name).read_text())


def section(text, title):
    """Return the text under a heading, up to the next one."""
    return re.split(r"^#+ ", text.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text):
    """Return the cells of every table row, without the header."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    heads = {index - 1 for index, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [row for index, row in enumerate(cells) if index not in heads | {head + 1 for head in heads}]


def plain(cell):
    """Return a cell without its backticks."""
    return cell.strip("`")


def defaults():
    """Return each setting with its default as people write it: "required", or "—" for none."""
    return {name.upper(): written(field) for name, field in Settings.model_fields.items()}


def written(field):
    """Format a default as people write it."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "—"
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def calls(path, *names):
    """Return the calls of these methods in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node


# --- settings ----------------------------------------------------------------------------------------------------


def test_the_docs_list_every_setting_with_its_default():
    """docs/settings.md has exactly the settings of bot/settings/settings.py, with their defaults."""
    table = {
        plain(name): plain(default) for name, _meaning, default in rows(section(doc("settings.md"), "All settings"))
    }
    assert table == defaults()


def test_the_example_lists_every_setting_with_its_default():
    """.env.example has exactly the settings; those with a default are commented out with it, the others are empty."""
    lines = re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE)
    expected = {name: "" if default in ("required", "—") else default for name, default in defaults().items()}
    assert len(lines) == len(expected)
    assert dict(lines) == expected


def test_every_setting_of_the_example_is_explained():
    """Each setting of .env.example is right below a line that explains it."""
    assert len(re.findall(r"^# .+\.\n(?:# )?[A-Z_]+=", ENV_EXAMPLE, re.MULTILINE)) == len(Settings.model_fields)


def test_an_unedited_example_counts_as_no_settings(tmp_path, monkeypatch):
    """An unedited copy of .env.example counts as having no Slack tokens."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    (tmp_path / ".env").write_text(ENV_EXAMPLE)
    monkeypatch.chdir(tmp_path)
    assert not has_slack_tokens()


# --- commands, buttons, routes -----------------------------------------------------------------------------------


def test_the_docs_list_the_commands():
    """The table of commands in docs/commands.md has the same text as the help message."""
    table = [(plain(usage), meaning) for usage, meaning in rows(section(doc("commands.md"), "Commands"))]
    assert table == [(f"/flokit {doc.usage}", doc.summary) for doc in COMMANDS]


def test_the_docs_explain_every_button():
    """docs/commands.md has a row for each button that people see."""
    named = {cells[0].lower().replace(" ", "_") for cells in rows(section(doc("commands.md"), "Buttons"))}
    paging = {Action.PREVIOUS_PAGE, Action.NEXT_PAGE, Action.REFRESH_HOME}  # the last is called Refresh, too
    assert named == {action.removeprefix("flokit_") for action in Action if action not in paging}


def test_the_docs_list_the_routes():
    """docs/operations.md lists exactly the HTTP routes that are served."""
    served = {
        getattr(web, call.args[0].id) if isinstance(call.args[0], ast.Name) else call.args[0].value
        for call in calls(ROOT / "bot" / "ops" / "web.py", "add_get", "add_post")
    }
    listed = {plain(row[0]) for row in rows(section(doc("operations.md"), "HTTP routes"))}
    assert listed == served


def test_the_make_targets_exist():
    """Each ``make …`` in the documentation is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(path.read_text() for path in DOCS)
    code = "\n".join(re.findall(r"`[^`]+`|^```.*?^```", text, re.DOTALL | re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", code, re.MULTILINE)) <= targets


# --- manifests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MANIFESTS + DISTRIBUTED)
def test_the_manifests_are_valid(name):
    """Each manifest is valid according to Slack's own schema."""
    schema = json.loads((REFERENCE / "manifest.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(manifest(name))


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifests_ask_for_the_scopes_that_are_needed(name):
    """Each manifest has exactly the scopes of bot/slack/scopes.py."""
    assert manifest(name)["oauth_config"]["scopes"] == {"bot": list(BOT_SCOPES)}


@pytest.mark.parametrize("name", MANIFESTS + DISTRIBUTED)
def test_the_sandbox_has_the_tabs_of_the_manifests(name):
    """The sandbox's app has a Home tab if the manifests enable one."""
    assert manifest(name)["features"]["app_home"]["home_tab_enabled"] == FLOKIT_APP.home_tab


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_sandbox_sends_the_events_of_the_manifests(name):
    """The sandbox's app subscribes to the same events as the manifests."""
    assert set(manifest(name)["settings"]["event_subscriptions"]["bot_events"]) == FLOKIT_APP.events


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifests_explain_each_scope(name):
    """Each scope of a manifest is right below a comment."""
    text = (ROOT / "manifests" / name).read_text()
    assert all(re.search(rf"^ +# .+\.\n +- {re.escape(scope)}$", text, re.MULTILINE) for scope in BOT_SCOPES)


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifests_say_what_is_optional(name):
    """The comments of exactly the optional scopes begin with that word."""
    text = (ROOT / "manifests" / name).read_text()
    assert re.findall(r"# Optional\. .+\n +- (\S+)", text) == list(OPTIONAL_SCOPES)


@pytest.mark.parametrize("name", MANIFESTS + DISTRIBUTED)
def test_the_manifests_name_the_command_and_its_words(name):
    """Each manifest has the default command, and its hint is one line of commands that exist."""
    (command,) = manifest(name)["features"]["slash_commands"]
    assert command["command"] == defaults()["FLOKIT_COMMAND"]
    hinted = command["usage_hint"].split(" · ")
    assert hinted == ["status", "show", "sync", "subscribe", "history", "help"]
    assert set(hinted) <= {doc.name for doc in COMMANDS}


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifests_subscribe_to_what_is_listened_to(name):
    """Each manifest's events and command are exactly those that a listener is registered for."""
    seen = RegisterRecorder()
    listeners.register(seen, command="/flokit")
    events = manifest(name)["settings"]["event_subscriptions"]["bot_events"]
    wanted = {EVENT_OF_MANIFEST.get(event, event) for event in events}
    assert (seen.commands, seen.events) == ({"/flokit"}, wanted)


class RegisterRecorder:
    """Stands in for Bolt's app while listeners are registered, and records what they're for."""

    def __init__(self):
        self.commands, self.events, self.actions = set(), set(), []

    def command(self, name):
        """Record a command."""
        self.commands.add(name)
        return lambda listener: listener

    def event(self, name):
        """Record an event; a pattern is for those that are only acked."""
        if isinstance(name, str):
            self.events.add(name)
        return lambda listener: listener

    def action(self, pattern):
        """Record a pattern of action IDs."""
        self.actions.append(pattern)
        return lambda listener: listener

    def view(self, _callback_id):
        """Accept a modal: the manifests don't list those."""
        return lambda listener: listener


@pytest.mark.parametrize("name", MANIFESTS + DISTRIBUTED)
def test_the_events_are_covered_by_scopes(name):
    """Slack sends each event of a manifest for one of its scopes, or without any."""
    listed = json.loads((REFERENCE / "events.json").read_text())
    known = {event: set(scopes) for event, scopes in listed.items()}
    known |= UNLISTED_EVENTS
    read = manifest(name)
    events, scopes = read["settings"]["event_subscriptions"]["bot_events"], set(read["oauth_config"]["scopes"]["bot"])
    assert all(known[event] & scopes or not known[event] for event in events)


@pytest.mark.parametrize("name", MANIFESTS)
def test_people_can_write_to_the_bot(name):
    """Each manifest lets people write direct messages and press buttons."""
    read = manifest(name)
    assert read["features"]["app_home"]["messages_tab_enabled"] is True
    assert read["features"]["app_home"]["messages_tab_read_only_enabled"] is False
    assert read["settings"]["interactivity"]["is_enabled"] is True


def test_only_the_http_manifest_names_an_address():
    """In Socket Mode there's no address; over HTTP all three are the one route that's served."""
    socket, http = (manifest(name) for name in MANIFESTS)
    assert socket["settings"]["socket_mode_enabled"] is True
    assert "request_url" not in json.dumps(socket)
    assert http["settings"]["socket_mode_enabled"] is False
    addresses = re.findall(r'"(?:request_)?url": "([^"]+)"', json.dumps(http))
    assert addresses == [f"https://flokit-bot.example.com{web.SLACK_PATH}"] * 3


def test_the_manifests_differ_in_the_mode_only():
    """Without addresses and mode, the two manifests are the same app."""
    one, other = (json.dumps(strip(manifest(name))) for name in MANIFESTS)
    assert one == other


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_the_distributed_manifests_ask_for_the_fewest_scopes(name):
    """They have the scopes that aren't optional, each below a comment, and the first file names the others."""
    text, scopes = (ROOT / "manifests" / name).read_text(), manifest(name)["oauth_config"]["scopes"]
    assert scopes == {"bot": list(DISTRIBUTED_SCOPES)}
    assert set(DISTRIBUTED_SCOPES) == set(BOT_SCOPES) - set(OPTIONAL_SCOPES)
    assert not [scope for scope in DISTRIBUTED_SCOPES if scope.endswith(":history")]
    assert all(re.search(rf"^ +# .+\.\n +- {re.escape(scope)}$", text, re.MULTILINE) for scope in DISTRIBUTED_SCOPES)
    assert all(scope in (ROOT / "manifests" / DISTRIBUTED[0]).read_text() for scope in OPTIONAL_SCOPES)


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_the_distributed_manifests_include_installation_events(name):
    """They have the other manifests' events, without direct messages, and those about the installation itself."""
    events, others = (
        set(manifest(one)["settings"]["event_subscriptions"]["bot_events"]) for one in (name, "slack-http.yaml")
    )
    assert events == others - {"message.im"} | INSTALLATION_EVENTS


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_the_distributed_manifests_subscribe_to_what_is_listened_to(name):
    """They have the events with a listener, without direct messages, and those that say where the app is installed."""
    seen = RegisterRecorder()
    listeners.register(seen, command="/flokit")
    subscribed = set(manifest(name)["settings"]["event_subscriptions"]["bot_events"])
    about_access = {event for event in INSTALLATION_EVENTS if parse_access_news(envelope_of(event))}
    assert about_access == INSTALLATION_EVENTS
    assert subscribed == seen.events - {"message"} | about_access
    assert not [event for event in seen.events if parse_access_news(envelope_of(event))]


def envelope_of(event):
    """Wrap an event as Slack does."""
    return {"type": "event_callback", "event_time": 1, "event": {"type": event}}


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_no_scope_of_a_distributed_manifest_needs_an_enhanced_review(name):
    """Slack reviews apps that read messages or files more closely, and refuses legacy scopes and user tokens."""
    scopes = manifest(name)["oauth_config"]["scopes"]
    assert set(scopes) == {"bot"}
    assert not [scope for scope in scopes["bot"] if re.search(r":history$|^files:|^search:|^admin|^identity", scope)]


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_people_can_write_only_where_the_bot_receives_it(name):
    """Without ``im:history``, the bot gets no direct messages, so Slack lets people only read them."""
    assert manifest(name)["features"]["app_home"]["messages_tab_enabled"] is True
    assert manifest(name)["features"]["app_home"]["messages_tab_read_only_enabled"] is True


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_the_distributed_manifests_name_the_routes(name):
    """They lead to the routes that are served, on one host."""
    read = manifest(name)
    assert read["oauth_config"]["redirect_urls"] == [f"https://flokit-bot.example.com{REDIRECT_PATH}"]
    addresses = re.findall(r'"(?:request_)?url": "([^"]+)"', json.dumps(read))
    assert addresses == [f"https://flokit-bot.example.com{web.SLACK_PATH}"] * 3
    assert read["settings"]["socket_mode_enabled"] is False
    assert read["settings"]["token_rotation_enabled"] is False


def test_the_distributed_manifests_differ_in_who_installs_it():
    """For organizations, the app is the same."""
    one, grid = (manifest(name) for name in DISTRIBUTED)
    assert one["settings"]["org_deploy_enabled"] is False
    one["settings"]["org_deploy_enabled"] = True
    assert one == grid


def strip(value):
    """Remove what differs between the modes."""
    if isinstance(value, dict):
        return {
            key: strip(inner)
            for key, inner in value.items()
            if key not in {"url", "request_url", "socket_mode_enabled"}
        }
    return [strip(inner) for inner in value] if isinstance(value, list) else value


# --- outcomes ----------------------------------------------------------------------------------------------------


def test_the_docs_explain_every_outcome():
    """The table in docs/outcomes.md has exactly the eight outcomes, in order."""
    table = [plain(row[0]) for row in rows(section(doc("outcomes.md"), "Outcomes"))]
    assert table == [outcome.value for outcome in Outcome]


@pytest.mark.parametrize("text", [doc("outcomes.md"), doc("architecture.md")], ids=["outcomes", "architecture"])
def test_the_diagrams_show_every_phase(text):
    """The state diagrams have exactly the phases of a run."""
    assert {phase for arrow in arrows(text) for phase in arrow} - {"[*]"} == {phase.name for phase in Phase}


def test_the_short_diagram_agrees_with_the_long_one():
    """Each arrow of the diagram in docs/outcomes.md is one of docs/architecture.md."""
    assert arrows(doc("outcomes.md")) <= arrows(doc("architecture.md"))


def arrows(text):
    """Return the transitions of a state diagram."""
    diagram = re.search(r"stateDiagram-v2(.+?)```", text, re.DOTALL)[1]
    return set(re.findall(r"^ +(\S+) --> ([^\s:]+)", diagram, re.MULTILINE))


def test_the_metadata_is_documented():
    """docs/message-metadata.md has exactly the fields of a final reply, and so does its example."""
    text = doc("message-metadata.md").partition(f"## {SEVERAL}")[0]
    carried = payload()
    example = json.loads(re.search(r"```json\n(.+?)```", text, re.DOTALL)[1])
    assert {plain(row[0]): row[1] for row in rows(text)} == dict.fromkeys(carried["event_payload"], "string")
    assert example["event_type"] == carried["event_type"]
    assert list(example["event_payload"]) == list(carried["event_payload"])
    assert {plain(row[0]): plain(row[3]) for row in rows(text)} == example["event_payload"]


def test_the_metadata_of_several_syncs_is_documented():
    """docs/message-metadata.md has exactly the fields of a bulk, and so does its example."""
    text = section(doc("message-metadata.md"), SEVERAL)
    carried = bulk_metadata()
    example = json.loads(re.search(r"```json\n(.+?)```", text, re.DOTALL)[1])
    types = {str: "string", int: "number", list: "list"}
    assert example["event_type"] == carried["event_type"]
    assert {plain(row[0]): row[1] for row in rows(text)} == {
        name: types[type(value)] for name, value in carried["event_payload"].items()
    }
    assert list(example["event_payload"]) == list(carried["event_payload"])
    assert [*example["event_payload"]["syncs"][0]] == [*carried["event_payload"]["syncs"][0]]


SEVERAL = "Several syncs at once"


def bulk_metadata():
    """Return the metadata of several syncs that have ended."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = SyncRun("run_1", "T1", "int_1", "stripe", now, Person("U1"), outcome=Outcome.SUCCEEDED, ended_at=now)
    bulk = Bulk(Person("U1"), now, (Member("int_1", "run_1"),))
    panel = Panel("pnl_1", PanelKind.BULK, (Integration("int_1", "stripe"),), now, bulk=bulk)
    return panel_message(panel, {"int_1": RowRun(run)}, now, outbox_id="msg_1").metadata


def payload():
    """Return the metadata of a final reply."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = SyncRun("run_1", "T1", "int_1", "stripe", now, Person("U1"), outcome=Outcome.SUCCEEDED, ended_at=now)
    return outcome_message(run, (), now, outbox_id="msg_1").metadata


def test_the_documented_outcomes_of_the_metadata_are_the_outcomes():
    """docs/message-metadata.md lists all eight outcomes."""
    sentence = re.search(r"^`outcome` is (.+?);", doc("message-metadata.md"), re.DOTALL | re.MULTILINE)[1]
    assert re.findall(r"`(\w+)`", sentence) == [outcome.value for outcome in Outcome]


# --- the rest of the documentation -------------------------------------------------------------------------------


def test_every_table_of_the_database_is_documented():
    """docs/architecture.md has exactly the tables of the database."""
    assert {plain(row[0]) for row in rows(section(doc("architecture.md"), "What is stored"))} == set(metadata.tables)


def test_every_log_event_is_documented():
    """docs/operations.md has exactly the events that are logged, with their levels."""
    levels = {"debug", "info", "warning", "error", "exception"}
    logged = {
        (event, {"exception": "error", "note": "warning"}.get(call.func.attr, call.func.attr))
        for path in (ROOT / "bot").rglob("*.py")
        if "sandbox" not in path.relative_to(ROOT).parts
        for call in calls(path, *levels, "note")
        if call.args and ast.unparse(call.func.value) in {"log", "_log", "self._episodes"}
        for event in [part.value for part in ast.walk(call.args[0]) if isinstance(part, ast.Constant)]
    }
    table = {(plain(row[0]), row[1]) for row in rows(section(doc("operations.md"), "Logs"))}
    assert table == logged


def test_every_dependency_is_justified():
    """docs/decisions.md names each dependency of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [need for needs in project["optional-dependencies"].values() for need in needs]
    text = section(doc("decisions.md"), "Dependencies")
    table = {row[0] for row in rows(text)}
    assert table == {bare(need) for need in project["dependencies"]}
    assert [bare(need) for need in extras if not re.search(rf"\b{re.escape(bare(need))}\b", text)] == []


def bare(requirement):
    """Return a requirement's name only."""
    return re.match(r"[\w-]+", requirement)[0]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_resolves(path):
    """Each relative link and picture in a Markdown file leads to an existing file, and its anchor to a heading."""
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), f"{path.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{path.name} links to {link}"


def anchors(path):
    """Return the anchors that GitHub gives a file's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_pin_everything_by_hash(name):
    """Each requirement of a lock has one version and at least one hash."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    requirements = re.sub(r"\\\n\s*", "", text).splitlines()
    assert requirements
    pinned = re.compile(r"[a-z0-9._\[\]-]+==[^\s;]+( ; [^-]+?)?( *--hash=sha256:[0-9a-f]{64})+")
    assert [line[:60] for line in requirements if not pinned.fullmatch(line)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_name_no_addresses(name):
    """A lock names packages, not where they come from."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^--(extra-)?(index|find)", text, re.MULTILINE)


def test_the_locks_agree():
    """Runtime dependencies are pinned to the same versions for the tests."""
    run, dev = (dict(re.findall(r"^([\w.\[\]-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS)
    assert run.items() <= dev.items()


def test_the_lock_holds_every_dependency():
    """Each dependency of pyproject.toml is in the lock."""
    names = set(re.findall(r"^([\w.-]+)(?:\[\w+\])?==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {bare(need) for need in project["dependencies"]} <= names


def test_the_tests_of_the_threat_model_exist():
    """Each threat in docs/security.md has tests, and each test that it names exists."""
    tests: dict[str, str] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):  # folders may have files with the same name
        tests[path.name] = tests.get(path.name, "") + path.read_text()
    threats = rows(doc("security.md"))
    assert len(threats) > 10
    for threat, _defence, named in threats:
        references = re.findall(r"`(test_\w+\.py)::(test_\w+)`", named)
        assert references, threat
        for file, test in references:
            assert re.search(rf"^(?:async )?def {test}\(", tests[file], re.MULTILINE), (file, test)


def test_the_version_has_one_home():
    """The package takes its version from bot/__init__.py, which is also the newest release in the changelog."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"] == {"path": "bot/__init__.py"}
    titles = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert titles[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \N{EN DASH} \d{4}-\d\d-\d\d", title) for title in titles[1:])
    assert titles[1].split()[0] == __version__
