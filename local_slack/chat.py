"""The Web API's ``chat.`` methods, and others on a single message."""

from __future__ import annotations

import re
from typing import Final

from local_slack.arguments import Arguments
from local_slack.config import Channel
from local_slack.content import read_content
from local_slack.install import Installation, LostRoots
from local_slack.refusal import RefusalError
from local_slack.schema import array, string
from local_slack.validation import check_update_text
from local_slack.workspace import Json

EMOJI_NAME: Final = re.compile(r"[\w'+-]{1,100}(::skin-tone-[2-6])?")
"""The format of a name; whether an emoji exists isn't checked."""

LOADING_MESSAGES: Final = 10
LOADING_MESSAGE: Final = 50
"""https://docs.slack.dev/reference/methods/assistant.threads.setStatus."""

_LOADING: Final = array(string(longest=LOADING_MESSAGE), most=LOADING_MESSAGES)


def post_message(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/chat.postMessage."""
    channel = app.postable_channel(args.text("channel"))
    message = {**app.workspace.bot_author, **read_content(args.values), **_thread(app, channel, args)}
    if args.flag("reply_broadcast") and "thread_ts" in message:
        message["subtype"] = "thread_broadcast"
    _warn_without_text(app, args, "chat.postMessage")
    stored = app.workspace.post(channel.id, message)
    return {"channel": channel.id, "ts": stored["ts"], "message": stored}


def update(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/chat.update: text without blocks removes the blocks."""
    channel = app.visible_channel(args.text("channel"))
    ts = args.text("ts")
    _own_message(app, channel, ts, not_ours="cant_update_message")
    if channel.is_archived:
        raise RefusalError("is_inactive")
    check_update_text(args.text("text"))
    _warn_without_text(app, args, "chat.update")
    removes_metadata = args.value("metadata") == {}
    content = read_content({**args.values, "metadata": None} if removes_metadata else args.values)
    changes = {"blocks": None, **content}
    if removes_metadata:
        changes["metadata"] = None
    stored = app.workspace.edit(channel.id, ts, changes, editor=app.workspace.app.bot_user_id)
    return {"channel": channel.id, "ts": ts, "text": stored["text"], "message": stored}


def delete(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/chat.delete: a bot deletes its own messages only."""
    channel = app.visible_channel(args.text("channel"))
    ts = args.text("ts")
    _own_message(app, channel, ts, not_ours="cant_delete_message")
    app.workspace.delete(channel.id, ts)
    return {"channel": channel.id, "ts": ts}


def post_ephemeral(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/chat.postEphemeral."""
    channel = app.postable_channel(args.text("channel"))
    if args.text("user") not in channel.members:
        raise RefusalError("user_not_in_channel")
    message = {**app.workspace.bot_author, **read_content(args.values), **_thread(app, channel, args)}
    _warn_without_text(app, args, "chat.postEphemeral")
    return {"message_ts": app.workspace.show_ephemeral(args.text("user"), channel.id, message)["ts"]}


def get_permalink(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/chat.getPermalink."""
    channel = app.visible_channel(args.text("channel"))
    message = app.workspace.find(channel.id, args.text("message_ts"))
    if message is None:
        raise RefusalError("message_not_found")
    permalink = f"{app.url}/archives/{channel.id}/p{message['ts'].replace('.', '')}"
    if "thread_ts" in message:
        permalink += f"?thread_ts={message['thread_ts']}&cid={channel.id}"
    return {"channel": channel.id, "permalink": permalink}


def add_reaction(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/reactions.add."""
    channel = app.joined_channel(args.text("channel"))
    name, ts = args.text("name").strip(":"), args.text("timestamp")
    if not re.fullmatch(r"\d+\.\d+", ts):
        raise RefusalError("bad_timestamp")
    if not EMOJI_NAME.fullmatch(name):
        raise RefusalError("invalid_name")
    if channel.is_archived:
        raise RefusalError("is_archived")
    if app.workspace.find(channel.id, ts) is None:
        raise RefusalError("message_not_found")
    if not app.workspace.react(channel.id, ts, name, app.workspace.app.bot_user_id):
        raise RefusalError("already_reacted")
    return {}


def set_status(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/assistant.threads.setStatus; an empty status clears it."""
    channel = app.joined_channel(args.text("channel_id"))
    thread_ts = args.text("thread_ts")
    if args.has("loading_messages"):
        problems = [str(problem) for problem in _LOADING(args.value("loading_messages"), "/loading_messages")]
        if problems:
            raise RefusalError.with_messages("invalid_arguments", problems)
    if app.workspace.find(channel.id, thread_ts) is None:
        raise RefusalError("invalid_thread_ts")
    app.workspace.statuses[channel.id, thread_ts] = args.text("status")
    return {}


def _thread(app: Installation, channel: Channel, args: Arguments) -> Json:
    """Return the root's ``thread_ts``, or nothing if Slack would post the reply in the channel.

    Slack accepts a reply's ts too, but advises against it. It doesn't refuse replies to deleted messages:
    https://docs.slack.dev/reference/methods/chat.postMessage lists no error for that.
    """
    thread_ts = args.text("thread_ts")
    if not thread_ts:
        return {}
    parent = app.workspace.find(channel.id, thread_ts)
    if parent is None and app.lost_roots is LostRoots.REFUSED:
        raise RefusalError("thread_not_found")
    if parent is None:
        return {}
    root_ts = parent.get("thread_ts", thread_ts)
    root = app.workspace.find(channel.id, root_ts)
    if app.lost_roots in {LostRoots.CHANNEL, LostRoots.UNLISTED} and (
        root is None or root.get("subtype") == "tombstone"
    ):
        return {}
    if root_ts != thread_ts:
        app.warnings.append(f"thread_ts {thread_ts} belongs to a reply; use its parent's, {root_ts}")
    return {"thread_ts": root_ts}


def _own_message(app: Installation, channel: Channel, ts: str, *, not_ours: str) -> Json:
    message = app.workspace.find(channel.id, ts)
    if message is None or message.get("subtype") == "tombstone":
        raise RefusalError("message_not_found")
    if message["user"] != app.workspace.app.bot_user_id:
        raise RefusalError(not_ours)
    return message


def _warn_without_text(app: Installation, args: Arguments, method: str) -> None:
    if not args.text("text"):
        app.warnings.append(f"{method}: blocks without text; notifications and screen readers have nothing to show")
