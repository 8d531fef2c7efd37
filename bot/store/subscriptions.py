"""Subscriptions: what each channel is notified about, saved with everything that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from bot.core.access.audit import NOBODY, Deed, of_subscription
from bot.core.errors import ClaimLost
from bot.core.incidents.incidents import Incident
from bot.core.models import Message
from bot.core.panels import Panel
from bot.core.requests import Request
from bot.core.subscriptions.digest_time import digest_wake_at
from bot.core.subscriptions.subscriptions import PauseReason, Subscription
from bot.core.subscriptions.text import PAUSED
from bot.store import audit, codec, held, homes, inbox, moves, outbox_rows, timers
from bot.store.alerts import drop_unposted, hold_audience, load_incidents, quiet_times, raise_open_incidents
from bot.store.alerts import save as save_panel_data
from bot.store.database import Database
from bot.store.locks import in_order
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.panels import add_panel
from bot.store.statements import constant
from bot.store.tables import panels, subscriptions
from bot.store.tables import timers as timers_table
from bot.store.timers import TimerClaim, TimerKind
from bot.store.transactions import Transaction, retried

SWEPT_AFTER: Final = (timedelta(), timedelta(seconds=30), timedelta(minutes=10))
"""When to move what was written under a channel's old ID; Slack redelivers an event for five minutes."""


_ALL: Final = constant(
    select(subscriptions.c.data)
    .where(subscriptions.c.team_id == bindparam("team"))
    .order_by(subscriptions.c.created_at, subscriptions.c.id)
)
_OF_CHANNEL: Final = constant(_ALL.where(subscriptions.c.channel_id == bindparam("channel")))


async def load_all(connection: Transaction, team_id: str, channel_id: str | None = None) -> list[Subscription]:
    """Return the subscriptions of a workspace or of one channel, oldest first."""
    return [codec.load(Subscription, data) for data in await _read(connection, team_id, channel_id)]


async def _read(connection: Transaction, team_id: str, channel_id: str | None = None) -> Sequence[str]:
    if channel_id is None:
        return await connection.scalars(_ALL, {"team": team_id})
    return await connection.scalars(_OF_CHANNEL, {"team": team_id, "channel": channel_id})


class Subscriptions:
    """The subscriptions of one workspace."""

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    async def of_channel(self, channel_id: str) -> list[Subscription]:
        """Return the subscriptions of a channel, oldest first."""
        async with self._database.read() as connection:
            rows = await _read(connection, self._team_id, channel_id)
        return [codec.load(Subscription, data) for data in rows]

    async def all(self) -> list[Subscription]:
        """Return all subscriptions, oldest first."""
        async with self._database.read() as connection:
            rows = await _read(connection, self._team_id)
        return [codec.load(Subscription, data) for data in rows]

    async def load(self, subscription_id: str) -> Subscription | None:
        """Return one subscription; None if it's gone."""
        this = subscriptions.c.id == subscription_id, subscriptions.c.team_id == self._team_id
        query = select(subscriptions.c.data).where(*this)
        async with self._database.read() as connection:
            data = await connection.scalar(query)
        return codec.load(Subscription, data) if data else None

    @retried
    async def add(
        self,
        request: Request,
        subscription: Subscription,
        confirmation: Message,
        address: Address,
        digest_at: datetime | None,
        now: datetime,
    ) -> None:
        """Save a subscription, replacing the channel's earlier one for the same target, and confirm it.

        Open incidents are shown immediately, and background checks begin.

        Raises:
            ClaimLost: another replica answered the request.
        """
        async with self._database.begin() as connection:
            await hold_audience(connection, self._team_id)
            there = await load_all(connection, self._team_id, subscription.channel_id)
            earlier = [one.id for one in there if one.target == subscription.target and one.id != subscription.id]
            await self._put(connection, subscription, earlier)
            entry = of_subscription(subscription, Deed.SUBSCRIBE, request.origin.person, now)
            await audit.add(connection, replace(entry, rule=request.origin.rule))
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump(confirmation))
            digests = dict.fromkeys(earlier) | {subscription.id: digest_at}
            await self._begin(connection, subscription.channel_id, digests, now)
            await inbox.finish(connection, request.id)

    async def _begin(
        self, connection: Transaction, channel_id: str, digests: Mapping[str, datetime | None], now: datetime
    ) -> None:
        """Show open incidents, schedule background checks, and start or stop (None) the digests of subscriptions."""
        more = await self._raise(connection, channel_id, now)
        await outbox_rows.show_held_back(connection, self._team_id, channel_id, now)
        await self._schedule(connection, channel_id, digests, now, more=more)

    async def _schedule(
        self,
        connection: Transaction,
        channel_id: str,
        digests: Mapping[str, datetime | None],
        now: datetime,
        *,
        more: bool,
    ) -> None:
        """Schedule what follows from new subscriptions; ``more`` is whether open incidents are left to show."""
        for subscription_id, digest_at in sorted(digests.items()):
            if digest_at:
                await timers.put(connection, TimerKind.DIGEST, self._team_id, subscription_id, digest_at)
            else:
                await timers.drop(connection, TimerKind.DIGEST, self._team_id, subscription_id)
        await held.look_soon(connection, self._team_id, channel_id, now)
        await homes.changed(connection, self._team_id, now)
        if more:
            await timers.put(connection, TimerKind.RAISE, self._team_id, channel_id, now)
        await timers.put(connection, TimerKind.WATCH, self._team_id, self._team_id, now)

    async def _raise(self, connection: Transaction, channel_id: str, now: datetime) -> bool:
        there = await load_all(connection, self._team_id, channel_id)
        return await raise_open_incidents(connection, self._team_id, channel_id, there, now)

    @retried
    async def raise_more(self, claim: TimerClaim, now: datetime) -> None:
        """Show a channel more open incidents, until it has all of them.

        Raises:
            ClaimLost: another replica does it.
        """
        async with self._database.begin() as connection:
            await hold_audience(connection, self._team_id)
            more = await self._raise(connection, claim.subject, now)
            await held.look_soon(connection, self._team_id, claim.subject, now)
            await timers.finish(connection, claim, now if more else None)

    @retried
    async def tell_held(
        self, claim: TimerClaim, summarize: Callable[[Sequence[Incident]], Message], now: datetime
    ) -> int:
        """Tell a channel in one message what was held there, if it's no longer quiet; return how many incidents.

        Those that are still open are posted, too, so that people can act on them.

        Raises:
            ClaimLost: another replica does it.
        """
        channel_id = claim.subject
        async with self._database.begin() as connection:
            await hold_audience(connection, self._team_id)
            ids = await held.held_in(connection, self._team_id, channel_id)
            there = await load_all(connection, self._team_id, channel_id)
            quiet = await quiet_times(connection, self._team_id, there, now)
            about = [one for one in await load_incidents(connection, self._team_id, ids) if _concerns(there, one)]
            waiting = {one.id: until for one in about if (until := quiet.until(channel_id, one))}
            told = [one for one in about if one.id not in waiting]
            if told:  # before the messages of what's still open
                data = codec.dump(summarize(told))
                await outbox_rows.add_row(
                    connection, OutboxKind.NOTE, Address(self._team_id, channel_id), now, data=data
                )
            more = await self._raise(connection, channel_id, now) if told else False
            await held.let_go(connection, self._team_id, channel_id, [id_ for id_ in ids if id_ not in waiting])
            await timers.finish(connection, claim, min(waiting.values(), default=None))
            if ids:
                await homes.changed(connection, self._team_id, now)
            if more:
                await timers.put(connection, TimerKind.RAISE, self._team_id, channel_id, now)
        return len(told)

    @retried
    async def remove(
        self,
        request: Request,
        gone: Sequence[Subscription],
        kept: Sequence[Subscription],
        answer: Panel,
        address: Address,
        now: datetime,
    ) -> None:
        """Delete subscriptions, keep those in ``kept`` (without a digest), and post that."""
        async with self._database.begin() as connection:
            remaining = {subscription.id: subscription for subscription in kept}
            for subscription in sorted(gone, key=_by_id):
                if subscription.id in remaining:
                    await self._save(connection, remaining[subscription.id])
                else:
                    await connection.execute(subscriptions.delete().where(subscriptions.c.id == subscription.id))
            for subscription in gone:
                result = "the digest only" if subscription.id in remaining else "all of it"
                entry = of_subscription(subscription, Deed.UNSUBSCRIBE, request.origin.person, now, result)
                await audit.add(connection, replace(entry, rule=request.origin.rule))
            await add_panel(connection, replace(answer, cause=request.cause), address, now)
            for subscription in sorted(gone, key=_by_id):
                await timers.drop(connection, TimerKind.DIGEST, self._team_id, subscription.id)
            for channel_id in sorted({one.channel_id for one in gone}):
                await held.look_soon(connection, self._team_id, channel_id, now)
            await homes.changed(connection, self._team_id, now)
            await inbox.finish(connection, request.id)

    @retried
    async def undo(
        self,
        request: Request,
        panel_id: str,
        tell: Callable[[Sequence[Subscription]], Message],
        address: Address,
        now: datetime,
    ) -> str:
        """Restore what a message says was removed, and post that; return why that's impossible, or "".

        What was subscribed again in the meantime stays as it is now. If it's impossible, the request still has to be
        answered.

        Raises:
            ClaimLost: another replica answered the request.
        """
        async with self._database.begin() as connection:
            await hold_audience(connection, self._team_id)
            query = select(panels.c.data).where(panels.c.id == panel_id, panels.c.team_id == self._team_id)
            data = await connection.scalar(query)
            panel = codec.load(Panel, data) if data else None
            if panel is None or panel.removal is None:
                return "This message has expired, so it can't be undone."
            if problem := panel.removal.obstacle(now):
                return problem
            channel_id = panel.removal.subscriptions[0].channel_id
            there = await load_all(connection, self._team_id, channel_id)
            current = {one.id for one in there}
            restored = sorted(panel.removal.restorable(there), key=_by_id)
            for subscription in restored:
                if subscription.id in current:
                    await self._save(connection, subscription)
                else:
                    await self._put(connection, subscription, ())
                entry = of_subscription(subscription, Deed.RESTORE, request.origin.person, now)
                await audit.add(connection, replace(entry, rule=request.origin.rule))
            undone = replace(panel.removal, undone_by=request.origin.person)
            await save_panel_data(connection, replace(panel, removal=undone))
            more = await self._raise(connection, channel_id, now)
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump(tell(restored)))
            await outbox_rows.bump_panels(connection, [panel_id], now)
            digests = {one.id: digest_wake_at(one.digest, now) if one.digest else None for one in restored}
            await self._schedule(connection, channel_id, digests, now, more=more)
            await inbox.finish(connection, request.id)
        return ""

    async def _put(self, connection: Transaction, subscription: Subscription, earlier: Sequence[str]) -> None:
        """Save a subscription, replacing earlier ones; of two for one target at the same time, the later one stays."""
        await connection.execute(subscriptions.delete().where(in_order(subscriptions, subscriptions.c.id.in_(earlier))))
        values = {
            "id": subscription.id,
            "data": codec.dump(subscription),
            "created_at": subscription.created_at,
        }
        place = {"team_id": self._team_id, "channel_id": subscription.channel_id, "target": subscription.target}
        await connection.execute(
            insert(subscriptions)
            .values(**values, **place)
            .on_conflict_do_update(index_elements=list(place), set_=values)
        )

    @retried
    async def pause(
        self,
        channel_id: str,
        reason: PauseReason,
        tell: Callable[[Subscription], Message],
        now: datetime,
        *,
        whom: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Pause a channel's subscriptions, and notify each person who created one by DM, or the one in ``whom``.

        Returns:
            How many were paused; 0 if all of them were already.
        """
        async with self._database.begin() as connection:
            await hold_audience(connection, self._team_id)
            there = await self._hold(connection, channel_id)
            paused = [replace(one, paused=reason) for one in there if one.paused is None]
            for subscription in paused:
                await self._save(connection, subscription)
            await drop_unposted(connection, self._team_id, channel_id)
            for subscription in paused:
                await audit.add(connection, of_subscription(subscription, Deed.PAUSE, NOBODY, now, PAUSED[reason]))
                if user_id := whom.get(subscription.created_by.id, subscription.created_by.id):
                    person = Address(self._team_id, user_id=user_id)
                    data = codec.dump(tell(subscription))
                    await outbox_rows.add_row(connection, OutboxKind.NOTE, person, now, data=data)
            for subscription in paused:
                await timers.drop(connection, TimerKind.DIGEST, self._team_id, subscription.id)
            await homes.changed(connection, self._team_id, now)
        return len(paused)

    async def _hold(self, connection: Transaction, channel_id: str) -> list[Subscription]:
        """Return the subscriptions of a channel in the order of their IDs, and lock them."""
        query = (
            select(subscriptions.c.data)
            .where(subscriptions.c.team_id == self._team_id, subscriptions.c.channel_id == channel_id)
            .order_by(subscriptions.c.id)
            .with_for_update(key_share=True)
        )
        return [codec.load(Subscription, data) for data in await connection.scalars(query)]

    @retried
    async def move(self, request: Request, old_id: str, new_id: str, now: datetime) -> str:
        """Move everything stored about a channel to its new ID; return its current ID.

        Requests and events in progress can still write under the old one; that's moved a little later.

        Raises:
            ClaimLost: another replica did it.
        """
        async with self._database.begin() as connection:
            await hold_audience(connection, self._team_id)
            moved = await moves.follow(connection, self._team_id, old_id, new_id, now)
            await moves.drop_digests(connection, self._team_id, moved)
            await moves.tell_there(connection, self._team_id, moved, now)
            await homes.changed(connection, self._team_id, now)
            back = timers_table.c.subject.startswith(f"{new_id}:{old_id}:", autoescape=True)
            moving = timers_table.c.team_id == self._team_id, timers_table.c.kind == TimerKind.MOVE
            going_back = in_order(timers_table, *moving, back)
            await connection.execute(timers_table.delete().where(going_back))
            for number, after in enumerate(SWEPT_AFTER):
                subject = f"{old_id}:{new_id}:{number}"
                await timers.put(connection, TimerKind.MOVE, self._team_id, subject, now + after)
            await moves.raise_there(connection, self._team_id, moved, now)
            await moves.move_requests(connection, self._team_id, moved)
            await inbox.finish(connection, request.id)
        return moved.channel_id

    async def sweep(self, claim: TimerClaim, now: datetime) -> str:
        """Move what was written under a channel's old ID in the meantime; return its current ID.

        The timer stays due until ``end_sweep``, so what follows from it is repeated after a crash.
        """
        old_id, new_id, _ = claim.subject.split(":")
        return await self._sweep(old_id, new_id, now)

    @retried
    async def end_sweep(self, claim: TimerClaim) -> None:
        """Record that a sweep is done, with everything that follows from it.

        Raises:
            ClaimLost: another replica does it.
        """
        async with self._database.begin() as connection:
            await timers.finish(connection, claim, None)

    async def sweep_now(self, old_id: str, now: datetime) -> str:
        """Move what was just refused under a channel's old ID; "" if no recent move of it is known."""
        async with self._database.read() as connection:
            new_ids = await moves.heard_of(connection, self._team_id, old_id)
        return await self._sweep(old_id, new_ids[0], now) if new_ids else ""

    @retried
    async def _sweep(self, old_id: str, new_id: str, now: datetime) -> str:
        async with self._database.begin() as connection:
            await hold_audience(connection, self._team_id)
            moved = await moves.follow(connection, self._team_id, old_id, new_id, now)
            await moves.drop_digests(connection, self._team_id, moved)
            await moves.tell_there(connection, self._team_id, moved, now)
            await homes.changed(connection, self._team_id, now)
            await moves.raise_there(connection, self._team_id, moved, now)
            await moves.move_requests(connection, self._team_id, moved)
        return moved.channel_id

    @retried
    async def resume(
        self,
        channel_id: str,
        tell: Callable[[list[Subscription]], Message],
        next_digest_at: Callable[[Subscription], datetime | None],
        now: datetime,
    ) -> int:
        """Resume a channel's subscriptions, post that there, and make the edits that it refused; returns how many."""
        async with self._database.begin() as connection:
            await hold_audience(connection, self._team_id)
            resting = [one for one in await self._hold(connection, channel_id) if one.paused]
            for subscription in resting:
                await self._save(connection, replace(subscription, paused=None))
                await audit.add(connection, of_subscription(subscription, Deed.RESUME, NOBODY, now))
            if resting:
                data = codec.dump(tell(resting))
                await outbox_rows.add_row(
                    connection, OutboxKind.NOTE, Address(self._team_id, channel_id), now, data=data
                )
                digests = {subscription.id: next_digest_at(subscription) for subscription in resting}
                await self._begin(connection, channel_id, digests, now)
            else:
                await outbox_rows.show_held_back(connection, self._team_id, channel_id, now)
        return len(resting)

    @retried
    async def add_digest(
        self, claim: TimerClaim, subscription: Subscription, message: Message | None, next_at: datetime, now: datetime
    ) -> None:
        """Send a digest, unless it's skipped, and schedule the next one, in one transaction.

        Raises:
            ClaimLost: another replica sent it, or the subscription was removed or changed in the meantime.
        """
        async with self._database.begin() as connection:
            await self._save_digested(connection, subscription)
            if message:
                address = Address(self._team_id, subscription.channel_id)
                data = codec.dump(message)
                await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=data)
            await timers.finish(connection, claim, next_at)

    async def _save_digested(self, connection: Transaction, subscription: Subscription) -> None:
        """Save when a digest was sent, and a new time zone; the rest may have been changed in the meantime."""
        query = select(subscriptions.c.data).where(subscriptions.c.id == subscription.id)
        data = await connection.scalar(query.with_for_update(key_share=True))
        current = codec.load(Subscription, data) if data else None
        digest, made_for = current and current.digest, subscription.digest
        if digest and made_for and not digest.zone:
            digest = replace(digest, zone=made_for.zone)
        if current is None or current.paused or digest != made_for:
            raise ClaimLost(f"subscription {subscription.id} was changed while its digest was made")
        await self._save(connection, replace(current, digest=digest, digested_at=subscription.digested_at))

    async def _save(self, connection: Transaction, subscription: Subscription) -> None:
        await connection.execute(
            update(subscriptions).where(subscriptions.c.id == subscription.id).values(data=codec.dump(subscription))
        )


def _concerns(subscriptions: Sequence[Subscription], incident: Incident) -> bool:
    return any(one.paused is None and one.covers(incident.integration) for one in subscriptions)


def _by_id(subscription: Subscription) -> str:
    return subscription.id
