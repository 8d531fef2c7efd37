"""Installing the app by Slack's OAuth v2: https://docs.slack.dev/authentication/installing-with-oauth.

Bolt goes through the steps. The states, the cookie that binds a state to its browser, the pages, and what is saved are
ours. Nothing here logs, repeats or raises a code, a state or a token.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeGuard
from urllib.parse import urlencode, urlsplit

from slack_bolt.error import BoltError
from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions, AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.oauth import OAuthStateUtils
from slack_sdk.oauth.installation_store import Installation as Grant
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.characters import showable
from bot.core.errors import SlackOther, SlackUnavailable, StoreInDoubt, StoreUnavailable
from bot.core.installations import Installation
from bot.slack.calls import answer_of
from bot.slack.scopes import DISTRIBUTED_SCOPES

INSTALL_PATH: Final = "/slack/install"
REDIRECT_PATH: Final = "/slack/oauth_redirect"
AUTHORIZE_URL: Final = "https://slack.com/oauth/v2/authorize"
ADMIN_URL: Final = "https://app.slack.com"

COOKIE_FOR_S: Final = 600
"""As long as a state and Slack's code."""

USED_UP: Final = frozenset({"invalid_code", "code_already_used"})
"""Slack's errors for a code that has expired, was used, was made up or is another app's.

https://docs.slack.dev/reference/methods/oauth.v2.access
"""

MISCONFIGURED: Final = frozenset(
    {
        "bad_client_secret",
        "bad_redirect_uri",
        "invalid_client_id",
        "invalid_scope",
        "invalid_team_for_non_distributed_app",
        "no_bot_scopes_requested",
        "oauth_authorization_url_mismatch",
    }
)
"""Slack's errors that only whoever runs the bot can fix: a wrong setting, or an app whose distribution isn't active."""

NAME_LENGTH: Final = 200
LONGEST_LIFE_S: Final = 366 * 24 * 3600

_ID: Final = re.compile(r"[A-Z][A-Z0-9]{0,63}")
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""What ``secrets.token_urlsafe(32)`` makes."""

_browser: ContextVar[str] = ContextVar("browser", default="")
"""The browser that the step under way is for: Bolt's interfaces have no place for it."""


def authorize_url_of(api_url: str) -> str:
    """Return Slack's page for installing apps, which is on the host of its Web API."""
    return api_url.rstrip("/").removesuffix("/api") + urlsplit(AUTHORIZE_URL).path


@dataclass(frozen=True, slots=True)
class OAuthApp:
    """The app that people install. ``repr`` doesn't show its secret.

    ``public_url`` is the address of the bot in browsers, without a slash at the end.
    """

    client_id: str
    client_secret: str = field(repr=False)
    public_url: str
    scopes: tuple[str, ...] = tuple(DISTRIBUTED_SCOPES)
    authorize_url: str = AUTHORIZE_URL

    @property
    def install_url(self) -> str:
        """Where people begin."""
        return self.public_url.rstrip("/") + INSTALL_PATH

    @property
    def redirect_url(self) -> str:
        """Where Slack sends them back to; it must be one of the app's Redirect URLs."""
        return self.public_url.rstrip("/") + REDIRECT_PATH

    @property
    def slack_url(self) -> str:
        """Slack's own address, without a slash at the end."""
        return self.authorize_url.removesuffix(urlsplit(AUTHORIZE_URL).path)

    def access_url(self, enterprise_id: str, app_id: str) -> str:
        """Where an organization's admins add an app to workspaces: https://api.slack.com/enterprise/apps/reference."""
        base = ADMIN_URL if self.authorize_url == AUTHORIZE_URL else self.slack_url
        return f"{base}/manage/{enterprise_id}/integrations/profile/{app_id}/workspaces/add"

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the bot over https."""
        return self.public_url.startswith("https://")

    @property
    def cookie_name(self) -> str:
        """Over https, no other host can set a cookie with this name: https://developer.mozilla.org/docs/Web/HTTP/Cookies."""
        return "__Host-flokit-install" if self.is_secure else "flokit-install"


class States(Protocol):
    """Where states are kept; `bot.store.oauth_states.OAuthStates`."""

    async def issue(self, browser: str, now: datetime) -> str:
        """Make a state for a browser."""
        ...

    async def consume(self, state: str, browser: str, now: datetime) -> bool:
        """Use a state up."""
        ...


class Pages(Protocol):
    """What people see."""

    def install(self, authorize_url: str) -> str:
        """Return the page that leads to Slack's."""
        ...

    async def success(self, args: AsyncSuccessArgs) -> BoltResponse:
        """Answer when it's installed."""
        ...

    async def failure(self, args: AsyncFailureArgs) -> BoltResponse:
        """Answer when it isn't: ``args.reason`` is Slack's or Bolt's code, ``args.error`` a `NotSaved` or None."""
        ...


class NotSaved(BoltError):
    """The app is installed in Slack, but that couldn't be saved. If ``in_doubt``, it may have been."""

    def __init__(self, *, in_doubt: bool) -> None:
        super().__init__("the installation couldn't be saved")
        self.in_doubt = in_doubt


def is_browser(value: str) -> bool:
    """Whether a cookie's value is one that we make."""
    return _BROWSER.fullmatch(value) is not None


async def exchange(client: AsyncWebClient, app: OAuthApp, **values: str) -> Any:
    """Call ``oauth.v2.access``, and return the SDK's response.

    Args:
        client: a client without a token.
        app: whose credentials are sent; the SDK's method does so by a class that aiohttp has deprecated.
        values: what is exchanged.

    Raises:
        SlackError: Slack refused it or sent no usable answer.
    """
    credentials = base64.b64encode(f"{app.client_id}:{app.client_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    return await answer_of(client.api_call("oauth.v2.access", data=values, headers=headers))


@dataclass(frozen=True, slots=True)
class FreshToken:
    """What a refresh token was exchanged for. ``repr`` shows no token."""

    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime


class Rotation:
    """Exchanges refresh tokens, each of which works once: https://docs.slack.dev/authentication/using-token-rotation."""

    def __init__(self, app: OAuthApp, client: AsyncWebClient) -> None:
        self._app = app
        self._client = client

    async def refresh(self, refresh_token: str, now: datetime) -> FreshToken:
        """Exchange a refresh token.

        Raises:
            SlackError: Slack refused it or sent no usable answer.
        """
        values = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = await exchange(self._client, self._app, **values)
        token, fresh, life_s = (answer.get(name) for name in ("access_token", "refresh_token", "expires_in"))
        if not (_is_token(token) and _is_token(fresh) and isinstance(life_s, int) and 0 < life_s < LONGEST_LIFE_S):
            raise SlackUnavailable("Slack refreshed a token without a usable answer")
        return FreshToken(token, fresh, now + timedelta(seconds=life_s))


def _is_token(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


class InstallFlow(AsyncOAuthFlow):
    """The two requests of an installation; each method answers one.

    Args:
        app: what is installed.
        client: a Web API client without a token; it must not repeat a call, because a code is good once.
        states: where states are kept.
        on_installed: saves an installation; its ``generation`` and ``installed_at`` aren't final yet.
        pages: what people see.
        clock: the time.
    """

    def __init__(
        self,
        app: OAuthApp,
        *,
        client: AsyncWebClient,
        states: States,
        on_installed: Callable[[Installation], Awaitable[None]],
        pages: Pages,
        clock: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._pages = pages
        self._clock = clock
        settings = AsyncOAuthSettings(
            client_id=app.client_id,
            client_secret=app.client_secret,
            scopes=app.scopes,
            user_scopes=(),
            redirect_uri=app.redirect_url,
            install_path=INSTALL_PATH,
            redirect_uri_path=REDIRECT_PATH,
            callback_options=AsyncCallbackOptions(pages.success, pages.failure),
            authorization_url=app.authorize_url,
            installation_store=_InstallationStore(on_installed, clock),
            state_store=_StateStore(states, clock),
            state_cookie_name=app.cookie_name,
            state_expiration_seconds=COOKIE_FOR_S,
        )
        settings.state_utils = _BrowserCookie(app)
        super().__init__(client=client, settings=settings)

    async def begin(self, query: str, browser: str) -> BoltResponse:
        """Return the install page, whose link to Slack has a new state for this browser.

        Args:
            query: the request's query string, as sent. ``team`` asks Slack to suggest that workspace.
            browser: a random value, which the answer's cookie has.

        Raises:
            StoreUnavailable: the state couldn't be saved.
        """
        return await self._in(browser, self.handle_installation, query)

    async def finish(self, query: str, browser: str) -> BoltResponse:
        """Install the app with the code that Slack sent a browser back with, and return a page that says how it went.

        Args:
            query: the request's query string, as sent.
            browser: the value of its cookie; "" if it has none.

        Raises:
            StoreUnavailable: the state couldn't be checked. Neither it nor the code was used up.
            SlackError: Slack refused the code, or sent no usable answer. Both were used up, and nothing was saved.
        """
        return await self._in(browser, self.handle_callback, query)

    async def _in(
        self, browser: str, step: Callable[[AsyncBoltRequest], Awaitable[BoltResponse]], query: str
    ) -> BoltResponse:
        token = _browser.set(browser)
        try:
            return await step(AsyncBoltRequest(body="", query=query))
        finally:
            _browser.reset(token)

    async def build_authorize_url(self, state: str, request: AsyncBoltRequest) -> str:
        """Return the link to Slack's page; Bolt's own doesn't encode the values."""
        team = (request.query.get("team") or [""])[0]
        values = {
            "client_id": self._app.client_id,
            "scope": ",".join(self._app.scopes),
            "redirect_uri": self._app.redirect_url,
            "state": state,
        }
        return f"{self._app.authorize_url}?{urlencode(values | ({'team': team} if _ID.fullmatch(team) else {}))}"

    async def build_install_page_html(self, url: str, request: AsyncBoltRequest) -> str:  # noqa: ARG002 - Bolt's
        """Return our page instead of Bolt's."""
        return self._pages.install(url)

    async def run_installation(self, code: str) -> Grant | None:
        """Exchange a code for a token; None if it's used up. Unlike Bolt's, this doesn't log the code.

        Raises:
            SlackError: Slack refused it for another reason, or sent no usable answer.
        """
        try:
            reply = await exchange(self.client, self._app, code=code, redirect_uri=self._app.redirect_url)
        except SlackOther as error:
            if error.code in USED_UP:
                return None
            raise
        grant = _grant_of(reply, self._clock())
        # oauth.v2.access doesn't name the bot's own ID.
        grant.bot_id = _id(await answer_of(self.client.auth_test(token=grant.bot_token)), "bot_id")
        return grant


class _StateStore(AsyncOAuthStateStore):
    def __init__(self, states: States, clock: Callable[[], datetime]) -> None:
        self._states = states
        self._clock = clock

    async def async_issue(self, *_args: object, **_options: object) -> str:
        return await self._states.issue(_browser.get(), self._clock())

    async def async_consume(self, state: str) -> bool:
        return await self._states.consume(state, _browser.get(), self._clock())


class _InstallationStore(AsyncInstallationStore):
    """Only saves: who calls whom with which token is decided by the registry of workspaces."""

    def __init__(self, on_installed: Callable[[Installation], Awaitable[None]], clock: Callable[[], datetime]) -> None:
        self._on_installed = on_installed
        self._clock = clock

    async def async_save(self, installation: Grant) -> None:
        try:
            await self._on_installed(installation_of(installation, self._clock()))
        except StoreUnavailable as error:
            raise NotSaved(in_doubt=isinstance(error, StoreInDoubt)) from error


class _BrowserCookie(OAuthStateUtils):
    """The cookie has a random value of the browser, not the state: a second tab doesn't end what the first began."""

    def __init__(self, app: OAuthApp) -> None:
        super().__init__(cookie_name=app.cookie_name, expiration_seconds=COOKIE_FOR_S)
        self._secure = "; Secure" if app.is_secure else ""

    def build_set_cookie_for_new_state(self, state: str) -> str:  # noqa: ARG002 - Bolt's
        value = f"{self.cookie_name}={_browser.get()}"
        # Lax, because Slack's page sends the browser back here.
        return f"{value}; Path=/; Max-Age={self.expiration_seconds}; HttpOnly; SameSite=Lax{self._secure}"

    def is_valid_browser(self, state: str | None, request_headers: Any) -> bool:  # noqa: ARG002 - Bolt's
        """Whether this can be a browser that asked for a state; whether it's this one, the state store knows."""
        return bool(state) and is_browser(_browser.get())


def installation_of(grant: Grant, now: datetime) -> Installation:
    """Turn Bolt's value into ours."""
    expires_at = grant.bot_token_expires_at
    return Installation(
        team_id=grant.team_id or "",
        team_name=grant.team_name or grant.enterprise_name or "",
        enterprise_id=grant.enterprise_id,
        is_enterprise=grant.is_enterprise_install,
        app_id=grant.app_id or "",
        bot_id=grant.bot_id or "",
        bot_user_id=grant.bot_user_id or "",
        bot_token=grant.bot_token or "",
        scopes=tuple(grant.bot_scopes or ()),
        installed_by=grant.user_id,
        installed_at=now,
        refresh_token=grant.bot_refresh_token,
        token_expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
    )


# --- what Slack answers ----------------------------------------------------------------------------------------


def _grant_of(reply: Any, now: datetime) -> Grant:
    """Parse ``oauth.v2.access``: https://docs.slack.dev/reference/methods/oauth.v2.access.

    Raises:
        SlackUnavailable: something that an installation needs is missing or of another type.
    """
    is_enterprise = reply.get("is_enterprise_install") or False
    if not isinstance(is_enterprise, bool) or reply.get("token_type") != "bot":
        raise _unusable("token_type")
    enterprise = _object(reply, "enterprise", needed=is_enterprise)
    team = {} if is_enterprise else _object(reply, "team", needed=True)
    refresh_token, expires_in = reply.get("refresh_token"), reply.get("expires_in")
    if (refresh_token is None) != (expires_in is None):
        raise _unusable("refresh_token")
    return Grant(
        app_id=_id(reply, "app_id"),
        enterprise_id=_id(enterprise, "id") if enterprise else None,
        enterprise_name=_name(enterprise),
        team_id=None if is_enterprise else _id(team, "id"),
        team_name=None if is_enterprise else _name(team),
        bot_token=_token(reply, "access_token"),
        bot_user_id=_id(reply, "bot_user_id"),
        bot_scopes=_scopes(reply),
        bot_refresh_token=None if refresh_token is None else _token(reply, "refresh_token"),
        bot_token_expires_at=None if expires_in is None else int(now.timestamp()) + _seconds(reply, "expires_in"),
        user_id=_id(_object(reply, "authed_user", needed=True), "id"),
        is_enterprise_install=is_enterprise,
        token_type="bot",  # noqa: S106 - a kind, not a token
        installed_at=now,
    )


def _unusable(name: str) -> SlackUnavailable:
    return SlackUnavailable(f"Slack's answer has no usable {name}")


def _object(reply: Any, name: str, *, needed: bool) -> dict[str, Any]:
    value = reply.get(name)
    if isinstance(value, dict) and value:
        return value
    if needed or value:
        raise _unusable(name)
    return {}


def _id(reply: Any, name: str) -> str:
    value = reply.get(name)
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise _unusable(name)


def _token(reply: Any, name: str) -> str:
    value = reply.get(name)
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return value
    raise _unusable(name)


def _seconds(reply: Any, name: str) -> int:
    value = reply.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LONGEST_LIFE_S:
        return value
    raise _unusable(name)


def _scopes(reply: Any) -> tuple[str, ...]:
    value = reply.get("scope")
    scopes = tuple(filter(None, value.split(","))) if isinstance(value, str) else ()
    if scopes and all(re.fullmatch(r"[a-z_.:-]+", scope) for scope in scopes):
        return scopes
    raise _unusable("scope")


def _name(named: dict[str, Any]) -> str:
    value = named.get("name")
    return " ".join(showable(value).split())[:NAME_LENGTH] if isinstance(value, str) else ""
