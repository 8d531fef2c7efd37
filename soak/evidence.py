"""What was seen from outside while the storm went on: plain values for the checker. Times are Unix seconds.

Nothing here asks the bot: clicks and tellings are Slack's, looks and turns are FloKit's, spans are the weather's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

AWAY: Final = "database away"
READ_ONLY: Final = "database read-only"
"""What spans are called in which nothing can be saved."""

LOOK_S: Final = 4.0
"""How old a check may be from which a decision follows, with a lease of 2 s."""

CLOCK_MOVED: Final = "clock moved"
"""What a span is called that no clock showed: it was moved ahead by that much."""

SLOW_EVENT: Final = "slow_statement"
"""What a replica logs of a statement on a SQLite file that was slow, with ``ms``, ``statement`` and ``parameters``."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the replicas that the checker needs."""

    grace_s: float
    deadline_s: float
    requests_per_minute: int
    """How many requests FloKit may see in any 60 seconds, from all replicas together."""
    look_s: float = LOOK_S
    """How old a check may be from which a decision follows."""
    workspaces: int = 1
    """1: the bot has the tokens of one in its settings."""


@dataclass(frozen=True, slots=True)
class Click:
    """Somebody asked for a sync, by button or by command. Each click is by a person of its own, who is mentioned.

    ``thread_ts`` is None where the bot posts the root itself: below a command, or in the person's direct messages.
    """

    user: str
    channel: str
    integration_id: str
    at: float
    thread_ts: str | None
    acks: tuple[bool, ...]
    """How each delivery of it was taken; a double click has two."""
    refusals: tuple[str, ...] = ()
    """The sentences that said to this person that nothing was started."""
    in_doubt: bool = False
    """The bot said that it doesn't know whether it was started."""

    @property
    def accepted(self) -> bool:
        """Whether Slack got an ack that no refusal took back."""
        return sum(self.acks) > len(self.refusals)


@dataclass(frozen=True, slots=True)
class Several:
    """Somebody asked for several syncs, and pressed the button of the preview; each press is by a person of its own.

    ``count`` is the number on the button. ``messages`` are the ts of the messages about it, of which there must be
    one; the rest is what the first of them says.
    """

    user: str
    channel: str
    at: float
    acks: tuple[bool, ...]
    count: int
    is_refused: bool = False
    """There's no message about it: the bot said that nothing was started, that it doesn't know, or showed another
    preview."""
    messages: tuple[str, ...] = ()
    outbox_id: str = ""
    total: int = 0
    """0: it doesn't say yet that all have ended."""
    outcomes: dict[str, str] = field(default_factory=dict)
    """By run."""


@dataclass(frozen=True, slots=True)
class Telling:
    """One message with the outcome of a run."""

    channel: str
    thread_ts: str
    at: float
    run_id: str
    integration_id: str
    outcome: str
    finished_at: float
    """Whole seconds, cut."""
    mentions: frozenset[str] = frozenset()
    versions: int = 1
    is_unsure: bool = False
    """It says that FloKit may have started this sync by itself."""


@dataclass(frozen=True, slots=True)
class Post:
    """One request to sync. ``status`` is None when it got no reply; ``is_usable`` when the reply says what it is."""

    run_id: str
    integration_id: str
    at: float
    status: int | None
    is_usable: bool
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What an integration was from ``at`` on: FloKit's own record. ``status`` is None once it is gone.

    ``ending`` is how the sync ended that brought it, None for changes by hand.
    """

    integration_id: str
    at: float
    status: str | None
    ending: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Something that was wrong from ``began_at`` to ``ended_at``: a kill, a freeze, a database that was away."""

    what: str
    began_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class Call:
    """One call of Slack's Web API."""

    method: str
    error: str
    at: float


@dataclass(frozen=True, slots=True)
class Exit:
    """A process of the bot ended. ``ordered`` is the signal that was sent to it, "" if it ended without one."""

    replica: str
    at: float
    code: int
    ordered: str
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The resident memory of one process of the bot. ``at`` counts on when the world's clock is moved."""

    replica: str
    pid: int
    at: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Board:
    """A message about an incident that is still open there."""

    channel: str
    ts: str
    text: str
    is_lost: bool = False
    """Its channel got another ID since it was posted, and the bot never got the event.

    Slack knows nothing by a channel's old ID (https://docs.slack.dev/reference/methods/conversations.info), so the bot
    can't find the message any more.
    """
    outbox_id: str = ""


@dataclass(frozen=True, slots=True)
class Snoozed:
    """An incident in a channel that was snoozed ``asked`` times; ``ended`` replies said that a snooze was over.

    ``due`` is how many of them must have ended while the incident was open; None where nobody can know.
    """

    channel: str
    ts: str
    asked: int
    ended: int
    due: int | None = None


@dataclass(frozen=True, slots=True)
class DueDigest:
    """A digest that a channel's only digest subscription made due at a time when everything worked."""

    channel: str
    at: float


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a channel is subscribed to by the last answers there, and what the bot lists.

    ``wanted`` holds the words that name each target, and whether it has a digest. ``wording`` holds, for a
    subscription that was made after the storm, all that its row must say.
    """

    channel: str
    wanted: dict[str, bool]
    listed: tuple[str, ...]
    is_answered: bool
    wording: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Size:
    """The rows of a table at the beginning and at the end of a time in which nobody did anything."""

    table: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Slow:
    """A statement that the database logged because it took long."""

    ms: float
    text: str
    """On one line, with placeholders."""
    parameters: tuple[Any, ...] = ()
    """PostgreSQL logs each as text, or None."""
    waited_ms: float = 0.0
    """How much of the time it waited for a lock, as the database logged it."""
    alone_ms: float | None = None
    """How long it takes at the end of the soak, with the same parameters and nothing else to do; None: not measured."""
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """One call of Slack's Web API, or one answer at a response URL."""

    team: str
    """The workspace whose token or URL it was; "" if the token belongs to none (anymore)."""
    what: str
    at: float
    marks: frozenset[str]
    """The workspaces that its content names."""
    run_id: str = ""
    """Of an outcome."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """One request to FloKit."""

    team: str
    """The workspace whose key it was."""
    at: float
    run_id: str = ""
    """Of a request to sync."""


@dataclass(slots=True)
class Absence:
    """The app was uninstalled in a workspace. ``told_at`` is when the bot acked the event; None if it never did."""

    team: str
    began_at: float
    told_at: float | None = None
    ended_at: float | None = None
    """When somebody began to install it again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for in a workspace when everything worked again."""

    team: str
    what: str
    is_answered: bool


@dataclass(slots=True)
class Evidence:
    """All of it."""

    rules: Rules
    clicks: list[Click] = field(default_factory=list)
    several: list[Several] = field(default_factory=list)
    tellings: list[Telling] = field(default_factory=list)
    outbox_ids: list[str] = field(default_factory=list)
    """Of every message that carries one, once a message."""
    posts: list[Post] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    """When FloKit was asked anything."""
    denials: list[float] = field(default_factory=list)
    """When FloKit answered 401 or 403."""
    turns: list[Turn] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    boards: list[Board] = field(default_factory=list)
    snoozed: list[Snoozed] = field(default_factory=list)
    digests: list[tuple[str, str, float]] = field(default_factory=list)
    """Where each was posted, about what, and when."""
    due_digests: list[DueDigest] = field(default_factory=list)
    wishes: list[Wishes] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What was asked for after the storm, with everything working, and did not come."""
    faults: list[str] = field(default_factory=list)
    """What went wrong in the soak itself, with the traceback: some of the evidence may be missing."""
    sizes: list[Size] = field(default_factory=list)
    deadlocks: int = 0
    """What the database counted."""
    slow: list[Slow] = field(default_factory=list)
    """Statements over 100 ms."""
    sent: list[Sent] = field(default_factory=list)
    """Of all workspaces, if there are several."""
    lookups: list[Lookup] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
