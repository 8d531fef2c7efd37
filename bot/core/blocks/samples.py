"""One message or view of every kind, made up: for Slack's own validator, which knows more than any list of limits."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TypeAlias

from bot.core.access.audit import AuditEntry, Deed
from bot.core.access.policy import Refused, Verb
from bot.core.blocks.access import held_message, refused_message, why_message
from bot.core.blocks.audit import nothing_found_message
from bot.core.blocks.digest import digest_message
from bot.core.blocks.doctor import doctor_message
from bot.core.blocks.history import history_message
from bot.core.blocks.home import Home, home_view
from bot.core.blocks.incident import bulletin_message
from bot.core.blocks.names import Name
from bot.core.blocks.notices import (
    access_lost_message,
    flokit_away_message,
    help_message,
    not_found_message,
    nothing_matches_message,
    plain_message,
)
from bot.core.blocks.outcome import outcome_message
from bot.core.blocks.panels import panel_message
from bot.core.blocks.past import (
    name_not_recognized_message,
    nobody_called_message,
    time_unclear_message,
    which_person_message,
)
from bot.core.blocks.progress import progress_message
from bot.core.blocks.subscribe_form import subscribe_form
from bot.core.blocks.subscriptions import (
    paused_message,
    resumed_message,
    subscribed_message,
    subscriptions_message,
    unsubscribed_message,
)
from bot.core.commands.catalog import COMMANDS, HelpCommand
from bot.core.commands.presses import Action, Press
from bot.core.health.findings import fine, unknown, wrong
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.incidents.reactions import Bulletin, Word
from bot.core.models import Integration, Message, Outcome, Person, Phase, SyncRun, SyncStats
from bot.core.panels import Panel, PanelKind
from bot.core.runs.limits import Held, Limit
from bot.core.subscriptions.digest_time import WEEKDAYS
from bot.core.subscriptions.digests import Digest
from bot.core.subscriptions.form import write_metadata
from bot.core.subscriptions.subscriptions import DigestTime, PauseReason, Subscription

Sample: TypeAlias = "Message | dict[str, object]"

COMMAND = "/flokit"


def samples(now: datetime) -> dict[str, Sample]:
    """Make one of every kind, by the name of the function that makes it and, where it makes several, which one."""
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
    entry = AuditEntry(ago, "T0SAMPLE", ana, "C0SAMPLE", Deed.RESYNC, failing.id, "stripe", run.id, result="started")

    def ended(outcome: Outcome) -> SyncRun:
        return SyncRun(
            "run_sample", "T0SAMPLE", failing.id, "stripe", ago, ana,
            phase=Phase.DONE, attempts=1, accepted_at=ago, ended_at=now, outcome=outcome, last_seen=failing,
            last_seen_at=now,
        )  # fmt: skip

    refused = Refused("guests never sync", "Guests may not sync.", ("U0SAMPLE2",))
    held = Held(Limit.COOLDOWN, now)
    panels = {
        kind: Panel(
            "pnl_sample",
            kind,
            both if kind in _LISTS else (failing,),
            now,
            incident=incident if kind is PanelKind.INCIDENT else None,
            entries=(entry,),
        )
        for kind in PanelKind
    }
    past = [ended(outcome) for outcome in Outcome]
    return {
        **{f"panel_message: {kind}": panel_message(panel, {}, now, command=COMMAND) for kind, panel in panels.items()},
        **{f"outcome_message: {one.outcome}": outcome_message(one, (ben,), now, outbox_id="msg_1") for one in past},
        **{
            f"bulletin_message: {word}": bulletin_message(Bulletin(incident, word), now)
            for word in Word
        },
        **{f"help_message: {doc.name}": help_message(HelpCommand(topic=doc.name), command=COMMAND) for doc in COMMANDS},
        "help_message": help_message(HelpCommand("staus", ("status",)), command=COMMAND),
        "progress_message": progress_message(run, (ben,), now, outbox_id="msg_1", joined_here=False),
        "history_message": history_message(past, now, kept_days=90),
        "doctor_message": doctor_message([fine("fine"), wrong("wrong"), unknown("unknown")], now),
        "digest_message": digest_message(
            Digest(subscription, both, now, ago, (incident,), (ended(Outcome.SUCCEEDED),)), now, command=COMMAND
        ),
        "access_lost_message": access_lost_message("refused"),
        "flokit_away_message": flokit_away_message("no answer"),
        "not_found_message": not_found_message("strpe", both),
        "nothing_matches_message": nothing_matches_message("x", both, now),
        "nothing_found_message": nothing_found_message(
            Panel("pnl_1", PanelKind.AUDIT, (), now, query="stripe 7d", since=now), kept_days=90, command=COMMAND
        ),
        "name_not_recognized_message": name_not_recognized_message(
            "strpe", both, ("stripe",), (ana,), word="audit", command=COMMAND
        ),
        "nobody_called_message": nobody_called_message("an", (ana,), kept_days=90, word="audit", command=COMMAND),
        "time_unclear_message": time_unclear_message("That time is in the future.", word="history", command=COMMAND),
        "which_person_message": which_person_message("an", (ana, ben), word="audit", command=COMMAND),
        "refused_message": refused_message(refused, Name("Stripe")),
        "held_message": held_message(held, Name("Stripe"), Press(Action.SYNC_ANYWAY, integration_id=failing.id)),
        "why_message": why_message(refused, Verb.SYNC, Name("Stripe"), held),
        "plain_message": plain_message("A sentence."),
        "subscribed_message": subscribed_message(subscription, "all integrations", command=COMMAND),
        "unsubscribed_message": unsubscribed_message(ana, ["all integrations"], digest_only=False),
        "subscriptions_message": subscriptions_message([(subscription, "all integrations")], now, command=COMMAND),
        "paused_message": paused_message(subscription, PauseReason.ARCHIVED.value, command=COMMAND),
        "resumed_message": resumed_message(["all integrations"]),
        "home_view": home_view(
            Home(both, now, "", (run,), (incident,), (), (subscription,)), now, command=COMMAND
        ),
        "subscribe_form": subscribe_form(write_metadata("C0SAMPLE", "sample"), "Europe/Berlin", both, [incident], now),
    }  # fmt: skip


_LISTS = (PanelKind.STATUS, PanelKind.CHOOSE_SYNC, PanelKind.CHOOSE_DETAIL)
