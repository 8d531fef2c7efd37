"""The settings, from environment variables or a ``.env`` file. The command line loads them once."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.core.errors import SettingsError
from bot.core.hosts import is_loopback, slack_domain
from bot.core.incidents.incidents import Rules
from bot.core.incidents.taking import Attention
from bot.core.models import Patience
from bot.core.runs.limits import Limits
from bot.settings.database_url import Server, UrlProblem, parse_database_url
from bot.settings.encryption_keys import MAKE_ONE, KeyProblem, parse_encryption_keys
from bot.settings.network import DIRECT, VARIABLES, Network

SHORTEST_SECRET: Final = 4
"""A shorter one is a mistake, and the logs wouldn't redact it."""

SHORTEST_DOOR_SECRET: Final = 6
"""For secrets that strangers can guess at any number of times."""

_QUOTES: Final = ('"', "'", "`", "\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u00ab", "\u00bb")
"""The quotation marks of several languages: some editors insert them automatically."""

_PLACEHOLDER: Final = re.compile(
    r"…|\.\.\.|^(xox[a-z]-|xapp-|flo_)?(x{3,}|\*{3,}|change[-_ ]?me.*|replace[-_ ]?me.*|your[-_ ].*|placeholder|todo"
    r"|<.*>|\[.*\]|\$\{?\w+\}?)$",
    re.IGNORECASE,
)
"""What examples have in place of a secret."""


class Mode(StrEnum):
    """How Slack reaches the bot."""

    SOCKET = "socket"
    HTTP = "http"


def _check_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
        raise PydanticCustomError("url", "must be an address such as https://api.example.com")
    try:
        parts = urlsplit(value)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0) and "@" not in parts.netloc
    except ValueError:
        is_whole = False
    if not is_whole:
        raise PydanticCustomError("url", "must have a host, an optional port, and no user or password")
    return value


def _check_public_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise PydanticCustomError("public_url", "must begin with https://; only this machine may be reached without")
    return value.rstrip("/")


def _check_link(value: str) -> str:
    if not re.fullmatch(r"https://[^\s/?#@\"<>]+(/[^\s\"<>]*)?|mailto:[^\s@?\"<>]+@[^\s@?\"<>]+", value):
        raise PydanticCustomError(
            "link", "must be an address such as https://example.com/help or mailto:help@example.com"
        )
    return value


def _check_client_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", value):
        raise PydanticCustomError(
            "client_id", "must be letters, digits, dots and hyphens; copy it from your app's page"
        )
    return value


def _check_encryption_keys(value: SecretStr) -> SecretStr:
    try:
        parse_encryption_keys(value.get_secret_value())
    except KeyProblem as problem:
        raise PydanticCustomError("encryption_keys", "{problem}", {"problem": str(problem)}) from None
    return value


def _check_command(value: str) -> str:
    if not re.fullmatch(r"/[a-z0-9_-]{1,31}", value):
        raise PydanticCustomError("command", "must be a slash and up to 31 lowercase letters, digits, - or _: /flokit")
    return value


def _check_database_url(value: str) -> str:
    try:
        parse_database_url(value)
    except UrlProblem as problem:
        raise PydanticCustomError("database_url", "{problem}", {"problem": str(problem)}) from None
    return value.strip()


def _check_bot_token(value: SecretStr) -> SecretStr:
    if value.get_secret_value().startswith("xapp-"):
        raise PydanticCustomError(
            "bot_token", "must begin with xoxb-; this one is an app-level token, which belongs in SLACK_APP_TOKEN"
        )
    if not value.get_secret_value().startswith("xoxb-"):
        raise PydanticCustomError(
            "bot_token", "must begin with xoxb-; copy it from your app's OAuth & Permissions page"
        )
    return value


def _check_app_token(value: SecretStr) -> SecretStr:
    if value.get_secret_value().startswith("xoxb-"):
        raise PydanticCustomError(
            "app_token", "must begin with xapp-; this one is a bot token, which belongs in SLACK_BOT_TOKEN"
        )
    if not value.get_secret_value().startswith("xapp-"):
        raise PydanticCustomError(
            "app_token", "must begin with xapp-; create one under your app's Basic Information → App-Level Tokens"
        )
    return value


def _check_no_token(value: SecretStr) -> SecretStr:
    if value.get_secret_value().startswith(("xoxb-", "xoxp-", "xapp-")):
        raise PydanticCustomError("no_token", "is a Slack token; it belongs in another variable")
    return value


def _check_length(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SHORTEST_SECRET:
        raise PydanticCustomError("short", "is too short; copy the whole value")
    return value


def _check_door(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SHORTEST_DOOR_SECRET:
        raise PydanticCustomError(
            "short", f"has fewer than {SHORTEST_DOOR_SECRET} characters, so anyone can guess it; use the whole secret"
        )
    return value


def _check_writing(value: Any) -> Any:
    """Refuse what surrounds a value by mistake: env files keep quotation marks, spaces and Windows line endings."""
    if not isinstance(value, str):
        return value
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise PydanticCustomError("writing", "isn't UTF-8 text")
    if value[:1] in _QUOTES or value[-1:] in _QUOTES:
        raise PydanticCustomError(
            "writing", "is in quotation marks, which docker's --env-file keeps; write the value without them"
        )
    if value.endswith("\r"):
        raise PydanticCustomError(
            "writing", "ends with a carriage return, as in files from Windows; save the file with Unix line endings"
        )
    if value != value.strip():
        raise PydanticCustomError("writing", "has spaces or a line break before or after it; remove them")
    if not value.isprintable():
        raise PydanticCustomError("writing", "has invisible characters, such as a line break; remove them")
    return value


def _check_host(value: str) -> str:
    try:
        value.encode("idna")
    except UnicodeError:
        value = ""
    if not re.fullmatch(r"[\w.:%-]+", value):
        raise PydanticCustomError("host", "must be an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all")
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if _PLACEHOLDER.search(text):
        raise PydanticCustomError("placeholder", "is still the placeholder; replace it with the real value")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise PydanticCustomError("secret", "must be ASCII letters, digits and symbols, without spaces or line breaks")
    return value


def _parse_hours(value: Any) -> Any:
    """Read ``stripe=12, adjust=48``."""
    if not isinstance(value, str):
        return value
    hours = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        found = re.fullmatch(r"([a-z_]+)\s*=\s*(\d{1,5}(?:\.\d+)?)", part)
        if found is None or float(found[2]) == 0:
            raise PydanticCustomError("hours", "must be hours by type, such as stripe=12, app_store_connect=96")
        hours[found[1]] = float(found[2])
    return hours


def _check_header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", value):  # a token: RFC 9110, section 5.6.2
        raise PydanticCustomError("header", "must be the name of an HTTP header, without a colon: X-FloKit-Signature")
    return value


_NO_MODE = (
    "SLACK_APP_TOKEN or SLACK_SIGNING_SECRET: one is needed in addition to SLACK_BOT_TOKEN; "
    "the first for Socket Mode, the second for HTTP."
)
_ONE_HEADER = (
    "FLOKIT_WEBHOOK_SIGNATURE_HEADER, FLOKIT_WEBHOOK_TIMESTAMP_HEADER: "
    "must be two different headers; one can't carry both."
)

_NO_MODE_OF_MANY = (
    "SLACK_APP_TOKEN or SLACK_SIGNING_SECRET: one is needed; the first for Socket Mode, the second for HTTP."
)
_MANY: Final = {
    "slack_client_id": "copy it from your app's page Basic Information",
    "slack_client_secret": "copy it from your app's page Basic Information",
    "public_url": "set it to the address at which browsers and Slack reach this bot",
    "encryption_keys": MAKE_ONE,
}
"""What together serves many workspaces, and where to get it."""

_NOT_WITH_MANY: Final = {
    "slack_bot_token": "each workspace's token comes from its installation",
    "flokit_api_key": "each workspace connects its own FloKit",
    "flokit_sync_api_key": "each workspace connects its own FloKit",
    "flokit_webhook_secret": "each workspace has an address of its own for webhooks",
    "policy_file": "each workspace has a policy of its own",
}
"""What belongs to one workspace, and why it can't be set for many."""

Key = Annotated[
    SecretStr, AfterValidator(_check_secret), AfterValidator(_check_no_token), AfterValidator(_check_length)
]
DoorSecret = Annotated[Key, AfterValidator(_check_door)]
BotToken = Annotated[
    SecretStr, AfterValidator(_check_secret), AfterValidator(_check_bot_token), AfterValidator(_check_length)
]
AppToken = Annotated[
    SecretStr, AfterValidator(_check_secret), AfterValidator(_check_app_token), AfterValidator(_check_length)
]
EncryptionKeys = Annotated[SecretStr, AfterValidator(_check_secret), AfterValidator(_check_encryption_keys)]
ClientId = Annotated[str, AfterValidator(_check_client_id)]
Host = Annotated[str, AfterValidator(_check_host)]
Header = Annotated[str, AfterValidator(_check_header)]
Url = Annotated[str, AfterValidator(_check_url)]
Link = Annotated[str, AfterValidator(_check_link)]
PublicUrl = Annotated[Url, AfterValidator(_check_public_url)]
Seconds = Annotated[float, Field(gt=0, le=30 * 24 * 3600, allow_inf_nan=False)]


_S = TypeVar("_S", bound=BaseSettings)

ENV_FILE: Final = ".env"

_SOURCES = SettingsConfigDict(
    env_file=ENV_FILE, env_file_encoding="utf-8-sig", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
)


class _SlackTokens(BaseSettings):
    model_config = _SOURCES

    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_client_id: str | None = None
    slack_client_secret: SecretStr | None = None


def has_slack_tokens() -> bool:
    """Return whether anything of Slack's is set, valid or not: a token, a secret, or a client ID."""
    return any(value for _, value in _load(_SlackTokens, {}))


def serves_one() -> bool:
    """Return whether a bot token is set: the bot then serves one workspace, which nobody installs."""
    return _load(_SlackTokens, {}).slack_bot_token is not None


class _TraceSettings(BaseSettings):
    """From the environment only: OpenTelemetry doesn't read ``.env``."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    otel_exporter_otlp_endpoint: str = ""
    otel_exporter_otlp_traces_endpoint: str = ""
    otel_traces_exporter: str = ""
    otel_sdk_disabled: str = ""

    @property
    def urls(self) -> list[str]:
        """Where traces go, if a variable names it; at most one."""
        return [url for url in (self.otel_exporter_otlp_traces_endpoint, self.otel_exporter_otlp_endpoint) if url][:1]


def wants_traces() -> bool:
    """Return whether a standard variable asks for traces: an endpoint, or ``OTEL_TRACES_EXPORTER=otlp``."""
    otel = _load(_TraceSettings, {})
    if otel.otel_sdk_disabled.lower() == "true" or otel.otel_traces_exporter not in ("", "otlp"):
        return False
    return any((otel.otel_exporter_otlp_endpoint, otel.otel_exporter_otlp_traces_endpoint, otel.otel_traces_exporter))


class DatabaseSettings(BaseSettings):
    """What ``flokit-bot migrate`` needs: a migration job doesn't need tokens."""

    model_config = _SOURCES

    _written_well = field_validator("*", mode="before")(_check_writing)

    database_url: Annotated[str, AfterValidator(_check_database_url)] = Field(
        "sqlite+aiosqlite:///data/flokit.db", description="a SQLite file or a PostgreSQL server", repr=False
    )

    @property
    def _server(self) -> Server:
        """The database server; an empty one when the database is a file."""
        where = parse_database_url(self.database_url)
        return where if isinstance(where, Server) else Server()


class EncryptionSettings(DatabaseSettings):
    """What ``flokit-bot keys`` needs."""

    encryption_keys: EncryptionKeys | None = Field(
        None, description="the master keys that protect stored tokens and keys; the first encrypts, all of them decrypt"
    )

    @property
    def master_keys(self) -> str:
        """The value of ``ENCRYPTION_KEYS``; "" if it isn't set."""
        return self.encryption_keys.get_secret_value() if self.encryption_keys else ""


class RetentionSettings(EncryptionSettings):
    """What ``flokit-bot workspaces`` needs."""

    retention_days: float = Field(90.0, ge=1, le=36500, description="how many days finished work is kept")
    uninstalled_retention_days: float = Field(
        30.0, ge=0, le=36500, description="how many days a workspace's data is kept after it uninstalled the app"
    )


class Settings(RetentionSettings):
    """All settings and their defaults; ``docs/settings.md`` and ``.env.example`` list the same."""

    slack_bot_token: BotToken | None = Field(description="xoxb-…, from the app's page OAuth & Permissions")
    slack_app_token: AppToken | None = Field(None, description="xapp-…: Socket Mode")
    slack_signing_secret: DoorSecret | None = Field(None, description="HTTP mode; not used in Socket Mode")
    slack_client_id: ClientId | None = Field(None, description="many workspaces: the app's client ID")
    slack_client_secret: DoorSecret | None = Field(None, description="many workspaces: the app's client secret")
    public_url: PublicUrl | None = Field(None, description="many workspaces: where browsers and Slack reach this bot")
    support_url: Link | None = Field(
        None, description="many workspaces: where people get help, shown when they install"
    )
    privacy_url: Link | None = Field(None, description="many workspaces: your privacy policy, shown when they install")
    slack_api_url: Url = Field("https://slack.com/api/", description="Web API base")
    flokit_api_key: Key | None = Field(description="key to read integrations with")
    flokit_sync_api_key: Key | None = Field(
        None, description="read-write key to start syncs with; defaults to FLOKIT_API_KEY"
    )
    flokit_api_url: Url = Field("https://api.flokit.ai", description="API base")
    flokit_webhook_secret: DoorSecret | None = Field(
        None, description="enables POST /webhooks/flokit for callers who know it; unset, the route doesn't exist"
    )
    flokit_webhook_signature_header: Header = Field(
        "X-FloKit-Signature", description="the header that carries a webhook's HMAC-SHA256"
    )
    flokit_webhook_timestamp_header: Header | None = Field(
        None, description="the header that carries a webhook's time; with it, old deliveries are refused"
    )
    database_pool_size: int = Field(15, ge=2, le=200, description="how many connections to a server may be open")
    flokit_command: Annotated[str, AfterValidator(_check_command)] = Field("/flokit", description="slash command")
    host: Host = Field("127.0.0.1", description="address of health, readiness, metrics, webhooks and Slack over HTTP")
    port: int = Field(3000, ge=0, le=65535, description="its port; 0 picks a free one and logs it")
    follow_up_first_look_s: Seconds = Field(2.0, description="seconds until a started sync is first checked")
    follow_up_max_interval_s: Seconds = Field(30.0, description="the longest time between two checks")
    follow_up_grace_s: Seconds = Field(60.0, description="how long FloKit may show an old state after a sync starts")
    follow_up_deadline_s: Seconds = Field(1800.0, description="when to report that no result could be confirmed")
    watch_interval_s: Seconds = Field(60.0, description="how often a workspace with subscriptions is checked")
    watch_confirm_s: Seconds = Field(5.0, description="time between the two checks that open an incident")
    flapping_opens: int = Field(
        3, ge=2, le=100, description="incidents of one integration before they're merged into one message"
    )
    flapping_window_s: Seconds = Field(3600.0, description="… within this time")
    on_it_remind_s: Seconds = Field(
        14400.0, description="seconds until a person who is on an incident is asked whether they still are"
    )
    on_it_answer_s: Seconds = Field(
        3600.0, description="seconds they have to answer before no one is on it, also after a handover"
    )
    stale_after_hours: Annotated[dict[str, float] | None, NoDecode, BeforeValidator(_parse_hours)] = Field(
        None,
        description="hours without a success before an integration counts as stale, by type: `stripe=12, adjust=48`",
    )
    policy_file: Path | None = Field(None, description="who may do what: a YAML file, manifests/policy.example.yaml")
    sync_cooldown_s: Annotated[float, Field(ge=0, le=30 * 24 * 3600, allow_inf_nan=False)] = Field(
        60.0, description="seconds between a successful sync and the next start of the same integration; 0: none"
    )
    sync_quota_per_hour: int = Field(0, ge=0, le=10_000, description="syncs one person may start per hour; 0: no limit")
    lease_s: Seconds = Field(10.0, description="how long a replica's claim on work holds")
    _network: Network = PrivateAttr(DIRECT)

    log_format: Literal["console", "json"] = Field("console", description="console or json")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG … ERROR")

    @model_validator(mode="before")
    @classmethod
    def _ask_for_no_token(cls, values: Any) -> Any:
        """Let what one workspace needs be missing when there are many."""
        if any(values.get(name) for name in _MANY):
            return {"slack_bot_token": None, "flokit_api_key": None, **values}
        return values

    @model_validator(mode="after")
    def _check_mode(self) -> Settings:
        if any(getattr(self, name) for name in _MANY):
            problems = self._problems_of_many()
        else:
            problems = [] if self.slack_app_token or self.slack_signing_secret else [_NO_MODE]
        if problems:
            raise PydanticCustomError("mode", "\n".join(problems))
        return self

    def _problems_of_many(self) -> list[str]:
        """Say what is missing to serve many workspaces, and what must not be set then."""
        named = next(name for name in _MANY if getattr(self, name)).upper()
        missing = [
            f"{name.upper()}: is missing, but {named} is set: to serve many workspaces, {hint}."
            for name, hint in _MANY.items()
            if not getattr(self, name)
        ]
        foreign = [
            f"{name.upper()}: can't be set together with {named}, which serves many workspaces: {reason}."
            for name, reason in _NOT_WITH_MANY.items()
            if getattr(self, name)
        ]
        has_mode = self.slack_app_token or self.slack_signing_secret
        return [*missing, *foreign, *([] if has_mode else [_NO_MODE_OF_MANY])]

    @model_validator(mode="after")
    def _check_webhook_headers(self) -> Settings:
        timestamp_header = self.flokit_webhook_timestamp_header
        if timestamp_header and timestamp_header.lower() == self.flokit_webhook_signature_header.lower():
            raise PydanticCustomError("webhook_headers", _ONE_HEADER)
        return self

    @property
    def secrets(self) -> list[str]:
        """The values to redact everywhere."""
        values = [getattr(self, name) for name in type(self).model_fields]
        return [
            *(value.get_secret_value() for value in values if isinstance(value, SecretStr)),
            *filter(None, self.master_keys.split(",")),
            *filter(None, (self._server.password, self._server.driver_options.get("sslpassword"))),
            *self._network.proxies.secrets,
        ]

    @property
    def is_distributed(self) -> bool:
        """Whether it serves every workspace that installs the app, and not only the one whose tokens are set."""
        return self.slack_client_id is not None

    @property
    def bot_token(self) -> SecretStr:
        """The token of the one workspace; never asked for when `is_distributed`."""
        return _of_one("SLACK_BOT_TOKEN", self.slack_bot_token)

    @property
    def look_key(self) -> SecretStr:
        """The key to read with, of the one workspace; never asked for when `is_distributed`."""
        return _of_one("FLOKIT_API_KEY", self.flokit_api_key)

    @property
    def network(self) -> Network:
        """The proxies to use and the certificates to trust."""
        return self._network

    @property
    def urls(self) -> list[str]:
        """All addresses that the bot connects to, except the database."""
        slack = self.slack_web_api_url
        domain = slack_domain(urlsplit(slack).hostname or "")
        beside = [f"https://hooks.{domain}/", f"wss://wss-primary.{domain}/"] if domain else []
        traces = _load(_TraceSettings, {}).urls if wants_traces() else []
        return [slack, *beside, self.flokit_api_url, *traces]

    @property
    def unencrypted(self) -> list[str]:
        """The settings whose addresses send secrets to other machines as plain text."""
        urls = {"SLACK_API_URL": self.slack_api_url, "FLOKIT_API_URL": self.flokit_api_url}
        parts = {name: urlsplit(url) for name, url in urls.items()}
        plain = [name for name, url in parts.items() if url.scheme == "http" and not is_loopback(url.hostname or "")]
        return [*plain, "DATABASE_URL"] if self._server.is_exposed else plain

    @property
    def mode(self) -> Mode:
        """Socket Mode when there is an app token, HTTP otherwise."""
        return Mode.SOCKET if self.slack_app_token else Mode.HTTP

    @property
    def patience(self) -> Patience:
        """How a run is followed."""
        return Patience(
            first_look_s=self.follow_up_first_look_s,
            max_interval_s=self.follow_up_max_interval_s,
            grace_s=self.follow_up_grace_s,
            deadline_s=self.follow_up_deadline_s,
        )

    @property
    def limits(self) -> Limits:
        """How soon and how often a sync can be started."""
        return Limits(self.sync_cooldown_s, self.sync_quota_per_hour)

    @property
    def rules(self) -> Rules:
        """What counts as an incident."""
        return Rules(
            confirm_s=self.watch_confirm_s,
            flapping_opens=self.flapping_opens,
            flapping_window_s=self.flapping_window_s,
            attention=Attention(self.on_it_remind_s, self.on_it_answer_s),
        )

    @property
    def stale_after_s(self) -> dict[str, float]:
        """How old the last success may be, in seconds, by type, where it's set."""
        return {type_: hours * 3600 for type_, hours in (self.stale_after_hours or {}).items()}

    @property
    def sync_key(self) -> SecretStr:
        """The key to start syncs with, of the one workspace; never asked for when `is_distributed`."""
        return self.flokit_sync_api_key or self.look_key

    @property
    def slack_web_api_url(self) -> str:
        """The Web API base, with the trailing slash that the SDK needs."""
        return self.slack_api_url.rstrip("/") + "/"


def _of_one(name: str, value: SecretStr | None) -> SecretStr:
    """Return what is there unless the bot serves many workspaces, which the settings' own check guarantees."""
    if value is None:
        raise RuntimeError(f"{name} is only for one workspace")
    return value


_HINTS = {
    "slack_bot_token": "copy it from your app's OAuth & Permissions page (it begins with xoxb-)",
    "flokit_api_key": "create one in FloKit → Settings → API Keys",
}


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: one sentence for each variable that is missing or wrong; never the value itself.
    """
    settings = _load(Settings, overrides)
    settings._network = Network(_environment())  # noqa: SLF001 - set here, never changed
    if problems := settings.network.problems(settings.urls):
        raise SettingsError(problems)
    return settings


def _environment() -> dict[str, str]:
    """Return the network variables from the environment, and those from ``.env`` that the environment lacks."""
    said = {name: value for name, value in os.environ.items() if name.lower() in VARIABLES}
    taken = {name.lower() for name in said}
    in_file = dotenv_values(ENV_FILE, encoding="utf-8-sig") if Path(ENV_FILE).is_file() else {}
    added = {name: value for name, value in in_file.items() if value and name.lower() in VARIABLES - taken}
    return {**added, **said}


def load_database_settings(**overrides: Any) -> DatabaseSettings:
    """Read the settings about the database; raises as ``load_settings`` does."""
    return _load(DatabaseSettings, overrides)


def load_retention_settings(**overrides: Any) -> RetentionSettings:
    """Read the settings about the database and how long it keeps what; raises as ``load_settings`` does."""
    return _load(RetentionSettings, overrides)


def load_encryption_settings(**overrides: Any) -> EncryptionSettings:
    """Read the settings about the database and its encryption; raises as ``load_settings`` does.

    Raises:
        SettingsError: also if ``ENCRYPTION_KEYS`` isn't set.
    """
    settings = _load(EncryptionSettings, overrides)
    if settings.encryption_keys is None:
        raise SettingsError([f"ENCRYPTION_KEYS: is missing; {MAKE_ONE}."])
    return settings


def _load(kind: type[_S], overrides: dict[str, Any]) -> _S:
    if Path(ENV_FILE).is_fifo():  # opening it would block
        raise SettingsError([".env: is a pipe; use a file instead."])
    try:
        return kind(**overrides)
    except ValidationError as error:
        sentences = (_sentence(problem).split("\n") for problem in error.errors())
        raise SettingsError([sentence for several in sentences for sentence in several]) from None
    except UnicodeDecodeError:
        raise SettingsError([".env: isn't UTF-8 text; save it as UTF-8."]) from None
    except OSError as error:
        raise SettingsError([f".env: can't be read ({error.strerror}); change its permissions or its owner."]) from None


def _sentence(problem: Any) -> str:
    if not problem["loc"]:  # about several variables: the sentence names them
        return str(problem["msg"])
    field = str(problem["loc"][0])
    name = field.upper()
    if problem["type"] == "missing":
        if misnamed := _misnamed(name):
            return f"{name}: is missing, but there is {misnamed!r}; remove what is before or after the name."
        return f"{name}: is missing; {_HINTS.get(field, 'set it')}."
    message = str(problem["msg"])
    return f"{name}: {message[0].lower()}{message[1:]}."


def _misnamed(name: str) -> str | None:
    """Find a variable with extra characters around its name: env files keep ``export``, spaces and quotes."""
    dirt = r"^(?:\ufeff|export\s|[\s\"'])+|[\s\"']+$"
    dirty = (found for found in os.environ if re.search(dirt, found))
    return next((found for found in dirty if re.sub(dirt, "", found).upper() == name), None)
