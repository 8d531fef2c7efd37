"""The fault injection panel: its state, and actions on the local FloKit, the local Slack and the bot's process.

It only calls what LocalFlokit, LocalSlack and the keeper of the bot's process offer, with no logic of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar, get_args

from bot.core.advice import display_name
from local_slack import LocalSlack
from local_slack.workspace import Json
from sandbox.clock import WorldClock, until_morning
from sandbox.keeper import BotKeeper
from sandbox.local_flokit import LocalFlokit
from sandbox.local_flokit.sources import STRIPE_ERROR, Ending, Plan, Source
from sandbox.local_flokit.unrest import Unrest
from sandbox.local_flokit.webhooks import Webhooks
from sandbox.page_requests import BadRequestError, optional_text, seconds, texts
from sandbox.weather import FlokitWeather, SlackWeather, set_flokit_weather, set_slack_weather, slack_weather

LOOKS_EVERY_S: Final = 0.5
"""Syncs begin and end by the clock without an event, so the panel polls."""

ENDINGS: Final[tuple[Ending, ...]] = get_args(Ending)

STATUSES: Final = ("connected", "error", "disconnected")
"""The statuses to choose from; ``syncing`` forever is an action of its own."""

CLOCK_STEPS: Final[Mapping[str, Callable[[datetime], timedelta]]] = {
    "hour": lambda _now: timedelta(hours=1),
    "six_hours": lambda _now: timedelta(hours=6),
    "day": lambda _now: timedelta(days=1),
    "morning": until_morning,
}
"""How far one action moves the clock."""


class ControlPanel:
    """The panel's state and actions.

    Args:
        keeper: None if the bot isn't a child process, as in most tests.
        clock: the sandbox's; None if it can't be moved.
        webhooks: None if nothing receives them.
    """

    def __init__(
        self,
        slack: LocalSlack,
        flokit: LocalFlokit,
        keeper: BotKeeper | None = None,
        *,
        clock: WorldClock | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        self._slack = slack
        self._flokit = flokit
        self._keeper = keeper
        self._clock = clock
        self._webhooks = webhooks
        self._unrest = Unrest(flokit)
        self._flokit_weather = FlokitWeather.FINE
        self._changed = asyncio.Event()
        self._actions: dict[str, Callable[[Json], Awaitable[None]]] = {
            "integration": self._set_integration,
            "repair": self._repair,
            "stuck": self._get_stuck,
            "finish": self._finish,
            "vanish": self._vanish,
            "plan": self._plan,
            "unrest": self._begin_or_end_unrest,
            "webhook": self._send_webhook,
            "move_clock": self._move_clock,
            "flokit_weather": self._set_flokit_weather,
            "slack_weather": self._set_slack_weather,
            "drop_socket": self._drop_socket,
            "kill_bot": self._kill_bot,
            "reset": self._reset,
        }
        flokit.subscribe(self._note)
        slack.subscribe(self._note_connection)
        if keeper is not None:
            keeper.subscribe(self._note)

    def state(self) -> Json:
        """Return the panel's whole state."""
        return {
            "bot": self._bot(),
            "integrations": [self._describe(source) for source in self._flokit.sources()],
            "unrest": self._unrest.is_on,
            "clock_moved_s": self._clock.moved_s if self._clock else 0.0,
            "weather": {"flokit": self._flokit_weather.value, "slack": slack_weather(self._slack).value},
        }

    async def act(self, asked: Json) -> Json:
        """Perform an action.

        Raises:
            BadRequestError: the action is unknown, or one of its members is invalid.
            LookupError: the integration doesn't exist.
        """
        [name] = texts(asked, "action")
        if name not in self._actions:
            raise BadRequestError(f"Unknown action: {name}.")
        await self._actions[name](asked)
        self._note()
        return {"ok": True, "error": ""}

    async def watch(self, tell: Callable[[Json], None]) -> None:
        """Call ``tell`` with each changed state, until cancelled."""
        last = self.state()
        while True:
            upcoming = self._changed
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOKS_EVERY_S):
                    await upcoming.wait()
            state = self.state()
            if state != last:
                last = state
                tell({"type": "control", "control": state})

    async def close(self) -> None:
        """Stop background work."""
        await self._unrest.end()

    def _note(self) -> None:
        """Wake every ``watch``."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _note_connection(self, change: Json) -> None:
        if change["type"] == "bot":
            self._note()

    # state

    def _bot(self) -> Json:
        pid = self._keeper.pid if self._keeper else None
        return {
            "running": pid is not None,
            "connected": self._slack.bot_is_reachable,
            "pid": pid,
            "restarts": self._keeper.restarts if self._keeper else 0,
        }

    def _describe(self, source: Source) -> Json:
        plan = self._flokit.plan_of(source.id)
        return {
            "id": source.id,
            "type": source.type,
            "name": display_name(source.type),
            "status": source.status,
            "error_message": source.error_message,
            "last_synced_at": source.last_synced_at.isoformat() if source.last_synced_at else None,
            "plan": {
                "ending": plan.ending,
                "start_lag_s": plan.start_lag_s,
                "duration_s": plan.duration_s,
                "error_message": plan.error_message,
            },
        }

    # actions

    def _integration(self, asked: Json) -> str:
        [integration_id] = texts(asked, "id")
        if self._flokit.source(integration_id) is None:
            raise BadRequestError(f"Unknown integration: {integration_id}.")
        return integration_id

    async def _set_integration(self, asked: Json) -> None:
        integration_id = self._integration(asked)
        status = _one_of(asked, "status", STATUSES)
        message = (optional_text(asked, "error_message") or STRIPE_ERROR) if status == "error" else None
        self._flokit.set(integration_id, status=status, error_message=message)

    async def _repair(self, asked: Json) -> None:
        self._flokit.repair(self._integration(asked))

    async def _get_stuck(self, asked: Json) -> None:
        self._flokit.get_stuck(self._integration(asked))

    async def _finish(self, asked: Json) -> None:
        integration_id = self._integration(asked)
        if not self._flokit.finish(integration_id):
            raise BadRequestError("No sync is running.")

    async def _vanish(self, asked: Json) -> None:
        self._flokit.remove(self._integration(asked))

    async def _plan(self, asked: Json) -> None:
        integration_id = self._integration(asked)
        plan = Plan(
            start_lag_s=seconds(asked, "start_lag_s"),
            duration_s=seconds(asked, "duration_s"),
            ending=_ending(asked),
            error_message=optional_text(asked, "error_message") or STRIPE_ERROR,
            new_events=self._flokit.plan_of(integration_id).new_events,
        )
        self._flokit.plan(integration_id, plan)

    async def _begin_or_end_unrest(self, asked: Json) -> None:
        if self._unrest.is_on:
            await self._unrest.end()
        else:
            self._unrest.begin(seconds(asked, "seconds"), self._note)

    async def _send_webhook(self, _asked: Json) -> None:
        """Send an ``integration.error`` event, for a failing integration if there is one."""
        sources = sorted(self._flokit.sources(), key=lambda source: source.status != "error")
        if self._webhooks is None or not sources:
            raise BadRequestError("There are no integrations, or the bot doesn't accept webhooks.")
        problem = await self._webhooks.send(sources[0])
        if problem:
            raise BadRequestError(problem)

    async def _move_clock(self, asked: Json) -> None:
        if self._clock is None:
            raise BadRequestError("This sandbox's clock can't be moved.")
        step = _one_of(asked, "step", CLOCK_STEPS)
        self._clock.move(CLOCK_STEPS[step](self._clock.now()))
        self._slack.note_change()

    async def _set_flokit_weather(self, asked: Json) -> None:
        self._flokit_weather = _member(asked, "weather", FlokitWeather)
        set_flokit_weather(self._flokit, self._flokit_weather)

    async def _set_slack_weather(self, asked: Json) -> None:
        set_slack_weather(self._slack, _member(asked, "weather", SlackWeather))

    async def _drop_socket(self, _asked: Json) -> None:
        if not self._slack.connections:
            raise BadRequestError("The bot has no open socket.")
        await self._slack.drop_sockets()

    async def _kill_bot(self, _asked: Json) -> None:
        if self._keeper is None:
            raise BadRequestError("The bot isn't a child process here, so it can't be killed.")
        if not await self._keeper.kill():
            raise BadRequestError("The bot isn't running.")

    async def _reset(self, _asked: Json) -> None:
        await self._unrest.end()
        self._flokit_weather = FlokitWeather.FINE
        set_flokit_weather(self._flokit, self._flokit_weather)
        set_slack_weather(self._slack, SlackWeather.FINE)
        self._flokit.demo()


_Member = TypeVar("_Member", bound="StrEnum")


def _one_of(asked: Json, name: str, allowed: Iterable[str]) -> str:
    [value] = texts(asked, name)
    if value not in allowed:
        raise BadRequestError(f"{name} must be one of: {', '.join(allowed)}.")
    return value


def _member(asked: Json, name: str, kind: type[_Member]) -> _Member:
    return kind(_one_of(asked, name, [member.value for member in kind]))


def _ending(asked: Json) -> Ending:
    value = _one_of(asked, "ending", ENDINGS)
    return next(ending for ending in ENDINGS if ending == value)
