"""People who live in the workspace: they subscribe, snooze, page, open App Home, and ask about everything.

People who click on syncs are in ``soak.people``; these do all the rest, beside them and in the same channels. Whoever
changes what a channel is subscribed to waits for the answer, so that it is known at the end what must be listed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final, TypeVar

from local_slack import LocalSlack, User
from sandbox.slack import BOT_USER_ID
from soak.evidence import Board, Snoozed, Wishes
from soak.noting import Faults
from soak.people import DOUBT, names_for, payload_of

_T = TypeVar("_T")

CHANNELS: Final = ("C5ALERTS", "C6BOARD")
"""Where they live by themselves; they also subscribe the channels of those who click."""

CLOSING_CHANNEL: Final = "C7MOVING"
"""It is archived and brought back, again and again."""

SHARED_CHANNEL: Final = "C8SHARED"
"""It becomes shared with other workspaces, again and again: each time with another ID."""

ADMINS: Final = "S0ADMINS"
BANNED: Final = "S0BANNED"

POLICY: Final = f"""\
rules:
  - name: Admins may read the audit
    allow: [administer]
    groups: [{ADMINS}]
  - name: The banned change no subscriptions on the board
    refuse: [subscribe]
    groups: [{BANNED}]
    channels: [C6BOARD]
"""
"""A group decides who may read the audit, and Slack can't always say who is in it."""

ALL: Final = "all"
ANSWERED_WITHIN_S: Final = 12.0
"""In the storm nobody waits longer for an answer: what it would have said is then not known."""

ANSWERED_IN_CALM_WITHIN_S: Final = 60.0
POLL_S: Final = 0.1
LISTED_TIMES: Final = 5
"""So often somebody asks for the list of a channel with a new ID."""

HOME_FOLK: Final = 40
"""How many people have an App Home; most open it once and never again."""

TAKING: Final = ("flokit_on_it", "flokit_let_go", "flokit_hand_over")
"""The buttons that change who is on an incident."""

QUESTIONS: Final = (
    "incidents",
    "who is on it",
    "history",
    "history stripe",
    "history int_soak_adjust",
    "audit",
    "audit 7d",
    "doctor",
    "why sync stripe",
    "why sync int_soak_adjust",
    "subscriptions",
    "show int_soak_warehouse",
    "status failing",
    "status stripe",
    "help",
    "maintenance",
    "what is this",
)


class Residents:
    """Acts at random, from ``rng``; ``met`` counts what was done."""

    def __init__(
        self,
        slack: LocalSlack,
        rng: Random,
        integrations: Sequence[str],
        channels: Sequence[str],
        *,
        per_minute: float,
    ) -> None:
        self._slack = slack
        self._rng = rng
        self._targets = (ALL, "stripe", *integrations)
        self._integrations = tuple(integrations)
        self._pause_s = 60.0 / per_minute
        self._busy: set[asyncio.Task[None]] = set()
        self._count = 0
        self._homes: list[str] = []
        for channel in (*CHANNELS, CLOSING_CHANNEL, SHARED_CHANNEL):
            slack.add_channel(channel, channel.lower(), members=(), bot_is_member=True)
        self._channels = [*channels, *CHANNELS, CLOSING_CHANNEL, SHARED_CHANNEL]
        self._shared = SHARED_CHANNEL
        self._wishes: dict[str, dict[str, bool]] = {channel: {} for channel in self._channels}
        """For each channel what is subscribed there by now: the target, and whether with a digest."""
        self._unsure: set[str] = set()
        """Channels in which a change got no answer: what holds there is not known any more."""
        self._unheard: dict[str, float] = {}
        """The new IDs of the shared channel, and when it got them, that the bot hasn't heard of as far as is known."""
        self._changing = {channel: asyncio.Lock() for channel in self._channels}
        self._snoozes: Counter[tuple[str, str]] = Counter()
        self._patience_s = ANSWERED_WITHIN_S
        self.faults = Faults()
        self.met: Counter[str] = Counter()
        slack.workspace.usergroups.update({ADMINS: [], BANNED: []})

    async def run(self) -> None:
        """Do something every now and then, until cancelled."""
        errands = (
            (self._subscribe, 4),
            (self._subscribe_by_form, 2),
            (self._unsubscribe, 2),
            (self._maintain, 2),
            (self._snooze, 4),
            (self._take, 4),
            (self._page, 4),
            (self._open_home, 4),
            (self._ask, 4),
            (self._name, 3),
            (self._close_channel, 1),
            (self._share_channel, 1),
        )
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / self._pause_s))
            [errand] = self._rng.choices([one for one, _ in errands], [weight for _, weight in errands])
            task = asyncio.create_task(self._try(errand))
            self._busy.add(task)
            self.faults.watch(errand.__name__, task)
            task.add_done_callback(self._busy.discard)

    async def _try(self, errand: Callable[[], Awaitable[None]]) -> None:
        """Do an errand, unless its channel got another ID meanwhile."""
        try:
            await errand()
        except LookupError:
            if self._shared == SHARED_CHANNEL:
                raise

    async def finish(self) -> None:
        """Let everybody finish what they began, and bring back the channel that may be archived."""
        while self._busy:
            await asyncio.gather(*self._busy, return_exceptions=True)
        self._patience_s = ANSWERED_IN_CALM_WITHIN_S
        if self._slack.workspace.channels[CLOSING_CHANNEL].is_archived:
            self._slack.unarchive(CLOSING_CHANNEL)

    # what they leave behind

    @property
    def boards(self) -> list[Board]:
        """Every message in a channel that offers to snooze an incident, or to end a snooze: it is open there."""
        return [board for channel in self._channels for board in self.boards_in(channel)]

    def boards_in(self, channel: str, integration_id: str = "") -> list[Board]:
        """The same for one channel, and for one integration."""
        reached_from = self._reached_from() if channel == self._shared else 0.0
        return [
            Board(
                channel,
                message["ts"],
                str(message.get("text"))[:200],
                float(message["ts"]) < reached_from,
                payload_of(message).get("outbox_id", ""),
            )
            for message in self._slack.messages(channel)
            if _is_open(message) and integration_id in str(message)
        ]

    def _reached_from(self) -> float:
        """Return when the shared channel got the last ID that the bot never heard of: it can't edit older messages."""
        for channel in [one for one in self._unheard if self._has_heard(one)]:
            del self._unheard[channel]
        return max(self._unheard.values(), default=0.0)

    @property
    def channels(self) -> list[str]:
        """Where residents live, each by the ID that it has by now."""
        return list(self._channels)

    @property
    def snoozed(self) -> list[Snoozed]:
        """For each incident that somebody snoozed: how often, and how many replies said that a snooze had ended."""
        asked: Counter[tuple[str, str]] = Counter()
        for (channel, ts), times in self._snoozes.items():
            asked[self._place(channel), ts] += times
        return [Snoozed(channel, ts, times, self.ends_of(channel, ts)) for (channel, ts), times in asked.items()]

    def ends_of(self, channel: str, ts: str) -> int:
        """Count the replies below an incident that say that a snooze has ended."""
        return sum("⏰" in str(one.get("text")) for one in self._slack.messages(self._place(channel), ts))

    def _place(self, channel: str) -> str:
        """Return the ID that a channel has by now."""
        moved = self._slack.workspace.moved
        while channel in moved:
            channel = moved[channel]
        return channel

    @property
    def digests(self) -> list[tuple[str, str, float]]:
        """Every digest that was posted: where, about what, when."""
        return [digest for channel in self._channels for digest in self.digests_in(channel)]

    def digests_in(self, channel: str) -> list[tuple[str, str, float]]:
        """The same for one channel."""
        return [
            (channel, title, float(message["ts"]))
            for message in self._slack.messages(channel)
            if (title := _digest_title(message))
        ]

    async def wishes(self) -> list[Wishes]:
        """Ask each channel what it is subscribed to, beside what was last asked for there."""
        return [await self._listed(channel) for channel in self._channels if channel not in self._unsure]

    async def ask(self, channel: str, text: str) -> dict[str, Any] | None:
        """Type a command as somebody new, and return the answer; None when none comes."""
        user, before = self._somebody(channel), len(self._slack.messages(channel))
        await self._slack.command(user, channel, text)
        return await self._answer(user, channel, before)

    async def _listed(self, channel: str) -> Wishes:
        wanted = {name_of(target): digest for target, digest in self._wishes[channel].items()}
        shown = await self.list_subscriptions(channel)
        return Wishes(channel, wanted, tuple(shown or ()), is_answered=shown is not None)

    async def list_subscriptions(self, channel: str) -> list[str] | None:
        """Ask a channel what it is subscribed to: a text for each subscription; None when no answer comes."""
        listed = await self.ask(channel, "subscriptions")
        if listed is None:
            return None
        return [
            str(block["text"]["text"])
            for block in listed.get("blocks", ())
            if block["type"] == "section" and block["text"]["text"].startswith("*")
        ]

    # errands

    async def _subscribe(self) -> None:
        target, channel = self._rng.choice(self._targets), self._rng.choice(self._channels)
        parts = ["subscribe", target]
        digest = self._rng.random() < 0.4
        if self._rng.random() < 0.3:
            parts.append(self._rng.choice(("failing", "failing recovered", "disconnected failing")))
        if digest:
            minute = int(self._slack.workspace.now() // 60) + self._rng.randint(1, 3)
            parts.append(f"digest {minute // 60 % 24:02d}:{minute % 60:02d} daily zone UTC")
        if self._rng.random() < 0.3:
            parts.append("broadcast")
        if self._rng.random() < 0.3:
            parts.append(self._hours())
        if self._rng.random() < 0.2:
            parts.append(f"escalate after 1m {self._rng.choice((ADMINS, CHANNELS[0]))}")
        await self._change(channel, " ".join(parts), lambda wishes: wishes.update({target: digest}))

    def _hours(self) -> str:
        """Return hours that begin in a minute or two, so that what is held until then is told in the storm."""
        begin = int(self._slack.workspace.now() // 60) + self._rng.randint(1, 2)
        span = "-".join(f"{minute // 60 % 24:02d}:{minute % 60:02d}" for minute in (begin, begin + 60))
        return f"hours {span} zone UTC{self._rng.choice(('', ' failing always'))}"

    async def _maintain(self) -> None:
        """Set maintenance of an integration for a minute, or end it."""
        channel, integration_id = self._rng.choice(self._channels), self._rng.choice(self._integrations)
        text = self._rng.choice((f"maintenance {integration_id} for 1 min", f"maintenance end {integration_id}"))
        with contextlib.suppress(LookupError):
            await self._slack.command(self._somebody(channel), channel, text)
            self.met["maintenance"] += 1

    async def _unsubscribe(self) -> None:
        channel = self._rng.choice(self._channels)
        wishes = self._wishes[channel]
        target = self._rng.choice([*wishes, ALL] if wishes else [ALL])

        def forget(wishes: dict[str, bool]) -> None:
            wishes.clear() if target == ALL else wishes.pop(target, None)

        await self._change(channel, f"unsubscribe {target}", forget)

    async def _subscribe_by_form(self) -> None:
        channel = self._rng.choice(self._channels)
        target = self._rng.choice(self._targets)
        async with self._changing[channel]:
            user, before = self._somebody(channel), len(self._slack.messages(channel))
            try:
                ack = await self._slack.command(user, channel, "subscribe")
            except LookupError:  # archived meanwhile
                return
            view = await self._until(lambda: self._slack.views.modal(user)) if ack.ok else None
            if view is None:
                return
            self.met["form"] += 1
            given = {"what": {"subscribe_what": {"selected_option": {"value": target}}}}
            with contextlib.suppress(LookupError):
                submitted = await self._slack.views.submit(user, view["id"], given)
                if submitted.errors:
                    return
                await self._settle(user, channel, before, lambda wishes: wishes.update({target: False}))

    async def _change(self, channel: str, text: str, change: Any) -> None:
        """Type a command that changes a channel's subscriptions, and note the change once it is confirmed."""
        async with self._changing[channel]:
            user, before = self._somebody(channel), len(self._slack.messages(channel))
            try:
                await self._slack.command(user, channel, text)
            except LookupError:  # archived meanwhile
                return
            self.met[text.split(maxsplit=1)[0]] += 1
            await self._settle(user, channel, before, change)

    async def _settle(self, user: str, channel: str, before: int, change: Any) -> None:
        """Wait for the answer: in public the change was made, in private it was not; without one nobody knows."""
        answer = await self._answer(user, channel, before)
        if answer is None or DOUBT.search(str(answer.get("text"))):
            self._unsure.add(channel)
        elif not answer.get("is_private"):
            change(self._wishes[channel])

    async def _snooze(self) -> None:
        """Snooze an incident, or end its snooze."""
        boards = self.boards
        if not boards:
            return
        board = self._rng.choice(boards)
        with contextlib.suppress(LookupError):  # it was edited meanwhile
            if self.is_snoozed(board):
                user, [element] = self._somebody(board.channel), self._elements_of(board, "flokit_end_snooze")
                await self._slack.click(user, board.channel, board.ts, "flokit_end_snooze", value=element["value"])
                self.met["end of a snooze"] += 1
            elif await self.snooze(board):
                self.met["snooze"] += 1

    async def snooze(self, board: Board, choice: str = "") -> bool:
        """Choose from the Snooze menu of an incident, at random or as given; False if it has no such choice.

        Raises:
            LookupError: the message was edited meanwhile.
        """
        offered = [
            option["value"]
            for element in self._elements_of(board, "flokit_snooze")
            for option in element["options"]
            if choice in option["text"]["text"]
        ]
        if not offered:
            return False
        value = self._rng.choice(offered)
        await self._slack.click(self._somebody(board.channel), board.channel, board.ts, "flokit_snooze", value=value)
        self._snoozes[self._place(board.channel), board.ts] += 1  # the channel may have moved meanwhile
        return True

    async def _take(self) -> None:
        """Take an incident, sometimes two people at once; or take it over, hand it over, or let go."""
        boards = self.boards
        if not boards:
            return
        board = self._rng.choice(boards)
        offered = [one for action in TAKING for one in self._elements_of(board, action)]
        if not offered:
            return
        element, channel = self._rng.choice(offered), self._place(board.channel)
        people = [self._somebody(channel) for _ in range(2 if self._rng.random() < 0.3 else 1)]
        value = element.get("value") or people[-1]  # a list of people has none: someone is picked
        presses = [self._slack.click(one, channel, board.ts, element["action_id"], value=value) for one in people]
        pressed = await asyncio.gather(*presses, return_exceptions=True)
        for fault in pressed:
            if isinstance(fault, BaseException) and not isinstance(fault, LookupError):  # it was edited meanwhile
                raise fault
        self.met["on it"] += len(people)

    def is_snoozed(self, board: Board) -> bool:
        """Tell whether an incident's message offers to end its snooze."""
        return bool(self._elements_of(board, "flokit_end_snooze"))

    def _elements_of(self, board: Board, action_id: str) -> list[dict[str, Any]]:
        message = self._slack.workspace.find(self._place(board.channel), board.ts) or {}
        return [element for element in _elements(message) if element["action_id"].partition(":")[0] == action_id]

    async def _page(self) -> None:
        """Ask for the status, and have two people press Refresh and Next beside each other."""
        channel = self._rng.choice(self._channels)
        user, other = self._somebody(channel), self._somebody(channel)
        before = len(self._slack.messages(channel))
        try:
            await self._slack.command(user, channel, "status")
        except LookupError:
            return
        panel = await self._until(lambda: self._panel(channel, before))
        if panel is None:
            return
        self.met["page"] += 1
        buttons = {one["action_id"]: one for one in _elements(panel) if one["type"] == "button"}
        for _ in range(self._rng.randint(1, 3)):
            presses = [
                self._slack.click(who, channel, panel["ts"], action)
                for who, action in ((user, "flokit_refresh"), (other, "flokit_next_page"))
                if action in buttons
            ]
            await asyncio.gather(*presses, return_exceptions=True)

    def _panel(self, channel: str, before: int) -> dict[str, Any] | None:
        return next(
            (
                one
                for one in self._slack.messages(channel)[before:]
                if any(element["action_id"] == "flokit_refresh" for element in _elements(one))
            ),
            None,
        )

    async def _open_home(self) -> None:
        """Open App Home: mostly for the first time, and leave it; sometimes again, with a button in it."""
        if len(self._homes) < HOME_FOLK and self._rng.random() < 0.6:
            self._homes.append(self._somebody(CHANNELS[0]))
        if not self._homes:
            return
        user = self._rng.choice(self._homes[-5:])
        self._slack.views.open_home(user)
        self.met["home"] += 1
        view = await self._until(lambda: self._slack.views.home(user))
        if view and self._rng.random() < 0.4:
            with contextlib.suppress(LookupError):
                await self._slack.views.click(user, view["id"], "flokit_refresh_home")

    async def _ask(self) -> None:
        """Ask for the history, the audit, the doctor and so on, as an admin now and then."""
        channel, text = self._rng.choice(self._channels), self._rng.choice(QUESTIONS)
        user = self._somebody(channel)
        groups = self._slack.workspace.usergroups
        if self._rng.random() < 0.5:
            groups[self._rng.choice((ADMINS, BANNED))].append(user)
        with contextlib.suppress(LookupError):
            if self._rng.random() < 0.3:
                await self._slack.say(user, channel, f"<@{BOT_USER_ID}> {text}")
            else:
                await self._slack.command(user, channel, text)
            self.met["question"] += 1

    async def _name(self) -> None:
        """Name an integration, forget its name, or say what to expect of it; by a form now and then."""
        channel, integration_id = self._rng.choice(self._channels), self._rng.choice(self._integrations)
        name, other = self._rng.sample(names_for(integration_id, self._integrations), 2)
        user = self._somebody(channel)
        texts = (
            f"name {integration_id} “{name}”",
            f"rename {other} to {name}",
            f"forget the name of {other}",
            f"expect {integration_id} every 20h",
            f"expect {other} no events",
            f"expect {integration_id} nothing",
        )
        by_form = self._rng.random() < 0.3
        with contextlib.suppress(LookupError):
            ack = await self._slack.command(
                user, channel, f"name {integration_id}" if by_form else self._rng.choice(texts)
            )
            self.met["name"] += 1
            view = await self._until(lambda: self._slack.views.modal(user)) if by_form and ack.ok else None
            if view:
                owner = {"selected_user": user}
                given = {"name": {"name_name": {"value": name}}, "owner": {"name_owner": owner}}
                await self._slack.views.submit(user, view["id"], given)

    async def _close_channel(self) -> None:
        """Archive the channel that moves, or bring it back."""
        async with self._changing[CLOSING_CHANNEL]:
            if self._slack.workspace.channels[CLOSING_CHANNEL].is_archived:
                self._slack.unarchive(CLOSING_CHANNEL)
            else:
                self._slack.archive(CLOSING_CHANNEL)
            self.met["channel closed or opened"] += 1

    async def _share_channel(self) -> None:
        """Give a channel another ID, and change nothing there before the bot had time to follow."""
        before = self._shared
        async with self._changing[before]:
            if self._shared != before:  # somebody else was first
                return
            after = f"{SHARED_CHANNEL}{self.met['channel shared'] + 1}"
            self._slack.change_channel_id(before, after)
            self.met["channel shared"] += 1
            self._move(before, after)
            if not await self._until(lambda: self._has_heard(after)):
                self._unsure.add(after)  # Slack gave up: the bot can't know
            await self._followed(after)

    async def _followed(self, channel: str) -> None:
        """Wait until the bot lists there what it listed under the old ID; what it never does is found at the end."""
        for _ in range(LISTED_TIMES):
            if len((await self._listed(channel)).listed) == len(self._wishes[channel]):
                return

    def _move(self, before: str, after: str) -> None:
        """Know what was known of a channel under its new ID."""
        self._shared = after
        self._unheard[after] = self._slack.workspace.now()
        self._channels[self._channels.index(before)] = after
        self._wishes[after] = self._wishes.pop(before)
        self._changing[after] = self._changing[before]
        if before in self._unsure:
            self._unsure.add(after)
        for channel, ts in [place for place in self._snoozes if place[0] == before]:
            self._snoozes[after, ts] = self._snoozes.pop((channel, ts))

    def _has_heard(self, channel: str) -> bool | None:
        """Tell whether the bot acked that a channel got this ID."""
        return (
            any(
                one.ack is not None and one.ack.ok and (one.payload.get("event") or {}).get("new_channel_id") == channel
                for one in self._slack.envelopes
            )
            or None
        )

    # waiting

    async def _answer(self, user: str, channel: str, before: int) -> dict[str, Any] | None:
        """Wait for what answers a person: privately, or in the channel with their name; None when nothing comes."""
        name = self._slack.workspace.users[user].name

        def said() -> dict[str, Any] | None:
            private = self._slack.ephemerals(user) or self._slack.messages(self._slack.workspace.open_im(user).id)
            if private:
                return {**private[-1], "is_private": True}
            public = self._slack.messages(channel)[before:]
            return next((one for one in public if name in str(one.get("text"))), None)

        return await self._until(said)

    async def _until(self, look: Callable[[], _T | None]) -> _T | None:
        until = time.monotonic() + self._patience_s
        while time.monotonic() < until:
            if found := look():
                return found
            await asyncio.sleep(POLL_S)
        return None

    def _somebody(self, channel: str) -> str:
        self._count += 1
        user = User(f"U9{self._count:05d}", f"resident-{self._count:05d}")
        self._slack.workspace.add_user(user)
        self._slack.workspace.channels[channel].members.add(user.id)
        return user.id


def _elements(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        element
        for block in message.get("blocks") or []
        for element in (block.get("accessory"), *(block.get("elements", []) if block["type"] == "actions" else []))
        if element and "action_id" in element
    ]


def _is_open(message: dict[str, Any]) -> bool:
    return any(element["action_id"] in ("flokit_snooze", "flokit_end_snooze") for element in _elements(message))


def _digest_title(message: dict[str, Any]) -> str:
    if not str(message.get("text")).removeprefix("⚠️ ").startswith("FloKit digest"):
        return ""
    header = next((block for block in message["blocks"] if block["type"] == "header"), None)
    return str(header["text"]["text"]) if header else ""


def name_of(target: str) -> str:
    """Return the words by which a list names a target: an ID names itself."""
    return {ALL: "all integrations", "stripe": "Stripe integration"}.get(target, target)
