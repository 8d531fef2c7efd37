"""What the parts of the bot need to know about the process and the workspace that they serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.observability.acks import Acks
from bot.observability.telemetry import SILENT, Telemetry


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What one process has once, whichever workspaces it serves.

    Args:
        clock: the time now, aware.
        command: the slash command, as in sentences that suggest it.
        telemetry: what the parts report to.
        acks: what goes first.
    """

    clock: Callable[[], datetime]
    command: str = "/flokit"
    telemetry: Telemetry = SILENT
    acks: Acks = field(default_factory=Acks)

    def of(self, team_id: str, bot_user_id: str) -> Context:
        """Return the context of a workspace."""
        return Context(team_id, bot_user_id, self.clock, self.command, self.telemetry, self.acks)


@dataclass(frozen=True, slots=True)
class Context:
    """The workspace that a part serves, and what the process has; the fields that both have are ``Runtime``'s.

    Args:
        team_id: the workspace's ID at Slack.
        bot_user_id: the bot's user ID there.
    """

    team_id: str
    bot_user_id: str
    clock: Callable[[], datetime]
    command: str = "/flokit"
    telemetry: Telemetry = SILENT
    acks: Acks = field(default_factory=Acks)
