"""The settings: one sentence for whatever is missing or wrong, and never a secret in it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from bot.core.errors import SettingsError
from bot.core.models import Patience
from bot.settings.network import VARIABLES
from bot.settings.settings import Mode, Settings, has_slack_tokens, load_settings

GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1-hidden",
    "SLACK_APP_TOKEN": "xapp-1-hidden",
    "FLOKIT_API_KEY": "fk_hidden",
}
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Clear all settings, and stand where no ``.env`` is."""
    for name in (*NAMES, *VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
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
    assert load(FLOKIT_SYNC_API_KEY="fk_read_write").sync_key.get_secret_value() == "fk_read_write"


@pytest.mark.parametrize(
    ("app_token", "signing_secret", "mode"),
    [("xapp-1", None, Mode.SOCKET), (None, "s3cr3t-of-slack", Mode.HTTP), ("xapp-1", "s3cr3t-of-slack", Mode.SOCKET)],
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
    changes = {
        "SLACK_APP_TOKEN": None,
        "SLACK_BOT_TOKEN": None,
        half: {"SLACK_APP_TOKEN": "xapp-1-hidden"}.get(half, "hidden-secret"),
    }
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
def test_what_an_env_file_left_around_a_value_is_named(load, surrounding, words, name, right):
    """Quotation marks, blanks, Windows line ends and invisible characters are named, for each kind of setting."""
    (problem,) = refused(load, **{name: surrounding.format(right)})
    assert problem.startswith(f"{name}: {words}")


SECRET_NAMES = ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "FLOKIT_API_KEY", "FLOKIT_WEBHOOK_SECRET"]
PREFIXES = {"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "xapp-"}


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "placeholder",
    ["…", "...", "xxx", "XXXXXXXXXXXX", "changeme", "CHANGE_ME", "<your token>", "your-token-here", "${TOKEN}"],
)
def test_a_placeholder_is_named(load, name, placeholder):
    """What an example writes in the place of a secret is not taken for the secret."""
    (problem,) = refused(load, **{name: PREFIXES.get(name, "") + placeholder})
    assert problem == f"{name}: is still the placeholder; replace it with the real value."


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", ["x", "123"])
def test_a_secret_of_a_few_characters_is_refused(load, name, value):
    """Nobody guesses a secret in a moment."""
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
    """Whoever mixed the tokens up reads which one belongs where."""
    (problem,) = refused(load, **{name: value})
    assert problem.startswith(f"{name}: {words}")


@pytest.mark.parametrize(
    "dirty", ["export FLOKIT_API_KEY", "\ufeffFLOKIT_API_KEY", "FLOKIT_API_KEY ", ' "flokit_api_key']
)
def test_a_name_with_something_around_it_is_shown(load, environment, dirty):
    """A variable that is missing only because of what surrounds its name is named."""
    environment.setenv(dirty, "hidden")
    (problem,) = refused(load, FLOKIT_API_KEY=None)
    assert problem.startswith("FLOKIT_API_KEY: is missing, but there is ")


@pytest.mark.parametrize(
    "written", ["\ufeffFLOKIT_API_KEY=fk_file\n", "export FLOKIT_API_KEY=fk_file\r\n", 'FLOKIT_API_KEY="fk_file"']
)
def test_an_env_file_may_be_written_as_shells_and_editors_do(load, tmp_path, written):
    """A byte order mark, ``export``, quotation marks and Windows line ends in ``.env`` itself do no harm."""
    (tmp_path / ".env").write_text(written, encoding="utf-8", newline="")
    assert load(FLOKIT_API_KEY=None).flokit_api_key.get_secret_value() == "fk_file"


# --- the network -------------------------------------------------------------------------------------------------


def test_a_proxy_that_cannot_be_used_is_refused(load, environment):
    """What no client can use is one sentence that names the variable."""
    environment.setenv("ALL_PROXY", "socks5://hidden@proxy:1080")
    (problem,) = refused(load)
    assert problem == "ALL_PROXY: is a SOCKS proxy, which the bot can't use; name an HTTP proxy."


def test_a_proxy_that_nobody_needs_is_not_judged(load, environment):
    """Where everything is on this machine, as in the sandbox, the proxies may be what they are."""
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
def test_authorities_that_cannot_be_read_are_refused(load, environment, tmp_path, name, value, words):
    """A wrong path to certificates is one sentence that names the variable."""
    (tmp_path / "empty.pem").write_text("")
    environment.setenv(name, value)
    (problem,) = refused(load)
    assert problem.startswith(f"{name}: {words}")


def test_the_env_file_may_name_a_proxy(load, environment, tmp_path):
    """``.env`` counts for proxies as well, and a variable of the environment counts more, in either letters."""
    (tmp_path / ".env").write_text("https_proxy=http://file:1\nNO_PROXY=slack.com\n")
    assert load().network.proxies.proxy_for("https://api.flokit.ai").host == "file"
    environment.setenv("HTTPS_PROXY", "http://environment:1")
    settings = load()
    assert settings.network.proxies.proxy_for("https://api.flokit.ai").host == "environment"
    assert settings.network.proxies.proxy_for("https://slack.com") is None


def test_a_proxys_password_is_a_secret(load, environment):
    """Logs blot out the password of a proxy, as it is written and as it is meant."""
    environment.setenv("HTTPS_PROXY", "http://ana:p%40ss-hidden@proxy:3128")
    assert {"p%40ss-hidden", "p@ss-hidden"} <= set(load().secrets)


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
    """A server elsewhere that is reached without asking for encryption is named, and its password is a secret."""
    settings = load(DATABASE_URL=url)
    assert settings.unencrypted == names
    assert ("hidden" in settings.secrets) == url.startswith("postgres")
