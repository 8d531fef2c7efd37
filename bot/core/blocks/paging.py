"""How many rows a message shows, and in how much detail, within Slack's limits.

A page has a fixed number of rows, so that a redraw never moves a row to another page; only the level of detail
varies.
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
"""A row with Resync and its confirm dialog takes about 900 characters of JSON, so eight rows fit in a message."""

RESERVED_CHARS: Final = 500
"""Kept free in every panel for `bot.core.blocks.notices.with_invite_hint`."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of integrations. ``number`` counts from 0."""

    integrations: tuple[Integration, ...]
    number: int
    count: int

    @property
    def words(self) -> str:
        """The page's position, such as "Page 2 of 3"; "" if it's the only page."""
        return f"Page {self.number + 1} of {self.count}" if self.count > 1 else ""


def page_of(integrations: Sequence[Integration], number: int) -> Page:
    """Return a page; the last one if ``number`` is too large."""
    count = max(1, -(-len(integrations) // ROWS_PER_PAGE))
    number = min(max(number, 0), count - 1)
    start = number * ROWS_PER_PAGE
    return Page(tuple(integrations[start : start + ROWS_PER_PAGE]), number, count)


def page_buttons(panel_id: str, page: Page) -> tuple[Block, ...]:
    """Return the buttons for the previous and the next page, if any."""
    buttons = []
    if page.number > 0:
        previous = Press(Action.PREVIOUS_PAGE, panel_id=panel_id, page=page.number - 1)
        buttons.append(button("Previous", previous, about="page"))
    if page.number + 1 < page.count:
        following = Press(Action.NEXT_PAGE, panel_id=panel_id, page=page.number + 1)
        buttons.append(button("Next", following, about="page"))
    return tuple(buttons)


def fit_rows(rows: Sequence[Row], show: Callable[[Row, Room], list[Block]], around: Sequence[Block]) -> list[Block]:
    """Show rows in as much detail as fits in one message together with the blocks ``around`` them.

    Rows are in order of urgency, so the last ones lose detail first.
    """
    chars = limits.BLOCKS_BUDGET_CHARS - RESERVED_CHARS - json_chars(around)
    rooms = [max(Room)] * len(rows)
    while True:
        blocks = [block for row, room in zip(rows, rooms, strict=True) for block in show(row, room)]
        if json_chars(blocks) <= chars or max(rooms, default=min(Room)) == min(Room):
            return blocks
        roomiest = max(range(len(rows)), key=lambda index: (rooms[index], index))
        rooms[roomiest] = Room(rooms[roomiest] - 1)
