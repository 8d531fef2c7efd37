"""The form behind ``/flokit subscribe``: what is chosen in it, and that it is sent."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.core.subscriptions.form import WHAT, Wrong, read_form, read_metadata
from bot.listeners.payloads import origin_of_view, parse_submission, view_of
from bot.listeners.reception import Reception


async def on_submit(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save what a form says, then ack; what is wrong stands below its input, and the form stays open."""
    view = view_of(body)
    form = read_form(view.get("values"), view.get("private_metadata"))
    if isinstance(form, Wrong):
        await ack(response_action="errors", errors=dict(form.errors))
        return
    request = parse_submission(body, reception.team_id, reception.clock(), form)
    refusal = await reception.take(request) if request else ""
    if refusal:
        await ack(response_action="errors", errors={WHAT: refusal})
    else:
        await ack()


async def on_choice(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Ack a choice; the form's preview follows."""
    view, origin = view_of(body), origin_of_view(body, reception.team_id)
    if view.get("id") and origin:
        reception.preview_soon(origin, read_metadata(view.get("private_metadata"))[1], view)
    await ack()
