"""A sample message or view of every kind, for ``doctor blocks`` to validate with Slack."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import TypeAlias

from bot.core import blocks
from bot.core.access.audit import AuditEntry, Deed
from bot.core.access.policy import Kind, Policy, Refused, Rule, Verb
from bot.core.access.policy_form import PolicyVersion
from bot.core.blocks.names import short_name
from bot.core.bulks import Bulk, LeftOut, Member, Obstacle, Place, Plan
from bot.core.commands.catalog import COMMANDS, HelpCommand
from bot.core.commands.presses import Action, Press
from bot.core.forms.form import OpenedFor
from bot.core.health.findings import fine, unknown, wrong
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.incidents.quiet import Maintenance
from bot.core.incidents.reactions import Bulletin, Word
from bot.core.incidents.sample import sample_panel
from bot.core.incidents.taking import OnIt, Refusal, Step, Turn
from bot.core.models import Integration, Message, Outcome, Person, Phase, SyncRun, SyncStats
from bot.core.nicknames import Nickname, nicknames_of
from bot.core.panels import Panel, PanelKind, RowRun
from bot.core.person_settings import PersonSettings
from bot.core.runs.limits import Held, Limit
from bot.core.subscriptions.digest_time import WEEKDAYS
from bot.core.subscriptions.digests import Digest
from bot.core.subscriptions.form import write_metadata
from bot.core.subscriptions.removal import Removal
from bot.core.subscriptions.subscriptions import DigestTime, PauseReason, Subscription
from bot.core.volumes.expectations import Expectation
from bot.core.volumes.volume import Shortfall

Sample: TypeAlias = "Message | dict[str, object]"

COMMAND = "/flokit"


def samples(now: datetime) -> dict[str, Sample]:
    """Return the samples, by the name of their function and, if it makes several, their variant."""
    ana, ben, ago = Person("U0SAMPLE1", "ana"), Person("U0SAMPLE2", "ben"), now - timedelta(minutes=5)
    failing = Integration("int_sample1", "stripe", "error", ago, "The key was refused", SyncStats(10, 100, ago))
    working = Integration("int_sample2", "appsflyer", "connected", ago)
    both = (failing, working)
    run = SyncRun(
        "run_sample", "T0SAMPLE", failing.id, "stripe", ago, ana, phase=Phase.WATCHING, attempts=1, accepted_at=ago
    )
    subscription = Subscription(
        "sub_sample", "T0SAMPLE", "C0SAMPLE", ana, ago, digest=DigestTime(time(9), WEEKDAYS, "Europe/Berlin")
    )
    incident = Incident("inc_sample", "T0SAMPLE", failing, now, Trouble.FAILING, failing, ago)
    turn, asked = Turn(Step.TAKE, ben, 1), OnIt(ben, ago, asked_by=ana)
    taken, handed = replace(incident, on_it=OnIt(ana, ago)), replace(incident, on_it=asked)
    entry = AuditEntry(ago, "T0SAMPLE", ana, "C0SAMPLE", Deed.RESYNC, failing.id, "stripe", run.id, result="started")

    nickname = Nickname(working.id, "AppsFlyer Android", "U0SAMPLE2", "https://wiki.example.com/android")
    nicknames = nicknames_of(
        [nickname, Nickname(failing.id, "Stripe payments", "S0SAMPLE", "https://wiki.example.com/stripe")]
    )
    refused = Refused("guests never sync", "Guests can't sync.", ("U0SAMPLE2",))
    policy = Policy((Rule("guests never sync", False, frozenset({Verb.SYNC}), kinds=frozenset({Kind.GUESTS})),))
    versions = [PolicyVersion(number, "rules: []", ana, ago) for number in (2, 1)]
    held = Held(Limit.COOLDOWN, now)
    listing = (PanelKind.STATUS, PanelKind.CHOOSE_SYNC, PanelKind.CHOOSE_DETAIL)
    panels = {kind: Panel("pnl_sample", kind, both if kind in listing else (failing,), now) for kind in PanelKind}
    panels[PanelKind.INCIDENT] = replace(panels[PanelKind.INCIDENT], incident=incident)
    shortfall = Shortfall(ago, 2, 86_400, 1_150, 8)
    empty = replace(incident, trouble=Trouble.EMPTY, failure=working, integration=working, shortfall=shortfall)
    panels[PanelKind.AUDIT] = replace(panels[PanelKind.AUDIT], entries=(entry,))
    cooling = LeftOut(working.id, Obstacle.COOLDOWN, until=now)
    plan = Plan(ana, Place("C0SAMPLE"), now, (cooling,), total=7, unknown=("x",))
    panels[PanelKind.PREVIEW] = replace(panels[PanelKind.PREVIEW], integrations=both, plan=plan)
    bulk = Bulk(ana, ago, (Member(failing.id, run.id),), (LeftOut(working.id, Obstacle.REFUSED, rule="no"),))
    panels[PanelKind.BULK] = replace(panels[PanelKind.BULK], integrations=both, bulk=bulk)
    removal = Removal(ana, ago, (subscription,), ("all integrations",))
    panels[PanelKind.UNSUBSCRIBED] = replace(panels[PanelKind.UNSUBSCRIBED], removal=removal)
    maintenance = Maintenance("mnt_sample", "T0SAMPLE", "C0SAMPLE", "stripe", ana, ago, now)
    past = [
        replace(run, phase=Phase.DONE, ended_at=now, outcome=outcome, last_seen=failing, last_seen_at=now)
        for outcome in Outcome
    ]
    return {
        **{
            f"panel_message: {kind}": blocks.panel_message(panel, {}, now, nicknames, command=COMMAND)
            for kind, panel in panels.items()
        },
        **{
            f"panel_message: bulk {one.outcome}": blocks.panel_message(
                panels[PanelKind.BULK], {failing.id: RowRun(one)}, now, nicknames, outbox_id="msg_1"
            )
            for one in (run, *past)
        },
        "panel_message: empty": blocks.panel_message(
            replace(panels[PanelKind.INCIDENT], incident=empty), {}, now, nicknames, command=COMMAND
        ),
        **{
            f"outcome_message: {one.outcome}": blocks.outcome_message(one, (ben,), now, nicknames, outbox_id="msg_1")
            for one in past
        },
        **{
            f"bulletin_message: {one}": blocks.bulletin_message(Bulletin(incident, one), now, nicknames) for one in Word
        },
        **{
            f"panel_message: incident {state}": blocks.panel_message(
                replace(panels[PanelKind.INCIDENT], incident=one), {}, now, nicknames
            )
            for state, one in (("taken", taken), ("handed over", handed))
        },
        **{
            f"turn_message: {step}": blocks.turn_message(handed, replace(turn, step=step), taken.on_it, nicknames)
            for step in Step
        },
        **{
            f"refused_turn_message: {one}": blocks.refused_turn_message(taken, one, "pnl_sample", nicknames)
            for one in Refusal
        },
        **{
            f"concerned_message: {step}": blocks.concerned_message(
                taken, replace(turn, step=step), asked, ana, nicknames
            )
            for step in Step
        },
        "panel_message: incident with a ticket": blocks.panel_message(
            panels[PanelKind.INCIDENT], {}, now, nicknames, ticket="https://tickets.example.com/new?t={title}&b={body}"
        ),
        "panel_message: incident with a ticket's link": blocks.panel_message(
            replace(panels[PanelKind.INCIDENT], incident=replace(taken, ticket="https://tickets.example.com/7")),
            {},
            now,
            nicknames,
        ),
        "ticket_form": blocks.ticket_form(incident, "Stripe payments", OpenedFor("inc_sample", "sample").as_metadata()),
        "incidents_message": blocks.incidents_message(
            [blocks.Tried(taken, tuple(past)), blocks.Tried(handed, (run,))], now, nicknames, hidden=3, command=COMMAND
        ),
        "bulletin_message: to a group": blocks.bulletin_message(
            Bulletin(incident, Word.ESCALATED, broadcast=True, whom="S0SAMPLE"), now, nicknames
        ),
        "escalated_message": blocks.escalated_message(panels[PanelKind.INCIDENT], incident, "C0SAMPLE", now, nicknames),
        "still_on_it_message": blocks.still_on_it_message(taken, nicknames, answer_s=3600),
        "still_on_it_message: asked": blocks.still_on_it_message(handed, nicknames, answer_s=3600),
        "asked_message": blocks.asked_message(handed, ana, "pnl_sample", "C0SAMPLE", nicknames),
        "cannot_ask_message": blocks.cannot_ask_message(ben, "They can't do that here."),
        **{
            f"help_message: {doc.name}": blocks.help_message(HelpCommand(topic=doc.name), command=COMMAND)
            for doc in COMMANDS
        },
        "help_message": blocks.help_message(HelpCommand("staus", ("status",)), command=COMMAND),
        "progress_message": blocks.progress_message(run, (ben,), now, nicknames, outbox_id="msg_1", joined_here=False),
        "history_message": blocks.history_message(past, now, nicknames, kept_days=90),
        "doctor_message": blocks.doctor_message([fine("fine"), wrong("wrong"), unknown("unknown")], now),
        "digest_message": blocks.digest_message(
            Digest(subscription, both, now, ago, (incident,), (past[0],), nicknames=nicknames), now, command=COMMAND
        ),
        "access_lost_message": blocks.access_lost_message("refused"),
        "flokit_away_message": blocks.flokit_away_message("no answer"),
        "not_found_message": blocks.not_found_message("strpe", both, nicknames=nicknames),
        "nothing_matches_message": blocks.nothing_matches_message("x", both, now, nicknames=nicknames),
        "nothing_found_message": blocks.nothing_found_message(
            Panel("pnl_1", PanelKind.AUDIT, (), now, query="stripe 7d", since=now), kept_days=90, command=COMMAND
        ),
        "name_not_recognized_message": blocks.name_not_recognized_message(
            "strpe", both, ("stripe",), (ana,), nicknames, word="audit", command=COMMAND
        ),
        "nobody_called_message": blocks.nobody_called_message(
            "an", (ana,), kept_days=90, word="audit", command=COMMAND
        ),
        "time_unclear_message": blocks.time_unclear_message(
            "That time is in the future.", word="history", command=COMMAND
        ),
        "which_person_message": blocks.which_person_message("an", (ana, ben), word="audit", command=COMMAND),
        "named_message": blocks.named_message(Nickname(working.id), nickname, working.type, ana, command=COMMAND),
        "expected_message": blocks.expected_message(working, Expectation(21_600, 100), nicknames, ana, command=COMMAND),
        "expected_message: nothing": blocks.expected_message(working, Expectation(), nicknames, command=COMMAND),
        "name_form": blocks.name_form(nickname, "AppsFlyer", OpenedFor(working.id, "sample").as_metadata()),
        "which_to_name_message": blocks.which_to_name_message("appsflyer", both, nicknames, command=COMMAND),
        "refused_message": blocks.refused_message(refused, short_name(failing.id, failing.type, nicknames)),
        "held_message": blocks.held_message(
            held, short_name(failing.id, failing.type, nicknames), Press(Action.SYNC_ANYWAY, integration_id=failing.id)
        ),
        "why_message": blocks.why_message(refused, Verb.SYNC, short_name(failing.id, failing.type, nicknames), held),
        "plain_message": blocks.plain_message("A sentence."),
        "subscribed_message": blocks.subscribed_message(subscription, "all integrations", command=COMMAND),
        "panel_message: undone": blocks.panel_message(
            replace(panels[PanelKind.UNSUBSCRIBED], removal=replace(removal, undone_by=ben)), {}, now
        ),
        "panel_message: sample": blocks.panel_message(sample_panel("sample_1", "T0SAMPLE", now), {}, now),
        "settings_form": blocks.settings_form(PersonSettings("Europe/Berlin")),
        "summary_message": blocks.summary_message([incident], now, nicknames),
        "maintenance_message": blocks.maintenance_message(maintenance, "Stripe payments", now),
        "maintenance_ended_message": blocks.maintenance_ended_message(ana, ["Stripe payments"]),
        "maintenances_message": blocks.maintenances_message([(maintenance, "Stripe payments")], now, command=COMMAND),
        "restored_message": blocks.restored_message(ana, ["all integrations"]),
        "subscriptions_message": blocks.subscriptions_message(
            [(subscription, "all integrations")], now, command=COMMAND
        ),
        "paused_message": blocks.paused_message(subscription, PauseReason.ARCHIVED.value, command=COMMAND),
        "resumed_message": blocks.resumed_message(["all integrations"]),
        "welcome_message": blocks.welcome_message(command=COMMAND),
        "welcome_back_message": blocks.welcome_back_message(command=COMMAND),
        "not_connected_message": blocks.not_connected_message("FloKit isn't connected.", command=COMMAND),
        "key_lost_message": blocks.key_lost_message("401", "1234", command=COMMAND),
        "connected_message": blocks.connected_message(7, 2, "https://a.example/w", "U0SAMPLE1", command=COMMAND),
        "connected_unseen_message": blocks.connected_unseen_message("No answer.", command=COMMAND),
        "type_it_message": blocks.type_it_message("connect", command=COMMAND),
        "settings_connect_message": blocks.settings_connect_message(),
        "may_not_connect_message": blocks.may_not_connect_message(),
        "disconnect_message": blocks.disconnect_message("1234"),
        "connect_form": blocks.connect_form(),
        "settings_policy_message": blocks.settings_policy_message(policy),
        "may_not_change_policy_message": blocks.may_not_change_policy_message(),
        "policy_saved_message": blocks.policy_saved_message(3, 1, policy, command=COMMAND),
        "policy_form": blocks.policy_form(versions),
        "policy_form: earlier": blocks.policy_form(versions, versions[1]),
        "home_view": blocks.home_view(
            blocks.Home(both, now, "", (run,), (incident,), (), (subscription,), nicknames), now, command=COMMAND
        ),
        "home_view: policy": blocks.home_view(
            blocks.Home(both, now, nicknames=nicknames, maintenances=(maintenance,), held=(("C0SAMPLE", 2, now),)),
            now,
            command=COMMAND,
            edits_policy=True,
        ),
        "connect_home": blocks.connect_home("FloKit isn't connected.", edits_policy=True),
        "refused_home": blocks.refused_home(refused, edits_policy=True),
        "subscribe_form": blocks.subscribe_form(
            write_metadata("C0SAMPLE", "sample"), "Europe/Berlin", both, [incident], now, nicknames
        ),
    }
