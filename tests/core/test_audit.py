"""The audit log: what's recorded about an action, what people type to see it, and what makes an export safe."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.access.audit import COLUMNS, AuditEntry, Deed, Ruling, as_row, csv_cell, of_outcome, of_subscription
from bot.core.access.audit_words import ME, AuditWish, nearest_people, parse_audit, people_meant
from bot.core.blocks import (
    name_not_recognized_message,
    nobody_called_message,
    time_unclear_message,
    which_person_message,
)
from bot.core.blocks.audit import PAGE_SIZE, nothing_found_message
from bot.core.blocks.panels import panel_message
from bot.core.models import Outcome, Person, SyncRun
from bot.core.panels import Panel, PanelKind
from bot.core.subscriptions.subscriptions import Subscription
from tests.core.hostile import (
    NOW,
    assert_no_markup_of_others,
    assert_slack_takes,
    hostile,
    ids,
    integrations,
    moments,
    people,
    texts,
)

ANA = Person("UANA", "ana")
RUN = SyncRun("run_1", "T1", "int_1", "stripe", NOW, ANA)
ENTRY = AuditEntry(NOW, "T1", ANA, "C0OURS", Deed.RESYNC, "int_1", "stripe", "run_1", result="started")

entries = st.builds(
    AuditEntry,
    at=moments,
    team_id=st.just("T1"),
    person=people,
    channel_id=st.sampled_from(["C0OURS", "", "D0DIRECT"]) | texts,
    action=st.sampled_from(Deed) | texts,
    integration_id=ids,
    integration_type=st.sampled_from(["stripe", ""]) | texts,
    run_id=texts,
    decision=st.sampled_from(Ruling),
    rule=texts,
    result=st.sampled_from(Outcome) | texts,
)


def audit_panel(*shown, page=0, has_more=False, query=""):
    """Return a page of the audit."""
    return Panel("pnl_1", PanelKind.AUDIT, (), NOW, query=query, page=page, entries=shown, has_more=has_more)


def read(message):
    """Return all mrkdwn of a message."""
    return str(message.blocks)


# --- what is recorded --------------------------------------------------------------------------------------------


def test_an_outcome_is_recorded_once():
    """With who started the run; an unchanged outcome isn't recorded again."""
    ended = replace(RUN, outcome=Outcome.NOT_CONFIRMED)
    late = replace(RUN, outcome=Outcome.SUCCEEDED)
    assert of_outcome(RUN, RUN, NOW) is None
    assert of_outcome(ended, ended, NOW) is None
    assert [of_outcome(before, after, NOW).result for before, after in ((RUN, ended), (ended, late))] == [
        "not_confirmed",
        "succeeded",
    ]
    assert of_outcome(RUN, ended, NOW).person == ANA


@pytest.mark.parametrize(("target", "noted"), [("all", ("", "")), ("stripe", ("", "stripe")), ("int_1", ("int_1", ""))])
def test_a_subscriptions_target_is_recorded(target, noted):
    """All integrations, a type, or one integration."""
    subscription = Subscription("sub_1", "T1", "C1", ANA, NOW, target=target)
    entry = of_subscription(subscription, Deed.SUBSCRIBE, ANA, NOW)
    assert (entry.integration_id, entry.integration_type) == noted
    assert entry.result == "failing, stale, disconnected, empty, recovered"


# --- what is typed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("", AuditWish()),
        ("7d", AuditWish(since=NOW - timedelta(days=7))),
        ("stripe 24h", AuditWish(name="stripe", since=NOW - timedelta(hours=24))),
        ("2W app store connect", AuditWish(name="app store connect", since=NOW - timedelta(weeks=2))),
        ("stripe in the last 7 days", AuditWish(name="stripe", since=NOW - timedelta(days=7))),
        ("<@U123ABCD|ana> 7d", AuditWish(person_id="U123ABCD", since=NOW - timedelta(days=7))),
        ("<@U123ABCD|ana maria>", AuditWish(person_id="U123ABCD")),
        ("<@U123ABCD> stripe", AuditWish(person_id="U123ABCD", name="stripe")),
        ("<@U123ABCD>", AuditWish(person_id="U123ABCD")),
        ("@U123ABCD", AuditWish(person_id="U123ABCD")),
        ("W123ABCDE", AuditWish(person_id="W123ABCDE")),
        ("@ana", AuditWish(person_name="ana")),
        ("by @ana", AuditWish(person_name="ana")),
        ("stripe by @ana", AuditWish(person_name="ana", name="stripe")),
        ("“@ana”", AuditWish(person_name="ana")),
        ("@ana maria", AuditWish(person_name="ana maria")),
        ("ana", AuditWish(name="ana")),
        ("me", AuditWish(person_name=ME)),
        ("stripe by me", AuditWish(person_name=ME, name="stripe")),
        ("everything", AuditWish()),
        ("[stripe]", AuditWish(name="[stripe]")),
        ("int_01hx4j7stripe", AuditWish(name="int_01hx4j7stripe")),
    ],
)
def test_words_select_a_part_of_the_audit(words, wish):
    """A person is a mention, a name or an ID; a time range can be anywhere; the rest is a name to look up."""
    assert parse_audit(words, NOW) == wish


@given(texts)
def test_any_words_can_be_parsed(words):
    """They name at most one person."""
    wish = parse_audit(words, NOW)
    assert not (wish.person_id and wish.person_name)


PEOPLE = (Person("U1", "ana"), Person("U2", "ben.lima"), Person("U3", "ben.okoye"), Person("U4", "cleo"))


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("ana", ["U1"]),
        ("Ana", ["U1"]),
        ("ben", ["U2", "U3"]),
        ("okoye", ["U3"]),
        ("ben.lima", ["U2"]),
        ("an", []),
        ("", []),
    ],
)
def test_a_bare_name_means_people(name, ids):
    """People with exactly that name, or else those whose names contain it."""
    assert [person.id for person in people_meant(name, PEOPLE)] == ids


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("ana maria", ["U1"]),
        ("jose", ["U2"]),
        ("muller", ["U3"]),
        ("soren", ["U4"]),
        ("ipek", ["U5"]),
        ("zoë", ["U6"]),
        ("zoe", ["U7"]),
        ("\u674e\u96f7", ["U8"]),
    ],
)
def test_accents_may_be_left_out(name, ids):
    """Unless someone's name is spelled exactly as typed."""
    names = ("Ana María", "José O'Brien", "Müller-Lüdenscheidt", "Søren", "İpek", "Zoë", "Zoe", "\u674e\u96f7")
    people = [Person(f"U{number}", known) for number, known in enumerate(names, 1)]
    assert [person.id for person in people_meant(name, people)] == ids


def test_a_misspelled_name_has_a_closest_match():
    assert nearest_people("cloe", PEOPLE) == (Person("U4", "cleo"),)


# --- what is shown -----------------------------------------------------------------------------------------------


def test_an_entry_says_who_did_what_where_with_which_result():
    """It reads as a sentence, notifies no one, and shows the reader's local time."""
    shown = read(panel_message(audit_panel(ENTRY), {}, NOW))
    assert "*ana* pressed Resync for Stripe `int_1`" in shown
    assert "<!date^1710511200^" in shown
    assert "in <#C0OURS> · started" in shown
    assert "<@UANA>" not in shown


def test_a_refusal_names_its_rule():
    """So does an override."""
    refused = replace(ENTRY, decision=Ruling.REFUSED, rule="guests never sync", result="")
    shown = read(panel_message(audit_panel(refused), {}, NOW))
    assert "*ana* (refused) pressed Resync for Stripe" in shown
    assert "⛔ refused by “guests never sync”" in shown


def test_automatic_actions_name_the_bot():
    """An outcome names who started the run."""
    paused = replace(ENTRY, action=Deed.PAUSE, person=Person(""), integration_id="", integration_type="")
    assert "*The bot itself* paused the subscription to all integrations" in read(
        panel_message(audit_panel(paused), {}, NOW)
    )
    outcome = replace(ENTRY, action=Deed.OUTCOME, channel_id="", result="failed_again")
    assert "Outcome of the sync of Stripe `int_1`, started by ana" in read(panel_message(audit_panel(outcome), {}, NOW))


def test_older_and_newer_are_shown_only_if_such_pages_exist():
    middle = panel_message(audit_panel(ENTRY, page=1, has_more=True), {}, NOW)
    assert [label in read(middle) for label in ("'Newer'", "'Older'")] == [True, True]
    only = panel_message(audit_panel(ENTRY), {}, NOW)
    assert [label in read(only) for label in ("'Newer'", "'Older'")] == [False, False]


def test_an_empty_page_says_what_was_asked_for():
    """And which time range was understood."""
    panel = audit_panel(query="@nobody")
    assert panel_message(panel, {}, NOW).text == "`/flokit audit @nobody`: no entries found."
    text = panel_message(replace(panel, since=NOW, until=NOW + timedelta(days=1), zone="UTC"), {}, NOW).text
    assert text.startswith("`/flokit audit @nobody`: no entries found from <!date^1710511200^")
    assert text.endswith("|2024-03-16 14:00 UTC> (days in UTC).")


@hostile
@given(texts)
def test_an_empty_answer_says_how_long_entries_are_kept(query):
    """Also if someone asks for a longer time than that."""
    message = nothing_found_message(audit_panel(query=query), kept_days=90, command="/flokit")
    assert message.text.endswith("no entries found. Entries are kept for 90 days.")
    assert_slack_takes(message)
    assert_no_markup_of_others(message)


@hostile
@given(texts, st.lists(integrations, max_size=3), st.lists(texts, max_size=3), st.lists(people, min_size=1, max_size=9))
def test_slack_accepts_every_answer_to_unknown_words(name, known, types, them):
    """Whatever people are called; only one person sees it."""
    for message in (
        name_not_recognized_message(name, known, types, them[:3], word="audit", command="/flokit"),
        which_person_message(name, them, word="audit", command="/flokit"),
        nobody_called_message(name, them[:3], kept_days=90, word="audit", command="/flokit"),
        time_unclear_message(f"I don't recognize “{name}”.", word="history", command="/flokit"),
    ):
        assert message.only_for_one
        assert_slack_takes(message)
        assert_no_markup_of_others(message)


@hostile
@given(st.lists(entries, max_size=PAGE_SIZE), texts, st.integers(0, 10**9), st.booleans())
def test_slack_accepts_every_page(shown, query, page, has_more):
    """Whatever the audit log contains, without untrusted markup."""
    message = panel_message(audit_panel(*shown, query=query, page=page, has_more=has_more), {}, NOW)
    assert_slack_takes(message)
    assert_no_markup_of_others(message)


# --- what is exported --------------------------------------------------------------------------------------------


def test_an_exported_row_has_all_columns():
    row = as_row(ENTRY)
    assert tuple(row) == COLUMNS
    assert (row["at"], row["person_id"], row["action"], row["decision"]) == (
        "2024-03-15T14:00:00.000Z",
        "UANA",
        "resync",
        "allowed",
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "\r=1", "|x"])
def test_no_cell_is_a_formula(text):
    """What a spreadsheet would run is stored as text."""
    assert csv_cell(text) == f"'{text}"


@given(texts)
def test_harmless_text_stays_as_it_is(text):
    """A cell that begins with a letter or a digit isn't changed."""
    assert csv_cell(f"a{text}") == f"a{text}"


@given(st.lists(texts, min_size=1, max_size=5))
def test_a_written_row_is_read_back(cells):
    """Line breaks, quotes and commas survive in a file."""
    out = io.StringIO(newline="")
    row = [csv_cell(cell) for cell in cells]
    csv.writer(out).writerow(row)
    out.seek(0)
    assert next(csv.reader(out)) == row
