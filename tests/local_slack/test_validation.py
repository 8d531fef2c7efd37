"""Which messages and views the local Slack refuses, and which it accepts."""

from __future__ import annotations

import pytest
import pytest_asyncio
from slack_sdk.errors import SlackApiError
from slack_sdk.models import blocks as sdk
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.blocks import limits
from local_slack.content import fill_in_ids, read_content
from local_slack.refusal import RefusalError
from local_slack.validation import (
    check_blocks,
    check_metadata,
    check_text,
    check_update_text,
    check_view,
    validate_blocks_call,
)
from sandbox.slack import flokit_slack


def plain(text="x"):
    """Return a plain_text object."""
    return {"type": "plain_text", "text": text}


def mrkdwn(text="x"):
    """Return a mrkdwn object."""
    return {"type": "mrkdwn", "text": text}


def button(**members):
    """Return a button."""
    return {"type": "button", "text": plain(), "action_id": "go", **members}


def actions(*elements, **members):
    """Return an actions block."""
    return {"type": "actions", "elements": list(elements), **members}


def section(**members):
    """Return a section."""
    return {"type": "section", "text": mrkdwn(), **members}


def option(text="x", value="v"):
    """Return an option."""
    return {"text": plain(text), "value": value}


def overflow(count):
    """Return an overflow menu with this many options."""
    return {"type": "overflow", "action_id": "more", "options": [option(value=str(n)) for n in range(count)]}


def select(count=1, **members):
    """Return a static select with this many options."""
    return {"type": "static_select", "options": [option(value=str(n)) for n in range(count)], **members}


def several(kind="multi_static_select", **members):
    """Return a section with a multi-select."""
    options = {"options": [option()]} if kind == "multi_static_select" else {}
    return section(accessory={"type": kind, **options, **members})


def asked(element, **members):
    """Return an input block."""
    return {"type": "input", "label": plain(), "element": element, **members}


def boxes(**members):
    """Return an actions block of checkboxes."""
    return actions({"type": "checkboxes", "options": [option()], **members})


def confirm(**members):
    """Return a confirm dialog."""
    return {"title": plain(), "text": mrkdwn(), "confirm": plain(), "deny": plain(), **members}


def rich(*elements):
    """Return a rich_text block."""
    return {"type": "rich_text", "elements": list(elements)}


def leaves(*elements):
    """Return a rich_text block of one section."""
    return rich({"type": "rich_text_section", "elements": list(elements)})


def table(*rows, **members):
    """Return a table block."""
    return {"type": "table", "rows": list(rows), **members}


CELL = {"type": "raw_text", "text": "x"}

REFUSED = {
    "51 blocks": ([{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
    "block that is no object": (["divider"], "must provide an object [json-pointer:/blocks/0]"),
    "block without type": ([{}], "missing required field: type"),
    "type that is no string": ([{"type": 7}], "unsupported type: 7"),
    "unknown block": ([{"type": "carousel_3d"}], "unsupported type: carousel_3d"),
    "email input in a message": ([asked({"type": "email_text_input"})], "unsupported type: email_text_input"),
    "number input in a message": (
        [asked({"type": "number_input", "is_decimal_allowed": True})],
        "unsupported type: number_input",
    ),
    "link input in a message": ([asked({"type": "url_text_input"})], "unsupported type: url_text_input"),
    "rich text input in a message": ([asked({"type": "rich_text_input"})], "unsupported type: rich_text_input"),
    "button in an input": ([asked(button())], "unsupported type: button"),
    "overflow in an input": ([asked(overflow(1))], "unsupported type: overflow"),
    "input without label": ([{"type": "input", "element": select()}], "missing required field: label"),
    "long hint": ([asked(select(), hint=plain("x" * 2001))], "must be less than 2001 characters"),
    "dispatch that is no boolean": ([asked(select(), dispatch_action="yes")], "must provide a boolean"),
    "unknown member of a block": ([{"type": "divider", "colour": "red"}], "invalid additional property: colour"),
    "header without text": ([{"type": "header"}], "missing required field: text [json-pointer:/blocks/0]"),
    "empty header": ([{"type": "header", "text": plain("")}], "must be more than 0 characters"),
    "long header": ([{"type": "header", "text": plain("x" * 151)}], "must be less than 151 characters"),
    "mrkdwn in a header": ([{"type": "header", "text": mrkdwn()}], "unsupported type: mrkdwn"),
    "text as a bare string": ([{"type": "header", "text": "x"}], "must provide an object"),
    "text that is a number": ([{"type": "header", "text": plain(7)}], "must provide a string"),
    "emoji that is no boolean": ([{"type": "header", "text": {**plain(), "emoji": "yes"}}], "must provide a boolean"),
    "emoji on mrkdwn": ([section(text={**mrkdwn(), "emoji": True})], "invalid additional property: emoji"),
    "verbatim on plain_text": ([section(text={**plain(), "verbatim": True})], "additional property: verbatim"),
    "empty section": ([{"type": "section"}], "missing required field: text or fields"),
    "empty section text": ([section(text=mrkdwn(""))], "must be more than 0 characters"),
    "long section": ([section(text=mrkdwn("x" * 3001))], "[json-pointer:/blocks/0/text/text]"),
    "eleven fields": ([section(fields=[mrkdwn()] * 11)], "no more than 10 items allowed"),
    "no fields": ([section(fields=[])], "no fewer than 1 items allowed"),
    "empty field": ([section(fields=[mrkdwn("")])], "[json-pointer:/blocks/0/fields/0/text]"),
    "long field": ([section(fields=[mrkdwn("x" * 2001)])], "must be less than 2001 characters"),
    "accessory of unknown type": ([section(accessory={"type": "lever"})], "unsupported type: lever"),
    "empty context": ([{"type": "context", "elements": []}], "no fewer than 1 items allowed"),
    "eleven context elements": ([{"type": "context", "elements": [mrkdwn()] * 11}], "no more than 10 items allowed"),
    "button in a context": ([{"type": "context", "elements": [button()]}], "unsupported type: button"),
    "no actions": ([actions()], "no fewer than 1 items allowed"),
    "26 actions": ([actions(*(button(action_id=f"go{n}") for n in range(26)))], "no more than 25 items allowed"),
    "elements that are no list": ([{"type": "actions", "elements": {}}], "must provide an array"),
    "text among actions": ([actions(mrkdwn())], "unsupported type: mrkdwn"),
    "button without text": ([actions({"type": "button", "action_id": "go"})], "missing required field: text"),
    "long button": ([actions(button(text=plain("x" * 76)))], "must be less than 76 characters"),
    "empty button": ([actions(button(text=plain("")))], "must be more than 0 characters"),
    "mrkdwn in a button": ([actions(button(text=mrkdwn()))], "unsupported type: mrkdwn"),
    "long value": ([actions(button(value="x" * 2001))], "must be less than 2001 characters"),
    "value that is a number": ([actions(button(value=7))], "must provide a string"),
    "long action_id": ([actions(button(action_id="x" * 256))], "must be less than 256 characters"),
    "long block_id": ([actions(button(), block_id="x" * 256)], "must be less than 256 characters"),
    "unknown style": ([actions(button(style="warning"))], "must be one of: primary, danger"),
    "default style": ([actions(button(style="default"))], "must be one of: primary, danger"),
    "long link": ([actions(button(url="https://x.test/" + "x" * 3000))], "must be less than 3001 characters"),
    "relative link": ([actions(button(url="/runs/7"))], "must be a valid URL"),
    "broken link": ([actions(button(url="https://[x"))], "must be a valid URL"),
    "unknown member of a button": ([actions(button(disabled=True))], "invalid additional property: disabled"),
    "confirm without deny": ([actions(button(confirm={**confirm(), "deny": None}))], "must provide an object"),
    "long confirm title": ([actions(button(confirm=confirm(title=plain("x" * 101))))], "less than 101 characters"),
    "long confirm text": ([actions(button(confirm=confirm(text=plain("x" * 301))))], "less than 301 characters"),
    "long confirm button": ([actions(button(confirm=confirm(confirm=plain("x" * 31))))], "less than 31 characters"),
    "mrkdwn confirm title": ([actions(button(confirm=confirm(title=mrkdwn())))], "unsupported type: mrkdwn"),
    "empty overflow": ([actions(overflow(0))], "no fewer than 1 items allowed"),
    "six in an overflow": ([actions(overflow(6))], "no more than 5 items allowed"),
    "101 options": ([actions(select(101))], "no more than 100 items allowed"),
    "select without options": ([actions({"type": "static_select"})], "exactly one of: options, option_groups"),
    "long option": ([actions(select(options=[option(text="x" * 76)]))], "must be less than 76 characters"),
    "long option value": ([actions(select(options=[option(value="x" * 151)]))], "must be less than 151 characters"),
    "mrkdwn option": ([actions(select(options=[{"text": mrkdwn(), "value": "v"}]))], "unsupported type: mrkdwn"),
    "long placeholder": ([actions(select(placeholder=plain("x" * 151)))], "must be less than 151 characters"),
    "block_id twice": ([{"type": "divider", "block_id": "a"}] * 2, "block_id must be unique: a"),
    "action_id twice": ([actions(button(value="1"), button(value="2"))], "action_id must be unique in its block: go"),
    "image without alt_text": ([{"type": "image", "image_url": "https://x.test/i.png"}], "field: alt_text"),
    "image without a source": ([{"type": "image", "alt_text": "x"}], "missing required field: image_url or slack_file"),
    "empty rich_text": ([rich()], "no fewer than 1 items allowed"),
    "unknown rich_text part": ([rich({"type": "rich_text_table"})], "unsupported type: rich_text_table"),
    "empty rich text": ([leaves({"type": "text", "text": ""})], "must be more than 0 characters"),
    "plain_text in rich_text": ([leaves(plain())], "unsupported type: plain_text"),
    "unknown rich style": ([leaves({"type": "text", "text": "x", "style": {"blink": True}})], "property: blink"),
    "user in code": (
        [rich({"type": "rich_text_preformatted", "elements": [{"type": "user", "user_id": "UANA"}]})],
        "unsupported type: user",
    ),
    "date without format": ([leaves({"type": "date", "timestamp": 1})], "missing required field: format"),
    "date as text": ([leaves({"type": "date", "timestamp": "1", "format": "{date}"})], "must provide an integer"),
    "list of texts": (
        [rich({"type": "rich_text_list", "style": "bullet", "elements": [{"type": "text", "text": "x"}]})],
        "unsupported type: text",
    ),
    "two tables": ([table([CELL]), table([CELL])], "only_one_table_allowed"),
    "101 rows": ([table(*[[CELL]] * 101)], "no more than 100 items allowed"),
    "21 columns": ([table([CELL] * 21)], "no more than 20 items allowed"),
    "mrkdwn cell": ([table([mrkdwn()])], "unsupported type: mrkdwn"),
    "unknown alignment": ([table([CELL], column_settings=[{"align": "middle"}])], "left, center, right"),
    "long markdown together": ([{"type": "markdown", "text": "x" * 6001}] * 2, "must be less than 12001 characters"),
    "date out of the calendar": ([actions({"type": "datepicker", "initial_date": "2026-13-01"})], "YYYY-MM-DD"),
    "date in another order": ([actions({"type": "datepicker", "initial_date": "01.02.2026"})], "YYYY-MM-DD"),
    "time of 25 hours": ([actions({"type": "timepicker", "initial_time": "25:00"})], "must be written as HH:mm"),
    "date and time in milliseconds": (
        [actions({"type": "datetimepicker", "initial_date_time": 1_700_000_000_000})],
        "must be between 1000000000 and 9999999999",
    ),
    "initial option that is not offered": (
        [actions(select(initial_option=option(value="other")))],
        "initial option must be one of the options",
    ),
    "initial option of another text": (
        [actions(select(initial_option=option(text="y", value="0")))],
        "initial option must be one of the options",
    ),
    "initial box that is not offered": (
        [actions({"type": "checkboxes", "options": [option()], "initial_options": [option(value="w")]})],
        "initial option must be one of the options",
    ),
    "eleven radio buttons": (
        [actions({"type": "radio_buttons", "options": [option(value=str(n)) for n in range(11)]})],
        "no more than 10 items allowed",
    ),
    "options and option_groups": (
        [actions(select(option_groups=[{"label": plain(), "options": [option()]}]))],
        "must provide exactly one of: options, option_groups",
    ),
    "empty option group": (
        [actions({"type": "static_select", "option_groups": [{"label": plain(), "options": []}]})],
        "no fewer than 1 items allowed",
    ),
    "mrkdwn description in a select": (
        [actions(select(options=[{**option(), "description": mrkdwn()}]))],
        "unsupported type: mrkdwn",
    ),
    "link in a select's option": ([actions(select(options=[{**option(), "url": "https://x.test"}]))], "property: url"),
    "none of several": ([several(max_selected_items=0)], "must be between 1 and 100"),
    "several among actions": (
        [actions({"type": "multi_static_select", "options": [option()]})],
        "unsupported type: multi_static_select",
    ),
    "several people among actions": (
        [actions({"type": "multi_users_select"})],
        "unsupported type: multi_users_select",
    ),
    "101 options of several": ([several(options=[option()] * 101)], "no more than 100 items allowed"),
    "several initial options that are not offered": (
        [several(initial_options=[option(), option(value="w")])],
        "initial option must be one of the options",
    ),
    "no initial people": ([several("multi_users_select", initial_users=[])], "no fewer than 1 items allowed"),
    "one person as several": ([several("multi_users_select", initial_users="UANA")], "must provide an array"),
    "one option for several": ([several(initial_option=option())], "invalid additional property: initial_option"),
    "filter for nothing": ([several("multi_conversations_select", filter={})], "missing required field: include or"),
    "filter for everything": (
        [several("multi_conversations_select", filter={"include": ["all"]})],
        "must be one of: im, mpim, private, public",
    ),
    "checkboxes without options": ([boxes(options=[])], "no fewer than 1 items allowed"),
    "eleven checkboxes": (
        [boxes(options=[option(value=str(n)) for n in range(11)])],
        "no more than 10 items allowed",
    ),
    "long checkbox": ([boxes(options=[option(text="x" * 76)])], "must be less than 76 characters"),
    "checkbox without value": ([boxes(options=[{"text": plain()}])], "missing required field: value"),
    "one initial box": ([boxes(initial_option=option())], "invalid additional property: initial_option"),
    "placeholder on checkboxes": ([boxes(placeholder=plain())], "invalid additional property: placeholder"),
    "several initial radio buttons": (
        [actions({"type": "radio_buttons", "options": [option()], "initial_options": [option()]})],
        "invalid additional property: initial_options",
    ),
    "focus on a button": ([actions(button(focus_on_load=True))], "invalid additional property: focus_on_load"),
    "focus on an overflow menu": (
        [actions({**overflow(1), "focus_on_load": True})],
        "invalid additional property: focus_on_load",
    ),
    "date and time beside a section": (
        [section(accessory={"type": "datetimepicker"})],
        "unsupported type: datetimepicker",
    ),
    "text input beside a section": (
        [section(accessory={"type": "plain_text_input"})],
        "unsupported type: plain_text_input",
    ),
    "deep list": (
        [rich({"type": "rich_text_list", "style": "bullet", "indent": 9, "elements": []})],
        "must be between 0 and 8",
    ),
    "thick border": ([rich({"type": "rich_text_quote", "border": 2, "elements": []})], "must be between 0 and 1"),
    "image of two sources": (
        [{"type": "image", "alt_text": "x", "image_url": "https://x.test/i.png", "slack_file": {"id": "F1"}}],
        "must provide exactly one of: image_url, slack_file",
    ),
    "file of two names": (
        [{"type": "image", "alt_text": "x", "slack_file": {"id": "F1", "url": "https://x.test/f"}}],
        "must provide exactly one of: id, url",
    ),
    "two in focus": (
        [actions(select(action_id="a", focus_on_load=True), select(action_id="b", focus_on_load=True))],
        "focus_on_load can be true for one element only",
    ),
    "text input in a message": ([actions({"type": "plain_text_input"})], "unsupported type: plain_text_input"),
    "link without scheme": ([actions(button(url="flokit.ai"))], "must be a valid URL"),
    "long accessibility label": ([actions(button(accessibility_label="x" * 76))], "must be less than 76 characters"),
    "confirm of unknown style": ([actions(button(confirm=confirm(style="warning")))], "primary, danger"),
    "long option description": (
        [actions(select(options=[{**option(), "description": plain("x" * 76)}]))],
        "must be less than 76 characters",
    ),
    "long markdown": ([{"type": "markdown", "text": "x" * 12_001}], "must be less than 12001 characters"),
}


@pytest.mark.parametrize(("blocks", "complaint"), REFUSED.values(), ids=REFUSED)
def test_wrong_blocks_are_refused_with_the_place(blocks, complaint):
    """Slack answers ``invalid_blocks``, and says what's wrong and where."""
    with pytest.raises(RefusalError) as refused:
        check_blocks(blocks)
    assert refused.value.code == "invalid_blocks"
    assert complaint in refused.value.reply()["response_metadata"]["messages"][0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slack():
    """Run one local Slack for all: refused content leaves nothing behind."""
    slack = flokit_slack()
    slack.post_rate = (1000.0, 1000)
    await slack.start()
    try:
        yield slack
    finally:
        await slack.stop()


@pytest.fixture
def client(slack):
    """Return Slack's own client."""
    return AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)


async def refusal(call):
    """Return the code with which a call is refused."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return refused.value.response["error"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("blocks", [blocks for blocks, _ in REFUSED.values()], ids=REFUSED)
async def test_wrong_blocks_are_refused_over_the_web_api(slack, client, blocks):
    """The code is the same, and nothing is posted."""
    call = client.api_call("chat.postMessage", json={"channel": "C0DATA", "text": "x", "blocks": blocks})
    assert await refusal(call) == "invalid_blocks"
    assert slack.messages("C0DATA") == []


@pytest.mark.parametrize("blocks", ["[{", {"type": "divider"}, 7, "[]x"])
def test_blocks_that_are_not_a_list_have_their_own_code(blocks):
    """Blocks that aren't an array are ``invalid_blocks_format``."""
    with pytest.raises(RefusalError, match="invalid_blocks_format"):
        check_blocks(blocks)


def test_blocks_that_are_too_large_together_are_refused():
    """Blocks that are valid one by one fail together above the total limit."""
    with pytest.raises(RefusalError, match="msg_blocks_too_long"):
        check_blocks([section(text=mrkdwn("x" * 3000))] * 5)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, "no_text"),
        ({"text": "", "blocks": []}, "no_text"),
        ({"text": "x" * (limits.MESSAGE_TEXT + 1)}, "msg_too_long"),
        ({"text": ["x"]}, "invalid_arguments"),
        ({"text": "x", "markdown_text": "x"}, "markdown_text_conflict"),
        ({"blocks": [{"type": "divider"}], "markdown_text": "x"}, "markdown_text_conflict"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"markdown_text": ["x"]}, "invalid_arguments"),
        ({"text": "x", "attachments": "x"}, "invalid_attachments"),
        ({"text": "x", "attachments": ["x"]}, "invalid_attachments"),
        ({"text": "x", "attachments": [{"text": "x"}] * 101}, "too_many_attachments"),
        ({"text": "x", "attachments": [{"blocks": [{"type": "x"}]}]}, "invalid_attachments"),
        ({"text": "x", "attachments": [{"blocks": [{"type": "divider"}] * 51}]}, "invalid_attachments"),
        ({"text": "x", "metadata": "{"}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "", "event_payload": {}}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": 7, "event_payload": {}}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "a", "event_payload": []}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "a", "event_payload": {}, "id": 1}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "a", "event_payload": {"x": "é" * 4000}}}, "metadata_too_large"),
    ],
)
def test_wrong_messages_are_refused(payload, code):
    """A message without content, or with wrong metadata, is refused with its own code."""
    with pytest.raises(RefusalError) as refused:
        read_content(payload)
    assert refused.value.code == code


def test_update_counts_bytes():
    """The text of ``chat.update`` is measured in UTF-8 bytes."""
    check_update_text("x" * limits.UPDATE_TEXT_BYTES)
    with pytest.raises(RefusalError, match="msg_too_long"):
        check_update_text("é" * (limits.UPDATE_TEXT_BYTES // 2 + 1))


ACCEPTED = {
    "header": sdk.HeaderBlock(text="x" * 150),
    "section": sdk.SectionBlock(text=sdk.MarkdownTextObject(text="x" * 3000)),
    "fields": sdk.SectionBlock(fields=["*x*"] * 10),
    "button accessory": sdk.SectionBlock(
        text="x", accessory=sdk.ButtonElement(text="Go", action_id="go", value="x" * 2000, style="danger")
    ),
    "confirm": sdk.ActionsBlock(
        elements=[
            sdk.ButtonElement(
                text="Go", action_id="go", confirm=sdk.ConfirmObject(title="Sure?", text="*Really*", deny="No")
            )
        ]
    ),
    "link button": sdk.ActionsBlock(
        elements=[sdk.LinkButtonElement(text="Open", url="https://flokit.ai", action_id="o")]
    ),
    "overflow": sdk.ActionsBlock(
        elements=[sdk.OverflowMenuElement(action_id="m", options=[sdk.Option(text="A", value="a")] * 2)]
    ),
    "static_select": sdk.ActionsBlock(
        elements=[
            sdk.StaticSelectElement(
                action_id="s", placeholder="Pick", options=[sdk.Option(text=str(n), value=str(n)) for n in range(100)]
            )
        ]
    ),
    "option groups": sdk.ActionsBlock(
        elements=[
            sdk.StaticSelectElement(
                action_id="s", option_groups=[sdk.OptionGroup(label="G", options=[sdk.Option(text="A", value="a")])]
            )
        ]
    ),
    "users_select": sdk.SectionBlock(text="x", accessory=sdk.UserSelectElement(action_id="u", placeholder="Who")),
    "datepicker": sdk.ActionsBlock(elements=[sdk.DatePickerElement(action_id="d", initial_date="2026-01-01")]),
    "checkboxes": sdk.ActionsBlock(
        elements=[sdk.CheckboxesElement(action_id="c", options=[sdk.Option(text="A", value="a", description="b")])]
    ),
    "context": sdk.ContextBlock(
        elements=[
            sdk.MarkdownTextObject(text="x", verbatim=True),
            sdk.ImageElement(image_url="https://x.test/i.png", alt_text="an i"),
        ]
    ),
    "divider": sdk.DividerBlock(block_id="line"),
    "image": sdk.ImageBlock(image_url="https://x.test/i.png", alt_text="an i", title="I"),
    "markdown": sdk.MarkdownBlock(text="# x"),
    "rich_text": sdk.RichTextBlock(
        elements=[
            sdk.RichTextSectionElement(
                elements=[
                    sdk.RichTextElementParts.Text(text="x", style={"bold": True}),
                    sdk.RichTextElementParts.Link(url="https://x.test", text="x"),
                    sdk.RichTextElementParts.User(user_id="UANA"),
                    sdk.RichTextElementParts.Emoji(name="tada"),
                    sdk.RichTextElementParts.Broadcast(range="here"),
                    sdk.RichTextElementParts.Channel(channel_id="C0DATA"),
                    sdk.RichTextElementParts.UserGroup(usergroup_id="S1"),
                ]
            ),
            sdk.RichTextPreformattedElement(elements=[sdk.RichTextElementParts.Text(text="x")], border=0),
            sdk.RichTextQuoteElement(elements=[sdk.RichTextElementParts.Text(text="x")]),
            sdk.RichTextListElement(
                style="bullet",
                indent=0,
                elements=[sdk.RichTextSectionElement(elements=[sdk.RichTextElementParts.Text(text="x")])],
            ),
        ]
    ),
    "table": sdk.TableBlock(rows=[[CELL, CELL]], column_settings=[{"align": "right"}, None]),
}


@pytest.mark.parametrize("block", ACCEPTED.values(), ids=ACCEPTED)
def test_blocks_of_the_sdk_are_accepted(block):
    """What Slack's own SDK builds is accepted."""
    check_blocks([block.to_dict()])


def test_dates_in_rich_text_are_accepted():
    """A date needs a timestamp and a format."""
    check_blocks([leaves({"type": "date", "timestamp": 1, "format": "{time}", "fallback": "00:00 UTC"})])


def test_the_largest_allowed_message_is_accepted():
    """Fifty blocks, the longest text, and metadata within 8 KB are accepted."""
    check_blocks([{"type": "divider"}] * limits.BLOCKS_PER_MESSAGE)
    check_text("x" * limits.MESSAGE_TEXT)
    check_metadata({"event_type": "sync", "event_payload": {"x": "y" * 7000}})


def test_missing_ids_are_generated():
    """A block without block_id, and a button without action_id, get random ones; given ones stay."""
    bare = {"type": "button", "text": plain()}
    filled = fill_in_ids([actions(bare), actions(button(), block_id="mine"), section(accessory=dict(bare))])
    assert filled[0]["block_id"]
    assert filled[0]["elements"][0]["action_id"]
    assert filled[1] == actions(button(), block_id="mine")
    assert filled[2]["accessory"]["action_id"]
    assert len({block["block_id"] for block in filled}) == 3
    assert "action_id" not in bare


def test_markdown_and_attachments_are_content():
    """Markdown text becomes a block, and attachments need no text."""
    assert read_content({"markdown_text": "# x"})["blocks"][0]["type"] == "markdown"
    assert read_content({"attachments": [{"text": "x"}]})["attachments"] == [{"text": "x"}]


def test_text_is_stored_as_given():
    """Escaped text stays escaped."""
    assert read_content({"text": "a &amp; &lt;b&gt;"}) == {"text": "a &amp; &lt;b&gt;"}


MODAL = {"type": "modal", "title": plain("Title"), "blocks": []}
FORM = {**MODAL, "submit": plain("Save")}
INPUT = {"type": "input", "label": plain(), "element": {"type": "plain_text_input", "action_id": "t"}}


WRONG_VIEWS = [
    ({**MODAL, "title": plain("x" * 25)}, "must be less than 25 characters"),
    ({"type": "modal", "blocks": []}, "missing required field: title"),
    ({"type": "modal", "title": plain()}, "missing required field: blocks"),
    ({"type": "window"}, "unsupported type: window"),
    ("{", "must provide an object"),
    ({**MODAL, "blocks": [{"type": "divider"}] * 101}, "no more than 100 items allowed"),
    ({**MODAL, "blocks": [table([CELL])]}, "unsupported type: table"),
    ({**MODAL, "private_metadata": "x" * 3001}, "must be less than 3001 characters"),
    ({**MODAL, "submit": plain("x" * 25)}, "must be less than 25 characters"),
    ({**MODAL, "close": plain("x" * 25)}, "must be less than 25 characters"),
    ({**MODAL, "title": mrkdwn()}, "unsupported type: mrkdwn"),
    ({**MODAL, "title": plain("")}, "must be more than 0 characters"),
    ({**MODAL, "callback_id": "x" * 256}, "must be less than 256 characters"),
    ({**MODAL, "external_id": "x" * 256}, "must be less than 256 characters"),
    ({**MODAL, "notify_on_close": "yes"}, "must provide a boolean"),
    ({**MODAL, "blocks": [INPUT]}, "missing required field: submit"),
    ({**MODAL, "blocks": {}}, "must provide an array"),
    ({**MODAL, "state": {}}, "invalid additional property: state"),
    ({"type": "home", "blocks": [], "title": plain()}, "invalid additional property: title"),
    ({"type": "home", "blocks": [], "submit": plain()}, "invalid additional property: submit"),
    ({"type": "home", "blocks": [{"type": "divider"}] * 101}, "no more than 100 items allowed"),
    ({"type": "home", "blocks": [], "private_metadata": "x" * 3001}, "must be less than 3001 characters"),
    ({"type": "home", "blocks": [asked({"type": "email_text_input"})]}, "unsupported type: email_text_input"),
    ({"type": "home", "blocks": [actions({"type": "datetimepicker"})]}, "unsupported type: datetimepicker"),
    ({"type": "home", "blocks": [{"type": "markdown", "text": "x"}]}, "unsupported type: markdown"),
    ({**MODAL, "blocks": [actions(button(), button())]}, "action_id must be unique in its block: go"),
    ({**MODAL, "blocks": [{"type": "divider", "block_id": "a"}] * 2}, "block_id must be unique: a"),
    ({**MODAL, "private_metadata": {"run": 7}}, "must provide a string"),
    ({**MODAL, "title": "Title"}, "must provide an object"),
]


@pytest.mark.parametrize(("view", "complaint"), WRONG_VIEWS)
def test_wrong_views_are_refused(view, complaint):
    """A wrong view is ``invalid_arguments``, with the details."""
    with pytest.raises(RefusalError) as refused:
        check_view(view)
    assert refused.value.code == "invalid_arguments"
    assert complaint in refused.value.reply()["response_metadata"]["messages"][0]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("view", [view for view, _ in WRONG_VIEWS])
async def test_wrong_views_are_refused_over_the_web_api(slack, client, view):
    """The code is the same, and nothing is opened."""
    arguments = {"trigger_id": slack.installation.triggers.issue("UANA"), "view": view}
    assert await refusal(client.api_call("views.open", json=arguments)) == "invalid_arguments"
    assert slack.views.modal("UANA") is None


def test_inputs_are_accepted_in_views():
    """An input block belongs in a view."""
    assert check_view({**FORM, "blocks": [INPUT]})["blocks"] == [INPUT]
    assert check_view({"type": "home", "blocks": [INPUT]})["blocks"] == [INPUT]


def test_a_view_beyond_250_kb_is_too_large():
    """The size of a whole view is limited, and has its own code."""
    blocks = [section(text=mrkdwn("x" * 2900)) for _ in range(100)]
    with pytest.raises(RefusalError, match="view_too_large"):
        check_view({**MODAL, "blocks": blocks})
    check_view({**MODAL, "blocks": blocks[:80]})


INPUTS = {
    "text": sdk.PlainTextInputElement(action_id="i", min_length=3, max_length=9, multiline=True, placeholder="x"),
    "number": sdk.NumberInputElement(action_id="i", is_decimal_allowed=True, min_value="-1.5", max_value="9"),
    "email": sdk.EmailInputElement(action_id="i", initial_value="a@x.test"),
    "url": sdk.UrlInputElement(action_id="i", focus_on_load=True),
    "rich text": sdk.RichTextInputElement(action_id="i"),
    "select": sdk.StaticSelectElement(
        action_id="i", options=[sdk.Option(text="A", value="a")], initial_option=sdk.Option(text="A", value="a")
    ),
    "several": sdk.StaticMultiSelectElement(
        action_id="i", options=[sdk.Option(text="A", value="a")], max_selected_items=1, placeholder="x"
    ),
    "people": sdk.UserMultiSelectElement(action_id="i", placeholder="x"),
    "radio": sdk.RadioButtonsElement(action_id="i", options=[sdk.Option(text="A", value="a")]),
    "date": sdk.DatePickerElement(action_id="i", initial_date="2026-02-28"),
    "time": sdk.TimePickerElement(action_id="i", initial_time="23:59"),
    "date and time": sdk.DateTimePickerElement(action_id="i", initial_date_time=1_700_000_000),
}


@pytest.mark.parametrize("element", INPUTS.values(), ids=INPUTS)
def test_inputs_of_the_sdk_are_accepted(element):
    """What Slack's own SDK builds for a modal is accepted, alone and in a view built by the SDK."""
    block = sdk.InputBlock(label="Label", element=element, hint="Hint", optional=True)
    check_view(View(type="modal", title="Title", submit="Save", close="No", blocks=[block]).to_dict())


def wrong_input(**members):
    """Return the only block of a view: an input with these members changed."""
    return [{**INPUT, "element": {**INPUT["element"], **members}}]


WRONG_INPUTS = {
    "no label": ([{"type": "input", "element": INPUT["element"]}], "missing required field: label"),
    "mrkdwn label": ([{**INPUT, "label": mrkdwn()}], "unsupported type: mrkdwn"),
    "long label": ([{**INPUT, "label": plain("x" * 2001)}], "must be less than 2001 characters"),
    "button as input": ([{**INPUT, "element": button()}], "unsupported type: button"),
    "no element": ([{"type": "input", "label": plain()}], "missing required field: element"),
    "long initial value": (wrong_input(initial_value="x" * 3001), "must be less than 3001 characters"),
    "negative length": (wrong_input(min_length=-1), "must be between 0 and 3000"),
    "no length at all": (wrong_input(max_length=0), "must be between 1 and 3000"),
    "lengths the wrong way": (wrong_input(min_length=9, max_length=3), "min_length must not be more than max_length"),
    "confirm on a text input": (wrong_input(confirm=confirm()), "invalid additional property: confirm"),
    "unknown dispatch": (
        wrong_input(dispatch_action_config={"trigger_actions_on": ["on_blur"]}),
        "must be one of: on_enter_pressed, on_character_entered",
    ),
    "number without decimals": ([{**INPUT, "element": {"type": "number_input"}}], "field: is_decimal_allowed"),
    "two in focus": (
        [
            {**INPUT, "element": {**INPUT["element"], "focus_on_load": True}},
            {**INPUT, "element": {**INPUT["element"], "focus_on_load": True}},
        ],
        "focus_on_load can be true for one element only",
    ),
    "block_id twice": ([{**INPUT, "block_id": "a"}] * 2, "block_id must be unique: a"),
    "bounds the wrong way": (
        [asked({"type": "number_input", "is_decimal_allowed": True, "min_value": "10", "max_value": "9"})],
        "min_value must not be more than max_value",
    ),
    "number that is none": (
        [asked({"type": "number_input", "is_decimal_allowed": True, "initial_value": "ten"})],
        "must be written as a number in quotes",
    ),
    "bound without quotes": (
        [asked({"type": "number_input", "is_decimal_allowed": True, "min_value": 1})],
        "must provide a string",
    ),
    "text where rich text belongs": (
        [asked({"type": "rich_text_input", "initial_value": "x"})],
        "must provide an object",
    ),
}


@pytest.mark.parametrize(("blocks", "complaint"), WRONG_INPUTS.values(), ids=WRONG_INPUTS)
def test_wrong_inputs_are_refused(blocks, complaint):
    """A wrong input in a modal is ``invalid_arguments``, with the details."""
    with pytest.raises(RefusalError) as refused:
        check_view({**FORM, "blocks": blocks})
    assert refused.value.code == "invalid_arguments"
    assert complaint in refused.value.reply()["response_metadata"]["messages"][0]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "invalid_arguments"),
        ({"blocks": [], "view": MODAL}, "invalid_arguments"),
        ({"blocks": [{"type": "x"}]}, "invalid_blocks"),
        ({"message": {"blocks": [{"type": "x"}]}}, "invalid_message"),
        ({"message": []}, "invalid_message"),
        ({"view": {"type": "x"}}, "invalid_view"),
    ],
)
def test_blocks_validate_explains_wrong_arguments(arguments, code):
    """``blocks.validate`` accepts exactly one argument, and names it in its error."""
    with pytest.raises(RefusalError) as refused:
        validate_blocks_call(arguments)
    assert refused.value.code == code


def test_blocks_validate_points_at_the_place():
    """Its errors have a JSON pointer from the root of what was given."""
    with pytest.raises(RefusalError) as refused:
        validate_blocks_call({"blocks": [{"type": "x"}]})
    assert refused.value.reply()["errors"] == [
        {"code": "failed_constraint", "message": "unsupported type: x", "pointer": "/0/type"}
    ]
