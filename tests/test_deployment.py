"""The deployment files match the bot: Kubernetes manifests, compose.yaml, and docs/operations.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from pydantic import SecretStr
from sqlalchemy import create_engine

from bot import __version__, cli
from bot.settings.encryption_keys import new_encryption_key
from bot.settings.settings import DatabaseSettings, Mode, Settings, load_database_settings, load_settings
from bot.store.tables import metadata
from sandbox.child import STOPS_WITHIN_S

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "manifests" / "kubernetes"
KUSTOMIZATION = "kustomization.yaml"
EXAMPLE = "secret.example.yaml"
NETWORK = "networkpolicy.yaml"
POD_MONITOR = "podmonitor.example.yaml"
NOT_OURS = {KUSTOMIZATION, POD_MONITOR, "secret.yaml"}
FILES = sorted(path.name for path in FOLDER.glob("*.yaml") if path.name not in NOT_OURS)
WORKLOADS = ("deployment.yaml", "migrate-job.yaml")
VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""The oldest Kubernetes that deployment.yaml supports, and the newest that the checker knows."""

COMPOSE = ROOT / "compose.yaml"
CHECK_JSONSCHEMA = str(Path(sys.executable).with_name("check-jsonschema"))
DUMMIES = {
    "SLACK_BOT_TOKEN": "xoxb-dummy",
    "SLACK_APP_TOKEN": "xapp-dummy",
    "SLACK_SIGNING_SECRET": "dummy-secret",
    "FLOKIT_API_KEY": "dummy-key",
    "FLOKIT_SYNC_API_KEY": "dummy-key",
    "FLOKIT_WEBHOOK_SECRET": "dummy-of-16-chars",
    "FLOKIT_WEBHOOK_TIMESTAMP_HEADER": "X-FloKit-Timestamp",
    "STALE_AFTER_HOURS": "stripe=12",
    "POLICY_FILE": "policy.yaml",
}
"""What an operator fills in."""

OF_MANY = {"SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET", "PUBLIC_URL", "SUPPORT_URL", "PRIVACY_URL", "ENCRYPTION_KEYS"}
"""What an operator fills in to serve many workspaces, without a bot token and FloKit's keys."""

NO_ROOM = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def manifest(name):
    """Return the only object of a manifest."""
    (read,) = yaml.safe_load_all((FOLDER / name).read_text())
    return read


def pod(name):
    """Return a workload's Pod."""
    return manifest(name)["spec"]["template"]["spec"]


def container(name):
    """Return the only container of a workload's Pod."""
    (only,) = pod(name)["containers"]
    return only


def compose(password="0a1b2c"):
    """Parse compose.yaml as Compose does, with its variables replaced."""
    return yaml.safe_load(re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", password, COMPOSE.read_text()))


def secret_settings():
    """Return the names of the settings that are secrets."""
    hints = typing.get_type_hints(Settings)
    return {name.upper() for name, kind in hints.items() if SecretStr in {kind, *typing.get_args(kind)}}


def settings_of(environment, monkeypatch, folder, load=load_settings):
    """Load the settings as a container with this environment would."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return load()


def fill(environment, *, leave_out=""):
    """Replace empty values by dummies, as for one workspace."""
    kept = OF_MANY | {leave_out}
    return {name: DUMMIES[name] if value == "" and name not in kept else value for name, value in environment.items()}


def run_user():
    """Return the user and the group of the Dockerfile."""
    found = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return tuple(map(int, found[-1]))


def image():
    """Return the name of this version's image."""
    return f"flokit-bot:{__version__}"


def check_compose(path):
    """Return the checker's exit code and output for a Compose file."""
    command = [CHECK_JSONSCHEMA, "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


# --- Kubernetes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FILES)
def test_the_manifests_are_valid(name, version):
    """Each manifest is valid according to Kubernetes' own schemas, which allow no unknown field."""
    kubernetes_validate.validate(manifest(name), version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelled_field_is_refused(version):
    """The checker refuses a field that Kubernetes doesn't know, at any depth."""
    wrong = manifest("deployment.yaml")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpget"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="httpget"):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_all_manifests_are_applied_but_the_example():
    """kustomization.yaml lists every manifest, except the example of the secret."""
    assert sorted([*manifest(KUSTOMIZATION)["resources"], EXAMPLE]) == FILES


def test_the_settings_in_kubernetes_are_known():
    """The ConfigMap has settings that aren't secrets; the Secret has all secrets, and the database's address."""
    open_ones, closed = set(manifest("configmap.yaml")["data"]), set(manifest(EXAMPLE)["stringData"])
    known = {name.upper() for name in Settings.model_fields}
    assert open_ones <= known - secret_settings() - {"DATABASE_URL"}
    assert closed == secret_settings() | {"DATABASE_URL"}


@pytest.mark.parametrize(("mode", "unused"), [("socket", "SLACK_SIGNING_SECRET"), ("http", "SLACK_APP_TOKEN")])
def test_the_settings_in_kubernetes_are_enough(mode, unused, monkeypatch, tmp_path):
    """With its empty values filled in, the Deployment's environment starts the bot on PostgreSQL, in either mode."""
    found = {("secretRef", "flokit-bot"): manifest(EXAMPLE), ("configMapRef", "flokit-bot"): manifest("configmap.yaml")}
    environment = {}
    for source in container("deployment.yaml")["envFrom"]:
        ((kind, reference),) = source.items()
        read = found.pop((kind, reference["name"]))
        environment |= read.get("stringData") or read["data"]
    settings = settings_of(fill(environment, leave_out=unused), monkeypatch, tmp_path)
    assert settings.mode is Mode(mode)
    assert settings.database_url.startswith("postgresql://")
    assert settings.host == "0.0.0.0"
    assert [{"name": "http", "containerPort": settings.port}] == container("deployment.yaml")["ports"]


def test_the_settings_in_kubernetes_are_enough_for_many_workspaces(monkeypatch, tmp_path):
    """The Secret has what only many workspaces need, and the two settings in its comment."""
    filled = {
        "SLACK_SIGNING_SECRET": "dummy-secret",
        "SLACK_CLIENT_ID": "1.2",
        "SLACK_CLIENT_SECRET": "dummy-secret",
        "PUBLIC_URL": "https://flokit-bot.example.com",
        "ENCRYPTION_KEYS": new_encryption_key(),
    }
    environment = manifest(EXAMPLE)["stringData"] | manifest("configmap.yaml")["data"] | filled
    assert settings_of(environment, monkeypatch, tmp_path).is_distributed


def test_the_configmap_overrides_the_secret():
    """The Secret may have been created from a whole .env, but the probes depend on values of the ConfigMap."""
    sources = [next(iter(source)) for source in container("deployment.yaml")["envFrom"]]
    assert sources == ["secretRef", "configMapRef"]


def test_secret_and_configmap_have_the_names_that_workloads_use():
    """The workloads refer to them by name."""
    names = {manifest(name)["metadata"]["name"] for name in (EXAMPLE, "configmap.yaml")}
    asked = re.findall(r"(?:secretRef|configMapRef|secretKeyRef)\W+name: (\S+)", "\n".join(texts()))
    assert len(asked) == 3
    assert set(asked) == names == {"flokit-bot"}


def texts():
    """Return the text of both workloads."""
    return [(FOLDER / name).read_text() for name in WORKLOADS]


def test_the_example_holds_no_secret():
    """Nothing in the example Secret looks like a token, and its only password is a plain word."""
    values = manifest(EXAMPLE)["stringData"]
    address = values.pop("DATABASE_URL")
    assert set(values.values()) == {""}
    assert ":PASSWORD@" in address


def test_the_migration_gets_only_the_database(monkeypatch, tmp_path):
    """The Job has one variable, a key of the Secret, which is all that ``migrate`` reads."""
    (variable,) = container("migrate-job.yaml")["env"]
    assert "envFrom" not in container("migrate-job.yaml")
    assert [name.upper() for name in DatabaseSettings.model_fields] == [variable["name"]]
    value = manifest(EXAMPLE)["stringData"][variable["valueFrom"]["secretKeyRef"]["key"]]
    settings = settings_of({variable["name"]: value}, monkeypatch, tmp_path, load_database_settings)
    assert settings.database_url == value


@pytest.mark.parametrize(("name", "command"), [("deployment.yaml", "run"), ("migrate-job.yaml", "migrate")])
def test_the_workloads_run_commands_that_exist(name, command):
    """The Deployment runs ``run`` and the Job ``migrate``, with arguments that the command line accepts."""
    assert container(name)["args"] == [command]
    assert "command" not in container(name)
    assert cli._parser().parse_args(container(name)["args"]).action.__name__ == f"_{command}"


def test_only_liveness_restarts():
    """The liveness probe asks /livez, the readiness probe /readyz; both are served, on an existing port."""
    only = container("deployment.yaml")
    probes = {kind: only[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    served = re.findall(r'add_get\("([^"]+)"', (ROOT / "bot" / "ops" / "web.py").read_text())
    assert {probe["path"] for probe in probes.values()} <= set(served)
    assert {probe["port"] for probe in probes.values()} <= {port["name"] for port in only["ports"]}
    (port,) = manifest("service.yaml")["spec"]["ports"]
    assert port["targetPort"] in {port["name"] for port in only["ports"]}


def test_prometheus_finds_the_pods_either_way():
    """The annotations and the PodMonitor lead to /metrics on the bot's own port and Pods."""
    template = manifest("deployment.yaml")["spec"]["template"]["metadata"]
    (port,) = container("deployment.yaml")["ports"]
    monitor = manifest(POD_MONITOR)["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    annotations = template["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
    assert annotations["prometheus.io/path"] == endpoint["path"] == "/metrics"
    assert endpoint["port"] == port["name"]
    assert monitor["selector"]["matchLabels"].items() <= template["labels"].items()


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_user_is_the_one_of_the_image(name):
    """Pods run as the Dockerfile's user, who isn't root."""
    user, group = run_user()
    assert pod(name)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_get_nothing_that_they_do_not_need(name):
    """No capabilities, no writable image, no Kubernetes credentials, no other variables, and limited memory."""
    assert container(name)["securityContext"] == NO_ROOM
    assert pod(name)["automountServiceAccountToken"] is False
    assert pod(name)["enableServiceLinks"] is False
    assert set(container(name)["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container(name)["resources"]["limits"]


def test_the_network_policy_matches():
    """It allows what the Service sends and what the bot calls, but not the machines' credentials."""
    spec = manifest(NETWORK)["spec"]
    labels = manifest("deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    ((inward,),) = ([rule["ports"] for rule in spec["ingress"]],)
    assert inward == [{"port": manifest("service.yaml")["spec"]["ports"][0]["targetPort"]}]
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53, 443, 5432}
    assert spec["egress"][1]["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]


def test_one_image_runs_and_migrates():
    """Deployment, Job and compose.yaml name the image of this version; kustomization.yaml changes the first two."""
    services = compose()["services"]
    named = [container(name)["image"] for name in WORKLOADS] + [services[name]["image"] for name in ("bot", "migrate")]
    assert named == [image()] * 4
    (moved,) = manifest(KUSTOMIZATION)["images"]
    assert f"{moved['name']}:{moved['newTag']}" == image()


def test_the_selectors_match_only_the_replicas():
    """Deployment, Service, disruption budget and spread select the replicas' Pods; none selects the migration's."""
    deployment = manifest("deployment.yaml")["spec"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    selectors = [
        deployment["selector"]["matchLabels"],
        manifest("service.yaml")["spec"]["selector"],
        manifest("poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"],
        *(constraint["labelSelector"]["matchLabels"] for constraint in spread),
    ]
    replicas, migration = (manifest(name)["spec"]["template"]["metadata"]["labels"].items() for name in WORKLOADS)
    assert len(selectors) == 5
    assert all(selector.items() <= replicas and not selector.items() <= migration for selector in selectors)


def test_one_replica_is_always_there():
    """A rollout removes no replica before its successor is ready, and draining a node leaves one."""
    deployment = manifest("deployment.yaml")["spec"]
    budget = manifest("poddisruptionbudget.yaml")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert budget["minAvailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_there_is_time_to_stop():
    """Kubernetes and Compose wait longer before they kill the bot than it takes to stop."""
    pause_s = container("deployment.yaml")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod("deployment.yaml")["terminationGracePeriodSeconds"] > pause_s + STOPS_WITHIN_S
    assert float(compose()["services"]["bot"]["stop_grace_period"].removesuffix("s")) > STOPS_WITHIN_S


# --- Compose -----------------------------------------------------------------------------------------------------


def test_compose_is_valid():
    """compose.yaml is valid according to the Compose Specification's schema."""
    assert check_compose(COMPOSE) == (0, "ok -- validation done\n")


def test_a_misspelled_key_of_compose_is_refused(tmp_path):
    """The checker refuses a key that Compose doesn't know."""
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("env_file:", "envfile:"))
    code, words = check_compose(wrong)
    assert code == 1
    assert "envfile" in words


@pytest.mark.parametrize(("mode", "unused"), [("socket", "SLACK_SIGNING_SECRET"), ("http", "SLACK_APP_TOKEN")])
def test_the_settings_in_compose_are_enough(mode, unused, monkeypatch, tmp_path):
    """A filled-in .env.example and the service's own variables, all of them known, start the bot on PostgreSQL."""
    bot = compose()["services"]["bot"]
    example = (ROOT / ".env.example").read_text()
    tokens = re.findall(r"^(?:# )?([A-Z_]+)=$", example, re.MULTILINE)
    assert set(bot["environment"]) <= {name.upper() for name in Settings.model_fields} - set(tokens)
    assert bot["env_file"] == ".env"
    environment = fill(dict.fromkeys(tokens, ""), leave_out=unused) | bot["environment"]
    settings = settings_of(environment, monkeypatch, tmp_path)
    assert settings.mode is Mode(mode)
    assert settings.host == "0.0.0.0"
    assert settings.database_url == database_address()


def database_address():
    """Return the URL of Compose's PostgreSQL, built from that service's own variables."""
    given = compose()["services"]["postgres"]["environment"]
    return "postgresql+asyncpg://{POSTGRES_USER}:{POSTGRES_PASSWORD}@postgres/{POSTGRES_DB}".format(**given)


def test_composes_migration_gets_only_the_database():
    """The migration in compose.yaml gets the address of the database and nothing else."""
    migrate = compose()["services"]["migrate"]
    assert migrate["environment"] == {"DATABASE_URL": database_address()}
    assert "env_file" not in migrate


def test_compose_runs_commands_that_exist():
    """compose.yaml runs ``run`` and ``migrate``."""
    services = compose()["services"]
    assert {name: services[name]["command"] for name in ("bot", "migrate")} == {"bot": ["run"], "migrate": ["migrate"]}


def test_compose_starts_in_order():
    """PostgreSQL is healthy before the migration, which runs once and has succeeded before the two replicas."""
    services = compose()["services"]
    healthy, done = {"condition": "service_healthy"}, {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"] == {"postgres": healthy}
    assert services["bot"]["depends_on"] == {"postgres": healthy, "migrate": done}
    assert services["migrate"]["restart"] == "no"
    assert services["bot"]["deploy"]["replicas"] == 2
    user, name = (services["postgres"]["environment"][key] for key in ("POSTGRES_USER", "POSTGRES_DB"))
    test = services["postgres"]["healthcheck"]["test"]
    assert test == ["CMD", "pg_isready", "--host=127.0.0.1", f"--username={user}", f"--dbname={name}"]


def test_compose_keeps_the_database():
    """PostgreSQL's data is in a named volume, and its port is open only to the other services."""
    postgres = compose()["services"]["postgres"]
    assert postgres["image"] == "postgres:17"
    assert postgres["volumes"] == ["postgres-data:/var/lib/postgresql/data"]
    assert "postgres-data" in compose()["volumes"]
    assert "ports" not in postgres


def test_compose_holds_no_secret():
    """All secrets in compose.yaml come from .env, and a missing password there is an error."""
    text = json.dumps(compose(password=""))
    assert "POSTGRES_PASSWORD:?" in COMPOSE.read_text()
    assert "flokit:@postgres" in text
    assert not [name for name in secret_settings() if name in text]


@pytest.mark.parametrize("name", ["bot", "migrate"])
def test_the_containers_get_nothing_that_they_do_not_need(name):
    """Compose's containers of the bot have no capabilities and no writable image."""
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


# --- what the documentation says ---------------------------------------------------------------------------------


def operations():
    """Return the text of docs/operations.md."""
    return (ROOT / "docs" / "operations.md").read_text()


def test_the_documented_queries_work():
    """Each query in docs/operations.md runs on the tables, and returns nothing waiting for an empty database."""
    (block,) = re.findall(r"```sql\n(.+?)```", operations(), re.DOTALL)
    queries = [query for query in block.split(";") if query.strip()]
    engine = create_engine("sqlite://")
    with engine.begin() as database:
        metadata.create_all(database)
        answers = [database.exec_driver_sql(query).all() for query in queries]
    engine.dispose()
    assert len(answers) == 3
    assert not [row for rows in answers for row in rows if row[0]]


def test_the_documented_manifests_exist():
    """Each path below manifests/ in the documentation exists."""
    texts = [path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    named = set(re.findall(r"manifests/[\w./-]+\w", "\n".join(texts))) - {"manifests/kubernetes/secret.yaml"}
    assert {name for name in named if name.startswith("manifests/kubernetes/")}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_documented_workloads_exist():
    """Each Deployment, Job and component in a command of docs/operations.md is in the manifests."""
    made = {f"{manifest(name)['kind'].lower()}/{manifest(name)['metadata']['name']}" for name in WORKLOADS}
    parts = {manifest(name)["metadata"]["labels"]["app.kubernetes.io/component"] for name in WORKLOADS}
    text = operations()
    assert set(re.findall(r"\b(?:deployment|job)/[\w-]+", text)) == made
    assert set(re.findall(r"app\.kubernetes\.io/component=(\w+)", text)) <= parts
