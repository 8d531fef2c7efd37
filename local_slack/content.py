"""Turns the arguments of a call into a stored message: validated text, blocks and metadata."""

from __future__ import annotations

import copy
import secrets
from typing import Final

from local_slack.elements import interactive_elements
from local_slack.refusal import RefusalError
from local_slack.validation import (
    check_attachments,
    check_blocks,
    check_markdown_text,
    check_metadata,
    check_text,
)
from local_slack.workspace import Json

NO_FALLBACK: Final = "This content can't be displayed."
"""Slack's notification text for a message with blocks but no text."""


def read_content(payload: Json) -> Json:
    """Validate a message and return its stored parts.

    Raises:
        RefusalError: with Slack's error code.
    """
    text, blocks, attachments = payload.get("text") or "", payload.get("blocks"), payload.get("attachments")
    if payload.get("markdown_text"):
        check_markdown_text(payload)
        text, blocks = payload["markdown_text"], [{"type": "markdown", "text": payload["markdown_text"]}]
    if blocks is not None:
        check_blocks(blocks)
    if attachments is not None:
        check_attachments(attachments)
    if not text and not blocks and not attachments:
        raise RefusalError("no_text")
    check_text(text)
    content: Json = {"text": text or NO_FALLBACK}
    if blocks:
        content["blocks"] = fill_in_ids(blocks)
    if attachments:
        content["attachments"] = attachments
    if payload.get("metadata") is not None:
        check_metadata(payload["metadata"])
        content["metadata"] = payload["metadata"]
    return content


def fill_in_ids(blocks: list[Json]) -> list[Json]:
    """Return the blocks with missing ``block_id`` and ``action_id`` filled in at random, as Slack stores them."""
    filled: list[Json] = copy.deepcopy(blocks)
    for block in filled:
        block.setdefault("block_id", _random_id())
        for element in interactive_elements(block):
            element.setdefault("action_id", _random_id())
    return filled


def _random_id() -> str:
    return secrets.token_urlsafe(6)[:5]
