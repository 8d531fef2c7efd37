"""Workspaces beside the one in which people and residents live: the same IDs everywhere, and another FloKit in each.

What belongs to a workspace names it: its people, its errors and one of its integrations. So whatever the bot sends
shows where it comes from. The app is installed in all of them by OAuth; some uninstall it, and most of those come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from local_slack import LocalSlack, NotYet, OAuth, User
from local_slack.local_workspace import LocalWorkspace
from sandbox.local_flokit import WRITE_KEY, LocalFlokit
from sandbox.local_flokit.sources import Plan
from sandbox.slack import FLOKIT_APP, WORKSPACE
from soak.evidence import Absence, Asked
from soak.noting import Faults
from soak.people import OPEN_CHANNELS, resyncs

CLIENT: Final = OAuth("1.2", "a-secret-of-the-client", ("https://not.known.yet/slack/oauth_redirect",))
EVENTS: Final = FLOKIT_APP.events | {"app_uninstalled", "tokens_revoked"}
INSTALLER: Final = "UANA"
CHANNEL: Final = OPEN_CHANNELS[0]

PER_MINUTE: Final = 90.0
LEAVES_PER_MINUTE: Final = 5.0
AWAY_FOR_S: Final = (25.0, 45.0)
FEWEST_PRESENT: Final = 0.6
"""The share of the neighbors that never leave at the same time."""

HEARD_WITHIN_S: Final = 30.0
JOIN_TRIES: Final = 60
JOIN_PAUSE_S: Final = 3.0
FORM_WITHIN_S: Final = 5.0
ANSWERED_WITHIN_S: Final = 90.0
QUICK: Final = Plan(start_lag_s=0.0, duration_s=1.0)

MARK: Final = re.compile(r"only-in-(T0\w+)")


def mark(team_id: str) -> str:
    """Return what only a workspace's own messages may contain."""
    return f"only-in-{team_id}"


@dataclass(frozen=True, slots=True)
class Neighbor:
    """One of the workspaces, and its FloKit."""

    local: LocalWorkspace
    flokit: LocalFlokit
    key: str

    @property
    def team_id(self) -> str:
        """Its ID."""
        return self.local.workspace.id


class Neighbors:
    """Lives as told by ``rng``; ``met`` counts what was done.

    Args:
        slack: its first workspace is the one with the people.
        flokit: that one's FloKit; the key decides which workspace a request is for.
        integrations: the IDs and types that all of them have.
        count: all workspaces, with the first one.
        install_url: the bot's page.
    """

    def __init__(
        self,
        slack: LocalSlack,
        flokit: LocalFlokit,
        rng: Random,
        integrations: dict[str, str],
        count: int,
        install_url: str,
    ) -> None:
        self._slack = slack
        self._now = slack.workspace.now
        self._rng = rng
        self._integrations = integrations
        self._install_url = install_url
        self._first = Neighbor(slack, flokit, WRITE_KEY)
        self._others = [self._add(f"T0NEXT{number:02d}") for number in range(1, count)]
        self._away: set[str] = set()
        self._count = 0
        self._busy: set[asyncio.Task[None]] = set()
        self.faults = Faults()
        self.met: Counter[str] = Counter()
        self.absences: list[Absence] = []
        self.asked: list[Asked] = []
        """What was asked for in the calm."""

    @property
    def all(self) -> Sequence[Neighbor]:
        """All workspaces, the first one first."""
        return (self._first, *self._others)

    def _add(self, team_id: str) -> Neighbor:
        local = self._slack.add_workspace(replace(WORKSPACE, id=team_id, name=f"Next to {team_id}"))
        for channel in OPEN_CHANNELS:
            if channel not in local.workspace.channels:
                local.add_channel(channel, channel.lower(), members=(), bot_is_member=True)
        flokit, key = LocalFlokit(clock=self._first.flokit._clock), f"flo_key_{mark(team_id)}"  # noqa: SLF001
        flokit.keys = {key: "write"}
        self._first.flokit.neighbors[key] = flokit
        for integration_id, type_ in self._integrations.items():
            flokit.add(integration_id, type_)
            flokit.plan(integration_id, QUICK)
        return Neighbor(local, flokit, key)

    async def settle(self) -> None:
        """Install the app everywhere, connect everybody, and mark what is each one's own."""
        for one in self.all:
            name = mark(one.team_id)
            one.local.workspace.channels[CHANNEL].members.add(INSTALLER)
            one.flokit.add(f"int_{name}", "warehouse")
            if one is not self._first:  # there, every incident must end
                one.flokit.set(f"int_{name}", status="error", error_message=f"broken {name}")
            await self._join(one)

    async def run(self) -> None:
        """Do something somewhere every now and then, until cancelled."""
        errands = ((self._sync, 5), (self._press, 4), (self._subscribe, 2), (self._open_home, 2), (self._fail, 3))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._leave_now_and_then())
            while True:
                await asyncio.sleep(self._rng.expovariate(PER_MINUTE / 60.0))
                [errand] = self._rng.choices([one for one, _ in errands], [weight for _, weight in errands])
                self._begin(errand.__name__, self._try(errand(self._somewhere())))

    def _begin(self, step: str, errand: Any) -> None:
        task = asyncio.create_task(errand)
        self._busy.add(task)
        self.faults.watch(step, task)
        task.add_done_callback(self._busy.discard)

    async def _try(self, errand: Any) -> None:
        with contextlib.suppress(LookupError, NotYet):  # the app was uninstalled meanwhile
            await errand

    async def _leave_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(LEAVES_PER_MINUTE / 60.0))
            if len(self._present) > FEWEST_PRESENT * len(self._others):
                leaving = self._rng.choice(self._present)
                self._away.add(leaving.team_id)
                self._begin("leaving", self._leave(leaving))

    @property
    def _present(self) -> list[Neighbor]:
        return [one for one in self._others if one.team_id not in self._away]

    def _somewhere(self) -> Neighbor:
        return self._rng.choice(self._present)

    def _somebody(self, one: Neighbor) -> str:
        """Return the ID of somebody new; the first workspace has people with the same IDs."""
        self._count += 1
        user = User(f"U{self._count:05d}", f"{mark(one.team_id)}-{self._count}")
        one.local.workspace.add_user(user)
        one.local.workspace.channels[CHANNEL].members.add(user.id)
        return user.id

    # errands

    async def _sync(self, one: Neighbor) -> None:
        await one.local.command(self._somebody(one), CHANNEL, f"sync {self._rng.choice(list(self._integrations))}")
        self.met["sync command"] += 1

    async def _press(self, one: Neighbor) -> None:
        """Ask for the status, and press what comes."""
        user = self._somebody(one)
        await one.local.command(user, CHANNEL, "status")
        panel = await self._slack.wait_for(lambda: self._panel(one), FORM_WITHIN_S, "a status")
        if panel:
            button = self._rng.choice(resyncs(panel))
            await one.local.click(user, CHANNEL, panel["ts"], button["action_id"], value=button["value"])
        self.met["click"] += 1

    def _panel(self, one: Neighbor) -> dict[str, Any] | None:
        return next((shown for shown in reversed(one.local.messages(CHANNEL)) if resyncs(shown)), None)

    async def _subscribe(self, one: Neighbor) -> None:
        await one.local.command(self._somebody(one), CHANNEL, self._rng.choice(("subscribe all", "subscriptions")))
        self.met["subscribe"] += 1

    async def _open_home(self, one: Neighbor) -> None:
        one.local.views.open_home(self._somebody(one))
        self.met["home"] += 1

    async def _fail(self, one: Neighbor) -> None:
        """Let an integration fail, or recover."""
        integration_id = self._rng.choice(list(self._integrations))
        is_failing = self._rng.random() < 0.5
        failed = Plan(start_lag_s=0.0, duration_s=1.0, ending="failed", error_message=f"no {mark(one.team_id)}")
        one.flokit.plan(integration_id, failed if is_failing else QUICK)
        one.flokit.begin_sync(integration_id)
        self.met["failure" if is_failing else "recovery"] += 1

    # installing and uninstalling

    async def _leave(self, one: Neighbor) -> None:
        """Uninstall the app, and install it again later."""
        absence = Absence(one.team_id, self._now())
        self.absences.append(absence)
        self._slack.oauth.uninstall(one.local)
        self.met["uninstall"] += 1
        with contextlib.suppress(NotYet):
            await self._slack.wait_for(lambda: self._has_heard(absence), HEARD_WITHIN_S, "an ack")
            absence.told_at = self._now()
        await asyncio.sleep(self._rng.uniform(*AWAY_FOR_S))
        absence.ended_at = self._now()
        await self._join(one)
        self._away.discard(one.team_id)

    def _has_heard(self, absence: Absence) -> bool:
        return any(
            one.ack is not None
            and one.ack.ok
            and one.at >= absence.began_at
            and one.payload.get("team_id") == absence.team
            and (one.payload.get("event") or {}).get("type") == "app_uninstalled"
            for one in reversed(self._slack.envelopes)
        )

    async def _join(self, one: Neighbor) -> None:
        """Install the app and connect FloKit, whatever it takes."""
        for _ in range(JOIN_TRIES):
            with contextlib.suppress(LookupError, NotYet, OSError, TimeoutError):
                await self._slack.oauth.install(one.local, INSTALLER, self._install_url)
                if await self._connect(one):
                    self.met["install"] += 1
                    return
            await asyncio.sleep(JOIN_PAUSE_S)
        raise RuntimeError(f"{one.team_id} couldn't be installed or connected")

    async def _connect(self, one: Neighbor) -> bool:
        ack = await one.local.command(INSTALLER, CHANNEL, "connect")
        if not ack.ok:
            return False
        form = await self._slack.wait_for(lambda: one.local.views.modal(INSTALLER), FORM_WITHIN_S, "the form")
        if form is None:
            return False
        given = {"key": {"key": {"type": "plain_text_input", "value": one.key}}}
        submitted = await one.local.views.submit(INSTALLER, form["id"], given)
        return submitted.ok and not submitted.errors

    # the calm

    async def finish(self) -> None:
        """Let everybody finish what they began; whoever left comes back."""
        while self._busy:
            await asyncio.gather(*self._busy, return_exceptions=True)

    async def leave_for_good(self) -> None:
        """Uninstall the app in a workspace that has work under way, and stay away."""
        leaving = self._rng.choice(self._present)
        self._away.add(leaving.team_id)
        await self._fail(leaving)
        await self._sync(leaving)
        absence = Absence(leaving.team_id, self._now())
        self.absences.append(absence)
        self._slack.oauth.uninstall(leaving.local)
        self.met["uninstall"] += 1
        await self._slack.wait_for(lambda: self._has_heard(absence), HEARD_WITHIN_S, "an ack")
        absence.told_at = self._now()

    async def ask(self) -> None:
        """Start a sync in each workspace where the app is installed, and wait for its outcome there."""
        await asyncio.gather(*(self._ask(one) for one in self._present))

    async def _ask(self, one: Neighbor) -> None:
        integration_id = self._rng.choice(list(self._integrations))
        one.flokit.plan(integration_id, QUICK)
        user = self._somebody(one)
        await one.local.command(user, CHANNEL, f"sync {integration_id}")
        try:
            await self._slack.wait_for(lambda: self._is_told(one, user), ANSWERED_WITHIN_S, "an outcome")
        except NotYet:
            self.asked.append(Asked(one.team_id, f"sync {integration_id} by {user}", is_answered=False))
        else:
            self.asked.append(Asked(one.team_id, f"sync {integration_id} by {user}", is_answered=True))

    def _is_told(self, one: Neighbor, user: str) -> bool:
        return any(
            f"<@{user}>" in str(shown.get("text"))
            and (shown.get("metadata") or {}).get("event_type") == "flokit_sync_outcome"
            for shown in one.local.workspace.all_messages(CHANNEL)
        )
