"""When two error texts are the same failure, despite variable parts."""

from __future__ import annotations

import random
import string
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.error_texts import same_text

STRIPE = "Webhook signature verification failed — check your signing secret"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{STRIPE} (request req_AbCdEfGhIjKlMn)", f"{STRIPE} (request req_ZyXwVuTsRqPoNm)"),
        ("Request req_8fK2 failed", "Request req_9aB1 failed"),
        ("Failed (request-id: deadbeefcafe)", "Failed (request-id: facadedecade)"),
        ("Failed, request id abcdefab", "Failed, request id fedcbafe"),
        ("x-request-id=qwertyuiopas: bad key", "x-request-id=zxcvbnmasdfg: bad key"),
        ("Trace ID: aAbBcCdDeE", "Trace ID: zZyYxXwWvV"),
        ("Job 3f2504e0-4f89-11d3-9a0c-0305e82c3301 failed", "Job aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee failed"),
        ("HTTP 503 after 3 attempts", "HTTP 502 after 1 attempt"),
        ("1 row was refused", "12 rows were refused"),
        ("1 query failed", "3 queries failed"),
        ("Rate limited, retry in 5 minutes", "Rate limited, retry in an hour"),
        ("Rate limited, retry in 5 minutes", "Rate limited, retry in less than a minute"),
        ("Rate limited, retry in 2 h 3 min", "Rate limited, retry in a few seconds"),
        ("Rate limited, retry now", "Rate limited, retry in half an hour"),
        ("Rate limited, retry in 1h30m", "Rate limited, retry in 45s"),
        ("Rate limited for PT5M", "Rate limited for PT12.5S"),
        ("Expired three days ago", "Expired 4 days ago"),
        ("Expired yesterday at 3:15 pm", "Expired today at 11:02 am"),
        ("Expired on Mon, 4 May 2026 10:00:00 GMT", "Expired on Sunday, 31 December 2026 at 23:59 UTC"),
        ("Expired 2026-05-04T10:00:00Z", "Expired 2026-11-14T01:02:03.123456+02:00"),
        ("Expired 05/04/2026", "Expired 11/14/2026"),
        ("Downloaded 3 KB of 7 GB, then it broke", "Downloaded 12.5 MB of 1 TB, then it broke"),
        (
            'Get "https://api.stripe.com/v1/charges/ch_3Nabc?after=xyz": EOF',
            'Get "https://api.stripe.com/v1/charges/ch_9Zdef?after=abc": EOF',
        ),
        ("bad key", "  Bad   KEY\n"),
        ("\uff42ad key", "bad key"),
        ("The signing secret is wrong", "The signing sec…"),
        ("The signing secret is wrong", "The signing ..."),
        ("The signing secret is wrong", "The s…"),
        (f"{STRIPE} (request req_8fK2aa1)", f"{STRIPE} (request r…"),
        ("Rate limited, retry in 5 minutes", "Rate limited, retry in 7 min…"),
        ("The signing sec…", "The signing secret i…"),
        ("Try again at 3 o'clock", "Try again at 11:00"),
        ("Waiting for 5 hrs", "Waiting for 2 mins"),
        ("Expired next Monday", "Expired last Tuesday"),
        ("Failed once", "Failed 3 times"),
        ("503", "429"),
        ('{"error":"bad key","request_id":"abcdefgh"}', '{"error":"bad key","request_id":"zyxwvuts"}'),
        ("{'trace': 'qWeRtYuIop', 'error': 'bad key'}", "{'trace': 'aZbYcXdWeV', 'error': 'bad key'}"),
        ("Failed just now", "Failed 5 minutes ago"),
        ("Zeitüberschreitung nach 1 Sekunde", "Zeitüberschreitung nach 45 Sekunden"),
        ("Réessayez dans 2 heures", "Réessayez dans 1 minute"),
        ("Reintente en 3 minutos", "Reintente en 1 hora"),
        ("Повтор через 5 минут", "Повтор через 1 минуту"),
        ("第3次失败", "第14次失败"),
    ],
)
def test_parts_that_vary_do_not_make_a_different_error(one: str, other: str) -> None:
    """IDs, numbers, times, countdowns, whitespace and truncation."""
    assert same_text(one, other)
    assert same_text(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (STRIPE, "The account was closed"),
        (STRIPE, ""),
        ("The token has expired", "The token was revoked"),
        ("Rate limited, retry in 5 minutes", "Quota exceeded, retry in 5 minutes"),
        ("Quota of 100 requests per minute exceeded", "Quota of 100 requests per day exceeded"),
        ("Request failed", "Request rejected"),
        ("request_failed", "request_rejected"),
        ("error: invalid_token", "error: expired_token"),
        ("sync_required", "sync_disabled"),
        ('{"error":"bad key"}', '{"error":"no scope"}'),
        ('{"event": "unauthorized"}', '{"event": "schema_mismatch"}'),
        ("InvalidApiKeyError", "ExpiredApiKeyError"),
        ("OAuthAPIError", "OAuthTokenError"),
        ("The key is valid", "The key is not valid"),
        ("Get https://api.stripe.com/v1/charges: EOF", "Get https://api.stripe.com/v1/customers: EOF"),
        ("Get https://api.stripe.com/v1: EOF", "Get https://api.adjust.com/v1: EOF"),
        ("The signing secret is wr…", "The signing key is wrong"),
        ("The a…", "The signing key is wrong"),
        ("❌", "💥"),
        ("第3次失败", "第3次成功"),
        ("Clé invalide", "Clé expirée"),
        ("Access denied to customers", "Access denied to invoices"),
        ("background failure", "foreground failure"),
    ],
)
def test_other_words_are_another_failure(one: str, other: str) -> None:
    """Whichever text comes first."""
    assert not same_text(one, other)
    assert not same_text(other, one)


WORDS = ("signature", "secret", "expired", "revoked", "quota", "billing", "permission", "scope", "webhook", "schema")

IDS = {
    "stripe": lambda rng: "req_" + "".join(rng.choices(string.ascii_letters + string.digits, k=14)),
    "hex": lambda rng: f"{rng.getrandbits(64):016x}",
    "HEX": lambda rng: f"{rng.getrandbits(128):032X}",
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128))),
    "base58": lambda rng: "".join(rng.choices("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", k=22)),
    "base64url": lambda rng: "".join(rng.choices(string.ascii_letters + string.digits + "-_", k=27)),
    "ulid": lambda rng: "01" + "".join(rng.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=24)),
    "ksuid": lambda rng: "evt_" + "".join(rng.choices(string.ascii_letters + string.digits, k=27)),
    "number": lambda rng: str(rng.randrange(10**12)),
    "sonyflake": lambda rng: f"job-{rng.randrange(10**9)}-{rng.choice('abcdef')}{rng.randrange(99)}",
}


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("form", ["The token has expired ({})", "{}: the token has expired", "Request id: {}, expired"])
def test_an_id_of_any_usual_kind_does_not_make_a_different_error(kind: str, form: str) -> None:
    """For IDs of random letters, this holds in 99 of 100 cases."""
    rng = random.Random(kind + form)
    different = [
        pair
        for pair in ((form.format(IDS[kind](rng)), form.format(IDS[kind](rng))) for _ in range(2000))
        if not same_text(*pair)
    ]
    assert len(different) <= (20 if kind.startswith("base") else 0), different[:3]


text = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
anything = st.text(max_size=80) | text
quick = settings(derandomize=True, deadline=None, max_examples=200, database=None)


@quick
@given(anything, anything)
def test_the_comparison_is_symmetric(one: str, other: str) -> None:
    """And each text is the same as itself."""
    assert same_text(one, one)
    assert same_text(one, other) == same_text(other, one)


@quick
@given(text, text)
def test_texts_of_other_words_are_other_failures(one: str, other: str) -> None:
    """Two sentences are the same failure exactly if their words are the same."""
    assert same_text(one, other) == (one == other)


@quick
@given(st.lists(st.sampled_from([*WORDS, "12", "req_8fK2aa", "in 5 minutes"]), min_size=2, max_size=9), st.data())
def test_a_truncated_text_is_the_same_failure(words: list[str], data: st.DataObject) -> None:
    """Wherever it's cut, if an ellipsis follows."""
    whole = " ".join(words)
    end = data.draw(st.integers(1, len(whole)))
    assert same_text(whole, whole[:end] + "…")
    assert same_text(whole, whole[:end].rstrip() + "...")


def test_the_longest_text_is_compared_within_milliseconds() -> None:
    """Whatever it consists of."""
    began = time.process_time()
    for part in ("a", "A", "aB", "a1-", "req_", "://", "a://", "id: ", "=", " ", ".", "…", "deadbeef-"):
        whole = part * (4000 // len(part))
        same_text(whole, f"{whole}x")
    assert time.process_time() - began < 2
