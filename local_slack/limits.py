"""Slack's limits on messages and views. The tests compare them with Slack's documentation.

Sources: https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/methods/chat.update
Characters are Unicode code points unless a name says bytes.
"""

from typing import Final

BLOCKS_PER_MESSAGE: Final = 50
BLOCKS_PER_VIEW: Final = 100
HEADER_TEXT: Final = 150
SECTION_TEXT: Final = 3000
SECTION_FIELDS: Final = 10
SECTION_FIELD_TEXT: Final = 2000
CONTEXT_ELEMENTS: Final = 10
ACTIONS_ELEMENTS: Final = 25
BUTTON_TEXT: Final = 75
BUTTON_VALUE: Final = 2000
URL: Final = 3000
ACTION_ID: Final = 255
BLOCK_ID: Final = 255
OVERFLOW_OPTIONS: Final = 5
SELECT_OPTIONS: Final = 100
OPTION_TEXT: Final = 75
OPTION_VALUE: Final = 150
CONFIRM_TITLE: Final = 100
CONFIRM_TEXT: Final = 300
CONFIRM_BUTTON: Final = 30
IMAGE_TITLE: Final = 2000
INPUT_LABEL: Final = 2000
TABLE_ROWS: Final = 100
TABLE_COLUMNS: Final = 20
VIEW_TITLE: Final = 24
VIEW_BUTTON: Final = 24
VIEW_PRIVATE_METADATA: Final = 3000
ALT_TEXT: Final = 2000
PLACEHOLDER: Final = 150
OPTION_GROUPS: Final = 100
INPUT_TEXT: Final = 3000
OPTION_DESCRIPTION: Final = 75
CHOICES: Final = 10
"""Options of radio buttons and checkboxes."""

MARKDOWN_TEXT: Final = 12_000
"""All markdown blocks of a message together."""

VIEW_BYTES: Final = 250_000

MESSAGE_TEXT: Final = 40_000
"""``chat.postMessage`` truncates longer ``text``."""

UPDATE_TEXT_BYTES: Final = 4000
"""``chat.update`` refuses longer ``text`` (``msg_too_long``): UTF-8 bytes, after escaping."""

BLOCKS_TOTAL_CHARS: Final = 13_000
"""Undocumented: above about 11,000 to 13,000 characters of JSON in the blocks, ``msg_blocks_too_long`` is returned."""

METADATA_BYTES: Final = 8000
"""Metadata beyond 8 KB is refused (``metadata_too_large``)."""

ACCESSIBILITY_LABEL: Final = 75
"""A button's text for screen readers: https://docs.slack.dev/reference/block-kit/block-elements/button-element"""
