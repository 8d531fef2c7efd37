"""The form behind ``/flokit subscribe`` is parsed as a subscription."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from bot.core.forms.form import WrongForm
from bot.core.models import Person
from bot.core.requests import Origin, Request, RequestKind
from bot.core.subscriptions.digest_time import DAILY, WEEKDAYS
from bot.core.subscriptions.form import Filled, read_form, wish_of, write_metadata
from bot.core.subscriptions.subscriptions import DigestTime, Escalation, News, Style
from bot.core.subscriptions.words import Wish

METADATA = write_metadata("C0DATA", "request")
FAILING = {"news": {"subscribe_news": {"selected_options": [{"value": "failing"}]}}}


def chosen(block_id: str, *values: str) -> dict[str, object]:
    """Choose options of an input."""
    return {block_id: {f"subscribe_{block_id}": {"selected_options": [{"value": value} for value in values]}}}


def at(picked: str) -> dict[str, object]:
    """Pick a time."""
    return {"time": {"subscribe_time": {"selected_time": picked}}}


@pytest.mark.parametrize(
    ("values", "wish"),
    [
        (FAILING, Wish("all", frozenset({News.FAILING}))),
        ({**FAILING, **chosen("what", "int_stripe")}, Wish("int_stripe", frozenset({News.FAILING}))),
        ({**FAILING, **chosen("what", "digest only")}, Wish("digest only", frozenset({News.FAILING}))),
        (chosen("days", "daily"), Wish("all", frozenset(), DigestTime(time(9), DAILY, ""))),
        (
            {**chosen("days", "weekdays"), **at("17:30")},
            Wish("all", frozenset(), DigestTime(time(17, 30), WEEKDAYS, "")),
        ),
        ({**chosen("days", "daily"), **at("25:00")}, Wish("all", frozenset(), DigestTime(time(9), DAILY, ""))),
        (
            {**FAILING, **chosen("style", "broadcast"), **chosen("mention", "here")},
            Wish("all", frozenset({News.FAILING}), style=Style.BROADCAST, mention="here"),
        ),
    ],
)
def test_choices_become_a_subscription(values, wish):
    """A name means what it is, even if it could be parsed as something else."""
    assert read_form(values, METADATA) == Filled(wish, "C0DATA", "request")


@pytest.mark.parametrize(
    ("values", "metadata", "block_id"),
    [
        ({}, METADATA, "news"),
        (chosen("news", "weather"), METADATA, "news"),
        (FAILING, "{}", "what"),
        ({**FAILING, **chosen("what", "x" * 101)}, METADATA, "what"),
    ],
)
def test_an_invalid_form_says_why(values, metadata, block_id):
    """Below the input that's missing or wrong."""
    wrong = read_form(values, metadata)
    assert isinstance(wrong, WrongForm)
    assert set(wrong.errors) == {block_id}


def sent(**fields) -> Request:
    """A form that was sent."""
    origin = Origin("T0", Person("UANA"), "C0DATA")
    return Request("1", RequestKind.FORM, origin, datetime(2024, 3, 15, tzinfo=UTC), **fields)


def test_a_form_saved_by_the_previous_version_is_read():
    """Version 0.1 saved a form as words, which mean the same."""
    wish = Wish("int_stripe", frozenset({News.FAILING}), DigestTime(time(9), WEEKDAYS, ""))
    assert wish_of(sent(wish=wish)) == wish
    assert wish_of(sent(text='subscribe "int_stripe" failing digest 09:00 weekdays')) == wish


def escalating(after, person=None, group=None):
    """Fill in whom an incident is escalated to."""
    return {
        **FAILING,
        "escalate": {"subscribe_escalate": {"selected_option": {"value": after}}},
        "escalate_person": {"subscribe_escalate_person": {"selected_user": person}},
        "escalate_group": {"subscribe_escalate_group": {"value": group}},
    }


@pytest.mark.parametrize(
    ("values", "escalation"),
    [
        (escalating("never"), None),
        (escalating("1800", person="U024BE7LH"), Escalation(1800, "U024BE7LH")),
        (escalating("900", group=" S0615G0KT "), Escalation(900, "S0615G0KT")),
        (escalating("3600", group="#C024BE7LR"), Escalation(3600, "C024BE7LR")),
    ],
)
def test_an_escalation_is_chosen(values, escalation):
    assert read_form(values, METADATA).wish.escalate == escalation


@pytest.mark.parametrize(
    ("values", "block"),
    [
        (escalating("1800"), "escalate_person"),
        (escalating("1800", person="U024BE7LH", group="S0615G0KT"), "escalate_group"),
        (escalating("1800", group="@oncall"), "escalate_group"),
        (escalating("never", group="S0615G0KT"), "escalate"),
        (escalating("7", person="U024BE7LH"), "escalate"),
    ],
)
def test_an_escalation_that_makes_no_sense_is_refused(values, block):
    assert set(read_form(values, METADATA).errors) == {block}
