"""The Slack client and a Slack on a real socket: every call returns a value or a typed error, and is made once."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import web

from bot.core import errors
from bot.core.models import Message
from bot.slack.calls import DEFAULT_RETRY_AFTER_S, MAX_RETRY_AFTER_S
from bot.slack.client import POSTS_BURST, SlackClient
from bot.slack.replies import check_response
from local_slack import Fault
from sandbox.slack import flokit_slack

TOKEN = "xoxb-sandbox-s3cret"
HELLO = Message("hello", ({"type": "section", "text": {"type": "mrkdwn", "text": "hello"}},))
POST = "chat.postMessage"


def tagged(outbox_id, text="hello"):
    """Return a message with its outbox ID."""
    metadata = {"event_type": "flokit_message", "event_payload": {"outbox_id": outbox_id}}
    return Message(text, metadata=metadata)


@pytest_asyncio.fixture
async def slack():
    """A Slack that accepts our token and has no rate limits."""
    local = flokit_slack(bot_token=TOKEN)
    local.rates.enforced = False
    await local.start()
    yield local
    await local.stop()


@asynccontextmanager
async def connected(api_url, **options):
    """Create a client and close it."""
    client = SlackClient(options.pop("token", TOKEN), api_url=api_url, **options)
    try:
        yield client
    finally:
        await client.aclose()


@pytest_asyncio.fixture
async def client(slack):
    """A client with a short timeout."""
    async with connected(slack.api_url, timeout_s=0.4) as made:
        yield made


def calls(slack, method=POST):
    """Count calls of a method."""
    return len([call for call in slack.calls if call.method == method])


def assert_silent(error):
    """Check that the token isn't in an error, its causes or its traceback."""
    seen = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert "s3cret" not in seen
    cause = error.__cause__
    while cause is not None:
        assert "s3cret" not in f"{cause} {cause!r}"
        cause = cause.__cause__


# --- values ----------------------------------------------------------------------------------------------------


async def test_post_and_update(slack, client):
    """A post returns Slack's ts, and an update changes that message."""
    ts = await client.post("C0DATA", HELLO)
    assert slack.message("C0DATA", ts)["text"] == "hello"
    await client.update("C0DATA", ts, Message("bye"))
    assert slack.message("C0DATA", ts)["text"] == "bye"
    assert "blocks" not in slack.message("C0DATA", ts)


async def test_reply_is_posted_in_its_thread(slack, client):
    root = await client.post("C0DATA", HELLO)
    ts = await client.post("C0DATA", HELLO, thread_ts=root)
    assert [message["ts"] for message in slack.messages("C0DATA", root)] == [ts]


async def test_a_post_whose_time_ends_while_it_connects_isnt_sent(slack, client):
    """A process that is frozen meanwhile wakes up in the middle: another one may have posted it by then."""
    asked = iter([True, False])
    with pytest.raises(errors.SlackUnavailable):
        await client.post("C0DATA", HELLO, in_time=lambda: next(asked))
    assert not calls(slack)
    await client.post("C0DATA", HELLO)
    assert calls(slack) == 1


@pytest.mark.parametrize("char", ["a", "ü", "\N{BOMB}"])
async def test_long_texts_can_be_updated(slack, client, char):
    """The text is cut to Slack's limit in bytes, never inside a character."""
    ts = await client.post("C0DATA", HELLO)
    await client.update("C0DATA", ts, Message(char * 5000, HELLO.blocks))
    shown = slack.message("C0DATA", ts)["text"]
    assert set(shown) == {char}
    assert 3990 <= len(shown.encode()) <= 4000


async def test_auth_test_returns_the_team_and_the_scopes(client):
    identity = await client.fetch_identity()
    assert (identity.team_id, identity.bot_user_id, identity.bot_id) == ("T0SANDBOX", "UFLOKIT", "BFLOKIT")
    assert "chat:write" in identity.scopes


async def test_app_token_is_checked(client):
    """A usable app token passes; another is refused by name."""
    await client.check_app_token("xapp-sandbox")
    with pytest.raises(errors.SlackError) as refused:
        await client.check_app_token(f"xapp-{TOKEN}")
    assert refused.value.code == "invalid_auth"
    assert_silent(refused.value)


async def test_direct_message_is_opened(slack, client):
    """A person's direct message has an ID and can be posted to."""
    channel = await client.open_direct("UANA")
    await client.post(channel, HELLO)
    assert len(slack.messages(channel)) == 1


# --- errors ----------------------------------------------------------------------------------------------------

CODES = [
    (kind, code)
    for kind in (
        errors.SlackUnavailable,
        errors.SlackNoAccess,
        errors.SlackArchived,
        errors.SlackMessageGone,
        errors.SlackRefusedContent,
        errors.SlackAuthLost,
        errors.SlackRateLimited,
    )
    for code in sorted(kind.codes)
] + [(errors.SlackOther, "a_code_of_next_year")]


def test_codes_have_one_owner():
    """No error code belongs to two classes."""
    assert max(Counter(code for _, code in CODES).values()) == 1


async def test_every_code_becomes_its_class(slack, client):
    """Each of Slack's codes is raised as its class, after one call, without the token."""
    for n, (kind, code) in enumerate(CODES):
        slack.faults.add(Fault(POST, "error", code=code))
        with pytest.raises(errors.SlackError) as refused:
            await client.post(f"C{n}", HELLO)
        assert type(refused.value) is kind, code
        assert refused.value.code == ("ratelimited" if kind is errors.SlackRateLimited else code)
        assert calls(slack) == n + 1
        assert_silent(refused.value)


async def test_rate_limit_pauses_only_its_channel(slack, client):
    """The error carries Slack's Retry-After."""
    slack.faults.add(Fault(POST, "ratelimited", retry_after_s=7))
    with pytest.raises(errors.SlackRateLimited) as refused:
        await client.post("C0DATA", HELLO)
    assert refused.value.retry_after_s == 7
    with pytest.raises(errors.SlackRateLimited) as paced:
        await client.post("C0DATA", HELLO)
    assert paced.value.code == "paced"
    assert 6 < paced.value.retry_after_s <= 7
    assert calls(slack) == 1
    await client.post(await client.open_direct("UANA"), HELLO)


@pytest.mark.parametrize("kind", ["http_500", "garbage", "hang", "drop"])
async def test_an_unusable_answer_leaves_the_call_in_doubt(slack, client, kind):
    """There's one call, and no guess."""
    slack.faults.add(Fault(POST, kind))
    with pytest.raises(errors.SlackUnavailable) as refused:
        await client.post("C0DATA", HELLO)
    assert calls(slack) == 1
    assert_silent(refused.value)


async def test_lost_answer_is_not_repeated(slack, client):
    """A post that was done before its connection broke isn't sent again by the client."""
    await client.post("C0DATA", HELLO)
    slack.faults.add(Fault(POST, "done_then_drop"))
    with pytest.raises(errors.SlackUnavailable):
        await client.post("C0DATA", HELLO)
    assert calls(slack) == 2
    assert len(slack.messages("C0DATA")) == 2


@pytest.mark.parametrize("method", ["chat.update", "auth.test", "conversations.open", "conversations.history"])
@pytest.mark.parametrize("kind", ["http_500", "garbage", "drop"])
async def test_all_calls_have_the_same_errors(slack, client, method, kind):
    """One function reads every answer."""
    make_call = {
        "chat.update": lambda: client.update("C0DATA", "1.0", HELLO),
        "auth.test": client.fetch_identity,
        "conversations.open": lambda: client.open_direct("UANA"),
        "conversations.history": lambda: client.find("C0DATA", None, "msg_1", since_s=0),
    }[method]
    slack.faults.add(Fault(method, kind, times=9))
    with pytest.raises(errors.SlackUnavailable) as refused:
        await make_call()
    assert_silent(refused.value)


async def test_a_refused_connection_is_unavailable(slack):
    """Without the token."""
    url = slack.api_url
    await slack.stop()
    async with connected(url) as client:
        with pytest.raises(errors.SlackUnavailable) as refused:
            await client.post("C0DATA", HELLO)
        assert_silent(refused.value)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("[1]", "application/json", 200),
        ('"ok"', "application/json", 200),
        ("null", "application/json", 200),
        ("{}", "application/json", 200),
        ('{"ok": true}', "application/json", 200),
        ('{"ok": true, "ts": 5}', "application/json", 200),
        ("{", "application/json", 200),
        ("hello", "text/plain", 200),
        ("", "text/plain", 200),
        ("<html>", "text/html", 502),
        ("[]", "application/json", 503),
    ],
)
async def test_any_body_is_a_typed_error(body, content_type, status):
    """Whatever a proxy answers instead of Slack, the post is in doubt."""

    async def answer(request):
        return web.Response(text=body, content_type=content_type, status=status)

    async with serving(answer) as url, connected(url) as client:
        with pytest.raises(errors.SlackUnavailable) as refused:
            await client.post("C0DATA", HELLO)
        assert_silent(refused.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30),
        ("0", DEFAULT_RETRY_AFTER_S),
        ("000", DEFAULT_RETRY_AFTER_S),
        ("99999999999999999999", MAX_RETRY_AFTER_S),
        ("-5", DEFAULT_RETRY_AFTER_S),
        ("soon", DEFAULT_RETRY_AFTER_S),
        ("Wed, 21 Oct 2026 07:28:00 GMT", DEFAULT_RETRY_AFTER_S),
        ("²", DEFAULT_RETRY_AFTER_S),
        (None, DEFAULT_RETRY_AFTER_S),
    ],
)
async def test_any_retry_after_is_a_time(header, seconds):
    """The wait is neither zero nor endless."""

    async def answer(request):
        headers = {} if header is None else {"Retry-After": header}
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)

    async with serving(answer) as url, connected(url) as client:
        with pytest.raises(errors.SlackRateLimited) as refused:
            await client.post("C0DATA", HELLO)
        assert refused.value.retry_after_s == seconds


@asynccontextmanager
async def serving(handle):
    """Serve one handler for every path and yield its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


# --- checking for a message ------------------------------------------------------------------------------------


async def test_message_is_found_in_a_thread(client):
    """A reply of ours is found only by the outbox ID in its metadata."""
    root = await client.post("C0DATA", HELLO)
    ts = await client.post("C0DATA", tagged("msg_1"), thread_ts=root)
    assert await client.find("C0DATA", root, "msg_1", since_s=0) == ts
    assert await client.find("C0DATA", root, "msg_2", since_s=0) is None
    assert await client.find("C0DATA", None, "msg_1", since_s=0) is None


async def test_message_is_found_in_a_channel(slack, client):
    """A root of ours is found in the channel among people's messages."""
    ts = await client.post("C0DATA", tagged("msg_1"))
    await slack.say("UANA", "C0DATA", "outbox_id msg_2")
    assert await client.find("C0DATA", None, "msg_1", since_s=0) == ts
    assert await client.find("C0DATA", None, "msg_2", since_s=0) is None


async def test_checking_for_a_message_is_one_small_request(slack, client):
    """However long the thread or channel is, it asks once, for few messages since a time."""
    root = await client.post("C0DATA", tagged("msg_0"))
    for n in range(50):
        slack.workspace.post("C0DATA", {"user": "UANA", "text": str(n), "thread_ts": root})
        slack.workspace.post("C0DATA", {"user": "UANA", "text": str(n)})
    since_s = float(slack.messages("C0DATA")[-1]["ts"])
    ts = await client.post("C0DATA", tagged("msg_1"), thread_ts=root)
    assert await client.find("C0DATA", root, "msg_1", since_s=since_s) == ts
    assert await client.find("C0DATA", root, "msg_1", since_s=0) is None
    assert await client.find("C0DATA", None, "msg_0", since_s=0) is None
    assert calls(slack, "conversations.replies") == 2
    assert calls(slack, "conversations.history") == 1


async def test_public_channel_is_joined_to_be_read(slack, client):
    """If the bot posted without being a member, it joins to check; a private channel stays closed."""
    ts = await client.post("C0GENERAL", tagged("msg_1"))
    assert await client.find("C0GENERAL", None, "msg_1", since_s=0) == ts
    with pytest.raises(errors.SlackNoAccess):
        await client.find("G0FINANCE", None, "msg_1", since_s=0)


async def test_lost_reply_to_a_deleted_root_is_found_in_the_channel(slack, client):
    """The result says that it isn't in the thread."""
    assert await client.find("C0DATA", "1.0", "msg_1", since_s=0) is None
    with pytest.raises(errors.SlackAstray) as posted:
        await client.post("C0DATA", tagged("msg_1"), thread_ts="1.0")
    with pytest.raises(errors.SlackAstray) as found:
        await client.find("C0DATA", "1.0", "msg_1", since_s=0)
    assert found.value.ts == posted.value.ts == slack.messages("C0DATA")[0]["ts"]


@pytest.mark.parametrize("message", [..., None, {}, [], "posted", {"thread_ts": "1.0"}])
async def test_an_answer_that_does_not_show_the_message_proves_nothing(message):
    """Only an answer with the message but without its thread means that the root is gone."""

    async def answer(_request):
        body = {"ok": True, "ts": "2.0"} if message is ... else {"ok": True, "ts": "2.0", "message": message}
        return web.json_response(body)

    async with serving(answer) as url, connected(url) as client:
        assert await client.post("C0DATA", HELLO, thread_ts="1.0") == "2.0"


@pytest.mark.parametrize("thread", [{}, {"thread_ts": None}, {"thread_ts": ""}, {"thread_ts": "2.0"}])
async def test_an_answer_that_shows_no_thread_means_that_the_root_is_gone(thread):
    """The reply is in the channel."""

    async def answer(_request):
        return web.json_response({"ok": True, "ts": "2.0", "message": {"ts": "2.0", "text": "x", **thread}})

    async with serving(answer) as url, connected(url) as client:
        with pytest.raises(errors.SlackAstray):
            await client.post("C0DATA", HELLO, thread_ts="1.0")
        assert await client.post("C0OTHER", HELLO) == "2.0"


# --- response URLs ---------------------------------------------------------------------------------------------


async def response_url(slack, user="UANA", channel="C0GENERAL"):
    """Type a command as a person, and return its response_url."""
    await slack.command(user, channel)
    return slack.envelopes[-1].payload["response_url"]


async def test_response_reaches_one_person(slack, client):
    """Only the person who asked sees it, where the bot can't post."""
    await client.respond(await response_url(slack), HELLO)
    assert [message["text"] for message in slack.ephemerals("UANA")] == ["hello"]
    assert slack.messages("C0GENERAL") == []


@pytest.mark.parametrize("text", ["ok", " ok\n", '{"ok": true}', '{"ok":true,"warning":{"ok":false}}'])
def test_ok_and_json_with_ok_mean_accepted(text):
    check_response(200, {}, text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"ok": false, "error": "used_url"}', errors.SlackOther),
        ('{"ok" :\tfalse}', errors.SlackOther),
        ('{"result": {"ok": true}}', errors.SlackUnavailable),
        ('"ok":true', errors.SlackUnavailable),
        ("<html>ok</html>", errors.SlackUnavailable),
        ("", errors.SlackUnavailable),
        ("[" * 100_000, errors.SlackUnavailable),
    ],
)
def test_an_answer_without_true_is_refused_or_in_doubt(text, error):
    """False means refused; anything else leaves open whether the message is there."""
    with pytest.raises(error):
        check_response(200, {}, text)


async def test_used_up_response_url_is_refused(slack, client):
    """The sixth use of a response_url is an error, not a silent loss."""
    url = await response_url(slack)
    for _ in range(5):
        await client.respond(url, HELLO)
    with pytest.raises(errors.SlackOther):
        await client.respond(url, HELLO)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("ratelimited", errors.SlackRateLimited),
        ("http_500", errors.SlackUnavailable),
        ("garbage", errors.SlackUnavailable),
        ("hang", errors.SlackUnavailable),
        ("drop", errors.SlackUnavailable),
        ("error", errors.SlackOther),
    ],
)
async def test_failed_responses_are_typed(slack, client, kind, error):
    """The error says how it failed."""
    url = await response_url(slack)
    slack.faults.add(Fault("response_url", kind))
    with pytest.raises(error):
        await client.respond(url, HELLO)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "https://exa mple/", "file:///etc/passwd", "http://[", "http://169.254.169.254/latest"]
)
async def test_foreign_response_url_is_refused(client, url):
    """An address on another host than the Web API gets no request."""
    with pytest.raises(errors.SlackOther) as refused:
        await client.respond(url, HELLO)
    assert refused.value.code == "foreign_response_url"


async def test_an_unreachable_response_url_is_an_error(client):
    with pytest.raises(errors.SlackUnavailable):
        await client.respond("http://127.0.0.1:1/x", HELLO)


# --- pacing ----------------------------------------------------------------------------------------------------


async def test_crowded_channel_is_not_waited_for_long(slack):
    """Each of many posts to one channel goes out or is returned soon, so that none waits longer than its lease.

    A post that waited on after its lease would go out twice: the process that takes the lease over posts it, too.
    """
    async with connected(slack.api_url) as client:
        began = time.monotonic()
        results = await asyncio.gather(*(client.post("C0DATA", HELLO) for _ in range(12)), return_exceptions=True)
        assert time.monotonic() - began < 2.0
    refused = [result for result in results if isinstance(result, errors.SlackRateLimited)]
    assert {error.code for error in refused} == {"paced"}
    assert len(refused) + calls(slack) == 12
    assert calls(slack) <= POSTS_BURST + 2


async def test_each_channel_has_its_own_pace(slack, client):
    """A crowded channel doesn't slow down another."""
    for _ in range(int(POSTS_BURST)):
        await client.post("C0DATA", HELLO)
    await client.post("D0ANA", HELLO)
    assert calls(slack) == POSTS_BURST + 1


async def test_progress_updates_leave_room_for_others(slack):
    """They wait while few updates are left; rows and outcomes don't."""
    async with connected(slack.api_url, clock=lambda: 0.0, timeout_s=0.4) as client:
        ts = await client.post("C0DATA", HELLO)
        for _ in range(12):
            await client.update("C0DATA", ts, HELLO, spare=True)
        with pytest.raises(errors.SlackRateLimited) as paced:
            await client.update("C0DATA", ts, HELLO, spare=True)
        assert paced.value.code == "paced"
        for _ in range(8):
            await client.update("C0DATA", ts, HELLO)


# --- what the health checks ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (HELLO, ""),
        (Message("x", ({"type": "section", "text": {"type": "mrkdwn", "text": ""}},)), "/0/text/text"),
        ({"type": "home", "blocks": []}, ""),
        ({"type": "home", "blocks": [{"type": "nonsense"}]}, "/view/blocks/0"),
    ],
)
async def test_slack_validates_messages_and_views(slack, content, problem):
    """What its validator refuses is named with its place."""
    async with connected(slack.api_url) as client:
        found = await client.validate(content)
    assert problem in found
    assert bool(found) is bool(problem)


async def test_a_channel_is_described(slack):
    """Membership, privacy and direct messages are as Slack says; an invisible channel is no access."""
    async with connected(slack.api_url) as client:
        data = await client.fetch_conversation("C0DATA")
        general = await client.fetch_conversation("C0GENERAL")
        with pytest.raises(errors.SlackNoAccess):
            await client.fetch_conversation("G0FINANCE")
    assert (data.is_member, general.is_member, data.is_private) == (True, False, False)


async def test_identity_includes_slacks_time(slack):
    """It's the Date header, in whole seconds."""
    async with connected(slack.api_url) as client:
        identity = await client.fetch_identity()
    assert abs(identity.at.timestamp() - time.time()) < 60
