"""A person's request in Slack, as a value that can be saved before Slack gets an ack."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.core.commands.presses import Press
from bot.core.models import Cause, Person
from bot.core.subscriptions.words import Wish


class RequestKind(StrEnum):
    """How the request was made."""

    COMMAND = "command"
    """A slash command. Slack doesn't allow them in threads."""
    MENTION = "mention"
    """An @mention, or a direct message."""
    PRESS = "press"
    """A button click."""
    FORM = "form"
    """A submitted form; ``wish`` has its choices."""
    HOME = "home"
    """The App Home was opened."""
    CHANNEL = "channel"
    """An event: a channel opened or closed. The text is a `ChannelNews`."""
    INSTALLED = "installed"
    """The app was installed; the person is the one who did."""
    CONNECTED = "connected"
    """FloKit was connected by the form. The text is the token of the workspace's address for webhooks."""
    KEY_LOST = "key_lost"
    """FloKit's key doesn't work anymore; the person connected it. The text is FloKit's HTTP status; "" if the key can't
    be decrypted."""


class ChannelNews(StrEnum):
    """What happened to a channel that may have subscriptions."""

    ARCHIVED = "archived"
    REMOVED = "removed"
    OPEN = "open"
    """The bot can post there again."""
    MOVED = "moved"
    """Its ID changed, because it became shared or private; the new one follows after a space."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked, and where.

    ``channel_id`` is "" in the App Home, which isn't a conversation; outcomes are then sent as DMs.
    ``thread_ts`` is the root of the thread it was asked in, ``message_ts`` the message whose button was pressed.
    ``ephemeral`` is set if only that person sees that message: it has no thread, and only ``response_url``
    (5 uses within 30 minutes) can change it. ``is_elsewhere`` is set if the payload names another workspace than
    ours, which has to be checked against what Slack says about the person.
    ``rule`` is the rule that allowed the request, once decided.
    """

    team_id: str
    person: Person
    channel_id: str
    thread_ts: str | None = None
    message_ts: str | None = None
    ephemeral: bool = False
    response_url: str | None = None
    is_elsewhere: bool = False
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One command, mention, press or form. ``id`` is Slack's trigger_id or event_id: the same ID is the same request.

    Stored in ``inbox``; a click has a ``press`` instead of the ``wish``, and a command its ``text``::

        {"id": "1337.42.ab", "kind": "form", "received_at": "2026-11-26T14:30:00Z", "asked_id": "1337.41.cd",
         "origin": {"team_id": "T0ACME", "person": {"id": "U0ANA", "name": "ana"}, "channel_id": "C0DATA"},
         "wish": {"target_text": "stripe", "news": ["failing", "recovered"], "style": "thread", "mention": "here",
                  "digest": {"at": "09:00:00", "weekdays": [0, 1, 2, 3, 4], "zone": ""}}}
    """

    id: str
    kind: RequestKind
    origin: Origin
    received_at: datetime
    text: str = ""
    press: Press | None = None
    wish: Wish | None = None
    traceparent: str = ""
    """The trace context in which it arrived; see ``Cause``."""

    asked_id: str = ""
    """For a submitted form, the request that opened it."""

    @property
    def remembered(self) -> Request:
        """The part that a form or a button in the answer needs later."""
        origin = replace(self.origin, response_url=None, rule="")
        return Request(self.id, self.kind, origin, self.received_at)

    @property
    def cause(self) -> Cause:
        """The cause of everything that results from it."""
        return Cause(self.id, self.traceparent)
