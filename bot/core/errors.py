"""The exception tree. The first argument of each is a sentence for people; attributes are for the code.

BotError
├── FlokitError                  a call to FloKit returned no value; sentence, vendor_words
│   ├── FlokitUnreachable        no usable reply; says nothing about the integration
│   │   ├── FlokitNotSent        certainly never reached FloKit (no connection)
│   │   │   └── FlokitAway       not even tried: FloKit is down, and was asked a moment ago; retry_after_s
│   │   ├── FlokitNoReply        sent, but no (whole) reply came back
│   │   ├── FlokitBadReply       a 5xx, a redirect, or a body that FloKit doesn't document
│   │   └── FlokitRateLimited    429, or our own budget is spent; retry_after_s
│   ├── FlokitDenied             401, 403
│   ├── FlokitMissing            404
│   └── FlokitRefused            any other 4xx
├── SlackError                   a call to Slack returned no value; code
│   ├── SlackUnavailable         no usable reply; the message may have been posted
│   ├── SlackRateLimited         429 or our own pacing; retry_after_s; not posted
│   ├── SlackNoAccess            not in the channel, channel unknown: another way must be found
│   ├── SlackArchived            the channel is archived
│   ├── SlackMessageGone         the message to edit or the thread is gone, or too old to edit
│   │   └── SlackAstray          the thread's root was deleted: the reply is in the channel; ts
│   ├── SlackRefusedContent      blocks or text refused
│   ├── SlackAuthLost            the token was revoked: final
│   └── SlackOther               any other error code
├── IllegalObservation           an event that a run's phase does not know; nothing was changed
├── ClaimLost                    another replica has taken over the work; write nothing
├── StoreUnavailable             the database cannot be reached; nothing was saved
│   ├── StoreInDoubt             it went away while it committed: it may have been saved
│   └── StoreRefused             wrong password, no such database, no permission: at a start, waiting doesn't help
├── WebhookRefused               a delivery that isn't accepted; http_status
└── SettingsError                one sentence a line; exit code 78
"""

from __future__ import annotations


class BotError(Exception):
    """The root of everything this bot raises on purpose."""

    retryable = False
    """Whether the same thing may work later without anybody changing anything."""


def with_vendor_words(sentence: str, vendor_words: str) -> str:
    """Put a sentence of ours and FloKit's words on one line, for a log or a note: "… (409): already running"."""
    return f"{sentence.removesuffix('.')}: {vendor_words}" if vendor_words else sentence


class FlokitError(BotError):
    """FloKit brought no value. Both parts may be shown, once escaped; ``str(error)`` has them on one line.

    Args:
        sentence: what happened, in our words.
        vendor_words: what FloKit said about it, untrusted; "" if it said nothing.
    """

    def __init__(self, sentence: str, vendor_words: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.vendor_words = vendor_words

    def __str__(self) -> str:
        return with_vendor_words(self.sentence, self.vendor_words)


class FlokitUnreachable(FlokitError):
    """No usable reply: says nothing about the integration."""

    retryable = True

    def __init__(self, sentence: str, vendor_words: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(sentence, vendor_words)
        self.retry_after_s = retry_after_s


class FlokitNotSent(FlokitUnreachable):
    """The request certainly never reached FloKit."""


class FlokitAway(FlokitNotSent):
    """FloKit is down and was asked a moment ago, so this wasn't tried. ``retry_after_s`` says when it may be."""


class FlokitNoReply(FlokitUnreachable):
    """The request was sent, or may have been, and no whole reply came back."""


class FlokitBadReply(FlokitUnreachable):
    """A reply that says nothing: a 5xx, a redirect, or a body that isn't documented."""


class FlokitRateLimited(FlokitUnreachable):
    """429: certainly nothing was done."""


class FlokitBudgetSpent(FlokitRateLimited):
    """Our own budget of requests is spent: FloKit wasn't asked, so this says nothing about it."""


class FlokitDenied(FlokitError):
    """401 or 403: the key was rotated or lacks permissions."""

    def __init__(self, sentence: str, vendor_words: str = "", *, http_status: int) -> None:
        super().__init__(sentence, vendor_words)
        self.http_status = http_status


class FlokitMissing(FlokitError):
    """404: there is no such integration (any more)."""


class FlokitRefused(FlokitError):
    """Another 4xx, or a redirect as the answer to a POST: nothing was done, and no retry helps."""

    def __init__(self, sentence: str, vendor_words: str = "", *, http_status: int) -> None:
        super().__init__(sentence, vendor_words)
        self.http_status = http_status


class SlackError(BotError):
    """A call to Slack returned no value. ``code`` is Slack's own error code, or "" if there was none."""

    codes: frozenset[str] = frozenset()
    """The Slack error codes that this class owns."""

    def __init__(self, sentence: str, *, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class SlackUnavailable(SlackError):
    """No usable reply. After a post, the message may be there: look before posting again."""

    retryable = True
    codes = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})


class SlackRateLimited(SlackError):
    """Slack's 429 or our own pacing. Certainly not posted."""

    retryable = True
    codes = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})

    def __init__(self, sentence: str, *, retry_after_s: float, code: str = "ratelimited") -> None:
        super().__init__(sentence, code=code)
        self.retry_after_s = retry_after_s


class SlackNoAccess(SlackError):
    """The bot cannot post there: not a member, or the channel is unknown to it."""

    codes = frozenset(
        {
            "not_in_channel",
            "channel_not_found",
            "restricted_action",
            "restricted_action_read_only_channel",
            "restricted_action_thread_locked",
            "restricted_action_thread_only_channel",
            "restricted_action_non_threadable_channel",
            "team_access_not_granted",
            "user_not_in_channel",
            "ekm_access_denied",
            "cannot_dm_bot",
            "messages_tab_disabled",
            "method_not_supported_for_channel_type",
        }
    )


class SlackArchived(SlackError):
    """The channel is archived: nobody can post there."""

    codes = frozenset({"is_archived", "is_inactive"})


class SlackMessageGone(SlackError):
    """The message to edit, or the thread, is gone or can no longer be edited."""

    codes = frozenset(
        {
            "message_not_found",
            "cant_update_message",
            "edit_window_closed",
            "thread_not_found",
            "cannot_reply_to_message",
        }
    )


class SlackAstray(SlackMessageGone):
    """The root of the thread was deleted, so Slack posted the reply in the channel itself, as ``ts``."""

    codes = frozenset()

    def __init__(self, ts: str) -> None:
        super().__init__("the root of the thread was deleted; the reply stands in the channel")
        self.ts = ts


class SlackRefusedContent(SlackError):
    """Slack refused the blocks or the text: a fault of ours; the plain text still goes out."""

    codes = frozenset(
        {
            "invalid_blocks",
            "invalid_blocks_format",
            "msg_blocks_too_long",
            "msg_too_long",
            "no_text",
            "invalid_arguments",
            "invalid_metadata_format",
            "invalid_metadata_schema",
            "metadata_too_large",
            "block_mismatch",
        }
    )


class SlackAuthLost(SlackError):
    """The token is no longer valid, or lacks a scope: final until somebody changes it."""

    codes = frozenset(
        {
            "invalid_auth",
            "not_authed",
            "not_allowed_token_type",
            "account_inactive",
            "token_revoked",
            "token_expired",
            "missing_scope",
            "no_permission",
            "org_login_required",
            "app_access_restricted",
        }
    )


class SlackOther(SlackError):
    """An error code that no other class owns."""


class IllegalObservation(BotError):
    """An event that a run's phase does not know; nothing was changed."""


class ClaimLost(BotError):
    """Another replica has taken over this work: this process must write nothing more about it."""


class StoreUnavailable(BotError):
    """The database can't be reached right now; nothing was saved."""

    retryable = True


class StoreInDoubt(StoreUnavailable):
    """The connection broke during the commit: it isn't known yet whether that was saved."""


class StoreRefused(StoreUnavailable):
    """The server refuses the user, the password, the database or the connection.

    At a start, that's a wrong setting. Later, someone may be changing it, so the bot waits as for an outage.
    """


class StoreConflict(StoreUnavailable):
    """The database undid a transaction in favor of another: nothing was saved, and it can be tried again at once."""

    def __init__(self, sentence: str, *, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class WebhookRefused(BotError):
    """A delivery to our webhook that isn't accepted. The sentence names the rule that it broke, never a secret."""

    def __init__(self, sentence: str, *, http_status: int = 401) -> None:
        super().__init__(sentence)
        self.http_status = http_status


class SlackRequestRefused(BotError):
    """A request to ``/slack/events`` that isn't accepted. Without a valid signature, the answer says nothing else."""

    def __init__(self, sentence: str = "The request isn't signed by Slack.", *, http_status: int = 401) -> None:
        super().__init__(sentence)
        self.http_status = http_status


class SettingsError(BotError):
    """Settings are missing or wrong; ``problems`` holds one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
