"""The local FloKit's quirks: each is plausible, and none changes what FloKit knows."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from bot.flokit.times import read_time
from sandbox.local_flokit.quirks import TIME_FORMS, Quirks, Writer
from sandbox.local_flokit.sources import Source

AT = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
FAILING = Source("int_a", "stripe", "error", AT, "The signing secret is wrong")


def written(quirks: Quirks, *, in_list: bool = False, writer: Writer | None = None, now: datetime = AT):
    """Return an integration with quirks, as FloKit writes it."""
    writer = writer or Writer()
    writer.quirks = quirks
    return writer.listing([FAILING], now)["integrations"][0] if in_list else writer.page(FAILING)["integration"]


@pytest.mark.parametrize("form", TIME_FORMS)
def test_each_form_of_a_time_means_the_same(form):
    """Two forms can't be parsed; the others mean the time that FloKit knows."""
    read = read_time(written(Quirks(time_form=form))["last_synced_at"])
    assert read.at == (None if form in ("unreadable", "not a text") else AT)
    assert bool(read.unreadable) == (read.at is None)


def test_a_text_varies_from_reply_to_reply():
    """Each reply has a new request ID, in the list and for one integration."""
    writer, quirks = Writer(), Quirks(error_forms=("{error} ({request})",))
    texts = {written(quirks, in_list=bool(n % 2), writer=writer)["error_message"] for n in range(6)}
    assert len(texts) == 6
    assert all(text.startswith("The signing secret is wrong (req_") for text in texts)


def test_a_list_can_truncate_and_round():
    """The reply about one integration is exact."""
    quirks = Quirks(list_cuts_errors_at=10, list_rounds_to_s=60)
    entry, page = written(quirks, in_list=True), written(quirks)
    assert (entry["error_message"], entry["last_synced_at"]) == ("The signi…", "2026-03-01T12:34:00Z")
    assert (page["error_message"], page["last_synced_at"]) == (FAILING.error_message, "2026-03-01T12:34:56Z")


@pytest.mark.parametrize(("lag_s", "is_new"), [(0.0, True), (5.0, True), (60.0, False), (math.inf, False)])
def test_a_list_can_lag(lag_s, is_new):
    """It's made again once it's older than its lag."""
    writer = Writer()
    writer.quirks = Quirks(list_lags_s=lag_s)
    writer.listing([], AT)
    assert bool(writer.listing([FAILING], AT + timedelta(seconds=5))["integrations"]) == is_new


def test_a_list_can_omit_an_integration():
    """It can still be fetched by itself."""
    quirks = Quirks(list_leaves_out=frozenset({"int_a"}))
    writer = Writer()
    writer.quirks = quirks
    assert writer.listing([FAILING], AT) == {"integrations": []}
    assert written(quirks)["id"] == "int_a"
