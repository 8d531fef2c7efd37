"""Builds the parts that serve one Slack workspace; ``bot.app`` starts them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from bot.core import blocks
from bot.core.access.policy import Policy
from bot.core.errors import FlokitDenied
from bot.core.forms.form import CheckedForm
from bot.core.incidents.incidents import Incident
from bot.core.models import Message
from bot.core.panels import Panel
from bot.core.requests import Request
from bot.core.subscriptions.subscriptions import Subscription
from bot.flokit import Endpoint, FlokitClient
from bot.flokit.http import FlokitHttp
from bot.handlers.answers import Answers
from bot.handlers.bulks import Bulks
from bot.handlers.channels import Channels
from bot.handlers.connecting import Connecting, Door
from bot.handlers.doctor import Diagnosis, Doctor, Live
from bot.handlers.feature import Asked, Feature, Handler, Services, find_handler, find_save
from bot.handlers.forms import Forms
from bot.handlers.homes import OpenedHomes
from bot.handlers.maintenance import Maintaining
from bot.handlers.naming import Nicknaming
from bot.handlers.permits import Permits
from bot.handlers.person_settings import OwnSettings
from bot.handlers.policies import PolicyEditing
from bot.handlers.records import Records
from bot.handlers.responder import Responder
from bot.handlers.samples import Samples
from bot.handlers.snoozes import Snoozes
from bot.handlers.status import Looks
from bot.handlers.subscriptions import Subscribing
from bot.handlers.syncs import Syncs
from bot.handlers.taking import Taking
from bot.handlers.tickets import Tickets
from bot.handlers.why import Explanations
from bot.listeners.observed import Addressee
from bot.listeners.reception import Reception
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge
from bot.lookups.links import Links
from bot.lookups.nicknames import Naming
from bot.lookups.people import People
from bot.observability.context import Runtime
from bot.settings.settings import Settings
from bot.slack.client import SlackClient
from bot.slack.replies import Identity
from bot.store.audit import Audit
from bot.store.bell import Work
from bot.store.budget import SharedBudget
from bot.store.database import Database
from bot.store.held import Quiet
from bot.store.homes import Homes
from bot.store.incidents import Incidents
from bot.store.nicknames import NicknameRows
from bot.store.person_settings import PersonSettingsRows
from bot.store.policies import Policies
from bot.store.snapshots import Snapshots
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim, TimerKind, Timers
from bot.store.unattended import Unattended
from bot.store.vitals import Vitals
from bot.store.volumes import Volumes
from bot.workers.counting import Counting
from bot.workers.digests import Digests
from bot.workers.follower import Batch, Follower
from bot.workers.homes import HomeDrawer
from bot.workers.key_watch import KeyWatch
from bot.workers.sender import Sender
from bot.workers.summaries import Summaries
from bot.workers.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Base:
    """What one process has once, whichever workspaces it serves."""

    settings: Settings
    database: Database
    store: Store
    timers: Timers
    live: Live
    runtime: Runtime


@dataclass(frozen=True, slots=True)
class Tenant:
    """What only one workspace has."""

    identity: Identity
    bot_token: str = field(repr=False)
    slack: SlackClient
    endpoint: Endpoint
    policy: Policy
    http: FlokitHttp | None = None
    """The connections to FloKit that workspaces share; None: its own."""
    door: Door | None = None
    """How people connect it to FloKit; None: the settings do."""
    key_refused: Callable[[FlokitDenied], Awaitable[None]] | None = None
    """Notes that FloKit refuses its key; None: whoever runs the bot sees that."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The parts that serve one workspace."""

    addressee: Addressee
    """What Slack's requests are led to."""
    flokit: FlokitClient
    sender: Sender
    watcher: Watcher
    work: Mapping[Work, Callable[[Any], Awaitable[None]]]
    """What does a claimed piece of each kind of work."""


def build_workspace(base: Base, tenant: Tenant) -> Workspace:
    """Build the parts of one workspace; nothing is fetched or opened until they run."""
    parts = _Parts(base, tenant)
    return Workspace(
        Addressee(tenant.identity, tenant.bot_token, parts.reception),
        flokit=parts.flokit,
        sender=parts.sender,
        watcher=parts.watcher,
        work=parts.list_work(),
    )


class _Parts:
    """The parts of one workspace, from what is stored up to what does claimed work.

    Only what remembers something is kept: with thousands of workspaces, the rest would add up. A handler is made for
    the request that it handles.
    """

    def __init__(self, base: Base, tenant: Tenant) -> None:
        self._base = base
        self._tenant = tenant
        self._context = base.runtime.of(tenant.identity.team_id, tenant.identity.bot_user_id)
        self._open_tables()
        self._make_lookups()
        self._services = self._make_services()
        self._make_handlers()
        self._responder = Responder(
            base.store,
            self._services.answers,
            self._find_handler,
            self._context,
            nicknames=self._naming.current,
            of_many=tenant.door is not None,
        )
        self.reception = Reception(
            base.store.inbox.add,
            tenant.slack,
            self._context,
            preview=self._subscribing.preview,
            save_form=self._save_form,
        )
        self.sender = Sender(
            base.store,
            tenant.slack,
            self._context,
            self._naming,
            on_closed=self._channels.pause,
            on_refused=self._channels.follow_refused,
            ticket=tenant.policy.ticket,
        )

    def _open_tables(self) -> None:
        database, team_id = self._base.database, self._context.team_id
        self._subscriptions = Subscriptions(database, team_id)
        self._incidents = Incidents(database, team_id, rules=self._base.settings.rules)
        self._nicknames = NicknameRows(database, team_id)
        self._budget = SharedBudget(database, team_id, clock=self._context.clock)

    def _make_lookups(self) -> None:
        base, settings, context = self._base, self._base.settings, self._context
        self._naming = Naming(self._nicknames.all, context.clock)
        volumes = Volumes(base.database, context.team_id)
        self.watcher = Watcher(
            self._incidents,
            self._subscriptions,
            base.timers,
            Counting(volumes, self._naming, context, every_s=settings.watch_interval_s),
            context,
            every_s=settings.watch_interval_s,
        )
        refused = self._tenant.key_refused
        self._key_watch = KeyWatch(refused, base.timers, context) if refused else None
        self.flokit = FlokitClient(
            self._tenant.endpoint,
            budget=self._budget,
            max_pause_s=settings.follow_up_max_interval_s,
            stale_after_s=settings.stale_after_s,
            expected_s=lambda id_: self._naming.last_known.of(id_).expected.stale_after_s,
            now=context.clock,
            on_seen=self.watcher.note,
            on_key=self._key_watch.note if self._key_watch else None,
            telemetry=context.telemetry,
            http=self._tenant.http,
        )
        snapshots = Snapshots(base.database, context.team_id)
        self._knowledge = Knowledge(self.flokit, snapshots, self._naming, context.clock)
        self._people = People(self._tenant.slack, context.team_id, own_zone=self._settings_rows.zone_of)
        self._links = Links(self._tenant.slack, context.clock)
        self._access = Access(self._tenant.policy, self._people)

    def _make_services(self) -> Services:
        store, context, knowledge, naming = self._base.store, self._context, self._knowledge, self._naming
        answers = Answers(store, context)
        permits = Permits(self._access, knowledge, naming, answers, context)
        forms = Forms(self._tenant.slack, answers)
        return Services(context, store, knowledge, naming, self._people, self._access, permits, answers, forms)

    # Handlers

    def _make_handlers(self) -> None:
        """Make those that aren't only needed for a request."""
        services, slack, door = self._services, self._tenant.slack, self._tenant.door
        self._subscribing = Subscribing(services, self._subscriptions, self._incidents, slack)
        self._channels = Channels(
            services,
            self._subscriptions,
            Audit(self._base.database, self._context.team_id),
            self._settings_rows,
        )
        self._connecting = Connecting(services, door)

    def _find_handler(self, asked: Asked) -> Handler:
        return find_handler(self._features(), asked)

    async def _save_form(self, form: CheckedForm, request: Request, filled: object) -> Mapping[str, str]:
        return await find_save(self._features(), form)(request, filled)

    def _features(self) -> Iterator[Feature]:
        """Return one after the other; most are made for one request only."""
        services, settings, slack = self._services, self._base.settings, self._tenant.slack
        policies = Policies(self._base.database, self._context.team_id)
        patience, limits = settings.patience, settings.limits
        audit = Audit(self._base.database, self._context.team_id)
        records = Records(services, audit, self._links, kept_days=settings.retention_days)
        bulks = Bulks(services, patience=patience, limits=limits)
        yield Looks(services, records)
        yield Syncs(services, bulks, patience=patience, limits=limits)
        yield bulks
        yield self._subscribing
        yield Maintaining(services, self._quiet)
        yield Samples(services)
        yield OwnSettings(services, self._settings_rows)
        yield Snoozes(services, self._incidents)
        yield Taking(services, self._incidents)
        yield Tickets(services, self._incidents)
        yield records
        yield Doctor(services, self._make_diagnosis())
        yield Explanations(services, limits=limits)
        yield OpenedHomes(services, self._homes, slack, edits_policy=self._connecting.is_offered)
        yield self._channels
        yield Nicknaming(services, self._nicknames)
        yield self._connecting
        yield PolicyEditing(services, self._tenant.door, policies, may=self._connecting.may)

    @property
    def _unattended(self) -> Unattended:
        return Unattended(self._base.database, self._context.team_id, self._incidents)

    @property
    def _settings_rows(self) -> PersonSettingsRows:
        return PersonSettingsRows(self._base.database, self._context.team_id)

    @property
    def _quiet(self) -> Quiet:
        return Quiet(self._base.database, self._context.team_id)

    @property
    def _homes(self) -> Homes:
        return Homes(self._base.database, self._context.team_id)

    def _make_diagnosis(self) -> Diagnosis:
        base = self._base
        return Diagnosis(
            base.settings,
            self._tenant.slack,
            None if self._tenant.door else Vitals(base.database),
            self._tenant.endpoint,
            clock=self._context.clock,
            live=base.live,
            budget=self._budget,
        )

    # Work

    def list_work(self) -> dict[Work, Callable[[Any], Awaitable[None]]]:
        """Return what does a claimed piece of each kind of work."""
        return {
            Work.REQUESTS: self._responder.answer,
            Work.RUNS: self._follow,
            Work.MESSAGES: self.sender.send,
            Work.TIMERS: self._act,
        }

    async def _follow(self, batch: Batch) -> None:
        await Follower(self._base.store, self.flokit, self._context).follow(batch)

    async def _act(self, claim: TimerClaim) -> None:
        """Do what a timer asks for."""
        match claim.kind:
            case TimerKind.WATCH:
                await self._look(claim)
            case TimerKind.SNOOZE:
                await self._incidents.end_snooze(claim, self._context.clock())
            case TimerKind.ON_IT:
                await self._remind(claim)
            case TimerKind.DIGEST:
                await self._digests.send(claim)
            case TimerKind.HELD:
                await Summaries(self._subscriptions, self._naming, self._context).send(claim)
            case TimerKind.HOME:
                await self._drawer.draw(claim)
            case TimerKind.RAISE:
                await self._subscriptions.raise_more(claim, self._context.clock())
            case TimerKind.MOVE:
                await self._channels.sweep_move(claim)

    async def _remind(self, claim: TimerClaim) -> None:
        """Ask whether someone is still on an incident."""
        ask = partial(
            blocks.still_on_it_message,
            nicknames=await self._naming.current(),
            answer_s=self._base.settings.on_it_answer_s,
        )
        await self._unattended.follow(claim, ask, self._context.clock())

    async def _look(self, claim: TimerClaim) -> None:
        await self.watcher.look(
            self.flokit,
            claim,
            confirm_at=lambda: self._key_watch.confirm_at if self._key_watch else None,
            escalate=self._escalate,
        )

    async def _escalate(self, wanted: list[Subscription]) -> datetime | None:
        """Escalate what no one is on."""
        nicknames, now = await self._naming.current(), self._context.clock()

        def say(panel: Panel, incident: Incident, channel_id: str) -> Message:
            return blocks.escalated_message(panel, incident, channel_id, now, nicknames)

        return await self._unattended.escalate(wanted, say, now)

    @property
    def _digests(self) -> Digests:
        base = self._base
        return Digests(
            self._subscriptions,
            self._incidents,
            base.store,
            base.timers,
            self._knowledge,
            self._naming,
            self._people,
            self._context,
        )

    @property
    def _drawer(self) -> HomeDrawer:
        return HomeDrawer(
            self._homes,
            self._subscriptions,
            self._incidents,
            self._quiet,
            self._settings_rows,
            self._base.store,
            self._base.timers,
            self._knowledge,
            self._naming,
            self._tenant.slack,
            self._access,
            self._context,
            edits_policy=self._connecting.is_offered,
        )
