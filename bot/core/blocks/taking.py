"""Who is on an incident: a line and the buttons in its message, and what the people concerned are told."""

from __future__ import annotations

from datetime import datetime

from bot.core.blocks import phrases
from bot.core.blocks.elements import Block, actions, button, people_picker, section
from bot.core.blocks.names import Name, short_name
from bot.core.blocks.text import channel, date, duration, mention, person_name
from bot.core.commands.presses import Action, Press
from bot.core.incidents.incidents import Incident
from bot.core.incidents.taking import OnIt, Refusal, Step, Turn
from bot.core.models import Message, Person
from bot.core.nicknames import NO_NICKNAMES, Nicknames


def on_it_words(on_it: OnIt | None) -> str:
    """Say who is on an incident, or who was asked; "" if no one."""
    if on_it is None:
        return ""
    if on_it.asked_by is None:
        return f"🙋 {person_name(on_it.person)} is on it, since {date(on_it.since)}"
    asked = f"🙋 {person_name(on_it.asked_by)} asked {person_name(on_it.person)} to be on it"
    return f"{asked}, {date(on_it.since)}; no one is on it yet"


def was_on_it(incident: Incident) -> str:
    """Say who was on an incident when it ended; "" if no one."""
    return f"{person_name(incident.on_it.person)} was on it" if incident.on_it and incident.was_taken else ""


def unanswered_words(on_it: OnIt | None) -> str:
    """Say that someone no longer counts as being on an incident, and why."""
    if on_it is None:
        return "No one is on it."
    asked_at = on_it.reminded_at or on_it.since
    if on_it.asked_by:
        asked = f"{person_name(on_it.asked_by)} asked {person_name(on_it.person)} to be on it, {date(on_it.since)}"
        return f"{asked}, and got no answer. No one is on it."
    was = f"{person_name(on_it.person)} was on it since {date(on_it.since)}, and didn't answer when I asked"
    return f"{was}, {date(asked_at)}. No one is on it now."


def take_button(incident: Incident, name: Name, panel_id: str = "", label: str = "") -> Block:
    """The button with which someone says that they're on it, or takes over from someone else."""
    press = _press(Action.ON_IT, incident, panel_id)
    return button(label or ("Take over" if incident.was_taken else "I'm on it"), press, about=name.plain)


def let_go_button(incident: Incident, name: Name, panel_id: str = "") -> Block:
    """The button that ends that someone is on it, or was asked."""
    return button("Let go", _press(Action.LET_GO, incident, panel_id), about=name.plain)


def taken_buttons(incident: Incident, name: Name, panel_id: str) -> list[Block]:
    """Return the buttons below an incident that someone is on, or was asked to be."""
    if incident.on_it is None:
        return []
    picker = people_picker("Hand over to …", _press(Action.HAND_OVER, incident, panel_id))
    return actions(take_button(incident, name, panel_id), let_go_button(incident, name, panel_id), picker)


def _press(action: Action, incident: Incident, panel_id: str) -> Press:
    return Press(action, incident_id=incident.id, panel_id=panel_id, page=incident.turns)


# What people are told


def turn_message(
    incident: Incident,
    turn: Turn,
    before: OnIt | None,
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    asks_at: datetime | None = None,
) -> Message:
    """Tell a person what came of their click; ``incident`` is as it is afterwards.

    ``asks_at`` is when they will be asked whether they still are on it.
    """
    name = _name(incident, nicknames).mrkdwn
    on_it = incident.on_it
    match turn.step:
        case Step.TAKE:
            asks = f" I'll ask you whether you still are, {date(asks_at)}." if asks_at else ""
            text = f"🙋 You're {_on(name, turn, before)}. Everyone sees that until you let go or it's over.{asks}"
        case Step.LET_GO:
            whose = "You're" if before and before.person.id == turn.by.id else _is(before)
            text = f"{whose} no longer on {name}. No one is."
        case Step.HAND_OVER:
            asked = mention(on_it.person) if on_it else ""
            text = f"I asked {asked} to be on {name}. Until they say so, no one is on it."
    return _told(text)


def _on(name: str, turn: Turn, before: OnIt | None) -> str:
    if before is None:
        return f"on {name} now"
    if before.person.id != turn.by.id:
        return f"on {name} now, instead of {person_name(before.person)}"
    return f"on {name} now" if before.is_asked else f"still on {name}"


def still_on_it_message(incident: Incident, nicknames: Nicknames = NO_NICKNAMES, *, answer_s: float) -> Message:
    """Ask a person, in a direct message, whether they're still on an incident, or will be, as they were asked."""
    name, on_it = _name(incident, nicknames), incident.on_it
    if on_it is None:
        return _told(f"No one is on {name.mrkdwn}.")
    state = phrases.TROUBLES[incident.trouble].now.replace("is ", "has been ", 1)
    what = f"{name.mrkdwn} {state} since {date(incident.opened_at)}"
    if on_it.asked_by:
        lead = f"🙋 {what}. {person_name(on_it.asked_by)} asked you to be on it, {date(on_it.since)}. Are you?"
    else:
        lead = f"🙋 {what}, and you're on it since {date(on_it.since)}. Are you still?"
    then = f"If you don't answer within {duration(answer_s)}, I'll say in its thread that no one is."
    take = take_button(incident, name, on_it.panel_id, "I'm on it" if on_it.is_asked else "Still on it")
    return _told(f"{lead} {then}", *actions(take, let_go_button(incident, name, on_it.panel_id)))


def _is(before: OnIt | None) -> str:
    return f"{person_name(before.person)} is" if before else "They're"


def refused_turn_message(
    incident: Incident, refusal: Refusal, panel_id: str, nicknames: Nicknames = NO_NICKNAMES
) -> Message:
    """Tell a person why their click changed nothing, with a button to take over from whoever was faster."""
    name, on_it = _name(incident, nicknames), incident.on_it
    if refusal is Refusal.NO_ONE or on_it is None:
        text = f"No one is on {name.mrkdwn}."
    elif refusal is Refusal.ALREADY_YOURS:
        text = f"You're on {name.mrkdwn} already, since {date(on_it.since)}."
    elif refusal is Refusal.ALREADY_ASKED:
        was = "was asked" if on_it.is_asked else "is on it"
        text = f"{name.mrkdwn}: {person_name(on_it.person)} {was} already, since {date(on_it.since)}."
    else:
        text = f"Someone was faster, so nothing changed for {name.mrkdwn}. {on_it_words(on_it)}."
        take = actions(take_button(incident, name, panel_id))
        return _told(text, *take)
    return _told(text)


def asked_message(
    incident: Incident, asked_by: Person, panel_id: str, channel_id: str, nicknames: Nicknames = NO_NICKNAMES
) -> Message:
    """Ask a person, in a direct message, to be on an incident; its buttons are their answer."""
    name = _name(incident, nicknames)
    where = f" It's in {channel(channel_id)}." if channel(channel_id) else ""
    state = phrases.TROUBLES[incident.trouble].now.replace("is ", "has been ", 1)
    text = (
        f"🙋 {person_name(asked_by)} asks you to be on {name.mrkdwn}, which {state} since {date(incident.opened_at)}."
        f"{where} No one is on it until you say so."
    )
    answers = actions(take_button(incident, name, panel_id), let_go_button(incident, name, panel_id))
    return _told(text, *answers)


def concerned_message(
    incident: Incident, turn: Turn, before: OnIt, whom: Person, nicknames: Nicknames = NO_NICKNAMES
) -> Message:
    """Tell, in a direct message, someone who was on an incident, or asked someone to be, what others did since."""
    name, by = _name(incident, nicknames).mrkdwn, person_name(turn.by)
    is_answer = before.asked_by is not None and before.person.id == turn.by.id
    match turn.step:
        case Step.TAKE if is_answer:
            text = f"🙋 {by} is on {name} now, as you asked."
        case Step.TAKE:
            instead = "you" if whom.id == before.person.id else person_name(before.person)
            text = f"🙋 {by} is on {name} now, instead of {instead}."
        case Step.LET_GO if is_answer:
            text = f"{by} can't be on {name}, as you asked. No one is on it."
        case Step.LET_GO:
            text = f"{by} ended that {_whom(before, whom)} on {name}. No one is on it."
        case Step.HAND_OVER:
            asked = person_name(incident.on_it.person) if incident.on_it else "someone"
            text = f"{by} asked {asked} to be on {name}, instead of {_instead(before, whom)}."
    return _told(text)


def _whom(before: OnIt, whom: Person) -> str:
    is_ = "was asked to be" if before.is_asked else "is"
    are = "were asked to be" if before.is_asked else "are"
    return f"you {are}" if whom.id == before.person.id else f"{person_name(before.person)} {is_}"


def _instead(before: OnIt, whom: Person) -> str:
    return "you" if whom.id == before.person.id else person_name(before.person)


def cannot_ask_message(person: Person, why: str) -> Message:
    """Say that someone can't be asked, and why."""
    text = f"I didn't ask {person_name(person)}: {why}"
    return _told(text)


def _told(text: str, *below: Block) -> Message:
    return Message(text.replace("*", ""), (section(text), *below), only_for_one=True)


def _name(incident: Incident, nicknames: Nicknames) -> Name:
    return short_name(incident.integration.id, incident.integration.type, nicknames)
