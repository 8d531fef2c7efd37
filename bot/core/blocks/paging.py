"""How many rows a message shows, and in how much detail: always within Slack's limits.

A page has a fixed number of rows, so that a redraw never moves a row to another page; what varies is how much of
each row is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bot.core.blocks import limits
from bot.core.blocks.elements import Block, button, json_chars
from bot.core.blocks.rows import Room, Row
from bot.core.commands.presses import Action, Press
from bot.core.models import Integration

ROWS_PER_PAGE: Final = 8
"""With Resync and its confirm dialog a row takes about 900 characters of JSON: eight fit with all that is around."""

RESERVED_CHARS: Final = 500
"""Left free in every panel for what `bot.core.blocks.notices.with_invite_hint` appends."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the integrations. ``number`` counts from 0."""

    integrations: tuple[Integration, ...]
    number: int
    count: int

    @property
    def words(self) -> str:
        """Where in the whole this page is; "" when it is the whole."""
        return f"Page {self.number + 1} of {self.count}" if self.count > 1 else ""


def page_of(integrations: Sequence[Integration], number: int) -> Page:
    """Cut out a page; beyond the last one it is the last one."""
    count = max(1, -(-len(integrations) // ROWS_PER_PAGE))
    number = min(max(number, 0), count - 1)
    start = number * ROWS_PER_PAGE
    return Page(tuple(integrations[start : start + ROWS_PER_PAGE]), number, count)


def page_buttons(panel_id: str, page: Page) -> tuple[Block, ...]:
    """Make the buttons to the pages before and after this one, where there are any."""
    buttons = []
    if page.number > 0:
        previous = Press(Action.PREVIOUS_PAGE, panel_id=panel_id, page=page.number - 1)
        buttons.append(button("Previous", previous, about="page"))
    if page.number + 1 < page.count:
        following = Press(Action.NEXT_PAGE, panel_id=panel_id, page=page.number + 1)
        buttons.append(button("Next", following, about="page"))
    return tuple(buttons)


def fit_rows(rows: Sequence[Row], show: Callable[[Row, Room], list[Block]], around: Sequence[Block]) -> list[Block]:
    """Show rows in as much detail as fits into one message together with the blocks ``around`` them.

    The last rows give up detail first: the rows are in order of urgency.
    """
    chars = limits.BLOCKS_BUDGET_CHARS - RESERVED_CHARS - json_chars(around)
    rooms = [max(Room)] * len(rows)
    while True:
        blocks = [block for row, room in zip(rows, rooms, strict=True) for block in show(row, room)]
        if json_chars(blocks) <= chars or max(rooms, default=min(Room)) == min(Room):
            return blocks
        roomiest = max(range(len(rows)), key=lambda index: (rooms[index], index))
        rooms[roomiest] = Room(rooms[roomiest] - 1)
