"""The slash command, buttons, and the forms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.core.commands.presses import UnreadablePress, parse_press
from bot.core.forms.form import CheckedForm, WrongForm
from bot.core.subscriptions.form import WHAT, read_form, read_metadata
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
    if isinstance(form, WrongForm):
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


def on_checked(form: CheckedForm) -> Callable[..., Awaitable[None]]:
    """Return the listener of a form that is checked while it's open."""

    async def on_submit(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
        """Check and save what's filled in, then ack; errors are shown below their inputs, and the form stays open."""
        view = view_of(body)
        filled = form.read(view.get("values"), view.get("private_metadata"))
        request = parse_checked_submission(body, reception.context.team_id, reception.context.clock(), form.kind)
        if isinstance(filled, WrongForm):
            errors = filled.errors
        else:
            errors = await reception.save_form(form, request, filled) if request else {}
        if errors:
            await ack(response_action="errors", errors=dict(errors))
        elif form.closes_all:
            await ack(response_action="clear")
        else:
            await ack()

    return on_submit
