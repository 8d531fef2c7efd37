"""The form in which a workspace edits its policy, and the versions of the policy that are kept.

A field of Slack's takes 3,000 characters, so a longer policy is in several of them, cut between two lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.access.policy import Problem
from bot.core.forms.form import CheckedForm, WrongForm
from bot.core.json_values import object_in, parse_object
from bot.core.models import Person

PART_CHARS: Final = 3000
"""The most that Slack takes in one field, in UTF-16 units, which are never fewer than characters.

https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element
"""

MOST_PARTS: Final = 5
"""The most fields in a form, and so the longest policy: 15,000 characters."""

PROBLEMS_SHOWN: Final = 3
"""How many mistakes are shown below one field."""

OTHER_VERSION: Final = "This form is from a different version of the bot. Nothing was saved; open it again."

EXAMPLE: Final = """\
# The first rule that matches decides. If none does, the
# built-in rules do. To use the example, delete "# " below,
# and put in your own IDs.
#
# ask: [U024BE7LH]            # who a refusal tells people to ask
# ticket: "https://jira.example.com/new?summary={title}"
# rules:
# - name: Data engineers run this bot
#   allow: [look, sync, subscribe, administer]
#   groups: [S0615G0KT]       # or users: [U024BE7LH]
# - name: Only data engineers sync the warehouse
#   refuse: [sync]
#   types: [warehouse]        # also: channels, who
"""
"""What the form shows as long as there is no policy; it means nothing until it's edited."""


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """The text of a workspace's policy as someone saved it. ``number`` counts from 1, without gaps."""

    number: int
    text: str
    saved_by: Person
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """A submitted form.

    ``parts`` are the texts of its fields, without empty ones at the end. ``based_on`` is the version that was the
    policy when the form was opened, 0 if there was none. ``again`` is the earlier version that it showed, if it did.
    """

    parts: tuple[str, ...]
    based_on: int
    again: int = 0

    @property
    def text(self) -> str:
        """The policy."""
        return "\n".join(self.parts)

    def place(self, line: int) -> tuple[int, int]:
        """Return the field in which a line of the policy is, counted from 0, and its number there, from 1."""
        last = len(self.parts) - 1
        for number, part in enumerate(self.parts):
            lines = len(_LINE_END.findall(part)) + 1
            if line <= lines or number == last:
                return number, min(line, lines)
            line -= lines
        return 0, line


_LINE_END: Final = re.compile("[\n\x85\u2028\u2029]")
"""What ends a line in YAML."""


def part_id(number: int) -> str:
    """Return the ``block_id`` of a field, counted from 0; the ``action_id`` of its element is the same."""
    return f"policy_{number}"


FIRST: Final = part_id(0)


def split_policy(text: str) -> list[str]:
    """Cut a policy into texts that each fit in a field, as few as possible; at least one."""
    first, *further = text.split("\n")
    parts = [first]
    for line in further:
        longer = f"{parts[-1]}\n{line}"
        if _units(longer) <= PART_CHARS:
            parts[-1] = longer
        else:
            parts.append(line)
    return parts


def read_form(values: object, private_metadata: object) -> Draft | WrongForm:
    """Read a submitted form."""
    fields, values = parse_object(private_metadata), values if isinstance(values, dict) else {}
    based_on, again = _number(fields.get("version")), _number(fields.get("again", 0))
    if based_on is None or again is None or not object_in(values, FIRST):
        return WrongForm({FIRST: OTHER_VERSION})
    parts = [_typed(values, part_id(number)) for number in range(MOST_PARTS)]
    too_long = {
        part_id(number): f"This field has more than {PART_CHARS:,} characters. Move the rest to the next one."
        for number, part in enumerate(parts)
        if _units(part) > PART_CHARS
    }
    while parts and not parts[-1]:
        parts.pop()
    return WrongForm(too_long) if too_long else Draft(tuple(parts), based_on, again)


def write_metadata(based_on: int, again: int = 0) -> str:
    """Return a form's ``private_metadata``: the `Draft.based_on` and `Draft.again` of what will be submitted.

    It's JSON: ``{"version": 4, "again": 2}``.
    """
    return json.dumps({"version": based_on, "again": again})


def place_problems(draft: Draft, problems: Sequence[Problem]) -> dict[str, str]:
    """Return what is wrong with a policy below the fields that it's in, with the line and column there."""
    sentences: dict[int, list[str]] = {}
    for one in problems:
        number, line = draft.place(one.line) if one.line else (0, 0)
        place = f"Line {line}, column {one.column}: " if line else ""
        sentences.setdefault(number, []).append(f"{place}{one.sentence}")
    return {part_id(number): _first_few(said) for number, said in sentences.items()}


def _first_few(sentences: Sequence[str]) -> str:
    hidden = len(sentences) - PROBLEMS_SHOWN
    return " ".join((*sentences[:PROBLEMS_SHOWN], *([f"And {hidden} more."] if hidden > 0 else [])))


def _typed(values: object, block_id: str) -> str:
    value = object_in(object_in(values, block_id), block_id).get("value")
    if not isinstance(value, str):
        return ""
    # Text that was copied from a page has no-break spaces, which look like indentation but aren't.
    return value.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").rstrip()


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= LARGEST else None


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


LARGEST: Final = 2**31 - 1
"""The largest number of a version that fits in the database."""


FORM: Final = CheckedForm("policy", "flokit_policy_form", first=FIRST, read=read_form, closes_all=True)
