"""The slash command, buttons, and the forms."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.core import naming_form, person_settings, ticket_form
from bot.core.access.policy_form import WrongDraft, read_draft
from bot.core.commands.presses import UnreadablePress, parse_press
from bot.core.connecting import WrongKeys, read_keys
from bot.core.requests import RequestKind
from bot.core.subscriptions.form import WHAT, Wrong, read_form, read_metadata
from bot.listeners.payloads import (
    first_action,
    origin_of_view,
    parse_checked_submission,
    parse_command_payload,
    parse_press_payload,
    parse_submission,
    value_of,
    view_of,
)
from bot.listeners.reception import Reception


async def on_command(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save the command, then ack; the answer comes from the outbox."""
    request = parse_command_payload(body, reception.context.team_id, reception.context.clock())
    refusal = await reception.take(request) if request else ""
    if refusal:
        await ack(text=refusal, response_type="ephemeral")
    else:
        await ack()


async def on_press(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save a click, also one on a button of an older or newer version, then ack."""
    action = first_action(body)
    press = parse_press(action.get("action_id"), value_of(action), person_id=action.get("selected_user"))
    readable = None if isinstance(press, UnreadablePress) else press
    request = parse_press_payload(body, reception.context.team_id, reception.context.clock(), readable)
    if request:
        refusal = press.sentence if isinstance(press, UnreadablePress) else await reception.take(request)
        if refusal:
            reception.answer_soon(request, refusal)
    await ack()


async def on_submit(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save a submitted form, then ack; errors are shown below their inputs, and the form stays open."""
    view = view_of(body)
    form = read_form(view.get("values"), view.get("private_metadata"))
    if isinstance(form, Wrong):
        await ack(response_action="errors", errors=dict(form.errors))
        return
    request = parse_submission(body, reception.context.team_id, reception.context.clock(), form)
    refusal = await reception.take(request) if request else ""
    if refusal:
        await ack(response_action="errors", errors={WHAT: refusal})
    else:
        await ack()


async def on_choice(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Ack a choice in the form; its preview follows."""
    view, origin = view_of(body), origin_of_view(body, reception.context.team_id)
    if view.get("id") and origin:
        reception.preview_soon(origin, read_metadata(view.get("private_metadata"))[1], view)
    await ack()


async def on_keys(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Check FloKit's keys and keep them, then ack; errors are shown below their inputs, and the form stays open."""
    keys = read_keys(view_of(body).get("values"))
    request = parse_checked_submission(
        body, reception.context.team_id, reception.context.clock(), RequestKind.CONNECTED
    )
    if isinstance(keys, WrongKeys):
        await ack(response_action="errors", errors=dict(keys.errors))
        return
    errors = await reception.connect(request, keys) if request else {}
    if errors:
        await ack(response_action="errors", errors=dict(errors))
    else:
        await ack()


async def on_policy(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Check a policy and save it, then ack, which closes the form and an earlier version on top of it."""
    view = view_of(body)
    draft = read_draft(view.get("values"), view.get("private_metadata"))
    request = parse_checked_submission(body, reception.context.team_id, reception.context.clock())
    if isinstance(draft, WrongDraft):
        await ack(response_action="errors", errors=dict(draft.errors))
        return
    errors = await reception.save_policy(request, draft) if request else {}
    if errors:
        await ack(response_action="errors", errors=dict(errors))
    else:
        await ack(response_action="clear")


async def on_name(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Check the name, the owner and the link of an integration and save them, then ack."""
    view = view_of(body)
    filled = naming_form.read_form(view.get("values"), view.get("private_metadata"))
    request = parse_checked_submission(body, reception.context.team_id, reception.context.clock())
    if isinstance(filled, naming_form.WrongName):
        await ack(response_action="errors", errors=dict(filled.errors))
        return
    errors = await reception.save_name(request, filled) if request else {}
    if errors:
        await ack(response_action="errors", errors=dict(errors))
    else:
        await ack()


async def on_ticket(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Check the link of an incident's ticket and save it, then ack."""
    view = view_of(body)
    filled = ticket_form.read_form(view.get("values"), view.get("private_metadata"))
    request = parse_checked_submission(body, reception.context.team_id, reception.context.clock())
    if isinstance(filled, ticket_form.WrongTicket):
        await ack(response_action="errors", errors=dict(filled.errors))
        return
    errors = await reception.save_ticket(request, filled) if request else {}
    if errors:
        await ack(response_action="errors", errors=dict(errors))
    else:
        await ack()


async def on_settings(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Check a person's own settings and save them, then ack."""
    settings = person_settings.read_form(view_of(body).get("values"))
    request = parse_checked_submission(body, reception.context.team_id, reception.context.clock())
    if isinstance(settings, person_settings.WrongSettings):
        await ack(response_action="errors", errors=dict(settings.errors))
        return
    errors = await reception.save_settings(request, settings) if request else {}
    if errors:
        await ack(response_action="errors", errors=dict(errors))
    else:
        await ack()
