"""What deploys the bot fits the bot: Kubernetes manifests, compose.yaml, and what docs/operations.md says of them."""

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
"""The oldest Kubernetes that deployment.yaml says it runs on, and the newest that the checker knows."""

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
"""What somebody fills in."""

NO_ROOM = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def manifest(name):
    """Read the one object of a manifest."""
    (read,) = yaml.safe_load_all((FOLDER / name).read_text())
    return read


def pod(name):
    """Return a workload's Pod."""
    return manifest(name)["spec"]["template"]["spec"]


def container(name):
    """Return the one container of a workload's Pod."""
    (only,) = pod(name)["containers"]
    return only


def compose(password="0a1b2c"):
    """Read compose.yaml as Compose does: its variables filled in."""
    return yaml.safe_load(re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", password, COMPOSE.read_text()))


def secret_settings():
    """Name the settings that are secrets."""
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
    """Fill dummies in where a value is empty."""
    return {name: DUMMIES[name] if value == "" and name != leave_out else value for name, value in environment.items()}


def run_user():
    """Return the user and the group of the Dockerfile."""
    found = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return tuple(map(int, found[-1]))


def image():
    """Return the name of this version's image."""
    return f"flokit-bot:{__version__}"


def check_compose(path):
    """Ask the checker for its exit code and its words about a Compose file."""
    command = [CHECK_JSONSCHEMA, "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


# --- Kubernetes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FILES)
def test_the_manifests_are_valid(name, version):
    """Each manifest is valid by Kubernetes' own schemas, which allow no unknown field."""
    kubernetes_validate.validate(manifest(name), version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelt_field_is_refused(version):
    """The checker refuses a field that Kubernetes does not know, deep inside."""
    wrong = manifest("deployment.yaml")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpget"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="httpget"):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_all_manifests_are_applied_but_the_example():
    """kustomization.yaml lists every manifest, except the example of the secret."""
    assert sorted([*manifest(KUSTOMIZATION)["resources"], EXAMPLE]) == FILES


def test_the_settings_in_kubernetes_are_known():
    """The ConfigMap has settings that are no secrets; the Secret has all that are, and the database's address."""
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


def test_what_the_probes_rely_on_wins():
    """The ConfigMap comes after the Secret, which may have been made from a whole .env."""
    sources = [next(iter(source)) for source in container("deployment.yaml")["envFrom"]]
    assert sources == ["secretRef", "configMapRef"]


def test_the_names_are_those_that_are_referred_to():
    """Secret and ConfigMap have the names by which the workloads ask for them."""
    names = {manifest(name)["metadata"]["name"] for name in (EXAMPLE, "configmap.yaml")}
    asked = re.findall(r"(?:secretRef|configMapRef|secretKeyRef)\W+name: (\S+)", "\n".join(texts()))
    assert len(asked) == 3
    assert set(asked) == names == {"flokit-bot"}


def texts():
    """Return the text of both workloads."""
    return [(FOLDER / name).read_text() for name in WORKLOADS]


def test_the_example_holds_no_secret():
    """Nothing in the example of a Secret looks like a token, and its one password is a word."""
    values = manifest(EXAMPLE)["stringData"]
    address = values.pop("DATABASE_URL")
    assert set(values.values()) == {""}
    assert ":PASSWORD@" in address


def test_the_migration_gets_the_database_only(monkeypatch, tmp_path):
    """The Job has one variable, a key of the Secret, and it is all that ``migrate`` reads."""
    (variable,) = container("migrate-job.yaml")["env"]
    assert "envFrom" not in container("migrate-job.yaml")
    assert [name.upper() for name in DatabaseSettings.model_fields] == [variable["name"]]
    value = manifest(EXAMPLE)["stringData"][variable["valueFrom"]["secretKeyRef"]["key"]]
    settings = settings_of({variable["name"]: value}, monkeypatch, tmp_path, load_database_settings)
    assert settings.database_url == value


@pytest.mark.parametrize(("name", "command"), [("deployment.yaml", "run"), ("migrate-job.yaml", "migrate")])
def test_the_workloads_run_commands_that_exist(name, command):
    """The Deployment runs ``run`` and the Job ``migrate``: arguments that the command line takes."""
    assert container(name)["args"] == [command]
    assert "command" not in container(name)
    assert cli._parser().parse_args(container(name)["args"]).action.__name__ == f"_{command}"


def test_only_liveness_restarts():
    """What restarts the bot asks /livez, what sends it traffic asks /readyz; both are served, on a port that exists."""
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
def test_the_user_is_the_images(name):
    """Pods run as the Dockerfile's user, who is not root."""
    user, group = run_user()
    assert pod(name)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_pods_are_given_nothing_that_they_do_not_need(name):
    """Pods have no capability, no writable image, no key to Kubernetes, no foreign variables, and bounded memory."""
    assert container(name)["securityContext"] == NO_ROOM
    assert pod(name)["automountServiceAccountToken"] is False
    assert pod(name)["enableServiceLinks"] is False
    assert set(container(name)["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container(name)["resources"]["limits"]


def test_the_network_policy_fits():
    """The policy lets in what the Service sends and out what the bot calls, and no machine's credentials."""
    spec = manifest(NETWORK)["spec"]
    labels = manifest("deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    ((inward,),) = ([rule["ports"] for rule in spec["ingress"]],)
    assert inward == [{"port": manifest("service.yaml")["spec"]["ports"][0]["targetPort"]}]
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53, 443, 5432}
    assert spec["egress"][1]["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]


def test_one_image_runs_and_migrates():
    """Deployment, Job and compose.yaml name the image of this version; kustomization.yaml moves the first two."""
    services = compose()["services"]
    named = [container(name)["image"] for name in WORKLOADS] + [services[name]["image"] for name in ("bot", "migrate")]
    assert named == [image()] * 4
    (moved,) = manifest(KUSTOMIZATION)["images"]
    assert f"{moved['name']}:{moved['newTag']}" == image()


def test_the_selectors_find_the_replicas_and_nothing_else():
    """Deployment, Service, budget and spread select the replicas' Pods; none selects the migration's."""
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
    """A rollout takes no replica away before its successor is ready, and a drained node leaves one."""
    deployment = manifest("deployment.yaml")["spec"]
    budget = manifest("poddisruptionbudget.yaml")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert budget["minAvailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_there_is_time_to_stop():
    """Kubernetes and Compose wait longer before they kill than the bot takes to stop."""
    pause_s = container("deployment.yaml")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod("deployment.yaml")["terminationGracePeriodSeconds"] > pause_s + STOPS_WITHIN_S
    assert float(compose()["services"]["bot"]["stop_grace_period"].removesuffix("s")) > STOPS_WITHIN_S


# --- Compose -----------------------------------------------------------------------------------------------------


def test_compose_is_valid():
    """compose.yaml is valid by the Compose Specification's schema."""
    assert check_compose(COMPOSE) == (0, "ok -- validation done\n")


def test_a_misspelt_key_of_compose_is_refused(tmp_path):
    """The checker refuses a key that Compose does not know."""
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("env_file:", "envfile:"))
    code, words = check_compose(wrong)
    assert code == 1
    assert "envfile" in words


@pytest.mark.parametrize(("mode", "unused"), [("socket", "SLACK_SIGNING_SECRET"), ("http", "SLACK_APP_TOKEN")])
def test_the_settings_in_compose_are_enough(mode, unused, monkeypatch, tmp_path):
    """A filled-in .env.example and the service's own variables, all known settings, start the bot on its PostgreSQL."""
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
    """Build the address at which Compose's PostgreSQL is found, from what that service is told."""
    told = compose()["services"]["postgres"]["environment"]
    return "postgresql+asyncpg://{POSTGRES_USER}:{POSTGRES_PASSWORD}@postgres/{POSTGRES_DB}".format(**told)


def test_composes_migration_gets_the_database_only():
    """The migration of compose.yaml is told the address of the database and nothing else."""
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
    """PostgreSQL's data is in a volume with a name, and its port is open to the other services only."""
    postgres = compose()["services"]["postgres"]
    assert postgres["image"] == "postgres:17"
    assert postgres["volumes"] == ["postgres-data:/var/lib/postgresql/data"]
    assert "postgres-data" in compose()["volumes"]
    assert "ports" not in postgres


def test_compose_holds_no_secret():
    """Whatever is secret comes into compose.yaml from .env, and a password that is missing there stops it."""
    told = json.dumps(compose(password=""))
    assert "POSTGRES_PASSWORD:?" in COMPOSE.read_text()
    assert "flokit:@postgres" in told
    assert not [name for name in secret_settings() if name in told]


@pytest.mark.parametrize("name", ["bot", "migrate"])
def test_the_containers_are_given_nothing_that_they_do_not_need(name):
    """Compose's containers of the bot have no capability and no writable image."""
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


# --- what the documentation says ---------------------------------------------------------------------------------


def operations():
    """Read docs/operations.md."""
    return (ROOT / "docs" / "operations.md").read_text()


def test_the_documented_queries_work():
    """Each query of docs/operations.md runs on the tables, and an empty database has nothing waiting."""
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
    """Each path below manifests/ that the documentation names is there."""
    texts = [path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    named = set(re.findall(r"manifests/[\w./-]+\w", "\n".join(texts))) - {"manifests/kubernetes/secret.yaml"}
    assert {name for name in named if name.startswith("manifests/kubernetes/")}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_documented_workloads_exist():
    """Each Deployment, Job and component that docs/operations.md names in a command is in the manifests."""
    made = {f"{manifest(name)['kind'].lower()}/{manifest(name)['metadata']['name']}" for name in WORKLOADS}
    parts = {manifest(name)["metadata"]["labels"]["app.kubernetes.io/component"] for name in WORKLOADS}
    text = operations()
    assert set(re.findall(r"\b(?:deployment|job)/[\w-]+", text)) == made
    assert set(re.findall(r"app\.kubernetes\.io/component=(\w+)", text)) <= parts
