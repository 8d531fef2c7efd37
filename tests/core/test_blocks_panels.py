"""Messages that show integrations: what a person reads in a row, in which order, and with which buttons."""

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
    """Return the texts of a message's sections and contexts."""
    texts: list[str] = []
    for block in message.blocks:
        held: Any = block.get("elements" if block["type"] == "context" else "fields") or [block.get("text")]
        texts += [one["text"] for one in held if one and one.get("type") == "mrkdwn"]
    return texts


def row(message: Message, start: str) -> str:
    """Return the text of the row that begins with this."""
    return next(text for text in mrkdwn(message) if text.startswith(start))


def quotes(message: Message) -> list[str]:
    """Return the texts that are shown verbatim."""
    blocks: list[Any] = [block for block in message.blocks if block["type"] == "rich_text"]
    return [block["elements"][0]["elements"][0]["text"] for block in blocks]


def buttons(message: Message) -> list[dict[str, Any]]:
    """Return the buttons of a message, in order."""
    found: list[Any] = []
    for block in message.blocks:
        found += [block["accessory"]] if "accessory" in block else []
        found += block["elements"] if block["type"] == "actions" else []  # type: ignore[operator]
    return found


def presses(message: Message) -> list[Press | Any]:
    """Return the parsed values of a message's buttons."""
    return [parse_press(button["action_id"], button["value"]) for button in buttons(message)]


# --- status ----------------------------------------------------------------------------------------------------


def test_rows_are_sorted_by_urgency():
    """Failing first, then syncing, disconnected, unknown, connected; within a state by name."""
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
def test_each_row_shows_its_state_in_words(start, state):
    """Next to the emoji, with the last successful sync."""
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
        (replace(STATUS, integrations=(), query="stripe"), "No integrations matching “stripe”."),
    ],
)
def test_the_text_is_correct_for_any_number(panel, text):
    """With one in trouble, with none, and without any integration."""
    assert panel_message(panel, {}, NOW).text == text


@pytest.mark.parametrize(("status", "words"), [("<paused>", " (“&lt;paused&gt;”)"), ("unknown", ""), ("\u202e*", "")])
def test_an_unknown_state_is_quoted(status, words):
    """In FloKit's own word, with nothing parsed in it."""
    shown = row(panel_message(replace(STATUS, integrations=(replace(PAUSED, status=status),)), {}, NOW), "*Adjust*")
    assert f"❔ in a state I don't know{words} · " in shown


def test_an_unreadable_time_is_not_never():
    """Such a success is neither "never synced" nor stale."""
    unreadable = replace(REVENUECAT, last_synced_at=None, unreadable_time="9999-99-99")
    message = panel_message(replace(STATUS, integrations=(unreadable,)), {}, NOW)
    assert row(message, "*RevenueCat*").split("\n")[1] == "✅ connected · last successful sync at a time I can't read"


def test_an_error_is_shown_word_for_word():
    """FloKit's error is in a block that Slack doesn't parse."""
    hostile = replace(STRIPE, error_message="<!channel> *look*")
    assert quotes(panel_message(replace(STATUS, integrations=(hostile,)), {}, NOW)) == ["<!channel> *look*"]


def test_a_disconnected_row_says_where_to_reconnect():
    assert "FloKit → Settings → Integrations" in row(panel_message(STATUS, {}, NOW), "*Warehouse*")


def test_only_failing_and_disconnected_rows_give_advice():
    """And have Details."""
    message = panel_message(STATUS, {}, NOW)
    assert len([text for text in mrkdwn(message) if text.startswith("Things to check")]) == 2
    details = [press.integration_id for press in presses(message) if press.action is Action.DETAILS]
    assert details == [STRIPE.id, WAREHOUSE.id]


def test_resync_comes_last_where_it_cannot_help():
    """A disconnected integration is reconnected in FloKit."""
    for panel in (STATUS, replace(STATUS, kind=PanelKind.DETAIL)):
        message = panel_message(replace(panel, integrations=(WAREHOUSE,)), {}, NOW)
        offered = [press.action for press in presses(message) if press.integration_id == WAREHOUSE.id]
        assert offered[0] is not Action.RESYNC
        assert offered[-1] is Action.RESYNC


def test_resync_asks_for_confirmation():
    """In a dialog that names the integration."""
    resync = buttons(panel_message(replace(STATUS, integrations=(IOS, ANDROID)), {}, NOW))[0]
    assert resync["confirm"]["title"]["text"] == "Resync AppsFlyer …ios1?"
    assert resync["accessibility_label"] == "Resync AppsFlyer …ios1"
    assert parse_press(resync["action_id"], resync["value"]) == Press(Action.RESYNC, IOS.id, "panel_1")


def test_an_unusable_id_gets_no_button():
    """The integration is shown without buttons."""
    odd = replace(STRIPE, id="x" * 101)
    assert presses(panel_message(replace(STATUS, integrations=(odd,)), {}, NOW)) == [
        Press(Action.REFRESH, panel_id="panel_1")
    ]


def test_the_shown_end_of_an_id_is_accepted_by_commands():
    """It distinguishes two integrations of a type."""
    assert resolve_target("…ios1", ALL) == resolve_target(IOS.id, ALL)


def test_old_data_is_labeled_as_old():
    """If FloKit couldn't be reached, the message says why and how old its data is."""
    panel = replace(STATUS, stale_reason="no <answer> in 10 s.")
    note = f"FloKit can't be reached (no &lt;answer&gt; in 10 s); showing data from {date(NOW)}."
    message = panel_message(panel, {}, NOW + timedelta(hours=1))
    assert mrkdwn(message)[0] == f"⚠️ {note}"
    assert message.text.startswith(note)


def crowd(count: int) -> Panel:
    """Return a panel of ``count`` failing integrations of one type."""
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
    """A page says which it is and has buttons to its neighbors; one beyond the end is the last."""
    message = panel_message(replace(crowd(20), page=page), {}, NOW)
    assert f" · {words} · " in mrkdwn(message)[-1]
    assert [(press.action, press.page) for press in presses(message) if "page" in press.action] == turns


def test_a_full_page_of_failures_keeps_errors_and_buttons():
    """Eight failing rows each keep their error and Resync; advice is left out first."""
    message = panel_message(crowd(8), {}, NOW)
    assert len([press for press in presses(message) if press.action is Action.RESYNC]) == 8
    assert quotes(message) == [ERROR] * 8


# --- rows with runs --------------------------------------------------------------------------------------------


def test_a_running_row_says_who_started_it():
    """And when, and who joined; the old error is hidden."""
    syncing = replace(RUN, last_seen=replace(STRIPE, status="syncing"), last_seen_at=NOW)
    message = panel_message(STATUS, {STRIPE.id: RowRun(syncing, (Person("U2"), Person("U3")))}, NOW)
    line = row(message, "*Stripe*").split("\n")[1]
    assert line == f"⏳ syncing — resync started by <@U1> {date(NOW)}, joined by <@U2>, <@U3>"
    assert quotes(message) == []


def test_a_queued_row_does_not_claim_to_sync():
    """Until FloKit shows it syncing, it's called queued."""
    assert "⏳ queued — resync started by <@U1>" in row(
        panel_message(STATUS, {STRIPE.id: RowRun(RUN)}, NOW), "*Stripe*"
    )


def test_a_running_row_can_be_joined():
    """It keeps Resync."""
    message = panel_message(STATUS, {STRIPE.id: RowRun(RUN)}, NOW)
    assert Press(Action.RESYNC, STRIPE.id, "panel_1") in presses(message)


def test_a_row_does_not_move_while_it_syncs():
    """An update keeps the panel's order."""
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
        (Outcome.NOT_CONFIRMED, f"Resync by <@U1>: no result as of {date(LATER)}"),
    ],
)
def test_a_row_shows_how_its_run_ended(outcome, line):
    ended = replace(RUN, phase=Phase.DONE, outcome=outcome, ended_at=LATER, last_seen=SYNCED, last_seen_at=LATER)
    message = panel_message(STATUS, {STRIPE.id: RowRun(ended)}, LATER)
    assert row(message, "*Stripe*").split("\n")[1:] == [f"✅ connected · last successful sync {date(LATER)}", line]


def test_an_older_run_leaves_no_trace():
    """A run that ended before the panel was rendered changes nothing, because the panel has newer data."""
    ended = replace(RUN, outcome=Outcome.SUCCEEDED, ended_at=FRESH, last_seen=SYNCED, last_seen_at=FRESH)
    assert panel_message(STATUS, {STRIPE.id: RowRun(ended)}, NOW) == panel_message(STATUS, {}, NOW)


def test_a_run_that_never_started_is_called_that():
    ended = replace(RUN, attempts=0, outcome=Outcome.NOT_CONFIRMED, ended_at=LATER)
    assert row(panel_message(STATUS, {STRIPE.id: RowRun(ended)}, LATER), "*Stripe*").endswith(
        "Resync by <@U1> wasn't started"
    )


def test_the_row_of_a_removed_integration_has_no_resync():
    ended = replace(RUN, outcome=Outcome.GONE, ended_at=LATER)
    message = panel_message(STATUS, {STRIPE.id: RowRun(ended)}, LATER)
    assert "❔ no longer in FloKit" in row(message, "*Stripe*")
    assert Press(Action.RESYNC, STRIPE.id, "panel_1") not in presses(message)


# --- one integration -------------------------------------------------------------------------------------------


def test_the_detail_shows_every_field():
    """Missing fields are called unknown."""
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
    assert presses(message) == [
        Press(Action.RESYNC, STRIPE.id, "panel_1"),
        Press(Action.REFRESH, "", "panel_1"),
        Press(Action.EDIT_NAME, STRIPE.id, "panel_1"),
    ]


def test_the_root_of_a_follow_up_says_who_asked():
    """Without notifying them."""
    panel = replace(STATUS, kind=PanelKind.SYNC, integrations=(STRIPE,))
    message = panel_message(panel, {STRIPE.id: RowRun(RUN, (Person("U2", "ben"),))}, NOW)
    assert message.text == "Resync of Stripe, started by ana, joined by ben."


@pytest.mark.parametrize("kind", [PanelKind.DETAIL, PanelKind.SYNC])
def test_a_panel_of_a_removed_integration_says_so(kind):
    message = panel_message(replace(STATUS, kind=kind, integrations=()), {}, NOW)
    assert message.text == "FloKit no longer has this integration."


@pytest.mark.parametrize(
    ("kind", "action"), [(PanelKind.CHOOSE_SYNC, Action.RESYNC), (PanelKind.CHOOSE_DETAIL, Action.DETAILS)]
)
def test_an_ambiguous_type_has_one_button_per_integration(kind, action):
    """Named by the end of its ID."""
    message = panel_message(replace(STATUS, kind=kind, integrations=(IOS, ANDROID), query="appsflyer"), {}, NOW)
    assert message.text == "“appsflyer” matches 2 integrations — which one?"
    assert [(press.action, press.integration_id) for press in presses(message)] == [
        (action, IOS.id),
        (action, ANDROID.id),
    ]
    assert "✅ connected, but stale · last successful sync" in row(message, "*AppsFlyer* `…and1`")
