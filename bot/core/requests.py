"""What a person asked for in Slack, as a value that can be saved before Slack is answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.core.commands.presses import Press
from bot.core.models import Cause, Person
from bot.core.subscriptions.words import Wish


class RequestKind(StrEnum):
    """How it was asked."""

    COMMAND = "command"
    """A slash command. Never in a thread: Slack does not allow it."""
    MENTION = "mention"
    """An @mention, or a direct message."""
    PRESS = "press"
    """A button."""
    FORM = "form"
    """A form was sent: ``wish`` is what was chosen in it."""
    HOME = "home"
    """The App Home was opened."""
    CHANNEL = "channel"
    """Nobody asked: a channel opened or closed. The text is a `ChannelNews`."""


class ChannelNews(StrEnum):
    """What happened to a channel that may have subscriptions."""

    ARCHIVED = "archived"
    REMOVED = "removed"
    OPEN = "open"
    """It can be posted in again."""
    MOVED = "moved"
    """It has another id, which follows after a space: it became shared or private."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked, and where.

    ``channel_id`` is "" in the App Home, which is no conversation: what follows from there comes as a direct message.
    ``thread_ts`` is the root of the thread it was asked in, ``message_ts`` the message whose button was pressed.
    ``ephemeral`` is set when only that person sees that message: it has no thread, and only ``response_url``
    (5 uses within 30 minutes) can change it. ``is_elsewhere``: the payload names another workspace than
    ours as where it was asked: a doubt, which what Slack says of the person settles.
    ``rule`` is what let the request through, once that is decided.
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

    The inbox stores it as JSON: each field by its name, times in ISO 8601. A ``wish`` there looks like this::

        {"target_text": "stripe", "news": ["failing", "recovered"], "style": "thread", "mention": "here",
         "digest": {"at": "09:00:00", "weekdays": [0, 1, 2, 3, 4], "zone": ""}}
    """

    id: str
    kind: RequestKind
    origin: Origin
    received_at: datetime
    text: str = ""
    press: Press | None = None
    wish: Wish | None = None
    traceparent: str = ""
    """The span in which it was taken: see ``Cause``."""

    asked_id: str = ""
    """The request whose answer was a form, of a form that was sent."""

    @property
    def remembered(self) -> Request:
        """Who asked, and where: what a form or a button in the answer needs later."""
        origin = replace(self.origin, response_url=None, rule="")
        return Request(self.id, self.kind, origin, self.received_at)

    @property
    def cause(self) -> Cause:
        """What everything that follows from it follows from."""
        return Cause(self.id, self.traceparent)
