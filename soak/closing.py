"""After the storm, with everything working: each thing that residents do is done once more, and compared.

In the storm a subscription may change without an answer, and a snooze seldom ends while its incident is open: then
nothing can be compared. Here every answer must come, so that every channel, snooze and digest is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar

from local_slack import LocalSlack
from sandbox.local_flokit import LocalFlokit
from sandbox.local_flokit.sources import Plan
from soak.evidence import Board, DueDigest, Snoozed, Wishes
from soak.residents import ALL, Residents, name_of

_T = TypeVar("_T")

COMES_WITHIN_S: Final = 60.0
"""A bound for what must come: much longer than it takes, for a machine with other work to do."""

POLL_S: Final = 0.2
SNOOZE_S: Final = 3601.0
"""The shortest snooze that the menu offers, and a second."""

SNOOZE_CHOICE: Final = "for 1 hour"
DIGEST_IN_S: Final = 3 * 3600.0
"""The digests are due after the snooze has ended."""

BEFORE_DUE_S: Final = 3.0
SETTLES_S: Final = 5.0
"""So long it is watched whether something comes a second time."""

BROADCAST: Final = "a different error within an incident is also posted to the channel"
ROUNDS: Final = 2

FRESH: Final = "int_soak_fresh"
FRESH_TYPE: Final = "warehouse"
"""An integration that nobody has synced: where somebody has, the failure may be posted in that run's thread instead."""

NEWS: Final = ("failing", "failing recovered", "failing disconnected recovered")
"""In the order in which a list names them."""


class Closing:
    """Does it, and holds what there is to compare."""

    def __init__(
        self,
        slack: LocalSlack,
        flokit: LocalFlokit,
        residents: Residents,
        rng: Random,
        integrations: Sequence[str],
        move_clock: Callable[[float], None],
    ) -> None:
        self._slack = slack
        self._flokit = flokit
        self._residents = residents
        self._rng = rng
        self._integrations = integrations
        self._move_clock = move_clock
        self._ends_before: dict[Board, int] = {}
        """The incidents that were snoozed, and how many snoozes had ended there before."""
        self._digest_at = datetime.fromtimestamp(0, UTC)
        self.wishes: list[Wishes] = []
        self.due_digests: list[DueDigest] = []
        self.missing: list[str] = []
        """What should have come, and never did."""

    async def subscribe(self) -> None:
        """In each channel: end all subscriptions and make new ones, and list them after each change."""
        due_at = datetime.fromtimestamp(self._slack.workspace.now() + DIGEST_IN_S, UTC)
        self._digest_at = due_at.replace(second=0, microsecond=0) + timedelta(minutes=1)
        await asyncio.gather(*(self._subscribe_in(channel) for channel in self._residents.channels))

    async def _subscribe_in(self, channel: str) -> None:
        """Twice: end what is there, subscribe to everything, with a digest, and to one thing more. Then end that one.

        The second time there are two subscriptions to end, whatever the storm left.
        """
        at = f"{self._digest_at:%H:%M}"
        narrows = self._rng.sample(("stripe", *self._integrations), ROUNDS)
        news = [(self._rng.choice(NEWS), self._rng.choice(NEWS)) for _ in range(ROUNDS)]
        for narrow, (wide_news, narrow_news) in zip(narrows, news, strict=True):
            await self._change(channel, "unsubscribe all", {})
            wide_words = f"{wide_news.replace(' ', ', ')}; digest daily at {at} (UTC)"
            wide = {name_of(ALL): (True, wide_words)}
            await self._change(channel, f"subscribe all {wide_news} digest {at} daily zone UTC", wide)
            narrow_words = f"{narrow_news.replace(' ', ', ')}; {BROADCAST}"
            both = {**wide, name_of(narrow): (False, narrow_words)}
            await self._change(channel, f"subscribe {narrow} {narrow_news} broadcast", both)
        await self._change(channel, f"unsubscribe {narrow}", wide)

    async def _change(self, channel: str, text: str, then: dict[str, tuple[bool, str]]) -> None:
        """Type a command, list the subscriptions, and keep what must be listed: each with its digest and its words."""
        await self._ask(channel, text)
        listed = await self._residents.list_subscriptions(channel)
        wanted = {name: digest for name, (digest, _) in then.items()}
        wording = {name: words for name, (_, words) in then.items()}
        self.wishes.append(Wishes(channel, wanted, tuple(listed or ()), listed is not None, wording))

    async def _ask(self, channel: str, text: str) -> dict[str, Any] | None:
        answer = await self._residents.ask(channel, text)
        if answer is None:
            self.missing.append(f"{channel}: no answer to “{text}” within {COMES_WITHIN_S:g} s")
        return answer

    async def snooze(self) -> None:
        """Let an integration fail, snooze its incident in every channel, and wait until each snooze has ended."""
        self._flokit.add(FRESH, FRESH_TYPE)
        self._flokit.plan(FRESH, Plan(start_lag_s=0.0, duration_s=0.5, ending="failed"))
        self._flokit.begin_sync(FRESH)
        channels = self._residents.channels
        found = await asyncio.gather(*(self._wait_for_board(channel) for channel in channels))
        for channel, board in zip(channels, found, strict=True):
            if board is None:
                self.missing.append(f"{channel}: no incident of {FRESH} within {COMES_WITHIN_S:g} s")
        boards = [board for board in found if board is not None]
        await asyncio.gather(*(self._snooze_one(board) for board in boards))
        self._move_clock(SNOOZE_S)
        await asyncio.gather(*(self._wait_for_end(board) for board in self._ends_before))
        await asyncio.sleep(SETTLES_S)
        self._flokit.plan(FRESH, Plan(start_lag_s=0.0, duration_s=0.5))
        self._flokit.begin_sync(FRESH)

    async def _wait_for_board(self, channel: str) -> Board | None:
        boards = await self._wait(lambda: self._residents.boards_in(channel, FRESH))
        return boards[0] if boards else None

    async def _snooze_one(self, board: Board) -> None:
        before = self._residents.ends_of(board.channel, board.ts)
        if not await self._residents.snooze(board, SNOOZE_CHOICE):
            self.missing.append(f"{board}: offers no snooze {SNOOZE_CHOICE}")
            return
        self._ends_before[board] = before
        if not await self._wait(lambda: self._residents.is_snoozed(board)):
            self.missing.append(f"{board}: not shown as snoozed within {COMES_WITHIN_S:g} s")

    async def _wait_for_end(self, board: Board) -> None:
        before = self._ends_before[board]
        if not await self._wait(lambda: self._residents.ends_of(board.channel, board.ts) > before):
            self.missing.append(f"{board}: the snooze has not ended within {COMES_WITHIN_S:g} s after its time")

    async def digest(self) -> None:
        """Move the clock to just before the digests are due, and wait for one in each channel."""
        at = self._digest_at.timestamp()
        self._move_clock(max(0.0, at - BEFORE_DUE_S - self._slack.workspace.now()))
        self.due_digests += [DueDigest(channel, at) for channel in self._residents.channels]
        came = await asyncio.gather(*map(self._wait_for_digest, self.due_digests))
        self.missing += [
            f"{due}: no digest within {COMES_WITHIN_S:g} s after its time"
            for due, one in zip(self.due_digests, came, strict=True)
            if not one
        ]
        await asyncio.sleep(SETTLES_S)

    async def _wait_for_digest(self, due: DueDigest) -> bool | None:
        return await self._wait(lambda: any(at >= due.at for _, _, at in self._residents.digests_in(due.channel)))

    @property
    def snoozed(self) -> list[Snoozed]:
        """All snoozes; those of the calm must have ended by now, once."""
        due = {(board.channel, board.ts): before + 1 for board, before in self._ends_before.items()}
        return [replace(one, due=due.get((one.channel, one.ts))) for one in self._residents.snoozed]

    async def _wait(self, look: Callable[[], _T | None]) -> _T | None:
        until = time.monotonic() + COMES_WITHIN_S
        while time.monotonic() < until:
            if found := look():
                return found
            await asyncio.sleep(POLL_S)
        return None
