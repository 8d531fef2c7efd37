"""Answers to requests: saved for the sender in the transaction that completes the request."""

from __future__ import annotations

from bot.core.access.audit import AuditEntry
from bot.core.models import Message
from bot.core.panels import Panel
from bot.core.requests import Request
from bot.observability.context import Context
from bot.store.outbox_rows import answer_address, private_address
from bot.store.store import Store


class Answers:
    """Answers that everyone in the channel sees, or only the person who asked, in the channel or as a DM."""

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self._clock = context.clock

    async def show(self, request: Request, panel: Panel, *, entry: AuditEntry | None = None) -> None:
        """Show a message that can be updated to everyone where it was requested; write ``entry`` to the audit log."""
        await self._store.panels.add(request, panel, answer_address(request), self._clock(), entry=entry)

    async def show_alone(self, request: Request, panel: Panel) -> None:
        """Show a message that can be updated only to the person who asked."""
        await self._store.panels.add(request, panel, private_address(request), self._clock())

    async def note(self, request: Request, message: Message) -> None:
        """Answer only the person who asked, if Slack allows that here; in a thread or a DM, answer there."""
        address = answer_address(request, private=True)
        await self._store.outbox.add_note(request, message, address, self._clock())

    async def tell_alone(
        self, request: Request, message: Message, *, entry: AuditEntry | None = None, is_kept: bool = False
    ) -> None:
        """Answer only the person who asked, and write ``entry`` to the audit log.

        ``is_kept``: a button in the answer will need to know who asked, and where.
        """
        address = private_address(request)
        await self._store.outbox.add_note(request, message, address, self._clock(), entry=entry, is_kept=is_kept)

    async def none(self, request: Request, *, entry: AuditEntry | None = None, is_kept: bool = False) -> None:
        """Complete a request without a person who waits; ``entry`` and ``is_kept`` as in `tell_alone`."""
        await self._store.inbox.finish(request.id, entry=entry, kept=request if is_kept else None)
