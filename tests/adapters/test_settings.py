"""The settings: one sentence for whatever is missing or wrong, and never a secret in it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from bot.core.errors import SettingsError
from bot.core.models import Patience
from bot.settings import Mode, Settings, has_slack_tokens, load_settings

GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1-hidden",
    "SLACK_APP_TOKEN": "xapp-1-hidden",
    "FLOKIT_API_KEY": "fk_hidden",
}
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Clear all settings, and stand where no ``.env`` is."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def load(environment):
    """Load the good settings with changes; None takes one away."""

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


def test_defaults(load):
    """What is not set has the default of the design."""
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


def test_sync_key_of_its_own(load):
    """A second key is used to sync with."""
    assert load(FLOKIT_SYNC_API_KEY="fk_rw").sync_key.get_secret_value() == "fk_rw"


@pytest.mark.parametrize(
    ("app_token", "signing_secret", "mode"),
    [("xapp-1", None, Mode.SOCKET), (None, "abc", Mode.HTTP), ("xapp-1", "abc", Mode.SOCKET)],
)
def test_modes(load, app_token, signing_secret, mode):
    """An app token means Socket Mode, a signing secret alone HTTP."""
    assert load(SLACK_APP_TOKEN=app_token, SLACK_SIGNING_SECRET=signing_secret).mode is mode


def test_no_mode_is_refused(load):
    """A bot token alone is half a configuration: the sentence names both ways to complete it."""
    (problem,) = refused(load, SLACK_APP_TOKEN=None)
    assert "SLACK_APP_TOKEN" in problem
    assert "SLACK_SIGNING_SECRET" in problem


@pytest.mark.parametrize("half", ["SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"])
def test_mode_without_bot_token_is_refused(load, half):
    """Either mode needs the bot token, too."""
    changes = {"SLACK_APP_TOKEN": None, "SLACK_BOT_TOKEN": None, half: "xapp-1-hidden"}
    (problem,) = refused(load, **changes)
    assert problem.startswith("SLACK_BOT_TOKEN: ")


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "FLOKIT_API_KEY"])
@pytest.mark.parametrize("value", [None, ""])
def test_missing_settings(load, name, value):
    """A missing setting, or an empty one, is named in one sentence that says where it is found."""
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
def test_wrong_settings(load, name, value):
    """A wrong setting is named in one sentence on one line; what it held is not told."""
    (problem,) = refused(load, **{name: value})
    assert problem.startswith(f"{name}: ")
    assert "\n" not in problem
    assert problem.endswith(".")


def test_one_header_for_two_things_is_refused(load):
    """A webhook's signature and its time cannot stand in the same header, however it is written."""
    (problem,) = refused(load, FLOKIT_WEBHOOK_TIMESTAMP_HEADER="x-flokit-signature")
    assert "FLOKIT_WEBHOOK_SIGNATURE_HEADER" in problem
    assert "FLOKIT_WEBHOOK_TIMESTAMP_HEADER" in problem


def test_all_problems_at_once(load):
    """Whoever has several settings wrong reads of all of them in one go."""
    problems = refused(load, FLOKIT_API_KEY=None, PORT="x", LOG_FORMAT="xml")
    assert {problem.split(":")[0] for problem in problems} == {"FLOKIT_API_KEY", "PORT", "LOG_FORMAT"}


def test_env_file_is_read(load, tmp_path):
    """A ``.env`` file counts, and the environment counts more; what it holds besides is ignored."""
    (tmp_path / ".env").write_text("FLOKIT_API_KEY=fk_file\nPORT=4000\nSOMETHING_ELSE=1\n", encoding="utf-8")
    settings = load(FLOKIT_API_KEY=None, PORT="5000")
    assert settings.flokit_api_key.get_secret_value() == "fk_file"
    assert settings.port == 5000


def test_unreadable_env_file(load, tmp_path):
    """A ``.env`` file in another encoding is refused in a sentence that names it."""
    (tmp_path / ".env").write_bytes(b"FLOKIT_API_KEY=hidden\xff\n")
    (problem,) = refused(load)
    assert problem.startswith(".env: ")


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"])
def test_any_token_means_slack(environment, name):
    """Any of Slack's tokens, right or wrong, means that somebody set Slack up here."""
    assert not has_slack_tokens()
    environment.setenv(name, "whatever")
    assert has_slack_tokens()


def test_secrets_stay_hidden(load):
    """Neither the settings' text nor their dump shows a secret."""
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
    """The password in DATABASE_URL is not shown with the settings."""
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
    """An address that tokens would go to as plain text, beyond this machine, is allowed and named."""
    assert load(SLACK_API_URL=url).unencrypted == names
