"""What people ask for: each module does one kind of request, and exports what it handles.

Nothing here sends anything: answers are saved, and the sender shows them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from bot.core.commands.catalog import Command
from bot.core.commands.presses import Action
from bot.core.requests import Request, RequestKind

Handlers: TypeAlias = Mapping[type[Command] | Action | RequestKind, Callable[[Request, Any], Awaitable[None]]]
"""What does each command, button and other request. It gets the request, and the command or the press if it's one."""
