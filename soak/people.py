"""People who click: at random, in several channels, twice, and again. Each click is by a person of its own.

That makes every outcome's mentions tell whose click it answers. Nobody here knows what the bot keeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from local_slack import LocalSlack, User
from soak.evidence import Click, Several
from soak.noting import Faults

NAMES: Final = ("ana", "ben", "cleo", "dora", "emil", "fay")
OPEN_CHANNELS: Final = ("C0DATA", "C1OPS", "C2GROWTH", "C3FINANCE")
CLOSED_CHANNEL: Final = "G0CLOSED"
"""A private channel without the bot: it answers there privately, and follows up in direct messages."""

PANEL_WITHIN_S: Final = 6.0
POLL_S: Final = 0.1
REMEMBERED: Final = 12
"""People press buttons of this many newest messages in a channel."""

REFUSAL: Final = re.compile(
    r"nothing was started|FloKit can.t be reached right now|refuses my API key|no integration", re.IGNORECASE
)
"""The sentences that say that a click started nothing."""

TOGETHER: Final = 3
"""So many integrations somebody names who wants several."""

NO_THREAD: Final = ""
"""Where nothing was posted about several syncs."""

DOUBT: Final = re.compile(r"don.t know yet whether it went through")
"""The sentence that says that nobody knows."""


WORDS: Final = ("Amber", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Heath", "Iris", "Jade", "Kelp", "Larch")


def names_for(integration_id: str, integrations: Sequence[str]) -> tuple[str, str]:
    """Return the names that people give to an integration; no other one ever gets them, so they never mislead."""
    word = WORDS[list(integrations).index(integration_id) % len(WORDS)]
    return f"{word} feed", f"{word} lane"


class People:
    """Types and presses at random, from ``rng``, and remembers each click."""

    def __init__(self, slack: LocalSlack, rng: Random, integrations: Sequence[str], *, per_minute: float) -> None:
        self._slack = slack
        self._now = slack.workspace.now
        self._rng = rng
        self._integrations = integrations
        self._pause_s = 60.0 / per_minute
        self._clicks: list[Click] = []
        self._several: list[tuple[Several, list[str]]] = []
        """With the integrations that were named."""
        self._recent: dict[str, deque[str]] = {channel: deque(maxlen=REMEMBERED) for channel in OPEN_CHANNELS}
        self._outcomes: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)
        self._busy: set[asyncio.Task[None]] = set()
        self._count = 0
        self.faults = Faults()
        self.commands = 0
        for channel in OPEN_CHANNELS:
            slack.add_channel(channel, channel.lower(), members=(), bot_is_member=True)
        slack.add_channel(CLOSED_CHANNEL, "closed", "private")
        slack.subscribe(self._notice)

    async def run(self) -> None:
        """Begin an errand every now and then, until cancelled."""
        errands = (
            (self._look_then_press, 5),
            (self._press_what_is_there, 5),
            (self._type, 4),
            (self._answer_an_outcome, 2),
            (self._ask_in_private, 1),
            (self._ask_for_several, 2),
        )
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / self._pause_s))
            [errand] = self._rng.choices([one for one, _ in errands], [weight for _, weight in errands])
            task = asyncio.create_task(errand())
            self._busy.add(task)
            self.faults.watch(errand.__name__, task)
            task.add_done_callback(self._busy.discard)

    async def finish(self) -> None:
        """Let everybody finish what they began."""
        while self._busy:
            await asyncio.gather(*self._busy, return_exceptions=True)

    @property
    def clicks(self) -> list[Click]:
        """Every click, with what its person has been sent in private since.

        A press that starts several counts as a click for each.
        """
        return [self._with_answers(one) for one in (*self._clicks, *self._clicks_on_several())]

    @property
    def several(self) -> list[Several]:
        """Every press that started several syncs, with the messages about it."""
        return [self._with_messages(one) for one, _ in self._several]

    def _clicks_on_several(self) -> list[Click]:
        clicks = []
        for one, named in self._several:
            found = self._with_messages(one)
            started = [] if found.is_refused else self._started_by(found, named)
            root = found.messages[0] if len(found.messages) == 1 else None if found.messages else NO_THREAD
            clicks += [Click(one.user, one.channel, id_, one.at, root, (any(one.acks),)) for id_ in started]
        return clicks

    def _started_by(self, several: Several, named: Sequence[str]) -> Sequence[str]:
        """Return the integrations: those that were named, or those of the message where some were left out."""
        if several.count == len(named):
            return named
        message = self._slack.workspace.find(several.channel, several.messages[0]) if several.messages else None
        return [one["integration_id"] for one in payload_of(message).get("syncs", ())]

    def _with_messages(self, several: Several) -> Several:
        """Find the messages by the name of the person, who is nowhere else."""
        by = f"Started by {self._slack.workspace.users[several.user].name}, "
        found = [one for one in self._slack.messages(several.channel) if by in str(one.get("blocks"))]
        payload = payload_of(found[0]) if found else {}
        said = [*self._slack.ephemerals(several.user), *self._slack.messages(self._direct(several.user))]
        texts = [str(one.get("text")) for one in said]
        is_doubtful = any(REFUSAL.search(text) or DOUBT.search(text) for text in texts)
        previews = sum(starts_several(one) is not None or "Started" in str(one.get("text")) for one in said)
        return replace(
            several,
            is_refused=not found and (is_doubtful or previews != 1),
            messages=tuple(one["ts"] for one in found),
            outbox_id=payload.get("outbox_id", ""),
            total=payload.get("total", 0),
            outcomes={one["run_id"]: one["outcome"] for one in payload.get("syncs", ())},
        )

    def _direct(self, user: str) -> str:
        return self._slack.workspace.open_im(user).id

    def _with_answers(self, click: Click) -> Click:
        direct = self._slack.workspace.open_im(click.user).id
        said = [*self._slack.ephemerals(click.user), *self._slack.messages(direct)]
        texts = [
            str(one.get("text")) for one in said if not buttons(one) and "flokit_sync" not in str(one.get("metadata"))
        ]
        # A private answer may be posted twice; a fault's has an ID, so the same one is recognized.
        faults = dict.fromkeys(text for text in texts if REFUSAL.search(text) and "err_" in text)
        refusals = (*faults, *(text for text in texts if REFUSAL.search(text) and "err_" not in text))
        return replace(click, refusals=refusals, in_doubt=any(DOUBT.search(text) for text in texts))

    # errands

    async def _look_then_press(self) -> None:
        """Ask for the status, and have someone else press Resync in the answer: what each is sent stays apart."""
        user, channel = self._somebody(), self._rng.choice(OPEN_CHANNELS)
        self._enter(user, channel)
        before = list(self._recent[channel])
        self.commands += 1
        ack = await self._slack.command(user, channel, "status")
        ts = await self._newer_than(channel, before) if ack.ok else None
        if ts:
            another = self._somebody()
            self._enter(another, channel)
            await self._press(another, channel, ts)

    async def _press_what_is_there(self) -> None:
        """Press Resync in a message that somebody asked for some time ago."""
        user, channel = self._somebody(), self._rng.choice(OPEN_CHANNELS)
        self._enter(user, channel)
        if self._recent[channel]:
            await self._press(user, channel, self._rng.choice(list(self._recent[channel])))

    async def _type(self) -> None:
        """Type ``sync`` with an ID, or with a name that the integration may have."""
        user, channel = self._somebody(), self._rng.choice(OPEN_CHANNELS)
        await self._type_in(user, channel)

    async def _type_in(self, user: str, channel: str) -> None:
        self._enter(user, channel)
        integration_id = self._rng.choice(self._integrations)
        at = self._now()
        called = integration_id
        if self._rng.random() < 0.25:
            called = self._rng.choice(names_for(integration_id, self._integrations))
        ack = await self._slack.command(user, channel, f"sync {called}")
        self._clicks.append(Click(user, channel, integration_id, at, None, (ack.ok,)))

    async def _answer_an_outcome(self) -> None:
        """Press Try again or Keep watching below an outcome."""
        if not self._outcomes:
            return
        user, (channel, ts) = self._somebody(), self._rng.choice(list(self._outcomes))
        self._enter(user, channel)
        message = self._slack.workspace.find(channel, ts)
        offered = [button for button in buttons(message or {}) if button["action_id"].startswith("flokit_")]
        if message is None or not offered:
            return
        button = self._rng.choice(offered)
        if button["action_id"] == "flokit_try_again":
            await self._click(user, channel, message, button)
        else:
            with contextlib.suppress(LookupError):
                await self._slack.click(user, channel, ts, button["action_id"], value=button["value"])

    async def _ask_in_private(self) -> None:
        """Ask where the bot can't post: by command, or by a button in the answer that only this person sees."""
        user = self._somebody()
        if self._rng.random() < 0.5:
            await self._type_in(user, CLOSED_CHANNEL)
            return
        self._enter(user, CLOSED_CHANNEL)
        self.commands += 1
        ack = await self._slack.command(user, CLOSED_CHANNEL, "status")
        until = time.monotonic() + PANEL_WITHIN_S
        while ack.ok and time.monotonic() < until:
            for message in self._slack.ephemerals(user):
                offered = resyncs(message)
                if offered:
                    await self._click(user, CLOSED_CHANNEL, message, self._rng.choice(offered), ephemeral=True)
                    return
            await asyncio.sleep(POLL_S)

    async def _ask_for_several(self) -> None:
        """Name several integrations, and press the button of the preview, sometimes twice."""
        user, channel = self._somebody(), self._rng.choice(OPEN_CHANNELS)
        self._enter(user, channel)
        named = self._rng.sample(list(self._integrations), min(TOGETHER, len(self._integrations)))
        self.commands += 1
        ack = await self._slack.command(user, channel, f"sync {', '.join(named)}")
        until = time.monotonic() + PANEL_WITHIN_S
        while ack.ok and time.monotonic() < until:
            for message in self._slack.ephemerals(user):
                if button := starts_several(message):
                    await self._start_several(user, channel, message, button, named)
                    return
            await asyncio.sleep(POLL_S)

    async def _start_several(
        self, user: str, channel: str, message: dict[str, Any], button: dict[str, Any], named: list[str]
    ) -> None:
        at, count = self._now(), int(button["text"]["text"].split()[1])
        presses = [
            self._slack.click(user, channel, message["ts"], button["action_id"], value=button["value"], ephemeral=True)
            for _ in range(2 if self._rng.random() < 0.2 else 1)
        ]
        taken = await asyncio.gather(*presses, return_exceptions=True)
        acks = tuple(ack.ok for ack in taken if not isinstance(ack, BaseException))
        self._several.append((Several(user, channel, at, acks, count), named))
        unexpected = [one for one in taken if isinstance(one, BaseException) and not isinstance(one, LookupError)]
        if unexpected:
            raise unexpected[0]

    # pressing

    async def _press(self, user: str, channel: str, ts: str) -> None:
        message = self._slack.workspace.find(channel, ts)
        offered = resyncs(message or {})
        if message and offered:
            await self._click(user, channel, message, self._rng.choice(offered))

    async def _click(
        self, user: str, channel: str, message: dict[str, Any], button: dict[str, Any], *, ephemeral: bool = False
    ) -> None:
        """Press a button that starts a sync, sometimes twice."""
        integration_id = self._meant_by(button, message)
        if integration_id is None:
            return
        at = self._now()
        presses = [
            self._slack.click(
                user, channel, message["ts"], button["action_id"], value=button["value"], ephemeral=ephemeral
            )
            for _ in range(2 if self._rng.random() < 0.2 else 1)
        ]
        taken = await asyncio.gather(*presses, return_exceptions=True)
        acks = tuple(ack.ok for ack in taken if not isinstance(ack, BaseException))
        thread_ts = None if ephemeral else message.get("thread_ts", message["ts"])
        self._clicks.append(Click(user, channel, integration_id, at, thread_ts, acks))
        unexpected = [one for one in taken if isinstance(one, BaseException) and not isinstance(one, LookupError)]
        if unexpected:
            raise unexpected[0]

    def _meant_by(self, button: dict[str, Any], message: dict[str, Any]) -> str | None:
        """Tell which integration a button is about, as its person reads it; None if it's none of those to press."""
        said = button["value"]
        if button["action_id"].endswith("again"):
            said = f"{said} {message.get('blocks')} {message.get('metadata')}"  # it may be shown by a name
        return next((id_ for id_ in self._integrations if re.search(rf"\b{id_}\b", said)), None)

    async def _newer_than(self, channel: str, before: list[str]) -> str | None:
        until = time.monotonic() + PANEL_WITHIN_S
        while time.monotonic() < until:
            newer = [ts for ts in self._recent[channel] if ts not in before]
            if newer:
                return newer[-1]
            await asyncio.sleep(POLL_S)
        return None

    def _somebody(self) -> str:
        self._count += 1
        user = User(f"U{self._count:05d}", f"{self._rng.choice(NAMES)}-{self._count}")
        self._slack.workspace.add_user(user)
        return user.id

    def _enter(self, user: str, channel: str) -> None:
        self._slack.workspace.channels[channel].members.add(user)

    def _notice(self, change: dict[str, Any]) -> None:
        """Remember messages that one could press a button in."""
        if change.get("type") != "message" or change["channel"] not in self._recent:
            return
        channel, message = change["channel"], change["message"]
        if resyncs(message) and message["ts"] not in self._recent[channel]:
            self._recent[channel].append(message["ts"])
        elif any(button["action_id"].endswith(("try_again", "keep_watching")) for button in buttons(message)):
            self._outcomes.append((channel, message["ts"]))


def payload_of(message: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a message's metadata says; nothing if there's none."""
    payload: dict[str, Any] = ((message or {}).get("metadata") or {}).get("event_payload") or {}
    return payload


def buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all buttons of a message, in order."""
    return [
        element
        for block in message.get("blocks") or []
        for element in (block.get("accessory"), *block.get("elements", []))
        if element and element.get("type") == "button"
    ]


def resyncs(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the buttons that start a sync."""
    return [button for button in buttons(message) if button["action_id"].partition(":")[0] == "flokit_resync"]


def starts_several(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return the button of a preview that starts several syncs."""
    return next((button for button in buttons(message) if button["action_id"] == "flokit_sync_several"), None)
