"""The routes on which people install the app: what they see, and with which status.

Anyone can open them. An address with a code is answered once, and only for the browser that began; everything else is
refused without asking Slack.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from slack_bolt.oauth.async_callback_options import AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import SlackError, SlackRateLimited, SlackUnavailable, StoreUnavailable
from bot.core.installations import Installation
from bot.observability.logs import Episodes
from bot.ops.install_pages import HEADERS, About, Notice, install_page, notice_page, success_page
from bot.slack.oauth import MISCONFIGURED, InstallFlow, NotSaved, OAuthApp, States, is_browser
from bot.slack.pacing import Bucket
from bot.store.ids import new_id

STATES_PER_S: Final = 5.0
STATES_AT_ONCE: Final = 50.0
"""How many states a process issues: each is a row for ten minutes, so there are at most 3,050."""

_CODE: Final = re.compile(r"[a-z_]{1,60}")

log = structlog.get_logger(__name__)

_START_AGAIN: Final = "Start again; it takes a minute."
_ASK: Final = "Tell whoever runs this app"

CANCELED: Final = Notice(
    HTTPStatus.OK,
    "Installation canceled",
    "You pressed Cancel on Slack's page, or your workspace doesn't let you install apps. Nothing was installed.",
    "Start again whenever you like. If an admin has to approve apps, send them this button's link.",
)
NOT_ALLOWED: Final = Notice(
    HTTPStatus.BAD_REQUEST,
    "Slack stopped the installation",
    "Slack sent you back without approving it, for a reason that we don't recognize. Nothing was installed.",
    "Start again. If that doesn't help, ask an admin of your workspace whether you can install apps.",
)
OTHER_BROWSER: Final = Notice(
    HTTPStatus.BAD_REQUEST,
    "This isn't the browser you started in",
    "For your security, an installation must be finished in the browser in which it was started, within ten minutes and"
    " with cookies enabled. Nothing was installed.",
    _START_AGAIN,
)
USED_STATE: Final = Notice(
    HTTPStatus.BAD_REQUEST,
    "This link has expired or was already used",
    "A link from Slack works once, for ten minutes, in the browser in which it was opened.",
    "If you've just installed FloKit, you're done: open it in Slack. Otherwise, start again.",
)
NO_CODE: Final = Notice(
    HTTPStatus.BAD_REQUEST,
    "Nothing to install",
    "Slack opens this page at the end of an installation, with a code in its address. This time, there's no code.",
    "Start here:",
    link="Add FloKit to Slack",
)
USED_CODE: Final = Notice(
    HTTPStatus.BAD_REQUEST,
    "Slack didn't accept this installation",
    "Slack says that the code in this page's address has expired, was already used, or belongs to another app. Nothing"
    " was installed.",
    _START_AGAIN,
)
NOT_CHECKED: Final = Notice(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "We can't save this right now",
    "The app's database can't be reached, so nothing was installed here yet.",
    "Reload this page in a minute. It works for ten minutes.",
    link="",
)
NOT_SAVED: Final = Notice(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "We can't save this right now",
    "Slack has installed the app, but our database can't be reached, so the installation isn't saved yet, and the"
    " app won't respond.",
    "Start again in a minute. Reloading this page won't help, because Slack's code works only once. You don't"
    " have to uninstall anything.",
)
IN_DOUBT: Final = Notice(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "We can't tell whether this was saved",
    "Slack has installed the app, but the connection to our database broke while we were saving this.",
    "Open FloKit in Slack in a minute. If it doesn't answer, start again; installing it twice does no harm.",
)
NOT_OPENED: Final = Notice(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "FloKit can't be installed right now",
    "The app's database can't be reached, so it can't keep track of an installation.",
    "Try again in a minute.",
    link="Try again",
)
BUSY: Final = Notice(
    HTTPStatus.TOO_MANY_REQUESTS,
    "This page is busy right now",
    "More people opened it in the last few seconds than it can serve.",
    "Try again in a minute.",
    link="Try again",
)
STARTING: Final = Notice(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The app is starting",
    "It will be ready in a few seconds. Nothing was installed yet.",
    "Reload this page.",
    link="",
)
UNANSWERED: Final = Notice(
    HTTPStatus.BAD_GATEWAY,
    "Slack didn't send a usable response",
    "We asked Slack to complete the installation, but it didn't respond, or its response was incomplete. Nothing was"
    " saved here.",
    "Start again in a minute. If this keeps happening, see https://slack-status.com.",
)
RATE_LIMITED: Final = Notice(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Slack is asking us to slow down",
    "Too many people are installing the app at the moment. Nothing was saved here.",
    "Start again in a minute.",
)

_REFUSED: Final = {
    "access_denied": CANCELED,
    "invalid_browser": OTHER_BROWSER,
    "invalid_state": USED_STATE,
    "missing_code": NO_CODE,
    "invalid_code": USED_CODE,
}
"""What Bolt or Slack calls what people see."""


def misconfigured(code: str) -> Notice:
    """Slack refuses the app itself."""
    return Notice(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "This app isn't set up correctly",
        f"Slack refused it: {code}. Nothing was installed.",
        f"{_ASK}; only they can fix this.",
        link="",
    )


def refused(code: str) -> Notice:
    """Slack refuses for a reason of its own."""
    return Notice(
        HTTPStatus.BAD_GATEWAY,
        "Slack refused the installation",
        f"Slack says: {code}. Nothing was saved here.",
        f"Start again. If that doesn't help, ask an admin of your workspace. {_ASK} if they can't help.",
    )


def failed(error_id: str) -> Notice:
    """A bug."""
    return Notice(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong on our end",
        f"The installation may not be complete (error ID {error_id}).",
        f"Start again in a minute. {_ASK} if it happens again, with the error ID.",
    )


class InstallPages:
    """Answers ``/slack/install`` and ``/slack/oauth_redirect``.

    Args:
        app: what is installed.
        client: a Web API client without a token, such as ``SlackClient("").web``.
        states: where states are kept.
        on_installed: saves an installation. Its StoreUnavailable becomes a page that says what to do.
        about: what the page says about this deployment.
        clock: the time.
        pace: seconds that only grow.
    """

    def __init__(
        self,
        app: OAuthApp,
        *,
        client: AsyncWebClient,
        states: States,
        on_installed: Callable[[Installation], Awaitable[None]],
        about: About,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pace: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._about = about
        self._flow = InstallFlow(app, client=client, states=states, on_installed=on_installed, pages=self, clock=clock)
        self._states = Bucket(STATES_PER_S, STATES_AT_ONCE, pace)
        self._episodes = Episodes()

    # --- requests ---------------------------------------------------------------------------------------------

    async def begin(self, request: web.Request) -> web.Response:
        """Show what the app is, with a link to Slack that works once, in this browser."""
        if request.method == "HEAD":
            return _respond(HTTPStatus.OK, "")
        if wait_s := self._states.take():
            self._episodes.note("install_refused", reason="busy")
            return self._show(BUSY, **{"Retry-After": str(math.ceil(wait_s))})
        browser = self._browser_of(request) or secrets.token_urlsafe(32)
        return await self._answer(self._flow.begin(request.rel_url.raw_query_string, browser), NOT_OPENED)

    async def finish(self, request: web.Request) -> web.Response:
        """Install the app with the code that Slack gave this browser, and say how it went."""
        if request.method == "HEAD":  # a HEAD request, as from a program that checks links, must not use the code
            return _respond(HTTPStatus.OK, "")
        if not request.rel_url.raw_query_string:  # opened by hand, so there's no browser to compare
            return self._show(NO_CODE)
        return await self._answer(
            self._flow.finish(request.rel_url.raw_query_string, self._browser_of(request)), NOT_CHECKED
        )

    def starting(self) -> web.Response:
        """Say that nothing can be installed yet."""
        return self._show(STARTING)

    async def _answer(self, step: Awaitable[BoltResponse], without_store: Notice) -> web.Response:
        try:
            answer = await step
        except StoreUnavailable:
            self._episodes.note("install_refused", reason="store")
            return self._show(without_store)
        except SlackError as error:
            return self._show(self._notice_of(error))
        except Exception:
            error_id = new_id("err")  # it's on the page, too
            log.exception("install_failed", error_id=error_id)
            return self._show(failed(error_id))
        response = _respond(answer.status, answer.body)
        for cookie in answer.headers.get("set-cookie", ()):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _notice_of(self, error: SlackError) -> Notice:
        reason = error.code if _CODE.fullmatch(error.code) else type(error).__name__
        log.warning("install_not_completed", reason=reason)
        if isinstance(error, SlackRateLimited):
            return RATE_LIMITED
        if isinstance(error, SlackUnavailable):
            return UNANSWERED
        return misconfigured(reason) if reason in MISCONFIGURED else refused(reason)

    def _browser_of(self, request: web.Request) -> str:
        value = request.cookies.get(self._app.cookie_name, "")
        return value if is_browser(value) else ""

    def _show(self, notice: Notice, **headers: str) -> web.Response:
        return _respond(notice.status, notice_page(notice, self._app.install_url), **headers)

    # --- what Bolt asks for -----------------------------------------------------------------------------------

    def install(self, authorize_url: str) -> str:
        """Return the page that leads to Slack's."""
        return install_page(self._about, authorize_url)

    async def success(self, args: AsyncSuccessArgs) -> BoltResponse:
        """Answer when it's installed."""
        grant = args.installation
        page = success_page(
            grant.team_name or grant.enterprise_name or "",
            app_id=grant.app_id or "",
            team_id=grant.team_id or "",
            slack_url=self._app.slack_url,
            access_url=self._app.access_url(grant.enterprise_id or "", grant.app_id or ""),
        )
        return BoltResponse(status=HTTPStatus.OK, body=page)

    async def failure(self, args: AsyncFailureArgs) -> BoltResponse:
        """Answer when it isn't."""
        if isinstance(args.error, NotSaved):
            self._episodes.note("install_refused", reason="store")
            notice = IN_DOUBT if args.error.in_doubt else NOT_SAVED
        elif args.reason in MISCONFIGURED:
            self._episodes.note("install_refused", reason=args.reason)
            notice = misconfigured(args.reason)
        else:
            # Anything else in the address is a stranger's words, which are neither shown nor logged.
            notice = _REFUSED.get(args.reason, NOT_ALLOWED)
            if notice is not CANCELED:
                self._episodes.note("install_refused", reason=args.reason if args.reason in _REFUSED else "other")
        return BoltResponse(status=notice.status, body=notice_page(notice, self._app.install_url))


def _respond(status: int, page: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=page, content_type="text/html", headers=HEADERS | headers)
