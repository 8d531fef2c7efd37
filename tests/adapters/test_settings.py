"""The settings: one sentence for anything missing or wrong, without secrets."""

from __future__ import annotations

import base64
import hashlib

import pytest
from pydantic import SecretStr

from bot.core.errors import SettingsError
from bot.core.models import Patience
from bot.settings.network import VARIABLES
from bot.settings.settings import Mode, Settings, has_slack_tokens, load_encryption_settings, load_settings

GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1-hidden",
    "SLACK_APP_TOKEN": "xapp-1-hidden",
    "FLOKIT_API_KEY": "fk_hidden",
}
MASTER_KEYS = [base64.urlsafe_b64encode(hashlib.sha256(name).digest()).decode() for name in (b"first", b"second")]
MANY = {
    "SLACK_CLIENT_ID": "1234.5678",
    "SLACK_CLIENT_SECRET": "hidden-client-secret",
    "PUBLIC_URL": "https://flokit.example.com",
    "ENCRYPTION_KEYS": ",".join(MASTER_KEYS),
}
"""Settings for many workspaces."""

MANY_ONLY = {**MANY, "SLACK_BOT_TOKEN": None, "FLOKIT_API_KEY": None}
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Clear all settings, in a folder without ``.env``."""
    for name in (*NAMES, *VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def load(environment):
    """Load valid settings with changes; None removes one."""

    def loaded(**changes):
        for name, value in {**GOOD, **changes}.items():
            if value is None:
                environment.delenv(name, raising=False)
            else:
                environment.setenv(name, value)
        return load_settings()

    return loaded


def refused(load, **changes):
    """Load wrong settings and return the sentences."""
    with pytest.raises(SettingsError) as error:
        load(**changes)
    assert "hidden" not in f"{error.value} {error.value!r} {error.value.__cause__!r}"
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return error.value.problems


def test_defaults_are_those_of_the_design(load):
    settings = load()
    assert settings.slack_web_api_url == "https://slack.com/api/"
    assert settings.flokit_api_url == "https://api.flokit.ai"
    assert settings.flokit_command == "/flokit"
    assert settings.database_url == "sqlite+aiosqlite:///data/flokit.db"
    assert (settings.host, settings.port) == ("127.0.0.1", 3000)
    assert settings.patience == Patience(2, 30, 60, 1800)
    assert settings.lease_s == 10
    assert (settings.log_format, settings.log_level) == ("console", "INFO")
    assert settings.sync_key.get_secret_value() == "fk_hidden"
    assert settings.flokit_webhook_secret is None
    assert settings.flokit_webhook_signature_header == "X-FloKit-Signature"
    assert settings.flokit_webhook_timestamp_header is None


def test_a_second_key_is_used_to_sync(load):
    assert load(FLOKIT_SYNC_API_KEY="fk_read_write").sync_key.get_secret_value() == "fk_read_write"


@pytest.mark.parametrize(
    ("app_token", "signing_secret", "mode"),
    [("xapp-1", None, Mode.SOCKET), (None, "s3cr3t-of-slack", Mode.HTTP), ("xapp-1", "s3cr3t-of-slack", Mode.SOCKET)],
)
def test_an_app_token_means_socket_mode(load, app_token, signing_secret, mode):
    """A signing secret alone means HTTP."""
    assert load(SLACK_APP_TOKEN=app_token, SLACK_SIGNING_SECRET=signing_secret).mode is mode


def test_a_bot_token_alone_is_refused(load):
    """The sentence names both ways to complete it."""
    (problem,) = refused(load, SLACK_APP_TOKEN=None)
    assert "SLACK_APP_TOKEN" in problem
    assert "SLACK_SIGNING_SECRET" in problem


@pytest.mark.parametrize("half", ["SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"])
def test_either_mode_needs_the_bot_token(load, half):
    changes = {
        "SLACK_APP_TOKEN": None,
        "SLACK_BOT_TOKEN": None,
        half: {"SLACK_APP_TOKEN": "xapp-1-hidden"}.get(half, "hidden-secret"),
    }
    (problem,) = refused(load, **changes)
    assert problem.startswith("SLACK_BOT_TOKEN: ")


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "FLOKIT_API_KEY"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_or_empty_setting_is_named(load, name, value):
    """The sentence says where to find it."""
    (problem,) = refused(load, **{name: value})
    assert problem.startswith(f"{name}: is missing; ")
    assert problem.endswith(".")


WRONG = [
    ("SLACK_BOT_TOKEN", "xoxp-hidden"),
    ("SLACK_BOT_TOKEN", "xoxb-hidden xoxb"),
    ("SLACK_BOT_TOKEN", "xoxb-hidden\n"),
    ("SLACK_BOT_TOKEN", "xoxb-hiddenß"),
    ("SLACK_APP_TOKEN", "xoxb-hidden"),
    ("SLACK_APP_TOKEN", "xapp-hidden\x7f"),
    ("SLACK_SIGNING_SECRET", "hidden\thidden"),
    ("FLOKIT_API_KEY", "hidden hidden"),
    ("FLOKIT_API_KEY", "hidden“"),
    ("FLOKIT_SYNC_API_KEY", "hidden\r"),
    ("FLOKIT_WEBHOOK_SECRET", "long enough but hidden"),
    ("FLOKIT_WEBHOOK_SIGNATURE_HEADER", "X-Signature:"),
    ("FLOKIT_WEBHOOK_SIGNATURE_HEADER", "X Signature"),
    ("FLOKIT_WEBHOOK_SIGNATURE_HEADER", "X-Signätur"),
    ("FLOKIT_WEBHOOK_TIMESTAMP_HEADER", "X-Time\r\nX-Hidden"),
    ("FLOKIT_WEBHOOK_TIMESTAMP_HEADER", "X" * 65),
    ("SLACK_API_URL", "slack.com"),
    ("SLACK_API_URL", "ftp://slack.com"),
    ("FLOKIT_API_URL", "https://"),
    ("FLOKIT_API_URL", "https://api.flokit.ai?x=1"),
    ("FLOKIT_API_URL", "https://api.flokit.ai:port"),
    ("FLOKIT_API_URL", "https://user:hidden@api.flokit.ai"),
    ("SLACK_API_URL", "http://[::1/api"),
    ("FLOKIT_COMMAND", "flokit"),
    ("FLOKIT_COMMAND", "/Flo Kit"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("DATABASE_URL", "postgres://u:hidden@h/db?channel_binding=require"),
    ("DATABASE_URL", "postgresql+asyncpg://u:hidden@h:port/db"),
    ("DATABASE_URL", "postgresql+asyncpg://u:hidden@[h/db"),
    ("DATABASE_URL", "sqlite+aiosqlite:///"),
    ("PORT", "http"),
    ("PORT", "-1"),
    ("PORT", "65536"),
    ("FOLLOW_UP_FIRST_LOOK_S", "0"),
    ("FOLLOW_UP_MAX_INTERVAL_S", "-1"),
    ("FOLLOW_UP_GRACE_S", "nan"),
    ("FOLLOW_UP_DEADLINE_S", "inf"),
    ("FOLLOW_UP_DEADLINE_S", "half an hour"),
    ("LEASE_S", "1e9"),
    ("LOG_FORMAT", "xml"),
    ("LOG_LEVEL", "LOUD"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_setting_is_named_without_its_value(load, name, value):
    """In one sentence on one line."""
    (problem,) = refused(load, **{name: value})
    assert problem.startswith(f"{name}: ")
    assert "\n" not in problem
    assert problem.endswith(".")


SURROUNDED = [
    ('"{}"', "is in quotation marks"),
    ("'{}'", "is in quotation marks"),
    ('"{}', "is in quotation marks"),
    ("{}'", "is in quotation marks"),
    ("\u201c{}\u201d", "is in quotation marks"),
    ("{}\r", "ends with a carriage return"),
    ("{}\n", "has spaces or a line break"),
    (" {}", "has spaces or a line break"),
    ("{}\t", "has spaces or a line break"),
    ("\u00a0{}", "has spaces or a line break"),
    ("\ufeff{}", "has invisible characters"),
    ("{}\u200b", "has invisible characters"),
    ("{}\udcff", "isn't UTF-8 text"),
]


@pytest.mark.parametrize(("surrounding", "words"), SURROUNDED)
@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-1-hidden"),
        ("SLACK_APP_TOKEN", "xapp-1-hidden"),
        ("SLACK_SIGNING_SECRET", "hidden-secret"),
        ("FLOKIT_API_KEY", "fk_hidden"),
        ("FLOKIT_WEBHOOK_SECRET", "hidden-secret-hidden"),
        ("FLOKIT_API_URL", "https://hidden.example.com"),
        ("FLOKIT_COMMAND", "/hidden"),
        ("DATABASE_URL", "postgresql+asyncpg://u:hidden@h/db"),
        ("HOST", "127.0.0.1"),
        ("PORT", "3000"),
        ("LEASE_S", "10"),
        ("STALE_AFTER_HOURS", "stripe=12"),
        ("POLICY_FILE", "hidden.yaml"),
        ("LOG_LEVEL", "INFO"),
    ],
)
def test_quotes_and_line_ends_around_a_value_are_named(load, surrounding, words, name, right):
    """Also blanks and invisible characters, for each kind of setting."""
    (problem,) = refused(load, **{name: surrounding.format(right)})
    assert problem.startswith(f"{name}: {words}")


SECRET_NAMES = ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "FLOKIT_API_KEY", "FLOKIT_WEBHOOK_SECRET"]
PREFIXES = {"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "xapp-"}


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "placeholder",
    ["…", "...", "xxx", "XXXXXXXXXXXX", "changeme", "CHANGE_ME", "<your token>", "your-token-here", "${TOKEN}"],
)
def test_a_placeholder_is_refused(load, name, placeholder):
    (problem,) = refused(load, **{name: PREFIXES.get(name, "") + placeholder})
    assert problem == f"{name}: is still the placeholder; replace it with the real value."


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", ["x", "123"])
def test_a_secret_of_a_few_characters_is_refused(load, name, value):
    """It could be guessed."""
    (problem,) = refused(load, **{name: value})
    assert problem.startswith(f"{name}: ")
    assert problem.endswith(".")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SLACK_BOT_TOKEN", "xapp-1-hidden", "must begin with xoxb-; this one is an app-level token"),
        ("SLACK_BOT_TOKEN", "xoxp-1-hidden", "must begin with xoxb-; copy it"),
        ("SLACK_APP_TOKEN", "xoxb-1-hidden", "must begin with xapp-; this one is a bot token"),
        ("SLACK_SIGNING_SECRET", "xapp-1-hidden", "is a Slack token"),
        ("FLOKIT_API_KEY", "xoxb-1-hidden", "is a Slack token"),
        ("FLOKIT_SYNC_API_KEY", "xapp-1-hidden", "is a Slack token"),
        ("FLOKIT_WEBHOOK_SECRET", "xoxp-1-hidden-hidden", "is a Slack token"),
    ],
)
def test_a_token_in_the_wrong_place_is_named(load, name, value, words):
    """The sentence says where it belongs."""
    (problem,) = refused(load, **{name: value})
    assert problem.startswith(f"{name}: {words}")


@pytest.mark.parametrize(
    "dirty", ["export FLOKIT_API_KEY", "\ufeffFLOKIT_API_KEY", "FLOKIT_API_KEY ", ' "flokit_api_key']
)
def test_a_misspelled_variable_is_shown(load, environment, dirty):
    """It's missing only because of the characters around its name."""
    environment.setenv(dirty, "hidden")
    (problem,) = refused(load, FLOKIT_API_KEY=None)
    assert problem.startswith("FLOKIT_API_KEY: is missing, but there is ")


@pytest.mark.parametrize(
    "written", ["\ufeffFLOKIT_API_KEY=fk_file\n", "export FLOKIT_API_KEY=fk_file\r\n", 'FLOKIT_API_KEY="fk_file"']
)
def test_an_env_file_may_be_written_as_shells_and_editors_do(load, tmp_path, written):
    """A byte order mark, ``export``, quotation marks and Windows line ends in ``.env`` do no harm."""
    (tmp_path / ".env").write_text(written, encoding="utf-8", newline="")
    assert load(FLOKIT_API_KEY=None).flokit_api_key.get_secret_value() == "fk_file"


# --- the network -------------------------------------------------------------------------------------------------


def test_a_proxy_that_cannot_be_used_is_refused(load, environment):
    """One sentence names the variable."""
    environment.setenv("ALL_PROXY", "socks5://hidden@proxy:1080")
    (problem,) = refused(load)
    assert problem == "ALL_PROXY: is a SOCKS proxy, which the bot can't use; name an HTTP proxy."


def test_a_proxy_that_nobody_needs_is_not_checked(load, environment):
    """In the sandbox, everything is on this machine."""
    environment.setenv("ALL_PROXY", "socks5://proxy:1080")
    environment.setenv("SSL_CERT_FILE", "/nowhere")
    settings = load(SLACK_API_URL="http://127.0.0.1:1/api/", FLOKIT_API_URL="http://localhost:1")
    assert settings.network.proxies.proxy_for("http://127.0.0.1:1/api/") is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SSL_CERT_FILE", "/nowhere.pem", "can't be read"),
        ("SSL_CERT_FILE", ".", ""),
        ("SSL_CERT_FILE", "empty.pem", "has no certificates"),
        ("SSL_CERT_FILE", "empty.pem\udcff", ""),
        ("SSL_CERT_DIR", "/nowhere", "isn't a folder"),
    ],
)
def test_unreadable_certificate_files_are_refused(load, environment, tmp_path, name, value, words):
    """One sentence names the variable."""
    (tmp_path / "empty.pem").write_text("")
    environment.setenv(name, value)
    (problem,) = refused(load)
    assert problem.startswith(f"{name}: {words}")


def test_the_env_file_may_name_a_proxy(load, environment, tmp_path):
    """The environment wins over ``.env``, in either case."""
    (tmp_path / ".env").write_text("https_proxy=http://file:1\nNO_PROXY=slack.com\n")
    assert load().network.proxies.proxy_for("https://api.flokit.ai").host == "file"
    environment.setenv("HTTPS_PROXY", "http://environment:1")
    settings = load()
    assert settings.network.proxies.proxy_for("https://api.flokit.ai").host == "environment"
    assert settings.network.proxies.proxy_for("https://slack.com") is None


def test_a_proxys_password_is_a_secret(load, environment):
    """Logs redact it, as written and as decoded."""
    environment.setenv("HTTPS_PROXY", "http://ana:p%40ss-hidden@proxy:3128")
    assert {"p%40ss-hidden", "p@ss-hidden"} <= set(load().secrets)


def test_one_header_for_signature_and_time_is_refused(load):
    """Whatever its case."""
    (problem,) = refused(load, FLOKIT_WEBHOOK_TIMESTAMP_HEADER="x-flokit-signature")
    assert "FLOKIT_WEBHOOK_SIGNATURE_HEADER" in problem
    assert "FLOKIT_WEBHOOK_TIMESTAMP_HEADER" in problem


def test_all_problems_are_reported_at_once(load):
    problems = refused(load, FLOKIT_API_KEY=None, PORT="x", LOG_FORMAT="xml")
    assert {problem.split(":")[0] for problem in problems} == {"FLOKIT_API_KEY", "PORT", "LOG_FORMAT"}


def test_the_env_file_is_read(load, tmp_path):
    """The environment wins over it, and unknown lines are ignored."""
    (tmp_path / ".env").write_text("FLOKIT_API_KEY=fk_file\nPORT=4000\nSOMETHING_ELSE=1\n", encoding="utf-8")
    settings = load(FLOKIT_API_KEY=None, PORT="5000")
    assert settings.flokit_api_key.get_secret_value() == "fk_file"
    assert settings.port == 5000


def test_an_env_file_in_another_encoding_is_refused(load, tmp_path):
    (tmp_path / ".env").write_bytes(b"FLOKIT_API_KEY=hidden\xff\n")
    (problem,) = refused(load)
    assert problem.startswith(".env: ")


@pytest.mark.parametrize(
    "name",
    ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"],
)
def test_any_token_means_slack(environment, name):
    """Any of Slack's tokens, right or wrong, means that someone is setting up Slack."""
    assert not has_slack_tokens()
    environment.setenv(name, "whatever")
    assert has_slack_tokens()


def test_secrets_stay_hidden(load):
    """In the settings' text and in their dump."""
    settings = load(
        SLACK_SIGNING_SECRET="s-hidden", FLOKIT_SYNC_API_KEY="k-hidden", FLOKIT_WEBHOOK_SECRET="w-hidden-w-hidden"
    )
    assert "hidden" not in f"{settings} {settings!r} {settings.model_dump()}"
    secrets = [name for name, value in settings if isinstance(value, SecretStr)]
    assert set(secrets) == {
        "slack_bot_token",
        "slack_app_token",
        "slack_signing_secret",
        "flokit_api_key",
        "flokit_sync_api_key",
        "flokit_webhook_secret",
    }


def test_database_password_stays_hidden(load):
    settings = load(DATABASE_URL="postgresql+asyncpg://u:hidden@h/db")
    assert "hidden" not in f"{settings} {settings!r}"


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("https://slack.example.com/api/", []),
        ("http://127.0.0.1:5000/api/", []),
        ("http://localhost/api/", []),
        ("http://[::1]:5000/api/", []),
        ("http://slack-mock:8080/api/", ["SLACK_API_URL"]),
    ],
)
def test_unencrypted_addresses_are_named(load, url, names):
    """An http:// address beyond this machine is allowed and named."""
    assert load(SLACK_API_URL=url).unencrypted == names


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("postgres://u:hidden@db.example.com/x", ["DATABASE_URL"]),
        ("postgres://u:hidden@db.example.com/x?sslmode=require", []),
        ("postgres://u:hidden@localhost/x", []),
        ("sqlite:///x.db", []),
    ],
)
def test_an_unencrypted_database_is_named(load, url, names):
    """A server on another machine without required encryption is named, and its password is a secret."""
    settings = load(DATABASE_URL=url)
    assert settings.unencrypted == names
    assert ("hidden" in settings.secrets) == url.startswith("postgres")


# --- many workspaces -------------------------------------------------------------------------------------------


def test_one_workspace_is_the_default(load):
    settings = load()
    assert not settings.is_distributed
    assert settings.bot_token.get_secret_value() == GOOD["SLACK_BOT_TOKEN"]
    assert settings.look_key.get_secret_value() == GOOD["FLOKIT_API_KEY"]
    assert settings.uninstalled_retention_days == 30


def test_the_four_together_serve_many(load):
    settings = load(**MANY_ONLY)
    assert settings.is_distributed
    assert settings.mode is Mode.SOCKET
    assert settings.public_url == "https://flokit.example.com"
    assert load(**MANY_ONLY, SLACK_APP_TOKEN=None, SLACK_SIGNING_SECRET="hidden-secret").mode is Mode.HTTP


def test_the_tokens_of_one_workspace_are_refused_with_many(load):
    settings = load(**MANY_ONLY)
    for name in ("bot_token", "look_key", "sync_key"):
        with pytest.raises(RuntimeError):
            getattr(settings, name)


@pytest.mark.parametrize("missing", list(MANY))
def test_each_of_the_four_is_required(load, missing):
    (problem,) = refused(load, **{**MANY_ONLY, missing: None})
    assert problem.startswith(f"{missing}: is missing, but ")
    assert problem.endswith(".")


def test_one_of_the_four_alone_names_the_others(load):
    problems = refused(load, **{**dict.fromkeys(MANY_ONLY), "PUBLIC_URL": "https://flokit.example.com"})
    assert [problem.split(":")[0] for problem in problems] == [name for name in MANY if name != "PUBLIC_URL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-hidden"),
        ("FLOKIT_API_KEY", "fk_hidden"),
        ("FLOKIT_SYNC_API_KEY", "fk_hidden"),
        ("FLOKIT_WEBHOOK_SECRET", "hidden-secret"),
        ("POLICY_FILE", "policy.yaml"),
    ],
)
def test_settings_for_one_workspace_are_refused(load, name, value):
    (problem,) = refused(load, **MANY_ONLY | {name: value})
    assert problem.startswith(f"{name}: can't be set together with SLACK_CLIENT_ID, which serves many workspaces: ")


def test_many_workspaces_need_a_mode(load):
    (problem,) = refused(load, **MANY_ONLY, SLACK_APP_TOKEN=None)
    assert problem.startswith("SLACK_APP_TOKEN or SLACK_SIGNING_SECRET: ")
    assert "SLACK_BOT_TOKEN" not in problem


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PUBLIC_URL", "http://flokit.example.com", "must begin with https://"),
        ("PUBLIC_URL", "flokit.example.com", "must be an address"),
        ("PUBLIC_URL", "https://flokit.example.com/?a=hidden", "must be an address"),
        ("SUPPORT_URL", "javascript:hidden", "must be an address such as https://example.com/help"),
        ("SUPPORT_URL", "http://hidden.example.com", "must be an address"),
        ("PRIVACY_URL", 'https://example.com/"><hidden', "must be an address"),
        ("PRIVACY_URL", "mailto:hidden", "must be an address"),
        ("SLACK_CLIENT_ID", "hidden client", "must be letters"),
        ("SLACK_CLIENT_SECRET", "xoxb-hidden", "is a Slack token"),
        ("ENCRYPTION_KEYS", "hidden", "must be 32 random bytes in url-safe base64; make one with flokit-bot keys new"),
        ("ENCRYPTION_KEYS", f"{MASTER_KEYS[0]},hidden", "key 2 of 2"),
        ("UNINSTALLED_RETENTION_DAYS", "-1", "greater than or equal to 0"),
    ],
)
def test_wrong_settings_for_many_workspaces_are_named(load, name, value, words):
    (problem,) = refused(load, **{**MANY_ONLY, name: value})
    assert problem.startswith(f"{name}: ")
    assert words in problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:8484", "http://localhost/", "https://flokit.example.com/bot/"])
def test_only_addresses_that_browsers_may_use_are_accepted(load, url):
    """TLS may be missing only on this machine, for trying it out."""
    assert load(**MANY_ONLY | {"PUBLIC_URL": url}).public_url == url.rstrip("/")


def test_the_secrets_of_many_workspaces_stay_hidden(load):
    settings = load(**MANY_ONLY)
    shown = f"{settings} {settings!r} {settings.model_dump()}"
    assert not any(secret in shown for secret in ("hidden", *MASTER_KEYS))
    secrets = {name for name, value in settings if isinstance(value, SecretStr)}
    assert secrets == {"slack_app_token", "slack_client_secret", "encryption_keys"}


def test_each_master_key_is_redacted_separately(load):
    """A log line with only one of them is redacted, too."""
    assert set(MASTER_KEYS) < set(load(**MANY_ONLY).secrets)


def test_the_encryption_keys_need_no_other_settings(environment):
    with pytest.raises(SettingsError) as error:
        load_encryption_settings()
    assert error.value.problems == ["ENCRYPTION_KEYS: is missing; make one with flokit-bot keys new."]
    environment.setenv("ENCRYPTION_KEYS", MANY["ENCRYPTION_KEYS"])
    assert load_encryption_settings().master_keys == MANY["ENCRYPTION_KEYS"]
