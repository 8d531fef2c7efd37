"""Who people are: one cache for zones, guests, strangers and groups; what Slack will not tell lets nobody in."""

from __future__ import annotations

import pytest

from bot.access import Access
from bot.core.errors import SlackAuthLost, SlackOther, SlackUnavailable
from bot.core.models import Person
from bot.core.policy import Allowed, Kind, Policy, Refused, Rule, Verb
from bot.core.requests import Origin
from bot.people import People
from bot.slack import Profile, _profile_of

TEAM = "T1"
SYNC = frozenset({Verb.SYNC})


class Directory:
    """A Slack that knows some people and groups; ``error`` is what it answers instead."""

    def __init__(self, *, error=None, **profiles):
        self.profiles, self.groups, self.error, self.asked = profiles, {}, error, []

    async def fetch_profile(self, user_id):
        """Tell who somebody is."""
        self.asked.append(user_id)
        if self.error:
            raise self.error
        return self.profiles.get(user_id, Profile())

    async def fetch_group(self, group_id):
        """Tell who is in a group."""
        self.asked.append(group_id)
        if self.error:
            raise self.error
        return self.groups[group_id]


def origin(user="U1", **changes):
    """Say who asks, and where."""
    return Origin(TEAM, Person(user), "C1", **changes)


def group_rule(*, allows):
    """A policy about one group."""
    return Policy((Rule("group", allows, SYNC, groups=frozenset({"S1"})),))


@pytest.mark.parametrize(
    ("profile", "kind"),
    [
        (Profile(), Kind.MEMBERS),
        (Profile(team_ids=frozenset({TEAM})), Kind.MEMBERS),
        (Profile(is_guest=True), Kind.GUESTS),
        (Profile(is_guest=True, team_ids=frozenset({"T2"})), Kind.STRANGERS),
        (Profile(is_stranger=True), Kind.STRANGERS),
        (Profile(team_ids=frozenset({"T2", TEAM})), Kind.MEMBERS),
    ],
)
async def test_what_a_person_is(profile, kind):
    """Guests and people of other workspaces are told apart; where Slack says nothing they are members."""
    people = People(Directory(U1=profile), TEAM)
    await people.learn_kind("U1")
    assert people.known_kind("U1") is kind


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"tz": 3, "team_id": None, "enterprise_user": "x"},
        {"is_restricted": "yes", "enterprise_user": {"teams": None}},
    ],
)
def test_any_field_may_be_missing(user):
    """A person of whom Slack says nothing usable has no zone, is no guest and no stranger."""
    assert _profile_of(user) == Profile()


async def test_one_call_serves_zone_and_kind():
    """The zone and the kind come from one question, which is asked once."""
    slack = Directory(U1=Profile("Asia/Kolkata", is_guest=True))
    people = People(slack, TEAM)
    await people.learn_kind("U1")
    assert (await people.zone_of("U1"), people.known_kind("U1")) == ("Asia/Kolkata", Kind.GUESTS)
    assert slack.asked == ["U1"]


async def test_slack_away_lets_nobody_in():
    """While Slack cannot be asked, nothing is decided."""
    access = Access(Policy(), People(Directory(error=SlackUnavailable("away")), TEAM))
    with pytest.raises(SlackUnavailable):
        await access.decide(origin(), Verb.SYNC)
    assert await access.decide(origin(), Verb.LOOK) == Allowed("everybody may look")


@pytest.mark.parametrize("error", [SlackAuthLost("no", code="missing_scope"), SlackOther("no", code="user_not_found")])
async def test_who_slack_will_not_tell_is_a_member(error):
    """Somebody of this workspace whom Slack will not describe may do what members may."""
    access = Access(Policy(), People(Directory(error=error), TEAM))
    assert isinstance(await access.decide(origin(), Verb.SYNC), Allowed)
    assert isinstance(await access.decide(origin(is_stranger=True), Verb.SYNC), Refused)


async def test_a_group_that_slack_will_not_tell():
    """Nobody is let in by it, and everybody is refused by it."""
    missing = SlackAuthLost("no", code="missing_scope")
    refuses = Access(group_rule(allows=False), People(Directory(error=missing), TEAM))
    assert await refuses.decide(origin(), Verb.SYNC) == Refused("group", "You may not sync here.")
    allows = Access(group_rule(allows=True), People(Directory(error=missing), TEAM))
    assert await allows.decide(origin(), Verb.SYNC) == Allowed("members may sync and subscribe")


async def test_a_group_lets_in_who_is_in_it():
    """Members of the group fit the rule, others go on to the next one; the group is asked for once."""
    slack = Directory()
    slack.groups["S1"] = frozenset({"U1"})
    access = Access(group_rule(allows=True), People(slack, TEAM))
    assert [(await access.decide(origin(user), Verb.SYNC)).rule for user in ("U1", "U2")] == [
        "group",
        "members may sync and subscribe",
    ]
    assert slack.asked.count("S1") == 1
