"""Answers to requests: saved for the sender, in the transaction that makes the request done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.core.access.audit import AuditEntry
from bot.core.models import Message
from bot.core.panels import Panel
from bot.core.requests import Request
from bot.store.outbox_rows import answer_address, private_address
from bot.store.store import Store


class Answers:
    """Who sees an answer: everybody in the channel, the person who asked where Slack lets us, or that person alone."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def show(self, request: Request, panel: Panel) -> None:
        """Show a message that can be redrawn, to everybody where it was asked for."""
        await self._store.panels.add(request, panel, answer_address(request), self._clock())

    async def show_alone(self, request: Request, panel: Panel) -> None:
        """Show such a message to the person who asked alone."""
        await self._store.panels.add(request, panel, private_address(request), self._clock())

    async def note(self, request: Request, message: Message) -> None:
        """Answer only the person who asked, where Slack lets us; in a thread or a direct message, there."""
        address = answer_address(request, private=True)
        await self._store.outbox.add_note(request, message, address, self._clock())

    async def tell_alone(
        self, request: Request, message: Message, *, entry: AuditEntry | None = None, is_kept: bool = False
    ) -> None:
        """Answer what is nobody else's business, and audit it when there is an entry.

        ``is_kept``: a button in the answer needs to know later who asked, and where.
        """
        address = private_address(request)
        await self._store.outbox.add_note(request, message, address, self._clock(), entry=entry, is_kept=is_kept)

    async def none(self, request: Request, *, entry: AuditEntry | None = None, is_kept: bool = False) -> None:
        """Be done with a request that nobody waits for; ``entry`` and ``is_kept`` as above."""
        await self._store.inbox.finish(request.id, entry=entry, kept=request if is_kept else None)
