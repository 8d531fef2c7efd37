"""Several syncs at once: a preview that only the person sees, and the click that starts what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from bot.core import blocks
from bot.core.access.audit import AuditEntry, Deed, of_refusal
from bot.core.access.policy import Allowed, Verb
from bot.core.bulks import MOST, PREVIEW_LASTS, Bulk, LeftOut, Obstacle, Place, Plan
from bot.core.commands.filters import filter_integrations
from bot.core.commands.many import Many
from bot.core.commands.presses import Action, Press
from bot.core.models import Integration, Patience, Status
from bot.core.panels import Panel, PanelKind
from bot.core.requests import Origin, Request
from bot.core.runs.limits import Limits
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act
from bot.lookups.integrations import Known, panel_of
from bot.store.bulks import StartBulk, StartedBulk
from bot.store.ids import new_id

log = structlog.get_logger(__name__)

FAILING = "failing"


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What a person may sync, the rule that allows each, and what is left out."""

    integrations: tuple[Integration, ...]
    rules: dict[str, str]
    left_out: tuple[LeftOut, ...]


class Bulks(Feature):
    """The previews of one workspace, and the buttons that start several syncs."""

    def __init__(self, services: Services, *, patience: Patience, limits: Limits) -> None:
        super().__init__(services)
        self._patience = patience
        self._limits = limits

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {
            Action.RESYNC_ALL_FAILING: self.press_failing,
            Action.SYNC_SEVERAL: self.confirm,
            Action.RETRY_FAILED: self.retry,
        }

    # The preview

    async def press_failing(self, request: Request, press: Press) -> None:
        """Show a preview for what fails among the integrations of a status message, as they are now."""
        await self._permits.check_early(request, Act(Deed.SYNC_SEVERAL))
        panel = await self._store.panels.load(request.origin.team_id, press.panel_id)
        known = await self._knowledge.look()
        sight = await self._permits.sight(request.origin, known.integrations, Verb.SYNC)
        query = panel.query if panel else ""
        shown = filter_integrations(query, sight.seen, self._clock(), sight.nicknames)
        failing = filter_integrations(FAILING, shown, self._clock())
        if not failing:
            await self._answers.note(request, blocks.plain_message("Nothing here is failing anymore."))
            return
        await self.preview(request, Many(failing), known, len(sight.seen), query=FAILING)

    async def preview(self, request: Request, many: Many, known: Known, total: int, *, query: str) -> None:
        """Show what would be synced, what is left out, and a button that starts it."""
        plan = Plan(request.origin.person, _place(request.origin), total=total)
        await self._show_preview(request, many, known, plan, query)

    async def _show_preview(self, request: Request, many: Many, known: Known, plan: Plan, query: str) -> None:
        considered = many.integrations[:MOST]
        chosen = await self._choose(request, considered, plan.place, Deed.SYNC)
        ids = [one.id for one in chosen.integrations]
        met = await self._store.bulks.would_meet(request.origin, ids, self._limits, self._clock())
        held = tuple(LeftOut(id_, Obstacle(one.by.value), until=one.until) for id_, one in met.held.items())
        plan = replace(
            plan,
            asked_at=self._clock(),
            left_out=chosen.left_out + held,
            running=tuple(one for one in ids if one in met.running),
            unknown=many.unknown,
            beyond=len(many.integrations) - len(considered),
        )
        panel = replace(panel_of(PanelKind.PREVIEW, known, considered, query=query), plan=plan)
        await self._answers.show_alone(request, panel)

    async def _choose(self, request: Request, integrations: Sequence[Integration], place: Place, deed: Deed) -> _Chosen:
        """Leave out what a sync can't help, and what the person may not sync.

        Raises:
            Answered: they may sync none of these.
            SlackError: the facts about the person can't be looked up now; ``retryable``.
        """
        chosen, left_out, rules = [], [], {}
        refused: list[Act] = []
        for one in integrations:
            act = Act(deed, one, channels=(place.channel_id,))
            verdict = await self._permits.verdict(request, act)
            if not isinstance(verdict, Allowed):
                refused.append(act)
                left_out.append(
                    LeftOut(one.id, Obstacle.REFUSED, rule=verdict.rule, sentence=verdict.sentence, ask=verdict.ask)
                )
            elif one.status == Status.DISCONNECTED:
                left_out.append(LeftOut(one.id, Obstacle.DISCONNECTED))
            else:
                chosen.append(one)
                rules[one.id] = verdict.rule
        if refused and len(refused) == len(integrations):
            await self._permits.check(request, refused[0])
        return _Chosen(tuple(chosen), rules, tuple(left_out))

    # The click

    async def confirm(self, request: Request, press: Press) -> None:
        """Start what a preview shows; what the person may not sync now is left out."""
        await self._permits.check_early(request, Act(Deed.SYNC_SEVERAL))
        panel = await self._store.panels.load(request.origin.team_id, press.panel_id)
        home = await self._store.panels.home_of(request.origin.team_id, press.panel_id)
        person = request.origin.person
        if panel is None or panel.plan is None or home is None or panel.plan.asked_by.id != person.id:
            await self._expired(request)
            return
        plan = panel.plan
        is_old = plan.asked_at is not None and self._clock() - plan.asked_at > PREVIEW_LASTS
        if is_old and not await self._was_started(request, panel):
            await self._preview_again(request, panel, plan)
            return
        left_out = {one.integration_id for one in plan.left_out}
        planned = [one for one in panel.integrations if one.id not in left_out]
        chosen = await self._choose(request, planned, plan.place, Deed.SYNC)
        disconnected = tuple(one for one in plan.left_out if one.why is not Obstacle.REFUSED)
        refused = tuple(one for one in plan.left_out if one.why is Obstacle.REFUSED)
        chosen = replace(chosen, left_out=disconnected + refused + chosen.left_out)
        started = await self._start(request, panel, chosen, plan.place, Deed.SYNC)
        if started.members or started.was_started:
            await self._store.panels.redraw(request, panel.id, lambda current: current, self._clock())
        else:
            await self._preview_again(request, panel, plan)

    async def _was_started(self, request: Request, panel: Panel) -> bool:
        return bool(await self._store.bulks.started(request.origin.team_id, panel.id))

    async def _preview_again(self, request: Request, panel: Panel, plan: Plan) -> None:
        """Show the same integrations as they are now, since the preview is old or nothing of it can start."""
        known = await self._knowledge.look()
        ids = [one.id for one in panel.integrations]
        there = {one.id: one for one in known.integrations}
        many = Many(tuple(there[id_] for id_ in ids if id_ in there), plan.unknown)
        fresh = Plan(plan.asked_by, plan.place, total=plan.total)
        await self._show_preview(request, many, known, fresh, panel.query)

    async def retry(self, request: Request, press: Press) -> None:
        """Sync again what failed of several, each once for all who click, in a new message."""
        await self._permits.check_early(request, Act(Deed.SYNC_SEVERAL))
        origin = request.origin
        panel = await self._store.panels.load(origin.team_id, press.panel_id)
        drawn = await self._store.panels.load_view(panel.id) if panel else None
        if panel is None or drawn is None or drawn[0].bulk is None:
            await self._expired(request)
            return
        ids = set(blocks.retryable(drawn[0].bulk, drawn[1]))
        if not ids:
            await self._store.panels.redraw(request, panel.id, lambda current: current, self._clock())
            return
        failed = [one for one in panel.integrations if one.id in ids]
        place = _place(origin)
        chosen = await self._choose(request, failed, place, Deed.TRY_AGAIN)
        started = await self._start(request, panel, chosen, place, Deed.TRY_AGAIN)
        if started.members or started.was_started:
            await self._store.panels.redraw(request, panel.id, lambda current: current, self._clock())
        else:
            await self._preview_again(request, panel, Plan(origin.person, place, total=len(failed)))

    async def _start(self, request: Request, source: Panel, chosen: _Chosen, place: Place, deed: Deed) -> StartedBulk:
        """Start the syncs from a panel's button, unless it has started them already."""
        now = self._clock()
        ids = {one.integration_id for one in chosen.left_out} | {one.id for one in chosen.integrations}
        panel = Panel(
            new_id("pnl"),
            PanelKind.BULK,
            tuple(one for one in source.integrations if one.id in ids),
            source.as_of,
        )
        bulk = Bulk(request.origin.person, now, left_out=chosen.left_out)
        placed = replace(request, origin=_at(request.origin, place))
        wanted = StartBulk(
            placed,
            source.id,
            chosen.integrations,
            chosen.rules,
            panel,
            bulk,
            place,
            deed,
            self._patience,
            self._limits,
            self._refusals(placed, source, chosen, deed),
        )
        started = await self._store.bulks.start(wanted, now)
        log.info(
            "bulk_requested" if started.members else "bulk_not_started",
            user_id=request.origin.person.id,
            channel_id=place.channel_id,
            started=len(started.members),
            left_out=len(chosen.left_out) + len(started.left_out),
        )
        return started

    def _refusals(self, request: Request, source: Panel, chosen: _Chosen, deed: Deed) -> tuple[AuditEntry, ...]:
        there = {one.id: one for one in source.integrations}
        return tuple(
            of_refusal(request.origin, deed, one.rule, self._clock(), there.get(one.integration_id))
            for one in chosen.left_out
            if one.why is Obstacle.REFUSED
        )

    async def _expired(self, request: Request) -> None:
        sentence = f"This message has expired. Run {self._command} status for a new one."
        await self._answers.note(request, blocks.plain_message(sentence))


def _place(origin: Origin) -> Place:
    """Return where the message about the syncs goes: the channel or thread where it was asked for, not a new thread."""
    if origin.ephemeral:
        return Place()
    is_root = origin.thread_ts == origin.message_ts  # Slack says so of a message that has replies
    return Place(origin.channel_id, None if is_root else origin.thread_ts)


def _at(origin: Origin, place: Place) -> Origin:
    """Return a person's origin at the place of the message; their response_url stays."""
    return replace(origin, channel_id=place.channel_id or origin.channel_id, thread_ts=place.thread_ts)
