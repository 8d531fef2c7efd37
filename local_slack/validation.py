"""Validates text, blocks, metadata and views, with Slack's error codes.

Pure. ``blocks`` describes single blocks; here are the rules for whole messages.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from local_slack import limits
from local_slack.blocks import BLOCKS, VIEWS
from local_slack.elements import Surface, interactive_elements
from local_slack.refusal import RefusalError
from local_slack.schema import Problem

MOST_ATTACHMENTS: Final = 100


def check_text(text: object) -> None:
    """Check the top-level ``text`` of a message.

    Raises:
        RefusalError: ``invalid_arguments`` or ``msg_too_long``.
    """
    if not isinstance(text, str):
        raise RefusalError.with_messages("invalid_arguments", ["[ERROR] must be a string: text"])
    if len(text) > limits.MESSAGE_TEXT:
        raise RefusalError("msg_too_long")


def check_update_text(text: str) -> None:
    """Check the ``text`` of ``chat.update``, whose limit is in bytes and far lower than for posts.

    Raises:
        RefusalError: ``msg_too_long``.
    """
    if len(text.encode()) > limits.UPDATE_TEXT_BYTES:
        raise RefusalError("msg_too_long")


def check_blocks(blocks: object) -> None:
    """Check a message's blocks.

    Raises:
        RefusalError: ``invalid_blocks_format``, ``invalid_blocks`` or ``msg_blocks_too_long``.
    """
    if not isinstance(blocks, list):
        raise RefusalError("invalid_blocks_format")
    problems = block_problems(blocks)
    if problems:
        raise _explained("invalid_blocks", problems)
    if len(_written(blocks)) > limits.BLOCKS_TOTAL_CHARS:
        raise RefusalError("msg_blocks_too_long")


def block_problems(blocks: object, pointer: str = "/blocks", surface: Surface = Surface.MESSAGE) -> list[Problem]:
    """Return all problems of blocks: of each block, then across blocks."""
    problems = list(BLOCKS[surface](blocks, pointer))
    if problems or not isinstance(blocks, list):
        return problems
    return [
        *_repeated_ids(blocks, pointer),
        *_second_table(blocks, pointer),
        *_long_markdown(blocks, pointer),
        *_second_focus(blocks, pointer),
    ]


def check_attachments(attachments: object) -> None:
    """Check the number of a message's legacy attachments and their blocks.

    Raises:
        RefusalError: ``invalid_attachments`` or ``too_many_attachments``.
    """
    if not isinstance(attachments, list) or not all(isinstance(attachment, dict) for attachment in attachments):
        raise RefusalError("invalid_attachments")
    if len(attachments) > MOST_ATTACHMENTS:
        raise RefusalError("too_many_attachments")
    problems = [
        problem
        for index, attachment in enumerate(attachments)
        for problem in block_problems(attachment.get("blocks", []), f"/attachments/{index}/blocks")
    ]
    if problems:
        raise _explained("invalid_attachments", problems)


def check_markdown_text(payload: dict[str, Any]) -> None:
    """Check ``markdown_text``, which replaces text and blocks.

    Raises:
        RefusalError: ``invalid_arguments``, ``markdown_text_conflict`` or ``msg_too_long``.
    """
    markdown = payload["markdown_text"]
    if not isinstance(markdown, str):
        raise RefusalError.with_messages("invalid_arguments", ["[ERROR] must be a string: markdown_text"])
    if payload.get("text") or payload.get("blocks"):
        raise RefusalError("markdown_text_conflict")
    if len(markdown) > limits.MARKDOWN_TEXT:
        raise RefusalError("msg_too_long")


def check_metadata(metadata: object) -> None:
    """Check message metadata: https://docs.slack.dev/messaging/message-metadata.

    Raises:
        RefusalError: ``invalid_metadata_format`` or ``metadata_too_large``.
    """
    if not isinstance(metadata, dict):
        raise RefusalError("invalid_metadata_format")
    event_type = metadata.get("event_type")
    if not isinstance(event_type, str) or not event_type or not isinstance(metadata.get("event_payload"), dict):
        raise RefusalError("invalid_metadata_format")
    if set(metadata) - {"event_type", "event_payload", "entities"}:
        raise RefusalError("invalid_metadata_format")
    if len(_written(metadata).encode()) > limits.METADATA_BYTES:
        raise RefusalError("metadata_too_large")


def check_view(view: Any) -> dict[str, Any]:
    """Check a modal or a Home tab, and return it.

    Raises:
        RefusalError: ``view_too_large``, or ``invalid_arguments`` with the details in ``response_metadata.messages``.
    """
    if len(_written(view).encode()) > limits.VIEW_BYTES:
        raise RefusalError("view_too_large")
    problems = _view_problems(view)
    if problems:
        raise _explained("invalid_arguments", problems)
    checked: dict[str, Any] = view
    return checked


def validate_blocks_call(arguments: dict[str, Any]) -> dict[str, Any]:
    """https://docs.slack.dev/reference/methods/blocks.validate: exactly one of blocks, message and view."""
    given = [name for name in ("blocks", "message", "view") if name in arguments]
    if len(given) != 1:
        message = "must provide exactly one of `blocks`, `view`, or `message`"
        raise RefusalError.with_messages("invalid_arguments", [message])
    value = arguments[given[0]]
    problems = {"blocks": _bare_problems, "message": _message_problems, "view": _view_problems}[given[0]](value)
    if problems:
        errors = [{"code": "failed_constraint", "message": p.message, "pointer": p.pointer} for p in problems]
        raise RefusalError(f"invalid_{given[0]}", errors=errors)
    return {}


def _bare_problems(blocks: object) -> list[Problem]:
    return block_problems(blocks, "")


def _message_problems(message: object) -> list[Problem]:
    if not isinstance(message, dict):
        return [Problem("must provide an object", "")]
    return block_problems(message.get("blocks", []))


def _view_problems(view: object) -> list[Problem]:
    problems = list(VIEWS(view, "/view"))
    if problems or not isinstance(view, dict):
        return problems
    problems = block_problems(view["blocks"], "/view/blocks", Surface(view["type"]))
    return problems or list(_missing_submit(view))


def _missing_submit(view: dict[str, Any]) -> Iterator[Problem]:
    """Yield a problem if a modal has inputs but no submit button."""
    has_inputs = any(block["type"] == "input" for block in view["blocks"])
    if view["type"] == "modal" and has_inputs and "submit" not in view:
        yield Problem("missing required field: submit", "/view")


def _repeated_ids(blocks: list[dict[str, Any]], pointer: str) -> Iterator[Problem]:
    """Yield each duplicate ``block_id`` in a message and duplicate ``action_id`` in a block."""
    block_ids = Counter(block["block_id"] for block in blocks if "block_id" in block)
    for block_id, count in block_ids.items():
        if count > 1:
            yield Problem(f"block_id must be unique: {block_id}", pointer)
    for index, block in enumerate(blocks):
        elements = [element for element in block.get("elements", []) if "action_id" in element]
        for action_id, count in Counter(element["action_id"] for element in elements).items():
            if count > 1:
                yield Problem(f"action_id must be unique in its block: {action_id}", f"{pointer}/{index}/elements")


def _second_table(blocks: list[dict[str, Any]], pointer: str) -> Iterator[Problem]:
    if sum(block["type"] == "table" for block in blocks) > 1:
        yield Problem("only_one_table_allowed", pointer)


def _long_markdown(blocks: list[dict[str, Any]], pointer: str) -> Iterator[Problem]:
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > limits.MARKDOWN_TEXT:
        yield Problem(f"all markdown blocks together must be less than {limits.MARKDOWN_TEXT + 1} characters", pointer)


def _second_focus(blocks: list[dict[str, Any]], pointer: str) -> Iterator[Problem]:
    focused = [element for block in blocks for element in interactive_elements(block) if element.get("focus_on_load")]
    if len(focused) > 1:
        yield Problem("focus_on_load can be true for one element only", pointer)


def _explained(code: str, problems: list[Problem]) -> RefusalError:
    return RefusalError.with_messages(code, [str(problem) for problem in problems])


def _written(value: object) -> str:
    """Encode JSON the way its size is counted: without spaces, non-ASCII unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
