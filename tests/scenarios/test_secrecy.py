"""People never see the name of an integration that they can't look at: not in suggestions, answers or App Home."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from tests.scenarios.conftest import running_world, words

NOTHING = """
rules:
  - {name: Ana sees, allow: [look, sync, subscribe, administer], users: [UANA]}
  - {name: Nobody else looks, refuse: look}
"""
NOTHING_AT_ALL = NOTHING.replace("refuse: look", "refuse: [look, sync, subscribe, administer]")
STRIPE_ONLY = """
rules:
  - {name: Ana sees, allow: [look, sync, subscribe, administer], users: [UANA]}
  - {name: Everyone sees Stripe, allow: [look, sync, subscribe], types: stripe, who: [members, guests]}
  - {name: Zebra is hidden, refuse: [look, sync, subscribe]}
"""

SECRETS = ("zebra_ads", "Zebra Ads", "int_zebra9", "int_stripe4", "int_stripe5")
TYPED = (
    "show {}",
    "sync {}",
    "why look {}",
    "why sync {}",
    "why subscribe {}",
    "history {}",
    "status {}",
    "subscribe {}",
    "unsubscribe {}",
    "audit {}",
)
NAMES = ("zebra_ads", "int_zebra9", "zebra9", "zebra_adz", "int_zebra8", "nothing_like_it")
"""What there is, and what there isn't."""


def world_with(folder, policy):
    """Prepare a world with a policy, and integrations whose type only FloKit knows."""
    path = folder / "policy.yaml"
    path.write_text(policy)
    return running_world(folder, POLICY_FILE=str(path), WATCH_INTERVAL_S="3600")


async def started(world):
    """Start the bot with something to hide."""
    last = datetime.now(UTC) - timedelta(minutes=5)
    for id_, type_ in (("int_zebra9", "zebra_ads"), ("int_stripe4", "stripe"), ("int_stripe5", "stripe")):
        world.flokit.add(id_, type_, status="connected", last_synced_at=last)
    await world.start_bot()


def refusals(world, user="UBEN"):
    """Count the refusals in the audit log."""
    with closing(sqlite3.connect(f"file:{world.folder / 'flokit.db'}?mode=ro", uri=True)) as database:
        query = "SELECT count(*) FROM audit WHERE decision = 'refused' AND user_id = ?"
        return database.execute(query, (user,)).fetchone()[0]


def blank(text, name):
    """Remove what was typed, so that answers can be compared."""
    return re.sub(re.escape(name), "…", text)


@pytest.mark.parametrize("policy", [NOTHING_AT_ALL, STRIPE_ONLY])
async def test_hidden_and_missing_names_get_the_same_answer(tmp_path, policy):
    """For every command; the audit log has an entry for each."""
    async with world_with(tmp_path, policy) as world:
        await started(world)
        for typed in TYPED:
            answers = set()
            for name in NAMES:
                before = refusals(world)
                note = await world.note(typed.format(name), user="UBEN")
                said = note["text"]
                answers.add(blank(said, name))
                shown = blank(words(note), name)
                assert not [one for one in SECRETS if "ebra" in one and one in shown], (typed, name, said)
                assert refusals(world) > before, (typed, name, said)
            assert len(answers) == 1, (typed, answers)
        assert not world.flokit.posts("int_zebra9")


async def test_typos_suggest_nothing_to_people_who_can_sync_but_not_look(tmp_path):
    """With only `refuse: look`, exact names still sync, and no answer has a name that wasn't typed."""
    async with world_with(tmp_path, NOTHING) as world:
        await started(world)
        for typed in ("show zebra_adz", "sync zebra_adz", "why look zebra_ads", "subscribe zebra_adz", "sync stripe"):
            before = refusals(world)
            said = words(await world.note(typed, user="UBEN"))
            name = typed.rpartition(" ")[2]
            assert not [one for one in SECRETS if one in blank(said, name)], (typed, said)
            assert refusals(world) > before, typed
        await world.command("sync zebra_ads", user="UBEN")
        await world.slack.wait_for(lambda: world.flokit.posts("int_zebra9"), 10, "a sync")


async def test_suggestions_are_limited_to_what_a_person_can_look_at(tmp_path):
    """Someone who can look only at Stripe gets no other names, in suggestions and in the form."""
    async with world_with(tmp_path, STRIPE_ONLY) as world:
        await started(world)
        said = words(await world.note("show strpe", user="UBEN"))
        assert "int_stripe4" in said
        assert "zebra" not in said
        await world.command("subscribe", user="UBEN")
        form = str(await world.slack.wait_for(lambda: world.slack.views.modal("UBEN"), 5, "a form"))
        assert "int_stripe4" in form
        assert "zebra" not in form
        assert "Zebra" not in form


@pytest.mark.parametrize("policy", [NOTHING, STRIPE_ONLY])
async def test_a_refused_home_is_in_the_audit(tmp_path, policy):
    """App Home shows the rule and no names, and the refusal is recorded."""
    async with world_with(tmp_path, policy) as world:
        await started(world)
        world.slack.views.open_home("UBEN")
        await world.slack.wait_for(lambda: "Rule" in str(world.slack.views.home("UBEN")), 10, "a refusal")
        assert not [one for one in SECRETS if one in str(world.slack.views.home("UBEN"))]
        await world.slack.wait_for(lambda: refusals(world) == 1, 5, "a row")


async def test_an_open_home_is_emptied_when_the_policy_changes(tmp_path):
    """Its person is no longer allowed to look."""
    async with world_with(tmp_path, "") as world:
        await started(world)
        world.slack.views.open_home("UBEN")
        await world.slack.wait_for(lambda: "Stripe" in str(world.slack.views.home("UBEN")), 10, "a home")
        (tmp_path / "policy.yaml").write_text(NOTHING)
        await world.restart()
        await world.resync("int_stripe4")
        await world.slack.wait_for(lambda: "Rule" in str(world.slack.views.home("UBEN")), 10, "a refusal")
