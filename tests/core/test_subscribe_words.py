"""What people type to subscribe and unsubscribe, and the error messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.models import Person
from bot.core.subscriptions.digest_time import DAILY, DAY_NAMES, WEEKDAYS, WEEKEND
from bot.core.subscriptions.subscriptions import ALL, DigestTime, Escalation, News, Style, Subscription
from bot.core.subscriptions.text import describe_wish
from bot.core.subscriptions.words import Ending, Unclear, Wish, parse_subscribe, parse_unsubscribe

FAILING, STALE, DISCONNECTED, EMPTY, RECOVERED = News
NINE = DigestTime(time(9), WEEKDAYS, "")


def due(at: str, weekdays: frozenset[int] = WEEKDAYS, zone: str = "") -> Wish:
    """Return a wish for all news, with a digest."""
    return Wish(digest=DigestTime(time.fromisoformat(at), weekdays, zone))


def about(target: str, *news: News) -> Wish:
    """Return a wish for some news about one target."""
    return Wish(target, frozenset(news or News))


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("", Wish()),
        ("all", Wish()),
        ("everything", Wish()),
        ("alerts", Wish()),
        ("stripe", about("stripe")),
        ("for stripe", about("stripe")),
        ("<Stripe> failing", about("Stripe", FAILING)),
        ("failing stripe", about("stripe", FAILING)),
        ("int_01hx4j7stripe STALE", about("int_01hx4j7stripe", STALE)),
        ("…ios1 failing", about("ios1", FAILING)),
        ("App Store Connect stale, recovered", about("App Store Connect", STALE, RECOVERED)),
        ("“App Store Connect” failing", about("App Store Connect", FAILING)),
        ("failing,stale;disconnected", about(ALL, FAILING, STALE, DISCONNECTED)),
        ("tell me when stripe fails", about("stripe", FAILING)),
        ("notify us about everything that is failing", about(ALL, FAILING)),
        ("everything except stale", about(ALL, FAILING, DISCONNECTED, EMPTY, RECOVERED)),
        ("stripe, no recovered", about("stripe", FAILING, STALE, DISCONNECTED, EMPTY)),
        ('"failing" failing', about("failing", FAILING)),
    ],
)
def test_a_text_names_what_and_which_news(text, wish):
    """In any order and case; without news, all of them are meant."""
    assert parse_subscribe(text) == wish


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("digest", due("09:00")),
        ("digest at 9am", due("09:00")),
        ("digest 9", due("09:00")),
        ("digest 0930", due("09:30")),
        ("9:30", due("09:30")),
        ("9.30", due("09:30")),
        ("9h30", due("09:30")),
        ("21:00", due("21:00")),
        ("9 p.m.", due("21:00")),
        ("9 PM", due("21:00")),
        ("12am", due("00:00")),
        ("12:15pm", due("12:15")),
        ("digest at noon", due("12:00")),
        ("digest at 17 o'clock", due("17:00")),
        ("every day", due("09:00", DAILY)),
        ("daily digest", due("09:00", DAILY)),
        ("each morning at 8", due("08:00", DAILY)),
        ("weekdays", due("09:00")),
        ("every weekday morning 8:30", due("08:30")),
        ("business days 10:00", due("10:00")),
        ("weekends", due("09:00", WEEKEND)),
        ("digest weekly", due("09:00", frozenset({0}))),
        ("digest 09:00 mon,wed,fri", due("09:00", frozenset({0, 2, 4}))),
        ("Mondays and Thursdays", due("09:00", frozenset({0, 3}))),
        ("mon/wed 10:00", due("10:00", frozenset({0, 2}))),
        ("mon-fri", due("09:00")),
        ("mon \u2013 fri", due("09:00")),
        ("monday to wednesday", due("09:00", frozenset({0, 1, 2}))),
        ("fri-mon 8", due("08:00", frozenset({4, 5, 6, 0}))),
        ("digest zone europe/berlin", due("09:00", zone="Europe/Berlin")),
        ("digest 09:00 in New York daily", due("09:00", DAILY, "America/New_York")),
        ("time zone Lord Howe, digest", due("09:00", zone="Australia/Lord_Howe")),
        ("weekdays at 09:00 (Europe/Berlin)", due("09:00", zone="Europe/Berlin")),
        ("digest UTC", due("09:00", zone="UTC")),
        ('digest 09:00 zone "Europe/Berlin"', due("09:00", zone="Europe/Berlin")),
        ("digest 09:00 zone “Europe/Berlin”", due("09:00", zone="Europe/Berlin")),
        ("digest zone 'Europe/Berlin'", due("09:00", zone="Europe/Berlin")),
        ('digest at 9 "New York"', due("09:00", zone="America/New_York")),
        ("digest 9am America/New York", due("09:00", zone="America/New_York")),
        ("digest zone Europe\uff0fBerlin", due("09:00", zone="Europe/Berlin")),
        ("no digest", Wish()),
    ],
)
def test_a_text_names_a_digest(text, wish):
    """With times, days and zones as people type them; the defaults are 09:00, weekdays, and their own zone."""
    assert parse_subscribe(text) == wish


@pytest.mark.parametrize("text", ["digest only", "only a digest", "just the digest", "all digest only 9 weekdays"])
def test_only_digest_only_leaves_out_the_news(text):
    assert parse_subscribe(text) == Wish(news=frozenset(), digest=NINE)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("broadcast", Wish(style=Style.BROADCAST)),
        ("thread only", Wish()),
        ("mention @here", Wish(mention="here")),
        ("ping here", Wish(mention="here")),
        ("stripe <!here>.", replace(about("stripe"), mention="here")),
        ("mention <!here", Wish(mention="here")),
        ("mention the <!subteam^S123|@oncall>", Wish(mention="S123")),
        ("&lt;!subteam^S123&gt;", Wish(mention="S123")),
        ("!subteam^S123|@oncall> failing", replace(about(ALL, FAILING), mention="S123")),
        ("mention nobody", Wish()),
        ("no mentions", Wish()),
    ],
)
def test_a_text_names_style_and_mention(text, wish):
    """As Slack writes them and as people type them."""
    assert parse_subscribe(text) == wish


def test_everything_at_once():
    """All parts can be combined in any order."""
    wanted = Wish(
        "app store connect",
        frozenset({FAILING, STALE}),
        DigestTime(time(21), frozenset({0, 2}), "Asia/Kolkata"),
        Style.BROADCAST,
        "S123",
    )
    assert wanted == parse_subscribe(
        "app store connect failing, stale digest 21:00 mon,wed zone Asia/Kolkata broadcast mention <!subteam^S123|@g>"
    )
    assert wanted == parse_subscribe(
        "BROADCAST <!subteam^S123> Zone asia/kolkata stale, digest Mon Wed at 9pm; failing for app store connect"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("@channel", "I never mention everyone in a channel"),
        ("stripe mention everyone", "I never mention everyone in a channel"),
        ("<!everyone>", "I never mention everyone in a channel"),
        ("mention", "Who should I mention?"),
        ("mention <@U123|ana>", "I can't mention individual people"),
        ("mention @oncall", "I don't know who “@oncall” is"),
        ("mention stripe", "I don't know who “stripe” is"),
        ("@here <!subteam^S123>", "I can mention @here or one user group"),
        ("failng", "I don't recognize “failng”. Did you mean “failing”?"),
        ("stripe discnnected", "I don't recognize “discnnected”. Did you mean “disconnected”?"),
        ("digset 9:00", "I don't recognize “digset”. Did you mean “digest”?"),
        (
            "stripe, revenuecat",
            "Pick one integration, or all. I found two names: “stripe” and “revenuecat”",
        ),
        ("stripe failing pls", "Pick one integration"),
        ("digest 25:00", "“25:00” isn't a valid time"),
        ("digest 13:60pm", "“13:60pm” isn't a valid time"),
        ("digest 9:00 and 10:00", "A digest is sent once a day"),
        ("digest zone Europe/Belrin", "“Europe/Belrin” isn't a time zone I know. Closest matches: Europe/Berlin"),
        ("digest zone", "Which time zone?"),
        ("digest 9:00 UTC zone Berlin", "Choose one time zone, not Europe/Berlin and UTC."),
        ("zone Europe/Berlin", "A time zone is for a digest"),
        ("broadcast thread", "Pick one: thread or broadcast"),
        ("digest only, failing", "“Digest only” can't be combined"),
        ("failing, not failing", "That would leave nothing to notify you about."),
        ("not stripe", "I don't recognize “not stripe”"),
        ("stripe " * 100, "That's too long"),
        ("stripe #general", "Subscriptions apply to the current channel"),
    ],
)
def test_an_unclear_text_gets_a_sentence(text, sentence):
    """An invalid text is answered with the problem and an example."""
    unclear = parse_subscribe(text, command="/fk")
    assert isinstance(unclear, Unclear)
    assert unclear.sentence.startswith(sentence)
    assert "Example: /fk subscribe " in unclear.sentence


def test_the_example_in_the_answers_is_valid():
    unclear = parse_subscribe("@channel")
    assert isinstance(unclear, Unclear)
    assert isinstance(parse_subscribe(unclear.sentence.partition("subscribe ")[2]), Wish)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("", Ending()),
        ("all", Ending(ALL)),
        ("from everything", Ending(ALL)),
        ("stripe", Ending("stripe")),
        ("App Store Connect digest", Ending("App Store Connect", digest_only=True)),
        ("all digests", Ending(ALL, digest_only=True)),
        ("digest", Ending("", digest_only=True)),
    ],
)
def test_unsubscribing_names_a_target_or_a_digest(text, ending):
    assert parse_unsubscribe(text) == ending


@pytest.mark.parametrize("text", ["stripe failing", "stripe, revenuecat", "all broadcast", "digset"])
def test_an_unclear_unsubscribe_gets_a_sentence(text):
    """With an example."""
    unclear = parse_unsubscribe(text)
    assert isinstance(unclear, Unclear)
    assert unclear.sentence.endswith("Example: /flokit unsubscribe stripe digest")


FRAGMENTS = (
    'all stripe failing no not digest only at 9 99 25:00 9am 9pm mon-fri every day zone utc "x" " , - < > ( … / ٣ mon- '
    "mention @here @x <!subteam^S1> &lt; -fri time in"
)
fragments = st.lists(st.sampled_from(FRAGMENTS.split()) | st.text(max_size=5)).map(" ".join)


@settings(deadline=None)
@given(st.text() | fragments)
def test_any_text_gets_an_answer(text):
    """It's a subscription or a short sentence, never an error."""
    for answer in (parse_subscribe(text), parse_unsubscribe(text)):
        assert isinstance(answer, Wish | Ending | Unclear)
        assert not isinstance(answer, Unclear) or len(answer.sentence) < 500


# --- and back to text ------------------------------------------------------------------------------------------

SUBSCRIPTION = Subscription("sub_1", "T1", "C1", Person("U1"), datetime(2024, 3, 15, tzinfo=UTC))
BERLIN = DigestTime(time(9), WEEKDAYS, "Europe/Berlin")

clock_times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
digests = st.none() | st.builds(
    DigestTime,
    clock_times,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.sampled_from(["Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", "GMT+0", "CET"]),
)
targets = (
    st.sampled_from(
        [ALL, "stripe", "app_store_connect", "int_01hx4j7stripe", "failing", "week", "at", "9", "am", "UTC"]
    )
    | st.from_regex(r"[A-Za-z0-9_.:/@#-]{1,100}", fullmatch=True)
    | st.from_regex(r"[a-z]{1,9}( [a-z]{1,9}){0,2}", fullmatch=True)
)
subscriptions = st.builds(
    Subscription,
    st.just("sub_1"),
    st.just("T1"),
    st.just("C1"),
    st.just(Person("U1")),
    st.just(SUBSCRIPTION.created_at),
    targets,
    st.frozensets(st.sampled_from(News)),
    digests,
    st.sampled_from(Style),
    st.sampled_from(["", "here", "S123", "SABC"]),
).filter(lambda one: one.news or one.digest)


def as_command(subscription: Subscription) -> str:
    """Return the text after ``subscribe`` in a command that makes this subscription."""
    target, digest, mention = subscription.target, subscription.digest, subscription.mention
    reads_as_name = target[:1].isalpha() and parse_subscribe(target) == Wish(target)
    parts = [", ".join(subscription.news) or "digest only", target if reads_as_name else f'"{target}"']
    if digest:
        days = ",".join(DAY_NAMES[day].lower() for day in sorted(digest.weekdays))
        parts.append(f"digest {digest.at:%H:%M} {days} zone {digest.zone}")
    parts.append(subscription.style)
    if mention:
        parts.append(f"mention {'@here' if mention == 'here' else f'<!subteam^{mention}>'}")
    return " ".join(parts)


@settings(deadline=None)
@given(subscriptions)
def test_a_subscription_can_be_typed_again(subscription):
    """The command made from it is parsed as the same subscription, even with its ends stripped."""
    wish = Wish(subscription.target, subscription.news, subscription.digest, subscription.style, subscription.mention)
    command = as_command(subscription)
    assert parse_subscribe(command) == wish
    assert parse_subscribe(command.strip("<>\"'")) == wish


@pytest.mark.parametrize(
    ("subscription", "words"),
    [
        (
            replace(SUBSCRIPTION, digest=BERLIN),
            "failing, stale, disconnected, empty, recovered; digest weekdays at 09:00 (Europe/Berlin)",
        ),
        (
            replace(SUBSCRIPTION, target="stripe", news=frozenset({RECOVERED, FAILING}), style=Style.BROADCAST),
            "failing, recovered; a different error within an incident is also posted to the channel",
        ),
        (
            replace(SUBSCRIPTION, target="int_1", news=frozenset(), digest=BERLIN, mention="S1"),
            "digest weekdays at 09:00 (Europe/Berlin); mentions a user group",
        ),
        (
            replace(SUBSCRIPTION, mention="here", news=frozenset({FAILING})),
            "failing; mentions @here",
        ),
    ],
)
def test_a_subscription_is_described_in_words(subscription, words):
    """With everything that differs from the defaults."""
    assert describe_wish(subscription) == words


def test_a_user_group_may_be_named_by_its_id():
    """In a slash command, a typed group arrives as plain text."""
    assert parse_subscribe("all mention S0ONCALL1") == Wish(mention="S0ONCALL1")


GROUP_30 = Escalation(1800, "S0615G0KT")


@pytest.mark.parametrize(
    ("text", "escalation"),
    [
        ("escalate after 30m S0615G0KT", GROUP_30),
        ("escalate after 30m @S0615G0KT", GROUP_30),
        ("escalate after 30m <!subteam^S0615G0KT|@oncall-data>", GROUP_30),
        ("escalate after 30m <!subteam^S0615G0KT>", GROUP_30),
        ("escalate after 30 min S0615G0KT", GROUP_30),
        ("escalate after 30 minutes to S0615G0KT", GROUP_30),
        ("Escalate to S0615G0KT after 30m", GROUP_30),
        ("escalate S0615G0KT after 30m", GROUP_30),
        ("escalate to the group S0615G0KT in 30 mins", GROUP_30),
        ("escalate S0615G0KT", GROUP_30),
        ("escalate after 30 S0615G0KT", GROUP_30),
        ("escalation after 30m S0615G0KT", GROUP_30),
        ("escalates within 30m to S0615G0KT", GROUP_30),
        ("all escalate after 30m S0615G0KT", GROUP_30),
        ("escalate it to S0615G0KT after 30m please", GROUP_30),
        ("escalate after 1h S0615G0KT", Escalation(3600, "S0615G0KT")),
        ("escalate after 2 hours S0615G0KT", Escalation(7200, "S0615G0KT")),
        ("escalate after 90m <@U024BE7LH|ana>", Escalation(5400, "U024BE7LH")),
        ("escalate after 90m U024BE7LH", Escalation(5400, "U024BE7LH")),
        ("escalate after 1m <#C024BE7LR|oncall>", Escalation(60, "C024BE7LR")),
        ("escalate after 24h to the channel C024BE7LR", Escalation(86400, "C024BE7LR")),
        ("escalate to #C024BE7LR after 30m", Escalation(1800, "C024BE7LR")),
    ],
)
def test_an_escalation_can_be_typed_in_many_ways(text, escalation):
    assert parse_subscribe(text) == Wish(escalate=escalation)


def test_an_escalation_stands_beside_everything_else():
    wish = parse_subscribe("stripe failing escalate after 30m S0615G0KT mention @here digest 09:00 weekdays broadcast")
    assert (wish.target_text, wish.escalate, wish.mention, wish.style) == ("stripe", GROUP_30, "here", Style.BROADCAST)
    assert wish.digest


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("escalate after 30m @oncall-data", "I don't know who “@oncall-data” is"),
        ("escalate after 30m #oncall", "I don't know who “#oncall” is"),
        ("escalate", "Whom should I tell?"),
        ("escalate after 30m", "Whom should I tell?"),
        ("escalate after 25h S0615G0KT", "1 minute to 24 hours"),
        ("escalate after 0m S0615G0KT", "1 minute to 24 hours"),
        ("escalate after 99999h S0615G0KT", "1 minute to 24 hours"),
        ("escalate S0615G0KT escalate U024BE7LH", "not to several"),
        ("recovered escalate S0615G0KT", "no incidents to escalate"),
        ("esclate after 30m S0615G0KT", "Did you mean “escalate”?"),
    ],
)
def test_what_is_wrong_with_an_escalation_is_said(text, part):
    unclear = parse_subscribe(text)
    assert isinstance(unclear, Unclear), unclear
    assert part in unclear.sentence
