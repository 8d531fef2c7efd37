"""The Slack client: every call returns a value or raises one ``SlackError``.

Nothing is retried here, because that depends on whether a message may have been posted, which the outbox knows.
Calls are paced so that Slack rarely has to refuse them (https://docs.slack.dev/apis/web-api/rate-limits).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
from cachetools import LRUCache
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.blocks.limits import UPDATE_TEXT_BYTES
from bot.core.errors import (
    SlackAstray,
    SlackError,
    SlackMessageGone,
    SlackNoAccess,
    SlackOther,
    SlackRateLimited,
    SlackUnavailable,
)
from bot.core.health.findings import Conversation
from bot.core.models import Message
from bot.observability.telemetry import SILENT, Telemetry
from bot.settings.network import DIRECT, Network
from bot.slack.calls import ObservedWebClient, answer_of, reported
from bot.slack.pacing import Bucket
from bot.slack.replies import (
    Identity,
    Profile,
    check_response,
    conversation_of,
    direct_of,
    first_problem,
    group_of,
    has_root,
    identity_of,
    is_in_channel,
    messages_of,
    profile_of,
    socket_url_of,
    ts_of,
    ts_of_ours,
)
from bot.slack.session import make_session, may_answer_at, sent_only_if, why_unavailable

POSTS_PER_S: Final = 1.0
POSTS_BURST: Final = 3.0
"""``chat.postMessage``: about one a second in a channel, with short bursts."""

UPDATES_PER_S: Final = 50 / 60
UPDATES_BURST: Final = 20.0
"""``chat.update`` is tier 3: slightly more than 50 a minute for the whole workspace."""

UPDATES_FOR_PEOPLE: Final = 8.0
"""Updates reserved for messages that people wait for."""

PATIENCE_S: Final = 1.5
"""The client waits this long for its turn; a message that has to wait longer goes back to the outbox."""

CHANNELS_PACED: Final = 10_000
FIND_LIMIT: Final = 15
"""Messages per request: some apps get no more, once a minute (https://docs.slack.dev/apis/web-api/rate-limits)."""

PACED: Final = "paced"
"""The code of ``SlackRateLimited`` if Slack wasn't asked, because it wasn't our turn yet."""


class SlackClient:
    """One workspace's Slack. Made inside a running event loop; ``aclose`` when done.

    Args:
        token: the bot token; "" for calls that need none.
        api_url: the Web API base, with a trailing slash.
        timeout_s: how long one call may take.
        clock: monotonic seconds.
        telemetry: what every call is reported to.
        network: the proxies to use and the certificates to trust.
        session: connections that others use, too; None: its own.
        on_refusal: called with the error code of each call that Slack refuses.
    """

    def __init__(
        self,
        token: str,
        *,
        api_url: str = AsyncWebClient.BASE_URL,
        timeout_s: float = 8.0,
        clock: Callable[[], float] = time.monotonic,
        telemetry: Telemetry = SILENT,
        network: Network = DIRECT,
        session: aiohttp.ClientSession | None = None,
        on_refusal: Callable[[str], None] | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._network = network
        self._patience_s = min(PATIENCE_S, timeout_s / 2)
        self.longest_call_s = self._patience_s + timeout_s
        """How long one call takes at most, including the wait for its turn."""
        self._api_url = api_url
        self.session = session or make_session(timeout_s, network=network)
        self._owns_session = session is None
        # The SDK's default handler sends a request again when the connection breaks: that would post twice.
        self.web = ObservedWebClient(
            telemetry, on_refusal, token=token, base_url=api_url, session=self.session, retry_handlers=[]
        )
        proxy = network.proxies.proxy_for(api_url)
        self.web.proxy = proxy.url if proxy else None  # the SDK would read the environment by its own rules
        self._clock = clock
        self._updates = Bucket(UPDATES_PER_S, UPDATES_BURST, clock)
        self._posts: LRUCache[str, Bucket] = LRUCache(CHANNELS_PACED)

    async def aclose(self) -> None:
        """Close the connections, unless they are shared."""
        if self._owns_session:
            await self.session.close()

    async def fetch_identity(self) -> Identity:
        """Ask Slack who this token is."""
        return identity_of(await answer_of(self.web.auth_test()))

    async def fetch_conversation(self, channel_id: str) -> Conversation:
        """Fetch a channel's properties."""
        return conversation_of(await answer_of(self.web.conversations_info(channel=channel_id)))

    async def validate(self, content: Message | dict[str, object]) -> str:
        """Have Slack check a message's blocks or a view; return what's wrong with it, or "".

        https://docs.slack.dev/reference/methods/blocks.validate
        """
        part = ("view", content) if isinstance(content, dict) else ("blocks", list(content.blocks))
        try:
            await answer_of(self.web.api_call("blocks.validate", json={part[0]: json.dumps(part[1])}))
        except SlackError as error:
            if error.code not in ("invalid_blocks", "invalid_view"):
                raise
            return first_problem(error) or error.code
        return ""

    async def fetch_profile(self, user_id: str) -> Profile:
        """Ask who a person is: https://docs.slack.dev/reference/methods/users.info.

        Raises:
            SlackError: Slack can't be asked (``retryable``), or won't say who this is.
        """
        return profile_of(await answer_of(self.web.users_info(user=user_id)))

    async def fetch_group(self, group_id: str) -> frozenset[str]:
        """Ask who is in a user group: https://docs.slack.dev/reference/methods/usergroups.users.list."""
        return group_of(await answer_of(self.web.usergroups_users_list(usergroup=group_id)))

    async def check_app_token(self, app_token: str) -> None:
        """Ask Slack for a socket's address, without opening the socket."""
        await self.fetch_socket_url(app_token)

    async def fetch_socket_url(self, app_token: str) -> str:
        """Ask Slack where to open a socket: https://docs.slack.dev/reference/methods/apps.connections.open."""
        return socket_url_of(await answer_of(self.web.apps_connections_open(app_token=app_token)))

    async def post(
        self,
        channel_id: str,
        message: Message,
        *,
        thread_ts: str | None = None,
        in_time: Callable[[], bool] = lambda: True,
    ) -> str:
        """Wait for our turn, post a message if it's still ``in_time``, and return its ts.

        Raises:
            SlackAstray: the thread's root was deleted, so Slack posted the message in the channel.
        """
        pace = self._posts_to(channel_id)
        await self._wait_for_turn(pace)
        if not in_time():
            raise SlackRateLimited("our turn came too late", retry_after_s=0.0, code=PACED)
        with sent_only_if(in_time):
            reply = await self._call_paced(
                pace,
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
            )
        ts = ts_of(reply)
        if thread_ts and is_in_channel(reply):
            raise SlackAstray(ts)
        return ts

    async def update(
        self,
        channel_id: str,
        ts: str,
        message: Message,
        *,
        spare: bool = False,
        metadata: dict[str, object] | None = None,
    ) -> None:
        """Edit a message; a ``spare`` edit leaves some of what Slack allows to other edits.

        Its metadata stays unless there is a new one.
        """
        await self._wait_for_turn(self._updates, leave=UPDATES_FOR_PEOPLE if spare else 0.0)
        text = message.text.encode()[:UPDATE_TEXT_BYTES].decode(errors="ignore")
        blocks = list(message.blocks)
        update = self.web.chat_update(channel=channel_id, ts=ts, text=text, blocks=blocks, metadata=metadata)
        await self._call_paced(self._updates, update)

    async def publish_home(self, user_id: str, view: dict[str, object]) -> None:
        """Show a person their App Home."""
        await answer_of(self.web.views_publish(user_id=user_id, view=view))

    async def open_view(self, trigger_id: str, view: dict[str, object]) -> None:
        """Open a modal for the person who caused the trigger, which is valid for three seconds."""
        await answer_of(self.web.views_open(trigger_id=trigger_id, view=view))

    async def push_view(self, trigger_id: str, view: dict[str, object]) -> None:
        """Open a modal on top of the one in which the person caused the trigger."""
        await answer_of(self.web.views_push(trigger_id=trigger_id, view=view))

    async def update_view(self, view_id: str, view: dict[str, object], hash_: str) -> None:
        """Update a modal, unless it was updated since ``hash_``."""
        await answer_of(self.web.views_update(view_id=view_id, view=view, hash=hash_ or None))

    async def delete(self, channel_id: str, ts: str) -> None:
        """Delete a message of ours."""
        await answer_of(self.web.chat_delete(channel=channel_id, ts=ts))

    async def open_direct(self, user_id: str) -> str:
        """Open the direct message with a person and return its channel."""
        return direct_of(await answer_of(self.web.conversations_open(users=user_id)))

    async def find(self, channel_id: str, thread_ts: str | None, outbox_id: str, *, since_s: float) -> str | None:
        """Find a message of ours in a thread, or without one in the channel.

        Slack may allow one request per minute, so it's one narrow request. The bot can post in a public channel without
        being a member, but not read it: only then does it join. If the thread's root was deleted, the channel is
        searched, too.

        Args:
            channel_id: the channel.
            thread_ts: the thread's root; None searches the channel itself.
            outbox_id: the ID in the message's metadata.
            since_s: Unix seconds on Slack's clock before which it can't have been posted.

        Returns:
            Its ts, or None when it isn't among the first messages since then.

        Raises:
            SlackAstray: it's a reply, but is in the channel.
            SlackError: Slack can't be searched, now or at all.
        """
        try:
            return await self._search(channel_id, thread_ts, outbox_id, since_s)
        except SlackNoAccess as error:
            if error.code != "not_in_channel":
                raise
        await answer_of(self.web.conversations_join(channel=channel_id))
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
                replies = messages_of(await answer_of(self.web.conversations_replies(ts=thread_ts, **common)))
            except SlackMessageGone:
                replies = []
            ts = ts_of_ours(replies, outbox_id)
            if ts or has_root(replies, thread_ts):
                return ts
        ts = ts_of_ours(messages_of(await answer_of(self.web.conversations_history(**common))), outbox_id)
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
        proxy = self._network.proxies.proxy_for(response_url)
        with reported(self._telemetry, "response_url"):
            try:
                async with self.session.post(response_url, json=body, proxy=proxy.url if proxy else None) as response:
                    text = await response.text()
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise SlackUnavailable(why_unavailable(error)) from error
            check_response(response.status, response.headers, text)

    def _posts_to(self, channel_id: str) -> Bucket:
        bucket = self._posts.get(channel_id)
        if bucket is None:
            bucket = self._posts[channel_id] = Bucket(POSTS_PER_S, POSTS_BURST, self._clock)
        return bucket

    async def _wait_for_turn(self, bucket: Bucket, *, leave: float = 0.0) -> None:
        waited_s = 0.0
        while wait_s := bucket.take(leave=leave):
            waited_s += wait_s
            if waited_s > self._patience_s:  # another caller was faster, or it's held
                raise SlackRateLimited("waiting for our turn", retry_after_s=wait_s, code=PACED)
            await asyncio.sleep(wait_s)

    async def _call_paced(self, bucket: Bucket, call: Awaitable[Any]) -> Any:
        try:
            return await answer_of(call)
        except SlackRateLimited as limited:
            bucket.hold(limited.retry_after_s)
            raise
