"""Subscriptions: what each channel wants to be told without asking. Saved with all that follows from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update

from bot.core.audit import NOBODY, Deed, of_subscription
from bot.core.subscription_text import PAUSED
from bot.store import audit, codec, homes, inbox, moves, outbox, timers
from bot.store.alerts import drop_unposted, raise_open_incidents
from bot.store.outbox import Address, OutboxKind
from bot.store.tables import subscriptions
from bot.store.tables import timers as timers_table
from bot.store.timers import TimerKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.core.models import Message
    from bot.core.requests import Request
    from bot.core.subscriptions import PauseReason, Subscription
    from bot.store.bell import Bell
    from bot.store.database import Database
    from bot.store.timers import TimerClaim


SWEPT_AFTER: Final = (timedelta(seconds=30), timedelta(minutes=10))
"""When to look again for what was written under a channel's old id; Slack sends an event again for five minutes."""


async def load_all(connection: AsyncConnection, team_id: str, channel_id: str | None = None) -> list[Subscription]:
    """Read the subscriptions of a workspace or of one channel, the oldest first."""
    query = select(subscriptions.c.data).where(subscriptions.c.team_id == team_id)
    if channel_id is not None:
        query = query.where(subscriptions.c.channel_id == channel_id)
    rows = await connection.scalars(query.order_by(subscriptions.c.created_at))
    return [codec.load_subscription(data) for data in rows.all()]


class Subscriptions:
    """The subscriptions of one workspace."""

    def __init__(self, database: Database, team_id: str, *, outbox_rang: Bell, timers_rang: Bell) -> None:
        self._database = database
        self._team_id = team_id
        self._outbox_rang = outbox_rang
        self._timers_rang = timers_rang

    async def of_channel(self, channel_id: str) -> list[Subscription]:
        """Read the subscriptions of a channel, the oldest first."""
        async with self._database.begin() as connection:
            return await load_all(connection, self._team_id, channel_id)

    async def all(self) -> list[Subscription]:
        """Read all subscriptions, the oldest first."""
        async with self._database.begin() as connection:
            return await load_all(connection, self._team_id)

    async def load(self, subscription_id: str) -> Subscription | None:
        """Read one subscription; None when it is gone."""
        query = select(subscriptions.c.data).where(subscriptions.c.id == subscription_id)
        async with self._database.begin() as connection:
            data = await connection.scalar(query)
        return codec.load_subscription(data) if data else None

    async def add(
        self,
        request: Request,
        subscription: Subscription,
        confirmation: Message,
        address: Address,
        digest_at: datetime | None,
        now: datetime,
    ) -> None:
        """Save a subscription, in place of the channel's earlier one for the same target, and confirm it.

        What is wrong already is shown at once; from now on somebody looks.

        Raises:
            ClaimLost: another replica answered the request.
        """
        async with self._database.begin() as connection:
            for earlier in await load_all(connection, self._team_id, subscription.channel_id):
                if earlier.target == subscription.target:
                    await self._forget(connection, earlier)
            await self._insert(connection, subscription)
            entry = of_subscription(subscription, Deed.SUBSCRIBE, request.origin.person, now)
            await audit.add(connection, replace(entry, rule=request.origin.rule))
            await outbox.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump_message(confirmation))
            await self._begin(connection, subscription, digest_at, now)
            await homes.changed(connection, self._team_id, now)
            await inbox.finish(connection, request.id)
        self._ring()

    async def _begin(
        self, connection: AsyncConnection, subscription: Subscription, digest_at: datetime | None, now: datetime
    ) -> None:
        """Have somebody look, and send the digest; show what is wrong already."""
        await timers.put(connection, self._database, TimerKind.WATCH, self._team_id, self._team_id, now)
        if digest_at:
            await timers.put(connection, self._database, TimerKind.DIGEST, self._team_id, subscription.id, digest_at)
        if await self._raise(connection, subscription.channel_id, now):
            await timers.put(connection, self._database, TimerKind.RAISE, self._team_id, subscription.channel_id, now)

    async def _raise(self, connection: AsyncConnection, channel_id: str, now: datetime) -> bool:
        there = await load_all(connection, self._team_id, channel_id)
        return await raise_open_incidents(connection, self._database, self._team_id, channel_id, there, now)

    async def raise_more(self, claim: TimerClaim, now: datetime) -> None:
        """Show a channel more of what is wrong already, until it has seen all of it.

        Raises:
            ClaimLost: another replica does it.
        """
        async with self._database.begin() as connection:
            more = await self._raise(connection, claim.subject, now)
            await timers.finish(connection, claim, now if more else None)
        self._ring()

    async def remove(
        self,
        request: Request,
        gone: Sequence[Subscription],
        kept: Sequence[Subscription],
        answer: Message,
        address: Address,
        now: datetime,
    ) -> None:
        """Forget subscriptions, keep what is ``kept`` of them (without a digest), and say so."""
        async with self._database.begin() as connection:
            for subscription in gone:
                await self._forget(connection, subscription)
            for subscription in kept:
                await self._insert(connection, subscription)
            remains = {subscription.id for subscription in kept}
            for subscription in gone:
                result = "the digest only" if subscription.id in remains else "all of it"
                entry = of_subscription(subscription, Deed.UNSUBSCRIBE, request.origin.person, now, result)
                await audit.add(connection, replace(entry, rule=request.origin.rule))
            await outbox.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump_message(answer))
            await homes.changed(connection, self._team_id, now)
            await inbox.finish(connection, request.id)
        self._ring()

    async def _insert(self, connection: AsyncConnection, subscription: Subscription) -> None:
        await connection.execute(
            subscriptions.insert().values(
                id=subscription.id,
                team_id=self._team_id,
                channel_id=subscription.channel_id,
                data=codec.dump_subscription(subscription),
                created_at=subscription.created_at,
            )
        )

    async def _forget(self, connection: AsyncConnection, subscription: Subscription) -> None:
        await connection.execute(subscriptions.delete().where(subscriptions.c.id == subscription.id))
        await timers.drop(connection, TimerKind.DIGEST, subscription.id)

    async def pause(
        self, channel_id: str, reason: PauseReason, tell: Callable[[Subscription], Message], now: datetime
    ) -> int:
        """Let a channel's subscriptions rest, and tell each person who made one, directly.

        Returns:
            How many were paused; 0 when all of them rest already.
        """
        async with self._database.begin() as connection:
            awake = [one for one in await load_all(connection, self._team_id, channel_id) if one.paused is None]
            for subscription in (replace(one, paused=reason) for one in awake):
                await self._save(connection, subscription)
                await timers.drop(connection, TimerKind.DIGEST, subscription.id)
                await audit.add(connection, of_subscription(subscription, Deed.PAUSE, NOBODY, now, PAUSED[reason]))
                person = Address(self._team_id, user_id=subscription.created_by.id)
                data = codec.dump_message(tell(subscription))
                await outbox.add_row(connection, OutboxKind.NOTE, person, now, data=data)
            await drop_unposted(connection, self._team_id, channel_id)
            await homes.changed(connection, self._team_id, now)
        self._ring()
        return len(awake)

    async def move(self, request: Request, old_id: str, new_id: str, now: datetime) -> str:
        """Let all that is kept of a channel follow its new id; returns the id under which it is now.

        Requests and events that are in hand may still write under the old one: they are swept up a little later.

        Raises:
            ClaimLost: another replica did it.
        """
        async with self._database.begin() as connection:
            back = timers_table.c.subject.startswith(f"{new_id}:{old_id}:", autoescape=True)
            await connection.execute(timers_table.delete().where(timers_table.c.kind == TimerKind.MOVE, back))
            found = await moves.follow(connection, self._database, self._team_id, old_id, new_id, now)
            for number, after in enumerate(SWEPT_AFTER):
                subject = f"{old_id}:{new_id}:{number}"
                await timers.put(connection, self._database, TimerKind.MOVE, self._team_id, subject, now + after)
            await inbox.finish(connection, request.id)
        self._ring()
        return found

    async def sweep(self, claim: TimerClaim, now: datetime) -> str:
        """Let what was written under a channel's old id meanwhile follow; returns the id under which it is now.

        Raises:
            ClaimLost: another replica does it.
        """
        old_id, new_id, _ = claim.subject.split(":")
        async with self._database.begin() as connection:
            await timers.finish(connection, claim, None)
            await timers.drop(connection, claim.kind, claim.subject)
            found = await moves.follow(connection, self._database, self._team_id, old_id, new_id, now)
        self._ring()
        return found

    async def resume(
        self,
        channel_id: str,
        tell: Callable[[list[Subscription]], Message],
        next_digest_at: Callable[[Subscription], datetime | None],
        now: datetime,
    ) -> int:
        """Wake a channel's subscriptions up, and say so in the channel; returns how many rested."""
        async with self._database.begin() as connection:
            resting = [one for one in await load_all(connection, self._team_id, channel_id) if one.paused]
            for subscription in resting:
                await self._save(connection, replace(subscription, paused=None))
                await audit.add(connection, of_subscription(subscription, Deed.RESUME, NOBODY, now))
            if resting:
                data = codec.dump_message(tell(resting))
                await outbox.add_row(connection, OutboxKind.NOTE, Address(self._team_id, channel_id), now, data=data)
            for subscription in resting:
                await self._begin(connection, subscription, next_digest_at(subscription), now)
            await homes.changed(connection, self._team_id, now)
        self._ring()
        return len(resting)

    async def add_digest(
        self, claim: TimerClaim, subscription: Subscription, message: Message | None, next_at: datetime, now: datetime
    ) -> None:
        """Send a digest, unless it is skipped, and note when the next one is due, in one transaction.

        Raises:
            ClaimLost: another replica sent it.
        """
        async with self._database.begin() as connection:
            await timers.finish(connection, claim, next_at)
            await self._save(connection, subscription)
            if message:
                address = Address(self._team_id, subscription.channel_id)
                data = codec.dump_message(message)
                await outbox.add_row(connection, OutboxKind.NOTE, address, now, data=data)
        self._ring()

    async def _save(self, connection: AsyncConnection, subscription: Subscription) -> None:
        await connection.execute(
            update(subscriptions)
            .where(subscriptions.c.id == subscription.id)
            .values(data=codec.dump_subscription(subscription))
        )

    def _ring(self) -> None:
        self._outbox_rang.ring()
        self._timers_rang.ring()
