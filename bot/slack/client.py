"""The Slack client: post, update, find, respond. A call brings a ts, or raises a ``SlackError`` that says what helps.

Nothing is retried here: whether a message may have been posted decides what comes next, and the outbox knows that.
Calls are paced so that Slack rarely has to refuse them (https://docs.slack.dev/apis/web-api/rate-limits).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
import structlog
from cachetools import LRUCache
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.blocks.limits import UPDATE_TEXT_BYTES
from bot.core.errors import (
    SlackArchived,
    SlackAstray,
    SlackAuthLost,
    SlackError,
    SlackMessageGone,
    SlackNoAccess,
    SlackOther,
    SlackRateLimited,
    SlackRefusedContent,
    SlackUnavailable,
)
from bot.core.health.findings import Conversation
from bot.core.models import Message
from bot.observability.telemetry import SILENT, Telemetry
from bot.settings.network import DIRECT, Network
from bot.slack.pacing import Bucket
from bot.slack.session import make_session, may_answer_at, why_unavailable

log = structlog.get_logger(__name__)

POSTS_PER_S: Final = 1.0
POSTS_BURST: Final = 3.0
"""``chat.postMessage``: about one a second in a channel, with short bursts."""

UPDATES_PER_S: Final = 50 / 60
UPDATES_BURST: Final = 20.0
"""``chat.update`` is tier 3: 50 a minute and a little more, for the whole workspace."""

UPDATES_FOR_PEOPLE: Final = 8.0
"""Updates that progress edits leave to rows, outcomes and people who pressed Refresh."""

PATIENCE_S: Final = 1.5
"""A shorter wait is sat out here; a longer one is the outbox's business."""

DEFAULT_RETRY_AFTER_S: Final = 5.0
MAX_RETRY_AFTER_S: Final = 120.0
CHANNELS_PACED: Final = 10_000
FIND_LIMIT: Final = 15
"""Messages that one look brings: some apps get no more, once a minute (https://docs.slack.dev/apis/web-api/rate-limits)."""

PACED: Final = "paced"
"""The code of SlackRateLimited when Slack was not asked: it was not our turn yet."""

_TYPED: Final = (
    SlackUnavailable,
    SlackNoAccess,
    SlackArchived,
    SlackMessageGone,
    SlackRefusedContent,
    SlackAuthLost,
)
_WORD_OF_CLASS: Final = {
    SlackUnavailable: "unavailable",
    SlackRateLimited: "rate_limited",
    SlackNoAccess: "no_access",
    SlackArchived: "archived",
    SlackMessageGone: "gone",
    SlackRefusedContent: "refused_content",
    SlackAuthLost: "auth_lost",
}
"""How a refusal is counted."""

_CLASS_OF_CODE: Final = {code: error for error in _TYPED for code in error.codes}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in its workspace: the answer of ``auth.test``."""

    team_id: str
    team: str
    bot_user_id: str
    bot_id: str
    scopes: frozenset[str]
    at: datetime | None = None
    """Slack's clock at the answer, whole seconds."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What Slack tells of a person. ``zone`` is an IANA name; each of the others is "no" where Slack does not say.

    https://docs.slack.dev/reference/objects/user-object
    """

    zone: str = ""
    is_guest: bool = False
    is_stranger: bool = False
    """Of another workspace, with which ours shares no channel."""
    is_deactivated: bool = False
    team_ids: frozenset[str] = frozenset()
    """The workspaces that they belong to: several in an Enterprise organization."""


class SlackClient:
    """One workspace's Slack. Made inside a running event loop; ``aclose`` when done."""

    def __init__(
        self,
        token: str,
        *,
        api_url: str = AsyncWebClient.BASE_URL,
        timeout_s: float = 8.0,
        clock: Callable[[], float] = time.monotonic,
        telemetry: Telemetry = SILENT,
        network: Network = DIRECT,
    ) -> None:
        self._telemetry = telemetry
        self._network = network
        self._patience_s = min(PATIENCE_S, timeout_s / 2)
        self.longest_call_s = self._patience_s + timeout_s
        """What one call may take, its turn included: whoever holds a lease must not begin it later."""
        self._api_url = api_url
        self._session = make_session(timeout_s, network=network)
        # The SDK's default handler sends a request again when the connection breaks: that would post twice.
        self.web = _ObservedWebClient(
            telemetry, token=token, base_url=api_url, session=self._session, retry_handlers=[]
        )
        proxy = network.proxies.proxy_for(api_url)
        self.web.proxy = proxy.url if proxy else None  # the SDK would ask the environment by rules of its own
        self._clock = clock
        self._updates = Bucket(UPDATES_PER_S, UPDATES_BURST, clock)
        self._posts: LRUCache[str, Bucket] = LRUCache(CHANNELS_PACED)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def fetch_identity(self) -> Identity:
        """Ask Slack who this token is."""
        response = await self._call(self.web.auth_test())
        return Identity(
            team_id=response.get("team_id") or "",
            team=response.get("team") or "",
            bot_user_id=response.get("user_id") or "",
            bot_id=response.get("bot_id") or "",
            scopes=_granted_scopes(response.headers),
            at=_date_of(response.headers),
        )

    async def fetch_conversation(self, channel_id: str) -> Conversation:
        """Ask what Slack says of a channel to us."""
        response = await self._call(self.web.conversations_info(channel=channel_id))
        channel = response.get("channel")
        said = channel if isinstance(channel, dict) else {}
        return Conversation(
            is_member=said.get("is_member") is True,
            is_private=said.get("is_private") is True,
            is_archived=said.get("is_archived") is True,
            is_direct=said.get("is_im") is True,
        )

    async def validate(self, content: Message | dict[str, object]) -> str:
        """Have Slack judge a message's blocks or a view; returns what is wrong with it, "" when nothing is.

        https://docs.slack.dev/reference/methods/blocks.validate
        """
        part = ("view", content) if isinstance(content, dict) else ("blocks", list(content.blocks))
        try:
            await self._call(self.web.api_call("blocks.validate", json={part[0]: json.dumps(part[1])}))
        except SlackError as error:
            if error.code not in ("invalid_blocks", "invalid_view"):
                raise
            return _first_problem(error) or error.code
        return ""

    async def fetch_profile(self, user_id: str) -> Profile:
        """Ask who a person is: https://docs.slack.dev/reference/methods/users.info.

        Raises:
            SlackError: Slack cannot be asked (``retryable``), or won't say who this is.
        """
        response = await self._call(self.web.users_info(user=user_id))
        user = response.get("user")
        if not isinstance(user, dict) or not user:
            raise SlackOther("Slack's answer describes nobody", code="no_profile")
        return _profile_of(user)

    async def fetch_group(self, group_id: str) -> frozenset[str]:
        """Ask who is in a user group: https://docs.slack.dev/reference/methods/usergroups.users.list."""
        response = await self._call(self.web.usergroups_users_list(usergroup=group_id))
        users = response.get("users")
        if not isinstance(users, list):
            raise SlackUnavailable("Slack listed a user group without its people")
        return frozenset(str(user) for user in users)

    async def check_app_token(self, app_token: str) -> None:
        """Ask Slack for a socket's address, without opening the socket."""
        await self.fetch_socket_url(app_token)

    async def fetch_socket_url(self, app_token: str) -> str:
        """Ask Slack where to open a socket: https://docs.slack.dev/reference/methods/apps.connections.open."""
        response = await self._call(self.web.apps_connections_open(app_token=app_token))
        url = response.get("url")
        if not isinstance(url, str) or not url.startswith(("wss://", "ws://")):
            raise SlackUnavailable("Slack opened a socket without saying where")
        return url

    async def post(
        self,
        channel_id: str,
        message: Message,
        *,
        thread_ts: str | None = None,
        in_time: Callable[[], bool] = lambda: True,
    ) -> str:
        """Post a message when it is its turn, if it is still ``in_time`` then, and return its ts.

        Raises:
            SlackAstray: the root of the thread was deleted, and Slack put the message into the channel.
        """
        await self._pace(self._posts_to(channel_id))
        if not in_time():
            raise SlackRateLimited("our turn came too late", retry_after_s=0.0, code=PACED)
        response = await self._call(
            self.web.chat_postMessage(
                channel=channel_id,
                text=message.text,
                blocks=list(message.blocks) or None,
                metadata=message.metadata,
                thread_ts=thread_ts,
                reply_broadcast=True if message.broadcast and thread_ts else None,
                unfurl_links=False,
                unfurl_media=False,
            ),
            paced_by=self._posts_to(channel_id),
        )
        ts = _ts_of(response)
        if thread_ts and _stands_in_channel(response.get("message"), ts):
            raise SlackAstray(ts)
        return ts

    async def update(self, channel_id: str, ts: str, message: Message, *, spare: bool = False) -> None:
        """Edit a message; ``spare`` edits wait while few are left of what Slack allows."""
        await self._pace(self._updates, leave=UPDATES_FOR_PEOPLE if spare else 0.0)
        text = message.text.encode()[:UPDATE_TEXT_BYTES].decode(errors="ignore")
        await self._call(
            self.web.chat_update(channel=channel_id, ts=ts, text=text, blocks=list(message.blocks)),
            paced_by=self._updates,
        )

    async def publish_home(self, user_id: str, view: dict[str, object]) -> None:
        """Show a person their App Home."""
        await self._call(self.web.views_publish(user_id=user_id, view=view))

    async def open_view(self, trigger_id: str, view: dict[str, object]) -> None:
        """Open a modal for whoever caused the trigger, which lives for three seconds."""
        await self._call(self.web.views_open(trigger_id=trigger_id, view=view))

    async def update_view(self, view_id: str, view: dict[str, object], hash_: str) -> None:
        """Redraw a modal, unless somebody did since ``hash_``."""
        await self._call(self.web.views_update(view_id=view_id, view=view, hash=hash_ or None))

    async def delete(self, channel_id: str, ts: str) -> None:
        """Take a message of ours back."""
        await self._call(self.web.chat_delete(channel=channel_id, ts=ts))

    async def open_direct(self, user_id: str) -> str:
        """Open the direct message with a person and return its channel."""
        response = await self._call(self.web.conversations_open(users=user_id))
        channel = response.get("channel") or {}
        if not isinstance(channel, dict) or not channel.get("id"):
            raise SlackUnavailable("Slack opened a direct message without naming it")
        return str(channel["id"])

    async def find(self, channel_id: str, thread_ts: str | None, outbox_id: str, *, since_s: float) -> str | None:
        """Look whether a message of ours stands in a thread (or, without one, in the channel) already.

        One narrow request: Slack may allow no other for a minute. A public channel can be posted in without being a
        member, but not read: then, and only then, it is joined. Where the root of the thread was deleted, the channel
        is looked at, too.

        Args:
            channel_id: the channel.
            thread_ts: the thread's root; None looks at the channel itself.
            outbox_id: what the message's metadata carries.
            since_s: Unix seconds of Slack's clock before which it cannot have been posted.

        Returns:
            Its ts, or None when it isn't among the first messages since then.

        Raises:
            SlackAstray: it was a reply, and stands in the channel.
            SlackError: this can't be looked at, now or at all.
        """
        try:
            return await self._search(channel_id, thread_ts, outbox_id, since_s)
        except SlackNoAccess as error:
            if error.code != "not_in_channel":
                raise
        await self._call(self.web.conversations_join(channel=channel_id))
        return await self._search(channel_id, thread_ts, outbox_id, since_s)

    async def _search(self, channel_id: str, thread_ts: str | None, outbox_id: str, since_s: float) -> str | None:
        common: dict[str, Any] = {
            "channel": channel_id,
            "include_all_metadata": True,
            "oldest": f"{since_s:.6f}",
            "limit": FIND_LIMIT,
        }
        if thread_ts:
            try:
                replies = _messages(await self._call(self.web.conversations_replies(ts=thread_ts, **common)))
            except SlackMessageGone:
                replies = []
            ts = _ours(replies, outbox_id)
            if ts or _has_root(replies, thread_ts):
                return ts
        ts = _ours(_messages(await self._call(self.web.conversations_history(**common))), outbox_id)
        if ts and thread_ts:
            raise SlackAstray(ts)
        return ts

    async def respond(self, response_url: str, message: Message, *, replace: bool = False) -> None:
        """Answer one person through the response_url of their command or press."""
        if not may_answer_at(response_url, self._api_url):
            raise SlackOther("the response_url is not Slack's", code="foreign_response_url")
        body = {
            "text": message.text,
            "blocks": list(message.blocks),
            "response_type": "ephemeral",
            "replace_original": replace,
        }
        with _reported(self._telemetry, "response_url"):
            await self._send_response(response_url, body)

    async def _send_response(self, response_url: str, body: dict[str, Any]) -> None:
        try:
            proxy = self._network.proxies.proxy_for(response_url)
            async with self._session.post(response_url, json=body, proxy=proxy.url if proxy else None) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise SlackUnavailable(why_unavailable(error)) from error
        if response.status == 429:
            raise SlackRateLimited("Slack asks to slow down", retry_after_s=_retry_after_s(response.headers))
        if response.status >= 500:
            raise SlackUnavailable(f"Slack answered HTTP {response.status}")
        if response.status >= 400 or '"ok":false' in text.replace(" ", ""):
            raise SlackOther("Slack refused the answer", code=text[:80])
        if text.strip() != "ok" and '"ok":true' not in text.replace(" ", ""):
            raise SlackUnavailable("Slack took the answer without saying so")  # a proxy's page, or half a reply

    def _posts_to(self, channel_id: str) -> Bucket:
        bucket = self._posts.get(channel_id)
        if bucket is None:
            bucket = self._posts[channel_id] = Bucket(POSTS_PER_S, POSTS_BURST, self._clock)
        return bucket

    async def _pace(self, bucket: Bucket, *, leave: float = 0.0) -> None:
        waited_s = 0.0
        while wait_s := bucket.take(leave=leave):
            waited_s += wait_s
            if waited_s > self._patience_s:  # others were faster, or it is held
                raise SlackRateLimited("waiting for our turn", retry_after_s=wait_s, code=PACED)
            await asyncio.sleep(wait_s)

    async def _call(self, call: Awaitable[Any], *, paced_by: Bucket | None = None) -> Any:
        """Await one Web API call: the only place where the SDK's exceptions are read."""
        try:
            response = await call
        except SlackApiError as error:
            typed = _typed(error)
            if isinstance(typed, SlackRateLimited) and paced_by:
                paced_by.hold(typed.retry_after_s)
            raise typed from error
        except (
            SlackClientError,
            aiohttp.ClientError,
            TimeoutError,
            OSError,
            ValueError,
            AttributeError,  # the SDK takes any JSON for an object
            RecursionError,  # JSON of a thousand levels
        ) as error:
            raise SlackUnavailable(why_unavailable(error)) from error
        if not isinstance(response.data, dict):  # the SDK hands text and gzip through as they are
            raise SlackUnavailable("Slack answered with something that isn't an object")
        return response


class _ObservedWebClient(AsyncWebClient):
    """The SDK's client, with each call reported under the name of its method."""

    def __init__(self, telemetry: Telemetry, **options: Any) -> None:
        super().__init__(**options)
        self._telemetry = telemetry

    async def api_call(self, api_method: str, **options: Any) -> Any:
        """Call a method of the Web API."""
        with _reported(self._telemetry, api_method):
            return await super().api_call(api_method, **options)


@contextmanager
def _reported(telemetry: Telemetry, method: str) -> Iterator[None]:
    """Report one call: how it went, in one of a few words, and how long it took."""
    began_at, result = time.monotonic(), "unavailable"
    try:
        with telemetry.tracer.span(f"slack {method}", outward=True):
            yield
            result = "ok"
    except SlackApiError as error:
        result = _WORD_OF_CLASS.get(type(_typed(error)), "other")
        raise
    except SlackError as error:
        result = _WORD_OF_CLASS.get(type(error), "other")
        raise
    finally:
        took_s = time.monotonic() - began_at
        telemetry.called_slack(method, result, took_s)
        log.debug("slack.call", method=method, result=result, ms=round(took_s * 1000))


def _typed(error: SlackApiError) -> SlackError:
    response = error.response
    status = getattr(response, "status_code", None) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    code = str(data.get("error") or "") if isinstance(data, dict) else ""
    if status == 429 or code in SlackRateLimited.codes:
        return SlackRateLimited("Slack asks to slow down", retry_after_s=_retry_after_s(response.headers))
    if not code:  # not an answer of Slack's API: a proxy's page, or half a reply
        return SlackUnavailable(f"Slack answered HTTP {status} without a usable body")
    return _CLASS_OF_CODE.get(code, SlackOther)(f"Slack refused: {code}", code=code)


def _profile_of(user: dict[str, Any]) -> Profile:
    zone, listed = user.get("tz"), _map(user, "enterprise_user").get("teams")
    teams = [user.get("team_id"), *(listed if isinstance(listed, list) else [])]
    return Profile(
        zone if isinstance(zone, str) else "",
        is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        is_stranger=bool(user.get("is_stranger")),
        is_deactivated=bool(user.get("deleted")),
        team_ids=frozenset(team for team in teams if isinstance(team, str) and team),
    )


def _map(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _ts_of(response: Any) -> str:
    ts = response.get("ts")
    if not isinstance(ts, str) or not ts:
        raise SlackUnavailable("Slack took a message without naming its ts")
    return ts


def _stands_in_channel(message: object, ts: str) -> bool:
    """Tell whether Slack says that it put a reply into the channel itself; an answer without the message says nothing.

    Slack takes a reply to a deleted root: only the missing ``thread_ts`` of what it posted shows that.
    """
    return isinstance(message, dict) and bool(message) and message.get("thread_ts") in (None, "", ts)


def _messages(response: Any) -> list[dict[str, Any]]:
    listed = response.get("messages")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _has_root(replies: list[dict[str, Any]], thread_ts: str) -> bool:
    """Tell whether a thread still has its root: Slack lists that first, or a tombstone, or only what is left."""
    return bool(replies) and replies[0].get("ts") == thread_ts and replies[0].get("subtype") != "tombstone"


def _ours(messages: list[dict[str, Any]], outbox_id: str) -> str | None:
    """Return the ts of the message that carries an outbox id."""
    for message in messages:
        if _map(_map(message, "metadata"), "event_payload").get("outbox_id") == outbox_id:
            return _ts_of(message)
    return None


def _first_problem(error: SlackError) -> str:
    """Read the first of the ``errors`` that blocks.validate lists: what, and where."""
    data = getattr(getattr(error.__cause__, "response", None), "data", None)
    errors = data.get("errors") if isinstance(data, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return " at ".join(str(first[name]) for name in ("message", "pointer") if first.get(name))


def _date_of(headers: Any) -> datetime | None:
    text = next((str(value) for name, value in headers.items() if name.lower() == "date"), "")
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def _granted_scopes(headers: Any) -> frozenset[str]:
    text = next((str(value) for name, value in headers.items() if name.lower() == "x-oauth-scopes"), "")
    return frozenset(scope.strip() for scope in text.split(",") if scope.strip())


def _retry_after_s(headers: Any) -> float:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if text is None or not str(text).strip().isdecimal():
        return DEFAULT_RETRY_AFTER_S
    # Zero says nothing: whoever takes it at its word asks Slack hundreds of times a second.
    return min(float(text), MAX_RETRY_AFTER_S) or DEFAULT_RETRY_AFTER_S
