"""The exception hierarchy. The first argument of each is a message for people; attributes are for the code.

BotError
├── FlokitError                  a call to FloKit failed; sentence, vendor_words
│   ├── FlokitUnreachable        no usable reply; says nothing about the integration
│   │   ├── FlokitNotSent        certainly never reached FloKit (no connection)
│   │   │   └── FlokitAway       not even tried: FloKit was down a moment ago; retry_after_s
│   │   ├── FlokitNoReply        sent, but no (whole) reply came back
│   │   ├── FlokitBadReply       a 5xx, a redirect, or an undocumented body
│   │   └── FlokitRateLimited    429, or our own budget is spent; retry_after_s
│   ├── FlokitDenied             401, 403
│   ├── FlokitMissing            404
│   └── FlokitRefused            any other 4xx
├── SlackError                   a call to Slack failed; code
│   ├── SlackUnavailable         no usable reply; the message may have been posted
│   ├── SlackRateLimited         429 or our own pacing; retry_after_s; not posted
│   ├── SlackNoAccess            not in the channel, or channel unknown
│   ├── SlackArchived            the channel is archived
│   ├── SlackMessageGone         the message to edit or the thread is gone, or too old to edit
│   │   └── SlackAstray          the thread's root was deleted: the reply is in the channel; ts
│   ├── SlackRefusedContent      blocks or text refused
│   ├── SlackAuthLost            the token was revoked: final
│   └── SlackOther               any other error code
├── IllegalObservation           an observation that doesn't fit the run's phase; nothing was changed
├── ClaimLost                    another replica has taken over the work; write nothing
├── StoreUnavailable             the database is unreachable; nothing was saved
│   ├── StoreInDoubt             the connection broke during the commit; it may have been saved
│   └── StoreRefused             wrong password, no such database, no permission; at startup, waiting doesn't help
├── SecretUnreadable             a stored secret can't be decrypted, so its workspace counts as not connected
│   ├── MasterKeyMissing         ENCRYPTION_KEYS no longer has the key it needs; key_id
│   └── DecryptionFailed         it was changed, or moved from another row or column
├── NotInstalled                 the app isn't installed in that workspace (anymore)
│   └── InstallationLost         it is, but its token can't be decrypted, so it has to be installed again
├── RequestRefused               a webhook or a request to /slack/events that isn't accepted; http_status
└── SettingsError                one message per line; exit code 78
"""

from __future__ import annotations


class BotError(Exception):
    """The base class of all exceptions that the bot raises."""

    retryable = False
    """Whether the same call may succeed later without anyone changing anything."""


def with_vendor_words(sentence: str, vendor_words: str) -> str:
    """Join our sentence and FloKit's text on one line, for logs and notes: "… (409): already running"."""
    return f"{sentence.removesuffix('.')}: {vendor_words}" if vendor_words else sentence


class FlokitError(BotError):
    """A call to FloKit failed. Both parts may be shown once escaped; ``str(error)`` has them on one line.

    Args:
        sentence: what happened, in our words.
        vendor_words: FloKit's own text (untrusted), or "".
    """

    def __init__(self, sentence: str, vendor_words: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.vendor_words = vendor_words

    def __str__(self) -> str:
        return with_vendor_words(self.sentence, self.vendor_words)


class FlokitUnreachable(FlokitError):
    """No usable reply, which says nothing about the integration."""

    retryable = True

    def __init__(self, sentence: str, vendor_words: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(sentence, vendor_words)
        self.retry_after_s = retry_after_s


class FlokitNotSent(FlokitUnreachable):
    """The request certainly never reached FloKit."""


class FlokitAway(FlokitNotSent):
    """FloKit was down a moment ago, so this wasn't tried; retry after ``retry_after_s``."""


class FlokitNoReply(FlokitUnreachable):
    """The request was (or may have been) sent, but no complete reply came back."""


class FlokitBadReply(FlokitUnreachable):
    """An unusable reply: a 5xx, a redirect, or an undocumented body."""


class FlokitRateLimited(FlokitUnreachable):
    """429: nothing was done."""


class FlokitBudgetSpent(FlokitRateLimited):
    """Our own request budget is spent. FloKit wasn't asked, so this says nothing about it."""


class FlokitDenied(FlokitError):
    """401 or 403: the key was rotated or lacks permissions."""

    def __init__(self, sentence: str, vendor_words: str = "", *, http_status: int) -> None:
        super().__init__(sentence, vendor_words)
        self.http_status = http_status


class FlokitNotConnected(FlokitDenied):
    """No key is known for this workspace, so FloKit wasn't asked."""

    def __init__(self, sentence: str = "FloKit isn't connected to this workspace yet.") -> None:
        super().__init__(sentence, http_status=0)


class FlokitMissing(FlokitError):
    """404: the integration doesn't exist (anymore)."""


class FlokitRefused(FlokitError):
    """Another 4xx, or a redirect in reply to a POST: nothing was done, and retrying won't help."""

    def __init__(self, sentence: str, vendor_words: str = "", *, http_status: int) -> None:
        super().__init__(sentence, vendor_words)
        self.http_status = http_status


class SlackError(BotError):
    """A call to Slack failed. ``code`` is Slack's error code, or "" if there was none."""

    codes: frozenset[str] = frozenset()
    """The Slack error codes mapped to this class."""

    def __init__(self, sentence: str, *, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class SlackUnavailable(SlackError):
    """No usable reply. The message may have been posted, so check before posting again."""

    retryable = True
    codes = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})


class SlackRateLimited(SlackError):
    """Slack's 429 or our own pacing. Nothing was posted."""

    retryable = True
    codes = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})

    def __init__(self, sentence: str, *, retry_after_s: float, code: str = "ratelimited") -> None:
        super().__init__(sentence, code=code)
        self.retry_after_s = retry_after_s


class SlackNoAccess(SlackError):
    """The bot can't post there: it isn't a member, or the channel is unknown."""

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
    """The channel is archived, so no one can post there."""

    codes = frozenset({"is_archived", "is_inactive"})


class SlackMessageGone(SlackError):
    """The message to edit or the thread is gone or can no longer be edited."""

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
    """The thread's root was deleted, so Slack posted the reply in the channel, as ``ts``."""

    codes = frozenset()

    def __init__(self, ts: str) -> None:
        super().__init__("the thread's root was deleted, so the reply is in the channel")
        self.ts = ts


class SlackRefusedContent(SlackError):
    """Slack refused the blocks or the text, which is a bug in the bot; the plain text is still sent."""

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
    """The token is no longer valid or lacks a scope; final until someone changes it."""

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
    """Any other error code."""


class IllegalObservation(BotError):
    """An observation that doesn't fit the run's phase; nothing was changed."""


class ClaimLost(BotError):
    """Another replica has taken over this work, so this process must not write to it anymore."""


class StoreUnavailable(BotError):
    """The database is unreachable right now; nothing was saved."""

    retryable = True


class StoreInDoubt(StoreUnavailable):
    """The connection broke during the commit, so it isn't known yet whether that was saved."""


class StoreRefused(StoreUnavailable):
    """The server refuses the user, the password, the database or the connection.

    At startup, that's a wrong setting. Later, someone may be changing it, so the bot waits like in an outage.
    """


class StoreConflict(StoreUnavailable):
    """The database rolled back a transaction in favor of another; nothing was saved, and it can be retried now."""

    def __init__(self, sentence: str, *, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class SecretUnreadable(BotError):
    """A stored secret can't be decrypted: whoever needs it must install or connect again, and the others go on."""


class MasterKeyMissing(SecretUnreadable):
    """``ENCRYPTION_KEYS`` doesn't have the key that wraps a workspace's data key; ``key_id`` is its fingerprint."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"ENCRYPTION_KEYS doesn't have the key {key_id}")
        self.key_id = key_id


class DecryptionFailed(SecretUnreadable):
    """A stored secret was changed, or moved from another row or column."""


class NotInstalled(BotError):
    """The app isn't installed in that workspace, or not anymore."""


class InstallationLost(NotInstalled):
    """The app is installed, but its token can't be decrypted. The sentence is for people: it asks to install again."""


class RequestRefused(BotError):
    """An HTTP request from outside that isn't accepted. The sentence is the response, so it contains no secrets."""

    def __init__(self, sentence: str, *, http_status: int = 401) -> None:
        super().__init__(sentence)
        self.http_status = http_status


class SettingsError(BotError):
    """Settings are missing or invalid; ``problems`` has one message each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
