"""A workspace edits its own policy in a form: it counts at once, there alone, and earlier versions come back."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from tests.scenarios.conftest import running_world, words
from tests.scenarios.test_many_workspaces import both, home_of, many, mode  # noqa: F401 - fixtures

NO_STRIPE = """\
rules:
- name: Nobody syncs Stripe
  refuse: sync
  types: stripe
"""
CLEO_ADMINISTERS = """\
rules:
- name: Cleo administers
  allow: administer
  users: UCLEO
- name: Nobody does anything
  refuse: [look, sync, subscribe, administer]
"""


async def open_form(world, workspace, user="UANA"):
    """Type ``policy`` and return the form that opens."""
    ack = await workspace.command(user, "C0DATA", "policy")
    assert ack.ok, (ack, world.bot.log)
    return await world.slack.wait_for(lambda: workspace.views.modal(user), 10, "the form")


def typed(*texts):
    """Fill the form's fields."""
    return {
        f"policy_{number}": {f"policy_{number}": {"type": "plain_text_input", "value": text}}
        for number, text in enumerate(texts)
    }


def shown(form):
    """Return the text in the form's first field."""
    return next(block for block in form["blocks"] if block["type"] == "input")["element"].get("initial_value", "")


async def save(world, workspace, text, user="UANA"):
    """Open the form and save a policy."""
    form = await open_form(world, workspace, user)
    submitted = await workspace.views.submit(user, form["id"], typed(text))
    assert submitted.ok, (submitted, world.bot.log)


async def why(world, workspace, part, user="UBEN"):
    """Ask whether Stripe may be synced."""
    return await world.ask(workspace, "why sync stripe", part, user=user)


def audited(world):
    """Return who changed which policy, from the database."""
    with closing(sqlite3.connect(f"file:{world.folder / 'flokit.db'}?mode=ro", uri=True)) as database:
        return database.execute(
            "SELECT team_id, user_id, decision, result FROM audit WHERE action = 'policy' ORDER BY id"
        ).fetchall()


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_policy_counts_at_once_and_in_its_workspace_alone(both):  # noqa: F811
    """Both workspaces have the same integrations and people; who saved it is told what it means, and it's audited."""
    form = await open_form(both, both.beta)
    assert "There's no policy yet" in json.dumps(form)
    submitted = await both.beta.views.submit("UANA", form["id"], typed(NO_STRIPE))
    assert submitted.ok, (submitted, both.bot.log)
    assert both.beta.views.modal("UANA") is None
    await why(both, both.beta, "Nobody syncs Stripe")
    told = await both.direct(both.beta, "The policy is saved: version 1.")
    assert "1. Nobody syncs Stripe: no one can sync, for stripe only" in words(told)
    await why(both, both.acme, "You can sync")
    assert shown(await open_form(both, both.beta)) == NO_STRIPE.rstrip()
    assert "Data engineers" in shown(await open_form(both, both.acme))
    assert audited(both) == [(both.beta.workspace.id, "UANA", "allowed", "version 1")]


async def test_mistakes_are_shown_below_their_field_and_nothing_is_saved(both):  # noqa: F811
    """The form stays open with what was typed; a corrected policy is saved from it."""
    form = await open_form(both, both.beta)
    wrong = await both.beta.views.submit("UANA", form["id"], typed("rules:\n- name: a\n  alow: sync", "# more\n- b: c"))
    assert wrong.errors.keys() == {"policy_0", "policy_1"}
    assert wrong.errors["policy_0"].startswith("Line 3, column 3: “alow” isn't a recognized key")
    assert "Line 2, column 3: “b” isn't a recognized key" in wrong.errors["policy_1"]
    assert audited(both) == []
    assert (await both.beta.views.submit("UANA", form["id"], typed(NO_STRIPE, ""))).ok
    await why(both, both.beta, "Nobody syncs Stripe")


async def test_the_second_of_two_people_overwrites_nothing(both):  # noqa: F811
    """Both had the form open: the one who comes later is told who was faster, and keeps their text."""
    ben = both.beta.workspace.users["UBEN"]
    both.beta.workspace.users["UBEN"] = replace(ben, is_admin=True)
    late = await open_form(both, both.beta, "UBEN")
    await save(both, both.beta, NO_STRIPE)
    refused = await both.beta.views.submit("UBEN", late["id"], typed("rules: []"))
    assert (
        "ana changed the policy in the meantime; it's now version 1. Nothing was saved." in refused.errors["policy_0"]
    )
    again = await both.beta.views.submit("UBEN", late["id"], typed(NO_STRIPE))
    assert "This is already the policy (version 1)." in again.errors["policy_0"]
    await why(both, both.beta, "Nobody syncs Stripe")
    assert len(audited(both)) == 1


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_an_earlier_version_comes_back_after_it_was_shown(both):  # noqa: F811
    """The form below keeps what is typed; saving it again makes it a new version, and closes both."""
    await save(both, both.beta, NO_STRIPE)
    await both.direct(both.beta, "version 1.")
    await save(both, both.beta, "# Everybody syncs everything.")
    await both.direct(both.beta, "version 2.")
    await why(both, both.beta, "You can sync")
    form = await open_form(both, both.beta)
    [menu] = [block["elements"][0] for block in form["blocks"] if block["type"] == "actions"]
    chosen = menu["options"][0]["value"]
    ack = await both.beta.views.click("UANA", form["id"], "flokit_earlier_version", value=chosen)
    assert ack.ok
    earlier = await both.slack.wait_for(
        lambda: (top := both.beta.views.modal("UANA")) and top["id"] != form["id"] and top, 10, "version 1"
    )
    assert earlier["title"]["text"] == "Policy, version 1"
    assert shown(earlier) == NO_STRIPE.rstrip()
    assert audited(both)[-1][3] == "version 2"
    submitted = await both.beta.views.submit("UANA", earlier["id"])
    assert submitted.ok, (submitted, both.bot.log)
    assert both.beta.views.modal("UANA") is None
    await both.direct(both.beta, "version 1 again, now as version 3.")
    await why(both, both.beta, "Nobody syncs Stripe", user="UCLEO")
    assert audited(both)[-1][3] == "version 3, from version 1"


async def test_a_version_that_is_gone_cannot_come_back(both):  # noqa: F811
    """A made-up number, too."""
    await save(both, both.beta, "# 1")
    await both.direct(both.beta, "version 1.")
    await save(both, both.beta, "# 2")
    await both.direct(both.beta, "version 2.")
    form = await open_form(both, both.beta)
    with closing(sqlite3.connect(both.folder / "flokit.db")) as database:
        database.execute("DELETE FROM policies WHERE version = 1")
        database.commit()
    [menu] = [block["elements"][0] for block in form["blocks"] if block["type"] == "actions"]
    await both.beta.views.click("UANA", form["id"], "flokit_earlier_version", value=menu["options"][0]["value"])
    await both.direct(both.beta, "That version is no longer available.")


async def test_who_may_change_the_policy(both):  # noqa: F811
    """The installer, an admin, and whom the policy lets administer, whatever it refuses; nobody else, and audited."""
    await both.ask(both.beta, "policy", "can change the policy. Nothing was changed.", user="UBEN")
    assert both.beta.views.modal("UBEN") is None
    await save(both, both.beta, CLEO_ADMINISTERS)
    await both.direct(both.beta, "version 1.")
    dora = both.beta.workspace.users["UDORA"]
    both.beta.workspace.users["UDORA"] = replace(dora, is_guest=False, is_admin=True)
    for user in ("UANA", "UCLEO", "UDORA"):
        assert shown(await open_form(both, both.beta, user)) == CLEO_ADMINISTERS.rstrip()
    await both.ask(both.beta, "status", "Nobody does anything", user="UANA")
    assert audited(both)[0][1:3] == ("UBEN", "refused")


async def test_whoever_lost_the_right_meanwhile_saves_nothing(both):  # noqa: F811
    """It's asked when the form is submitted, too, and audited."""
    ben = both.beta.workspace.users["UBEN"]
    both.beta.workspace.users["UBEN"] = replace(ben, is_admin=True)
    form = await open_form(both, both.beta, "UBEN")
    both.beta.workspace.users["UBEN"] = ben
    refused = await both.beta.views.submit("UBEN", form["id"], typed(NO_STRIPE))
    assert "You aren't allowed to change" in refused.errors["policy_0"]
    assert [row[1:3] for row in audited(both)] == [("UBEN", "refused")]
    assert "There's no policy yet" in json.dumps(await open_form(both, both.beta))


async def test_people_of_another_company_may_not(both):  # noqa: F811
    """Not even an admin there, whom the policy of this workspace doesn't name."""
    ben = both.beta.workspace.users["UBEN"]
    stranger = replace(ben, id="UEVE", name="eve", team_id="T0OTHER", is_admin=True)
    both.beta.workspace.add_user(stranger)
    both.beta.workspace.channels["C0DATA"].members.add("UEVE")
    await both.ask(both.beta, "policy", "can change the policy. Nothing was changed.", user="UEVE")
    assert both.beta.views.modal("UEVE") is None


async def test_a_policy_that_cannot_be_read_allows_nobody_anything(both):  # noqa: F811
    """As from a newer version of the bot: whoever may change it sees it, and repairs it."""
    await save(both, both.beta, NO_STRIPE)
    await both.direct(both.beta, "version 1.")
    await both.settle()  # a message in doubt would be searched for, which needs a scope more
    with closing(sqlite3.connect(both.folder / "flokit.db")) as database:
        database.execute("UPDATE policies SET text = 'rulez: []'")
        database.commit()
    await both.restart()
    both.expected_errors.add("policy_unreadable")
    await both.ask(both.beta, "status", "policy can't be read", user="UBEN")
    await both.ask(both.acme, "show int_1", "Acme's secret")
    form = await open_form(both, both.beta)
    assert shown(form) == "rulez: []"
    assert (await both.beta.views.submit("UANA", form["id"], typed("rules: []"))).ok
    await why(both, both.beta, "You can sync")


async def test_a_mention_says_what_to_type(both):  # noqa: F811
    """Only a slash command can open a form."""
    both.beta.invite_bot("C0DATA")
    await both.beta.say("UANA", "C0DATA", f"<@{both.beta.workspace.app.bot_user_id}> policy")
    await both.slack.wait_for(
        lambda: any("only the slash command" in words(one) for one in both.beta.workspace.all_messages("C0DATA")),
        10,
        "the answer",
    )


async def press_edit(workspace, user, view):
    """Press the button that opens the policy."""
    [button] = [
        block["accessory"]
        for block in view["blocks"]
        if block.get("accessory", {}).get("action_id") == "flokit_edit_policy"
    ]
    ack = await workspace.views.click(user, view["id"], "flokit_edit_policy", value=button["value"])
    assert ack.ok


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_app_home_leads_those_who_may_to_the_policy(both):  # noqa: F811
    """The installer and an admin; nobody else sees a button."""
    dora = both.beta.workspace.users["UDORA"]
    both.beta.workspace.users["UDORA"] = replace(dora, is_guest=False, is_admin=True)
    for user in ("UANA", "UDORA"):
        view = await home_of(both, both.beta, user, "Edit policy")
        assert "1 of 1 integration" in json.dumps(view)
        await press_edit(both.beta, user, view)
        form = await both.slack.wait_for(lambda user=user: both.beta.views.modal(user), 10, "the form")
        assert "There's no policy yet" in json.dumps(form)
    assert "Edit policy" not in json.dumps(await home_of(both, both.beta, "UBEN", "1 of 1 integration"))


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_app_home_leads_to_a_policy_that_refuses_even_looking(both):  # noqa: F811
    """Otherwise, it would be a dead end for whoever can change that."""
    await save(both, both.beta, CLEO_ADMINISTERS)
    await both.direct(both.beta, "version 1.")
    assert "Edit policy" in json.dumps(await home_of(both, both.beta, "UANA", "Nobody does anything"))
    view = await home_of(both, both.beta, "UCLEO", "Nobody does anything")
    await press_edit(both.beta, "UCLEO", view)
    form = await both.slack.wait_for(lambda: both.beta.views.modal("UCLEO"), 10, "the form")
    assert shown(form) == CLEO_ADMINISTERS.rstrip()
    assert "Edit policy" not in json.dumps(await home_of(both, both.beta, "UBEN", "Nobody does anything"))


async def test_app_home_shows_the_way_to_the_policy_before_flokit_is_connected(many):  # noqa: F811
    """The policy can be written first."""
    await many.install(many.beta)
    view = await home_of(many, many.beta, "UANA", "Connect FloKit")
    await press_edit(many.beta, "UANA", view)
    await many.slack.wait_for(lambda: many.beta.views.modal("UANA"), 10, "the form")
    assert "Edit policy" not in json.dumps(await home_of(many, many.beta, "UBEN", "Connect FloKit"))


async def test_an_old_button_in_app_home_opens_nothing_for_those_who_may_not(both):  # noqa: F811
    """The page may be older than the policy: the click is checked again, and audited."""
    ben = both.beta.workspace.users["UBEN"]
    both.beta.workspace.users["UBEN"] = replace(ben, is_admin=True)
    view = await home_of(both, both.beta, "UBEN", "Edit policy")
    both.beta.workspace.users["UBEN"] = ben
    await press_edit(both.beta, "UBEN", view)
    await both.direct(both.beta, "can change the policy. Nothing was changed.", "UBEN")
    assert both.beta.views.modal("UBEN") is None
    assert [row[1:3] for row in audited(both)] == [("UBEN", "refused")]


async def test_the_settings_name_the_policy_of_a_single_workspace(tmp_path):
    """There, the command explains it to whoever may administer, and tells others only who can change it."""
    path = tmp_path / "policy.yaml"
    path.write_text(CLEO_ADMINISTERS)
    async with running_world(tmp_path, POLICY_FILE=str(path)) as world:
        await world.start_bot()
        explained = words(await world.note("policy", user="UCLEO"))
        assert "set by POLICY_FILE" in explained
        assert "1. Cleo administers: UCLEO can administer" in explained
        assert "Cleo" not in words(await world.note("policy", user="UANA"))
        assert world.slack.views.modal("UCLEO") is None
        assert "Edit policy" not in json.dumps(await home_of(world, world.slack, "UCLEO", "Nobody does anything"))
