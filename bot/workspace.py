"""The parts that serve one Slack workspace, put together: the one seam for many of them. Starting is ``bot.app``'s."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot import listeners
from bot.core.access.policy import Policy
from bot.flokit import FlokitClient
from bot.handlers.answers import Answers
from bot.handlers.channels import Channels
from bot.handlers.doctor import Diagnosis, Live
from bot.handlers.homes import OpenedHomes
from bot.handlers.permits import Permits
from bot.handlers.records import Records
from bot.handlers.requests import Router
from bot.handlers.responder import Responder
from bot.handlers.snoozes import Snoozes
from bot.handlers.status import Looks
from bot.handlers.subscriptions import Subscribing
from bot.handlers.syncs import Syncs
from bot.handlers.why import Explanations
from bot.listeners.faults import Faults
from bot.listeners.observed import ObservedApp
from bot.listeners.reception import Reception
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge
from bot.lookups.people import People
from bot.observability.telemetry import Telemetry
from bot.settings.settings import Mode, Settings
from bot.slack.client import SlackClient
from bot.slack.replies import Identity
from bot.store.audit import Audit
from bot.store.bell import Work
from bot.store.budget import SharedBudget
from bot.store.database import Database
from bot.store.homes import Homes
from bot.store.incidents import Incidents
from bot.store.snapshots import Snapshots
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim, TimerKind, Timers
from bot.store.vitals import Vitals
from bot.workers.digests import Digests
from bot.workers.follower import Follower
from bot.workers.homes import HomeDrawer
from bot.workers.sender import Sender
from bot.workers.watcher import Watcher
from bot.workers.worker import Worker

RUN_SLOTS: Final = 32
MESSAGE_SLOTS: Final = 16
REQUEST_SLOTS: Final = 16
TIMER_SLOTS: Final = 8
LOOK_SHARE: Final = 0.8
"""The share of the lease that one call to FloKit may take: a claim outlives its calls."""


DIAGNOSIS_SHARE: Final = 0.5
"""The share of the lease that one look of the doctor may take: the answer is saved under the claim."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """What ``bot.app`` starts and stops."""

    bolt: AsyncApp
    flokit: FlokitClient
    sender: Sender
    watcher: Watcher
    workers: tuple[Worker[Any], ...]


def build_workspace(
    settings: Settings,
    identity: Identity,
    *,
    policy: Policy,
    database: Database,
    store: Store,
    timers: Timers,
    slack: SlackClient,
    clock: Callable[[], datetime],
    telemetry: Telemetry,
    live: Live,
) -> Workspace:
    """Put the parts of one workspace together; nothing is asked or opened until they run."""
    team_id, command = identity.team_id, settings.flokit_command
    subscriptions = Subscriptions(database, team_id)
    incidents = Incidents(database, team_id, rules=settings.rules)
    watcher = Watcher(incidents, subscriptions, timers, team_id=team_id, every_s=settings.watch_interval_s, clock=clock)
    flokit = _make_flokit(settings, SharedBudget(database, team_id, clock=clock), clock, watcher, telemetry)
    knowledge = Knowledge(flokit, Snapshots(database, team_id))
    people = People(slack, team_id)
    access = Access(policy, people)
    answers = Answers(store, clock=clock)
    permits = Permits(access, knowledge, answers, clock=clock, command=command)
    channels = Channels(subscriptions, answers, clock=clock, command=command)
    subscribing = Subscribing(
        store, subscriptions, incidents, knowledge, people, permits, answers, slack, clock=clock, command=command
    )
    follower = Follower(store, flokit, clock=clock, telemetry=telemetry)
    homes = Homes(database, team_id)
    drawer = HomeDrawer(
        homes,
        subscriptions,
        incidents,
        store,
        timers,
        knowledge,
        slack,
        access,
        clock=clock,
        command=command,
    )
    diagnosis = Diagnosis(
        settings,
        slack,
        Vitals(database),
        clock=clock,
        live=live,
        budget=flokit.budget,
        within_s=min(5.0, settings.lease_s * DIAGNOSIS_SHARE),
    )
    records = Records(
        Audit(database, team_id),
        store,
        knowledge,
        answers,
        people,
        permits,
        diagnosis=diagnosis,
        clock=clock,
        command=command,
        kept_days=settings.retention_days,
    )
    looks = Looks(store, knowledge, records, permits, answers, access, clock=clock, command=command)
    syncs = Syncs(
        store,
        knowledge,
        permits,
        answers,
        patience=settings.patience,
        limits=settings.limits,
        clock=clock,
        command=command,
    )
    explanations = Explanations(
        store, knowledge, access, permits, answers, limits=settings.limits, clock=clock, command=command
    )
    snoozes = Snoozes(store, incidents, permits, answers, people, clock=clock)
    opened_homes = OpenedHomes(homes, access, answers, slack, clock=clock)
    features = (looks, syncs, subscribing, snoozes, records, explanations, opened_homes, channels)
    router = Router(
        store,
        answers,
        {asked: handler for feature in features for asked, handler in feature.handlers.items()},
        clock=clock,
        command=command,
        bot_user_id=identity.bot_user_id,
        telemetry=telemetry,
    )
    sender = Sender(
        store,
        slack,
        clock=clock,
        bot_user_id=identity.bot_user_id,
        on_closed=channels.pause,
        on_refused=channels.follow_refused,
        command=command,
        telemetry=telemetry,
    )
    digests = Digests(subscriptions, incidents, store, timers, knowledge, people, clock=clock, command=command)
    handlers: dict[TimerKind, Callable[[TimerClaim], Awaitable[None]]] = {
        TimerKind.WATCH: partial(watcher.look, flokit),
        TimerKind.SNOOZE: lambda claim: incidents.end_snooze(claim, clock()),
        TimerKind.DIGEST: digests.send,
        TimerKind.HOME: drawer.draw,
        TimerKind.RAISE: lambda claim: subscriptions.raise_more(claim, clock()),
        TimerKind.MOVE: channels.sweep_move,
    }
    reception = Reception(
        store.inbox.add,
        slack,
        preview=subscribing.preview,
        team_id=team_id,
        bot_user_id=identity.bot_user_id,
        clock=clock,
        telemetry=telemetry,
    )
    responder = Responder(router, store, clock=clock, telemetry=telemetry)
    worker = partial(Worker[Any], clock=clock, telemetry=telemetry)
    waiting: dict[Work, tuple[str, Any, Any, Any, int]] = {
        Work.REQUESTS: ("responder", store.inbox.claim, responder.answer, store.inbox.next_at, REQUEST_SLOTS),
        Work.RUNS: ("follower", follower.claim, follower.follow, store.runs.next_at, RUN_SLOTS),
        Work.MESSAGES: ("sender", store.outbox.claim, sender.send, store.outbox.next_at, MESSAGE_SLOTS),
        Work.TIMERS: ("timer", timers.claim, lambda due: handlers[due.kind](due), timers.next_at, TIMER_SLOTS),
    }
    return Workspace(
        bolt=_make_bolt(settings, identity, slack, reception, telemetry),
        flokit=flokit,
        sender=sender,
        watcher=watcher,
        workers=tuple(
            worker(name, claim=claim, work=work, next_due_at=next_at, bell=database.bells[kind], slots=slots)
            for kind, (name, claim, work, next_at, slots) in waiting.items()
        ),
    )


def _make_flokit(
    settings: Settings, budget: SharedBudget, clock: Callable[[], datetime], watcher: Watcher, telemetry: Telemetry
) -> FlokitClient:
    return FlokitClient(
        network=settings.network,
        api_url=settings.flokit_api_url,
        look_key=settings.flokit_api_key.get_secret_value(),
        sync_key=settings.sync_key.get_secret_value(),
        timeout_s=min(8.0, settings.lease_s * LOOK_SHARE),
        budget=budget,
        max_pause_s=settings.follow_up_max_interval_s,
        stale_after_s=settings.stale_after_s,
        now=clock,
        on_seen=watcher.note,
        telemetry=telemetry,
    )


def _make_bolt(
    settings: Settings, identity: Identity, slack: SlackClient, reception: Reception, telemetry: Telemetry
) -> AsyncApp:
    async def authorize(**_: Any) -> AuthorizeResult:
        # Today there is one workspace, and who we are in it is known since the start.
        return AuthorizeResult(
            enterprise_id=None,
            team_id=identity.team_id,
            bot_token=settings.slack_bot_token.get_secret_value(),
            bot_id=identity.bot_id,
            bot_user_id=identity.bot_user_id,
        )

    secret = settings.slack_signing_secret
    bolt = ObservedApp(
        telemetry,
        logger=logging.getLogger("slack_bolt"),
        client=slack.web,
        authorize=authorize,
        signing_secret=secret.get_secret_value() if secret else "",
        process_before_response=True,  # the ack leaves with the listener's return: ten times sooner
        request_verification_enabled=settings.mode is Mode.HTTP,
    )

    @bolt.middleware
    async def introduce(context: dict[str, Any], next_: Any) -> None:
        context["reception"] = reception
        await next_()

    listeners.register(bolt, command=settings.flokit_command)
    bolt.error(Faults(slack, telemetry).answer)
    return bolt
