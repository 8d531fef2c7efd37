"""The local Slack accepts what other projects' libraries build, over the Web API.

``blockkit`` and ``slackblocks`` come from others, ``slack_sdk.models`` from Slack. Each table holds the blocks and
elements of one library by their names; where a library has no such thing, its table has no such row.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, time

import blockkit as bk
import pytest
import pytest_asyncio
import slackblocks as sb
from blockkit import core as bk_core
from slack_sdk.models import blocks as sdk
from slack_sdk.models.blocks.basic_components import DispatchActionConfig
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import flokit_slack

PICTURE = "https://flokit.ai/logo.png"
LINK = "https://flokit.ai/runs/7"
DATE, TIME, MOMENT = "2026-02-28", "23:59", 1_767_225_600


@dataclass(frozen=True)
class Library:
    """What one library builds, and how it makes a message, a modal and a Home tab from it."""

    layouts: dict[str, object]
    """Blocks for every surface."""
    message_layouts: dict[str, object]
    accessories: dict[str, object]
    actions: dict[str, object]
    inputs: dict[str, object]
    """Elements that an input block may hold on every surface."""
    modal_inputs: dict[str, object]
    section: Callable
    row: Callable
    asked: Callable
    message: Callable
    modal: Callable
    home: Callable


# --- blockkit ---------------------------------------------------------------------------------------------------

BK_OPTIONS = [bk.Option("Stripe", "stripe", description="Payments"), bk.Option("Amplitude", "amplitude")]
BK_FIRST = BK_OPTIONS[0]
BK_CONFIRM = bk.Confirm("Sure?", "It takes a while.", "Resync", "Not now", style="danger")
BK_GROUPS = [bk.OptionGroup("Failing", BK_OPTIONS), bk.OptionGroup("Fine", [bk.Option("Segment", "segment")])]
BK_FILTER = bk.ConversationFilter(include=["public", "private"], exclude_bot_users=True)
BK_DISPATCH = bk.DispatchActionConfig(["on_enter_pressed", "on_character_entered"])
BK_BOLD = bk.RichStyle(bold=True, italic=True)
BK_TEXT = bk.RichTextSection([bk.RichTextEl("x", style=BK_BOLD)])
BK_SELECTS = {
    "static select": bk.StaticSelect(placeholder="Choose", action_id="in", options=BK_OPTIONS, initial_option=BK_FIRST),
    "option groups": bk.StaticSelect(placeholder="Choose", action_id="in", option_groups=BK_GROUPS),
    "external select": bk.ExternalSelect(placeholder="Choose", action_id="in", min_query_length=2),
    "users select": bk.UsersSelect(placeholder="Who", action_id="in", initial_user="UANA"),
    "conversations select": bk.ConversationsSelect(
        placeholder="Where", action_id="in", default_to_current_conversation=True
    ),
    "filtered conversations": bk.ConversationsSelect(placeholder="Where", action_id="in", filter=BK_FILTER),
    "channels select": bk.ChannelsSelect(placeholder="Where", action_id="in", initial_channel="C0DATA"),
    "datepicker": bk.DatePicker(action_id="in", initial_date=date.fromisoformat(DATE), placeholder="When"),
    "timepicker": bk.TimePicker(action_id="in", initial_time=time.fromisoformat(TIME), timezone="Europe/Berlin"),
    "checkboxes": bk.Checkboxes(action_id="in", options=BK_OPTIONS, initial_options=[BK_FIRST]),
    "radio buttons": bk.RadioButtons(action_id="in", options=BK_OPTIONS, initial_option=BK_FIRST),
}
BK_MULTI_SELECTS = {
    "multi static select": bk.MultiStaticSelect(
        placeholder="Choose", action_id="in", options=BK_OPTIONS, initial_options=[BK_FIRST], max_selected_items=2
    ),
    "multi option groups": bk.MultiStaticSelect(placeholder="Choose", action_id="in", option_groups=BK_GROUPS),
    "multi external select": bk.MultiExternalSelect(placeholder="Choose", action_id="in", min_query_length=1),
    "multi users select": bk.MultiUsersSelect(placeholder="Who", action_id="in", initial_users=["UANA", "UBEN"]),
    "multi conversations select": bk.MultiConversationsSelect(placeholder="Where", action_id="in", filter=BK_FILTER),
    "multi channels select": bk.MultiChannelsSelect(placeholder="Where", action_id="in", initial_channels=["C0DATA"]),
}
BK_PRESSED = {
    "button": bk.Button("Resync", action_id="go", value="int_1", style="primary", confirm=BK_CONFIRM),
    "link button": bk.Button("Open", action_id="go", url=LINK, accessibility_label="Open the run"),
    "overflow": bk.Overflow(
        action_id="go", options=[bk.Option("Open", "open", url=LINK), bk.Option("Mute", "mute")], confirm=BK_CONFIRM
    ),
    **BK_SELECTS,
}
BLOCKKIT = Library(
    layouts={
        "header": bk.Header("Integrations"),
        "section": bk.Section(bk.Text("*x*", type="mrkdwn", verbatim=True), expand=True),
        "fields": bk.Section(fields=["*Status*", bk.Text("fine", type="plain_text", emoji=True)] * 5),
        "context": bk.Context(
            [bk.ImageEl(alt_text="a logo", image_url=PICTURE), bk.Text("*x*"), bk.Text("x", type="plain_text")]
        ),
        "divider": bk.Divider(),
        "image": bk.Image(alt_text="a logo", image_url=PICTURE, title="FloKit"),
        "image of a file": bk.Image(alt_text="a logo", slack_file=bk.SlackFile(id="F1")),
        "rich text": bk.RichText(
            [
                bk.RichTextSection(
                    [
                        bk.RichTextEl("x", style=bk.RichStyle(code=True, strike=True)),
                        bk.RichLinkEl(LINK, text="run", unsafe=False, style=BK_BOLD),
                        bk.RichEmojiEl("tada"),
                        bk.RichUserEl("UANA"),
                        bk.RichUserGroupEl("S1"),
                        bk.RichChannelEl("C0DATA"),
                        bk.RichBroadcastEl("here"),
                        bk.RichDateEl(MOMENT, "{date_short} at {time}", fallback="then"),
                        bk.RichColorEl("#ff0000"),
                    ]
                ),
                bk.RichTextList(style="ordered", elements=[BK_TEXT, BK_TEXT], indent=1, offset=2, border=1),
                bk.RichTextList(style="bullet", elements=[BK_TEXT]),
                bk.RichTextQuote([bk.RichTextEl("x")], border=0),
                bk.RichTextPreformatted([bk.RichTextEl("x"), bk.RichLinkEl(LINK)], border=1),
            ]
        ),
    },
    message_layouts={
        "markdown": bk.Markdown("# x\n- [y](https://flokit.ai)"),
        "table": bk_core.Table(
            [[bk_core.RawText("Name"), bk_core.RawText("State")], [bk.RichText([BK_TEXT]), bk_core.RawText("fine")]],
            column_settings=[bk_core.ColumnSettings(align="right", is_wrapped=True)],
        ),
    },
    accessories={**BK_PRESSED, **BK_MULTI_SELECTS, "image": bk.ImageEl(alt_text="a logo", image_url=PICTURE)},
    actions=BK_PRESSED,
    inputs={
        **BK_SELECTS,
        **BK_MULTI_SELECTS,
        "text": bk.PlainTextInput(
            action_id="in",
            initial_value="x",
            multiline=True,
            min_length=0,
            max_length=3000,
            dispatch_action_config=BK_DISPATCH,
        ),
    },
    modal_inputs={
        "date and time": bk.DatetimePicker(action_id="in", initial_date_time=MOMENT, focus_on_load=True),
        "email": bk.EmailInput(action_id="in", initial_value="ana@flokit.ai", placeholder="Email"),
        "url": bk.UrlInput(action_id="in", initial_value=LINK),
        "number": bk.NumberInput(is_decimal_allowed=True, action_id="in", initial_value=1.5, min_value=-2, max_value=9),
        "rich text": bk.RichTextInput(action_id="in", initial_value=bk.RichText([BK_TEXT])),
    },
    section=lambda accessory: bk.Section("x", accessory=accessory),
    row=lambda element: bk.Actions([element]),
    asked=lambda element: bk.Input("Label", element, dispatch_action=True, hint="Hint", optional=True),
    # what blockkit built, because it can't build it twice: dates become text
    message=lambda block: bk.Message("x", blocks=[deepcopy(block)]).build(),
    modal=lambda block: bk.Modal(
        title="Title", blocks=[deepcopy(block)], submit="Save", close="No", private_metadata={"run": 7}
    ).build(),
    home=lambda block: bk.Home(blocks=[deepcopy(block)], callback_id="home").build(),
)

# --- slackblocks ------------------------------------------------------------------------------------------------

SB_OPTIONS = [sb.Option(sb.PlainText(name), name) for name in ("stripe", "amplitude")]
SB_CHOICES = [sb.Option(sb.Markdown("*Stripe*"), "stripe", description="Payments"), sb.Option("Amplitude", "amplitude")]
SB_CONFIRM = sb.ConfirmationDialogue("Sure?", "It takes a while.", "Resync", "Not now")
SB_GROUPS = [sb.OptionGroup("Failing", SB_OPTIONS)]
SB_FILTER = sb.ConversationFilter(include=["im", "mpim"], exclude_external_shared_channels=True)
SB_TEXT = sb.RichTextSection([sb.RichText("x", bold=True)])
SB_SELECTS = {
    "static select": sb.StaticSelectMenu("in", SB_OPTIONS, initial_option=SB_OPTIONS[0], placeholder="Choose"),
    "option groups": sb.StaticSelectMenu("in", option_groups=SB_GROUPS, confirm=SB_CONFIRM),
    "external select": sb.ExternalSelectMenu("in", min_query_length=3),
    "users select": sb.UserSelectMenu("in", initial_user="UBEN"),
    "conversations select": sb.ConversationSelectMenu("in", filter=SB_FILTER),
    "channels select": sb.ChannelSelectMenu("in", initial_channel="C0DATA"),
    "datepicker": sb.DatePicker("in", initial_date=DATE),
    "timepicker": sb.TimePicker("in", initial_time=TIME),
    "checkboxes": sb.CheckboxGroup("in", SB_CHOICES, initial_options=[SB_CHOICES[0]], confirm=SB_CONFIRM),
    "radio buttons": sb.RadioButtonGroup("in", SB_CHOICES, initial_option=SB_CHOICES[1]),
}
SB_MULTI_SELECTS = {
    "multi static select": sb.StaticMultiSelectMenu("in", SB_OPTIONS, initial_options=SB_OPTIONS, max_selected_items=2),
    "multi external select": sb.ExternalMultiSelectMenu("in", min_query_length=1),
    "multi users select": sb.UserMultiSelectMenu("in", initial_users=["UANA"]),
    "multi conversations select": sb.ConversationMultiSelectMenu("in", default_to_current_conversation=True),
    "multi channels select": sb.ChannelMultiSelectMenu("in", initial_channels=["C0DATA"]),
}
SB_PRESSED = {
    "button": sb.Button("Resync", "go", value="int_1", style="danger", confirm=SB_CONFIRM),
    "link button": sb.Button("Open", "go", url=LINK),
    "overflow": sb.OverflowMenu("go", SB_OPTIONS),
    **SB_SELECTS,
}
SLACKBLOCKS = Library(
    layouts={
        "header": sb.HeaderBlock("Integrations"),
        "section": sb.SectionBlock("*x*"),
        "fields": sb.SectionBlock("x", fields=["*Status*", sb.PlainText("fine", emoji=True)]),
        "context": sb.ContextBlock([sb.Text("x"), sb.Image("a logo", PICTURE)]),
        "divider": sb.DividerBlock(),
        "image": sb.ImageBlock(PICTURE, "a logo", "FloKit"),
        "rich text": sb.RichTextBlock(
            [
                sb.RichTextSection(
                    [
                        sb.RichText("x", italic=True, strike=True, code=True),
                        sb.RichTextLink(LINK, "run", bold=True),
                        sb.RichTextEmoji("wave", skin_tone=3),
                        sb.RichTextUser("UANA", highlight=True, unlink=False),
                        sb.RichTextUserGroup("S1"),
                        sb.RichTextChannel("C0DATA"),
                    ]
                ),
                sb.RichTextList("bullet", [SB_TEXT, SB_TEXT], indent=8),
                sb.RichTextCodeBlock([sb.RichText("x")], border=1),
                sb.RichTextQuote([sb.RichText("x")]),
            ]
        ),
    },
    message_layouts={
        "markdown": sb.MarkdownBlock("| a | b |\n|---|---|\n| 1 | 2 |"),
        "table": sb.TableBlock(
            [[sb.RawText("Name"), sb.RawText("State")], [SB_TEXT, sb.RawText("fine")]],
            column_settings=[sb.ColumnSettings("center"), sb.ColumnSettings("left")],
        ),
    },
    accessories={**SB_PRESSED, **SB_MULTI_SELECTS, "image": sb.Image("a logo", PICTURE)},
    actions=SB_PRESSED,
    inputs={
        **SB_SELECTS,
        **SB_MULTI_SELECTS,
        "text": sb.PlainTextInput("in", multiline=True, max_length=100, placeholder="Why"),
    },
    modal_inputs={
        "date and time": sb.DateTimePicker("in", initial_datetime=MOMENT),
        "email": sb.EmailInput("in"),
        "url": sb.URLInput("in", placeholder="https://…"),
        "number": sb.NumberInput(False, "in", initial_value="3", min_value=1, max_value=9),
        "rich text": sb.RichTextInput("in", initial_value=sb.RichTextBlock([SB_TEXT])),
    },
    section=lambda accessory: sb.SectionBlock("x", accessory=accessory),
    row=lambda element: sb.ActionsBlock([element]),
    asked=lambda element: sb.InputBlock("Label", element, hint="Hint", optional=True),
    message=lambda block: {"text": "x", "blocks": sb.Message("C0DATA", "x", [block]).to_dict()["blocks"]},
    modal=lambda block: sb.ModalView("Title", [block], close="No", submit="Save", notify_on_close=True).to_dict(),
    home=lambda block: sb.HomeTabView([block], private_metadata="run-7").to_dict(),
)

# --- slack_sdk --------------------------------------------------------------------------------------------------

SDK_OPTIONS = [sdk.Option(text="Stripe", value="stripe"), sdk.Option(text="Amplitude", value="amplitude")]
SDK_CHOICES = [sdk.Option(text=sdk.MarkdownTextObject(text="*Stripe*"), value="stripe", description="Payments")]
SDK_CONFIRM = sdk.ConfirmObject(title="Sure?", text="*Really*", confirm="Yes", deny="No", style="primary")
SDK_GROUPS = [sdk.OptionGroup(label="Failing", options=SDK_OPTIONS)]
SDK_FILTER = sdk.ConversationFilter(include=["public"], exclude_bot_users=True, exclude_external_shared_channels=True)
SDK_PARTS = sdk.RichTextElementParts
SDK_TEXT = sdk.RichTextSectionElement(elements=[SDK_PARTS.Text(text="x", style=SDK_PARTS.TextStyle(bold=True))])
SDK_CELL = {"type": "raw_text", "text": "x"}
SDK_SELECTS = {
    "static select": sdk.StaticSelectElement(
        action_id="in", placeholder="Choose", options=SDK_OPTIONS, initial_option=SDK_OPTIONS[0], confirm=SDK_CONFIRM
    ),
    "option groups": sdk.StaticSelectElement(action_id="in", placeholder="Choose", option_groups=SDK_GROUPS),
    "external select": sdk.ExternalDataSelectElement(action_id="in", placeholder="Choose", min_query_length=3),
    "users select": sdk.UserSelectElement(action_id="in", placeholder="Who", initial_user="UANA"),
    "conversations select": sdk.ConversationSelectElement(action_id="in", placeholder="Where", filter=SDK_FILTER),
    "channels select": sdk.ChannelSelectElement(action_id="in", placeholder="Where", initial_channel="C0DATA"),
    "datepicker": sdk.DatePickerElement(action_id="in", placeholder="When", initial_date=DATE),
    "timepicker": sdk.TimePickerElement(action_id="in", initial_time=TIME, timezone="Europe/Berlin"),
    "checkboxes": sdk.CheckboxesElement(action_id="in", options=SDK_CHOICES, initial_options=SDK_CHOICES),
    "radio buttons": sdk.RadioButtonsElement(action_id="in", options=SDK_CHOICES, initial_option=SDK_CHOICES[0]),
}
SDK_MULTI_SELECTS = {
    "multi static select": sdk.StaticMultiSelectElement(
        action_id="in", placeholder="Choose", options=SDK_OPTIONS, initial_options=SDK_OPTIONS, max_selected_items=2
    ),
    "multi option groups": sdk.StaticMultiSelectElement(
        action_id="in", placeholder="Choose", option_groups=SDK_GROUPS, initial_options=SDK_OPTIONS[:1]
    ),
    "multi external select": sdk.ExternalDataMultiSelectElement(action_id="in", placeholder="Choose"),
    "multi users select": sdk.UserMultiSelectElement(action_id="in", placeholder="Who", initial_users=["UANA"]),
    "multi conversations select": sdk.ConversationMultiSelectElement(
        action_id="in", placeholder="Where", initial_conversations=["C0DATA"], filter=SDK_FILTER
    ),
    "multi channels select": sdk.ChannelMultiSelectElement(action_id="in", placeholder="Where"),
}
SDK_PRESSED = {
    "button": sdk.ButtonElement(text="Resync", action_id="go", value="int_1", style="danger", confirm=SDK_CONFIRM),
    "link button": sdk.LinkButtonElement(text="Open", url=LINK, action_id="go"),
    "overflow": sdk.OverflowMenuElement(action_id="go", options=SDK_OPTIONS, confirm=SDK_CONFIRM),
    **SDK_SELECTS,
}
SDK = Library(
    layouts={
        "header": sdk.HeaderBlock(text="Integrations"),
        "section": sdk.SectionBlock(text=sdk.MarkdownTextObject(text="*x*", verbatim=False), expand=True),
        "fields": sdk.SectionBlock(fields=["*Status*", sdk.PlainTextObject(text="fine", emoji=True)]),
        "context": sdk.ContextBlock(
            elements=[sdk.PlainTextObject(text="x"), sdk.ImageElement(image_url=PICTURE, alt_text="a logo")]
        ),
        "divider": sdk.DividerBlock(),
        "image": sdk.ImageBlock(image_url=PICTURE, alt_text="a logo", title="FloKit"),
        "rich text": sdk.RichTextBlock(
            elements=[
                sdk.RichTextSectionElement(
                    elements=[
                        SDK_PARTS.Text(text="x", style=SDK_PARTS.TextStyle(code=True)),
                        SDK_PARTS.Link(url=LINK, text="run"),
                        SDK_PARTS.Emoji(name="tada"),
                        SDK_PARTS.User(user_id="UANA"),
                        SDK_PARTS.UserGroup(usergroup_id="S1"),
                        SDK_PARTS.Channel(channel_id="C0DATA"),
                        SDK_PARTS.Broadcast(range="channel"),
                        SDK_PARTS.Date(timestamp=MOMENT, format="{time}", fallback="then"),
                        SDK_PARTS.Color(value="#ff0000"),
                    ]
                ),
                sdk.RichTextListElement(style="bullet", indent=0, border=0, elements=[SDK_TEXT]),
                sdk.RichTextQuoteElement(elements=[SDK_PARTS.Text(text="x")]),
                sdk.RichTextPreformattedElement(elements=[SDK_PARTS.Text(text="x")], border=0),
            ]
        ),
    },
    message_layouts={
        "markdown": sdk.MarkdownBlock(text="# x"),
        "table": sdk.TableBlock(rows=[[SDK_CELL, SDK_CELL]], column_settings=[None, {"align": "right"}]),
    },
    accessories={
        **SDK_PRESSED,
        **SDK_MULTI_SELECTS,
        "image": sdk.ImageElement(image_url=PICTURE, alt_text="a logo"),
    },
    actions={**SDK_PRESSED, "date and time": sdk.DateTimePickerElement(action_id="in", initial_date_time=MOMENT)},
    inputs={
        **SDK_SELECTS,
        **SDK_MULTI_SELECTS,
        "text": sdk.PlainTextInputElement(
            action_id="in",
            min_length=1,
            dispatch_action_config=DispatchActionConfig(trigger_actions_on=["on_enter_pressed"]),
        ),
    },
    modal_inputs={
        "date and time": sdk.DateTimePickerElement(action_id="in"),
        "email": sdk.EmailInputElement(action_id="in", placeholder="Email"),
        "url": sdk.UrlInputElement(action_id="in", initial_value=LINK),
        "number": sdk.NumberInputElement(action_id="in", is_decimal_allowed=False, initial_value="3", min_value="1"),
        "rich text": sdk.RichTextInputElement(action_id="in", initial_value=sdk.RichTextBlock(elements=[SDK_TEXT])),
    },
    section=lambda accessory: sdk.SectionBlock(text="x", accessory=accessory),
    row=lambda element: sdk.ActionsBlock(elements=[element]),
    asked=lambda element: sdk.InputBlock(
        label="Label", element=element, hint="Hint", optional=True, dispatch_action=True
    ),
    message=lambda block: {"text": "x", "blocks": [block]},
    modal=lambda block: View(type="modal", title="Title", submit="Save", close="No", blocks=[block]),
    home=lambda block: View(type="home", blocks=[block]),
)

# --- the tests --------------------------------------------------------------------------------------------------

LIBRARIES = {"blockkit": BLOCKKIT, "slackblocks": SLACKBLOCKS, "slack_sdk": SDK}


def everywhere(library):
    """Yield what's allowed on every surface: layouts, accessories, actions and inputs."""
    yield from library.layouts.items()
    yield from ((f"{name} beside a section", library.section(part)) for name, part in library.accessories.items())
    yield from ((f"{name} to ask with", library.asked(part)) for name, part in library.inputs.items())


def in_messages(library):
    """Yield what's allowed in a message."""
    yield from everywhere(library)
    yield from library.message_layouts.items()
    yield from ((f"{name} in a row", library.row(part)) for name, part in library.actions.items())


def in_modals(library):
    """Yield what's allowed in a modal."""
    yield from everywhere(library)
    yield from ((f"{name} in a row", library.row(part)) for name, part in library.actions.items())
    yield from ((f"{name} to ask with", library.asked(part)) for name, part in library.modal_inputs.items())


def in_homes(library):
    """Yield what's allowed in a Home tab; a datetime picker isn't."""
    yield from everywhere(library)
    rows = {name: part for name, part in library.actions.items() if name != "date and time"}
    yield from ((f"{name} in a row", library.row(part)) for name, part in rows.items())
    yield "rich text to ask with", library.asked(library.modal_inputs["rich text"])


def rows_of(blocks):
    """Return a row of parameters for each block of each library."""
    return [
        pytest.param(library, block, id=f"{name}: {title}")
        for name, library in LIBRARIES.items()
        for title, block in blocks(library)
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slack():
    """Run one local Slack for all: no test affects another."""
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


on_one_loop = pytest.mark.asyncio(loop_scope="module")


@on_one_loop
@pytest.mark.parametrize(("library", "block"), rows_of(in_messages))
async def test_messages_of_other_libraries_are_accepted(client, library, block):
    """A message with the block is posted, and the block is stored."""
    posted = await client.chat_postMessage(channel="C0DATA", **library.message(block))
    [stored] = posted["message"]["blocks"]
    assert stored["block_id"]


@on_one_loop
@pytest.mark.parametrize(("library", "block"), rows_of(in_modals))
async def test_modals_of_other_libraries_are_accepted(slack, client, library, block):
    """A modal with the block is opened."""
    trigger_id = slack.installation.triggers.issue("UANA")
    opened = await client.views_open(trigger_id=trigger_id, view=library.modal(block))
    assert slack.views.modal("UANA")["id"] == opened["view"]["id"]


@on_one_loop
@pytest.mark.parametrize(("library", "block"), rows_of(in_homes))
async def test_home_tabs_of_other_libraries_are_accepted(slack, client, library, block):
    """A Home tab with the block is published."""
    published = await client.views_publish(user_id="UBEN", view=library.home(block))
    assert slack.views.home("UBEN")["hash"] == published["view"]["hash"]


@on_one_loop
@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
async def test_all_blocks_of_a_library_make_one_message(client, library):
    """Blocks that are accepted one by one are accepted together."""
    blocks = [library.message(block)["blocks"][0] for _, block in in_messages(library)]
    posted = await client.chat_postMessage(channel="C0DATA", text="x", blocks=blocks[:25])
    assert len(posted["message"]["blocks"]) == 25
