"""The messages that show integrations: what a person reads in a row, in which order, and with which buttons."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.core.blocks import panel_message
from bot.core.blocks.text import date
from bot.core.commands.presses import Action, Press, parse_press
from bot.core.commands.targets import resolve_target
from bot.core.models import Integration, Message, Outcome, Person, Phase, SyncRun, SyncStats
from bot.core.panels import Panel, PanelKind, RowRun

NOW = datetime(2024, 3, 15, 14, 0, tzinfo=UTC)
FRESH = NOW - timedelta(hours=1)
ERROR = "Webhook signature verification failed — check your signing secret"

REVENUECAT = Integration("int_01hx4j7revenuecat", "revenuecat", "connected", FRESH)
STRIPE = Integration("int_01hx4j7stripe", "stripe", "error", FRESH, ERROR)
IOS = Integration("int_01hx4j7appsios1", "appsflyer", "syncing", FRESH)
ANDROID = Integration("int_01hx4j7appsand1", "appsflyer", "connected", NOW - timedelta(days=3))
WAREHOUSE = Integration("int_01hx4j7wh", "warehouse", "disconnected", None)
PAUSED = Integration("int_01hx4j7adjust", "adjust", "paused", FRESH)
ALL = (REVENUECAT, STRIPE, IOS, ANDROID, WAREHOUSE, PAUSED)

STATUS = Panel("panel_1", PanelKind.STATUS, ALL, NOW)
RUN = SyncRun("run_1", "T1", STRIPE.id, "stripe", NOW, Person("U1", "ana"), attempts=1, baseline=STRIPE)


def mrkdwn(message: Message) -> list[str]:
    """Collect what is written in the sections and contexts of a message."""
    texts: list[str] = []
    for block in message.blocks:
        held: Any = block.get("elements" if block["type"] == "context" else "fields") or [block.get("text")]
        texts += [one["text"] for one in held if one and one.get("type") == "mrkdwn"]
    return texts


def row(message: Message, start: str) -> str:
    """Find the row whose text begins so."""
    return next(text for text in mrkdwn(message) if text.startswith(start))


def quotes(message: Message) -> list[str]:
    """Collect the texts that are shown word for word."""
    blocks: list[Any] = [block for block in message.blocks if block["type"] == "rich_text"]
    return [block["elements"][0]["elements"][0]["text"] for block in blocks]


def buttons(message: Message) -> list[dict[str, Any]]:
    """Collect the buttons of a message in their order."""
    found: list[Any] = []
    for block in message.blocks:
        found += [block["accessory"]] if "accessory" in block else []
        found += block["elements"] if block["type"] == "actions" else []  # type: ignore[operator]
    return found


def presses(message: Message) -> list[Press | Any]:
    """Read what the buttons of a message mean."""
    return [parse_press(button["action_id"], button["value"]) for button in buttons(message)]


# --- status ----------------------------------------------------------------------------------------------------


def test_rows_stand_in_the_order_of_urgency():
    """Failing rows come first, then syncing, disconnected, unknown, connected; within a state by name."""
    rows = [text.split("\n")[0] for text in mrkdwn(panel_message(STATUS, {}, NOW)) if " sync" in text]
    assert rows == [
        "*Stripe*",
        "*AppsFlyer* `…ios1`",
        "*Warehouse*",
        "*Adjust*",
        "*AppsFlyer* `…and1`",
        "*RevenueCat*",
    ]


@pytest.mark.parametrize(
    ("start", "state"),
    [
        ("*Stripe*", "❌ failing · last successful sync"),
        ("*AppsFlyer* `…ios1`", "⏳ syncing · last successful sync"),
        ("*Warehouse*", "🔌 disconnected · never synced"),
        ("*AppsFlyer* `…and1`", "✅ connected, but stale · last successful sync"),
        ("*RevenueCat*", "✅ connected · last successful sync"),
        ("*Adjust*", "❔ in a state I don't know (“paused”) · last successful sync"),
    ],
)
def test_a_state_is_told_in_words(start, state):
    """Each row says its state in words beside the emoji, and its last success."""
    assert row(panel_message(STATUS, {}, NOW), start).split("\n")[1].startswith(state)


def test_the_text_is_a_sentence():
    """The text for notifications and screen readers says how many need attention, and which."""
    assert panel_message(STATUS, {}, NOW).text == (
        "2 of 6 integrations need attention, 1 in a state I don't know: Stripe is failing, Warehouse is disconnected, "
        "Adjust is in a state I don't know (“paused”)."
    )


@pytest.mark.parametrize(
    ("panel", "text"),
    [
        (replace(STATUS, integrations=(REVENUECAT, IOS)), "No integration needs attention: 1 syncing, 1 connected."),
        (
            replace(STATUS, integrations=(REVENUECAT, PAUSED)),
            "1 of 2 integrations is in a state I don't know: 1 in a state I don't know, 1 connected.",
        ),
        (
            replace(STATUS, integrations=(PAUSED, replace(PAUSED, id="int_2", status="degraded"))),
            "2 of 2 integrations are in a state I don't know: 2 in a state I don't know.",
        ),
        (
            replace(STATUS, integrations=(replace(PAUSED, status="unknown"),)),
            "1 of 1 integration is in a state I don't know: 1 in a state I don't know.",
        ),
        (
            replace(STATUS, integrations=(STRIPE,), query="a <b>"),
            "1 of 1 integration matching “a &lt;b&gt;” needs attention: Stripe is failing.",
        ),
        (
            replace(STATUS, integrations=()),
            "No integrations in FloKit yet. Connect one in FloKit → Settings → Integrations.",
        ),
        (replace(STATUS, integrations=(), query="stripe"), "No integrations in FloKit yet matching “stripe”."),
    ],
)
def test_the_text_fits_what_there_is(panel, text):
    """The sentence is true for one, for none in trouble, and for none at all."""
    assert panel_message(panel, {}, NOW).text == text


@pytest.mark.parametrize(("status", "words"), [("<paused>", " (“&lt;paused&gt;”)"), ("unknown", ""), ("\u202e*", "")])
def test_an_unknown_state_is_quoted(status, words):
    """FloKit's own word is quoted where it names one, with nothing parsed in it."""
    shown = row(panel_message(replace(STATUS, integrations=(replace(PAUSED, status=status),)), {}, NOW), "*Adjust*")
    assert f"❔ in a state I don't know{words} · " in shown


def test_a_time_that_cannot_be_read_is_not_never():
    """A success whose time can't be read is neither "never synced" nor stale."""
    unreadable = replace(REVENUECAT, last_synced_at=None, unreadable_time="9999-99-99")
    message = panel_message(replace(STATUS, integrations=(unreadable,)), {}, NOW)
    assert row(message, "*RevenueCat*").split("\n")[1] == "✅ connected · last successful sync at a time I can't read"


def test_an_error_is_shown_word_for_word():
    """FloKit's error text stands in a block in which nothing is parsed."""
    hostile = replace(STRIPE, error_message="<!channel> *look*")
    assert quotes(panel_message(replace(STATUS, integrations=(hostile,)), {}, NOW)) == ["<!channel> *look*"]


def test_a_disconnected_row_says_where_to_reconnect():
    """A disconnected row says where it is reconnected."""
    assert "FloKit → Settings → Integrations" in row(panel_message(STATUS, {}, NOW), "*Warehouse*")


def test_only_rows_in_trouble_give_advice():
    """Things to check and Details stand under failing and disconnected rows only."""
    message = panel_message(STATUS, {}, NOW)
    assert len([text for text in mrkdwn(message) if text.startswith("Things to check")]) == 2
    details = [press.integration_id for press in presses(message) if press.action is Action.DETAILS]
    assert details == [STRIPE.id, WAREHOUSE.id]


def test_resync_asks_first():
    """Resync asks in a dialog that names the integration."""
    resync = buttons(panel_message(replace(STATUS, integrations=(IOS, ANDROID)), {}, NOW))[0]
    assert resync["confirm"]["title"]["text"] == "Resync AppsFlyer …ios1?"
    assert resync["accessibility_label"] == "Resync AppsFlyer …ios1"
    assert parse_press(resync["action_id"], resync["value"]) == Press(Action.RESYNC, IOS.id, "panel_1")


def test_an_unusable_id_gets_no_button():
    """An integration whose id no button can carry is shown without buttons."""
    odd = replace(STRIPE, id="x" * 101)
    assert presses(panel_message(replace(STATUS, integrations=(odd,)), {}, NOW)) == [
        Press(Action.REFRESH, panel_id="panel_1")
    ]


def test_a_shown_ending_is_understood():
    """The ending that tells two integrations of a type apart is one that a command takes."""
    assert resolve_target("…ios1", ALL) == resolve_target(IOS.id, ALL)


def test_older_knowledge_is_called_that():
    """When FloKit could not be asked, the message says why and from when its knowledge is."""
    panel = replace(STATUS, stale_reason="no <answer> in 10 s.")
    note = f"FloKit can't be reached (no &lt;answer&gt; in 10 s): this is what I knew at {date(NOW)}."
    message = panel_message(panel, {}, NOW + timedelta(hours=1))
    assert mrkdwn(message)[0] == f"⚠️ {note}"
    assert message.text.startswith(note)


def crowd(count: int) -> Panel:
    """Make a panel of so many failing integrations of one type."""
    return replace(
        STATUS, integrations=tuple(replace(STRIPE, id=f"int_01hx4j7k9m2n3p5q6r{index:02}") for index in range(count))
    )


@pytest.mark.parametrize(
    ("page", "words", "turns"),
    [
        (0, "Page 1 of 3", [(Action.NEXT_PAGE, 1)]),
        (1, "Page 2 of 3", [(Action.PREVIOUS_PAGE, 0), (Action.NEXT_PAGE, 2)]),
        (2, "Page 3 of 3", [(Action.PREVIOUS_PAGE, 1)]),
        (9, "Page 3 of 3", [(Action.PREVIOUS_PAGE, 1)]),
        (-1, "Page 1 of 3", [(Action.NEXT_PAGE, 1)]),
    ],
)
def test_many_integrations_are_paged(page, words, turns):
    """A page says which it is and has buttons to its neighbours; one beyond the end is the last."""
    message = panel_message(replace(crowd(20), page=page), {}, NOW)
    assert f" · {words} · " in mrkdwn(message)[-1]
    assert [(press.action, press.page) for press in presses(message) if "page" in press.action] == turns


def test_a_full_page_of_failures_keeps_errors_and_buttons():
    """With eight failing rows each still has its error text and Resync; advice gives way first."""
    message = panel_message(crowd(8), {}, NOW)
    assert len([press for press in presses(message) if press.action is Action.RESYNC]) == 8
    assert quotes(message) == [ERROR] * 8


# --- rows with runs --------------------------------------------------------------------------------------------


def test_a_running_row_says_who_started_it():
    """A row whose sync is under way says who started it, when, and who joined, and hides the old error."""
    syncing = replace(RUN, last_seen=replace(STRIPE, status="syncing"), last_seen_at=NOW)
    message = panel_message(STATUS, {STRIPE.id: RowRun(syncing, (Person("U2"), Person("U3")))}, NOW)
    line = row(message, "*Stripe*").split("\n")[1]
    assert line == f"⏳ syncing — resync started by <@U1> {date(NOW)}, joined by <@U2>, <@U3>"
    assert quotes(message) == []


def test_a_queued_row_does_not_claim_to_sync():
    """Until FloKit shows it syncing, a row under way is called queued."""
    assert "⏳ queued — resync started by <@U1>" in row(
        panel_message(STATUS, {STRIPE.id: RowRun(RUN)}, NOW), "*Stripe*"
    )


def test_a_running_row_can_be_joined():
    """Resync stays in a row under way: a click joins."""
    message = panel_message(STATUS, {STRIPE.id: RowRun(RUN)}, NOW)
    assert Press(Action.RESYNC, STRIPE.id, "panel_1") in presses(message)


def test_a_row_does_not_move_while_it_syncs():
    """A redraw keeps the order in which the panel was drawn."""
    done = replace(RUN, last_seen=replace(STRIPE, status="connected"), last_seen_at=NOW + timedelta(seconds=9))
    before, after = (
        [text.split("\n")[0] for text in mrkdwn(panel_message(STATUS, runs, NOW)) if text.startswith("*")][1:]
        for runs in ({}, {STRIPE.id: RowRun(done)})
    )
    assert before == after


LATER = NOW + timedelta(seconds=80)
SYNCED = replace(STRIPE, status="connected", last_synced_at=LATER, error_message=None)


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome.SUCCEEDED, f"Synced {date(LATER)}, resync by <@U1>"),
        (Outcome.FAILED, f"Resync by <@U1> failed {date(LATER)}"),
        (Outcome.FAILED_AGAIN, f"Resync by <@U1> ended {date(LATER)}: still failing, with the same error"),
        (Outcome.NOT_CONFIRMED, f"Resync by <@U1>: no result up to {date(LATER)}"),
    ],
)
def test_a_row_tells_how_its_run_ended(outcome, line):
    """A run that ended since the panel was drawn leaves its outcome in the row."""
    ended = replace(RUN, phase=Phase.DONE, outcome=outcome, ended_at=LATER, last_seen=SYNCED, last_seen_at=LATER)
    message = panel_message(STATUS, {STRIPE.id: RowRun(ended)}, LATER)
    assert row(message, "*Stripe*").split("\n")[1:] == [f"✅ connected · last successful sync {date(LATER)}", line]


def test_an_older_run_leaves_no_trace():
    """A run that ended before the panel was drawn changes nothing: the panel knows better."""
    ended = replace(RUN, outcome=Outcome.SUCCEEDED, ended_at=FRESH, last_seen=SYNCED, last_seen_at=FRESH)
    assert panel_message(STATUS, {STRIPE.id: RowRun(ended)}, NOW) == panel_message(STATUS, {}, NOW)


def test_a_run_that_never_started_is_called_that():
    """A run for which no POST was sent is told as not started."""
    ended = replace(RUN, attempts=0, outcome=Outcome.NOT_CONFIRMED, ended_at=LATER)
    assert row(panel_message(STATUS, {STRIPE.id: RowRun(ended)}, LATER), "*Stripe*").endswith(
        "Resync by <@U1> was not started"
    )


def test_a_gone_row_offers_nothing():
    """An integration that FloKit no longer has is shown as gone, without Resync."""
    ended = replace(RUN, outcome=Outcome.GONE, ended_at=LATER)
    message = panel_message(STATUS, {STRIPE.id: RowRun(ended)}, LATER)
    assert "❔ no longer in FloKit" in row(message, "*Stripe*")
    assert Press(Action.RESYNC, STRIPE.id, "panel_1") not in presses(message)


# --- one integration -------------------------------------------------------------------------------------------


def test_the_detail_shows_every_field():
    """The detail shows all that FloKit says, and calls unknown what it does not say."""
    stats = SyncStats(4821, 1_204_739, None)
    panel = replace(STATUS, kind=PanelKind.DETAIL, integrations=(replace(STRIPE, stats=stats),))
    message = panel_message(panel, {}, NOW)
    assert mrkdwn(message)[:7] == [
        "*ID*\n`int_01hx4j7stripe`",
        "*Type*\n`stripe`",
        "*Status*\n❌ failing",
        f"*Last successful sync*\n{date(FRESH)}",
        "*Events, last 24 h*\n4,821",
        "*Events, total*\n1,204,739",
        "*Earliest event*\nnot known",
    ]
    assert quotes(message) == [ERROR]
    assert message.text == "Stripe is failing."
    assert presses(message) == [Press(Action.RESYNC, STRIPE.id, "panel_1"), Press(Action.REFRESH, "", "panel_1")]


def test_the_root_of_a_follow_up_says_who_asked():
    """The message of a sync by command names who asked for it, without notifying them in its text."""
    panel = replace(STATUS, kind=PanelKind.SYNC, integrations=(STRIPE,))
    message = panel_message(panel, {STRIPE.id: RowRun(RUN, (Person("U2", "ben"),))}, NOW)
    assert message.text == "Resync of Stripe, started by ana, joined by ben."


@pytest.mark.parametrize("kind", [PanelKind.DETAIL, PanelKind.SYNC])
def test_a_removed_integration_is_told(kind):
    """A panel whose one integration was removed says so."""
    message = panel_message(replace(STATUS, kind=kind, integrations=()), {}, NOW)
    assert message.text == "FloKit no longer has this integration."


@pytest.mark.parametrize(
    ("kind", "action"), [(PanelKind.CHOOSE_SYNC, Action.RESYNC), (PanelKind.CHOOSE_DETAIL, Action.DETAILS)]
)
def test_a_choice_has_one_button_each(kind, action):
    """A type that matches several is asked back, with one button for each, named by the ending of its id."""
    message = panel_message(replace(STATUS, kind=kind, integrations=(IOS, ANDROID), query="appsflyer"), {}, NOW)
    assert message.text == "“appsflyer” matches 2 integrations — which one?"
    assert [(press.action, press.integration_id) for press in presses(message)] == [
        (action, IOS.id),
        (action, ANDROID.id),
    ]
    assert "✅ connected, but stale · last successful sync" in row(message, "*AppsFlyer* `…and1`")
