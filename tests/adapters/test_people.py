"""Who people are: one cache for time zones, guests, strangers and groups; unknown facts allow nothing."""

from __future__ import annotations

import pytest
from cachetools import TTLCache

from bot.core.access.policy import ELSEWHERE, UNIDENTIFIED, Allowed, Kind, Policy, Refused, Rule, Verb
from bot.core.errors import SlackAuthLost, SlackOther, SlackUnavailable
from bot.core.models import Person
from bot.core.requests import Origin
from bot.lookups.access import Access
from bot.lookups.people import People
from bot.slack.replies import Profile, profile_of

TEAM = "T1"
SYNC = frozenset({Verb.SYNC})


class Directory:
    """A Slack that knows some people and groups; if ``error`` is set, it's raised instead."""

    def __init__(self, *, error=None, **profiles):
        self.profiles, self.groups, self.error, self.asked = profiles, {}, error, []

    async def fetch_profile(self, user_id):
        """Return a person's profile."""
        self.asked.append(user_id)
        if self.error:
            raise self.error
        return self.profiles.get(user_id, Profile(team_ids=frozenset({TEAM})))

    async def fetch_group(self, group_id):
        """Return a group's members."""
        self.asked.append(group_id)
        if self.error:
            raise self.error
        return self.groups[group_id]


def origin(user="U1", **changes):
    """Return who asks, and where."""
    return Origin(TEAM, Person(user), "C1", **changes)


def group_rule(*, allows):
    """Return a policy about one group."""
    return Policy((Rule("group", allows, SYNC, groups=frozenset({"S1"})),))


@pytest.mark.parametrize(
    ("profile", "kind"),
    [
        (Profile(), None),
        (Profile(team_ids=frozenset({TEAM})), Kind.MEMBERS),
        (Profile(is_guest=True, team_ids=frozenset({TEAM})), Kind.GUESTS),
        (Profile(is_deactivated=True, team_ids=frozenset({TEAM})), None),
        (Profile(team_ids=frozenset({"E1", "T2"})), Kind.STRANGERS),
        (Profile(is_stranger=True, team_ids=frozenset({TEAM})), Kind.STRANGERS),
        (Profile(is_guest=True, team_ids=frozenset({"T2"})), Kind.STRANGERS),
        (Profile(is_stranger=True), Kind.STRANGERS),
        (Profile(team_ids=frozenset({"T2", TEAM})), Kind.MEMBERS),
    ],
)
async def test_members_guests_and_strangers_are_distinguished(profile, kind):
    """A member's workspaces include ours; a profile that names none proves nothing."""
    people = People(Directory(U1=profile), TEAM)
    standing = await people.learn_standing("U1")
    assert standing.kind is kind
    assert people.known_standing("U1") == standing
    assert bool(standing.unknown) is (kind is None)


@pytest.mark.parametrize(
    "user",
    [
        {"id": "U1"},
        {"tz": 3, "team_id": None, "enterprise_user": "x"},
        {"is_restricted": 0, "is_stranger": None, "enterprise_user": {"teams": None}},
    ],
)
def test_any_field_of_a_profile_may_be_missing(user):
    """Such a person has no time zone, and is neither a guest nor a stranger."""
    assert profile_of({"user": user}) == Profile()


async def test_one_lookup_serves_the_time_zone_and_the_role():
    slack = Directory(U1=Profile("Asia/Kolkata", is_guest=True, team_ids=frozenset({TEAM})))
    people = People(slack, TEAM)
    await people.learn_standing("U1")
    assert (await people.zone_of("U1"), people.known_standing("U1").kind) == ("Asia/Kolkata", Kind.GUESTS)
    assert slack.asked == ["U1"]


async def test_nothing_is_decided_while_slack_is_down():
    access = Access(Policy(), People(Directory(error=SlackUnavailable("away")), TEAM))
    with pytest.raises(SlackUnavailable):
        await access.decide(origin(), Verb.SYNC)
    assert await access.decide(origin(), Verb.LOOK) == Allowed("everyone can look")


UNDESCRIBED = [
    (SlackAuthLost("no", code="missing_scope"), "users:read"),
    *((SlackOther("no", code=code), code) for code in ("user_not_found", "user_not_visible", "something_new")),
]


@pytest.mark.parametrize(("error", "named"), UNDESCRIBED)
async def test_someone_who_cannot_be_looked_up_can_only_look(error, named):
    """They could be a guest or a stranger; the refusal says what's missing."""
    access = Access(Policy(), People(Directory(error=error), TEAM))
    for verb in (Verb.SYNC, Verb.SUBSCRIBE):
        refused = await access.decide(origin(), verb)
        assert refused.rule == UNIDENTIFIED
        assert named in refused.sentence
    audit = await access.decide_audit(origin())
    assert isinstance(audit, Refused)
    assert named in audit.sentence
    assert isinstance(await access.decide(origin(), Verb.LOOK), Allowed)


@pytest.mark.parametrize(
    ("profile", "may_look"),
    [
        (Profile(team_ids=frozenset({TEAM})), True),
        (Profile(team_ids=frozenset({"T2"})), True),
        (Profile(team_ids=frozenset({"T2"}), is_stranger=True), False),
        (Profile(), False),
    ],
)
async def test_requests_from_another_workspace_need_a_shared_channel(profile, may_look):
    """Members are answered, too; anyone else can't even look."""
    access = Access(Policy(), People(Directory(U1=profile), TEAM))
    decided = await access.decide(origin(is_elsewhere=True), Verb.LOOK)
    assert isinstance(decided, Allowed) is may_look
    assert may_look or decided.rule == ELSEWHERE


@pytest.mark.parametrize(("user", "asked"), [("U1", 1401), ("U2", 1500)])
async def test_any_number_of_groups_can_be_checked(user, asked):
    """More than the cache holds; the lookup stops at the first group that matches."""
    slack, names = Directory(), [f"S{number:05}" for number in range(1500)]
    slack.groups = {name: frozenset({"U1"} if name == "S01400" else ()) for name in names}
    people = People(slack, TEAM)
    people._groups = TTLCache(10, 300)
    await Access(Policy((Rule("many", True, SYNC, groups=frozenset(names)),)), people).decide(origin(user), Verb.SYNC)
    assert len([one for one in slack.asked if one.startswith("S")]) == asked


async def test_a_group_that_expires_during_a_check_is_looked_up_again():
    class Forgets(dict):
        def __contains__(self, key):
            return True

    people = People(Directory(), TEAM)
    people._groups = Forgets()
    assert people.known_groups(["S1"]) == {}


async def test_an_unknown_group_allows_nobody_and_refuses_everybody():
    """Slack doesn't return its members."""
    missing = SlackAuthLost("no", code="missing_scope")
    refuses = Access(group_rule(allows=False), People(Directory(error=missing), TEAM))
    refused = await refuses.decide(origin(), Verb.SYNC)
    assert refused.rule == "group"
    assert "usergroups:read" in refused.sentence
    slack = Directory()
    slack.fetch_group = Directory(error=missing).fetch_group
    allows = Access(group_rule(allows=True), People(slack, TEAM))
    assert await allows.decide(origin(), Verb.SYNC) == Allowed("members can sync and subscribe")


async def test_a_group_rule_matches_its_members():
    """Others go on to the next rule; the group is looked up once."""
    slack = Directory()
    slack.groups["S1"] = frozenset({"U1"})
    access = Access(group_rule(allows=True), People(slack, TEAM))
    assert [(await access.decide(origin(user), Verb.SYNC)).rule for user in ("U1", "U2")] == [
        "group",
        "members can sync and subscribe",
    ]
    assert slack.asked.count("S1") == 1
