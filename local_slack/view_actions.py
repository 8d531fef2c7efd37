"""People's actions in views (submit, close, click, open App Home), and how the app's responses change views.

Source: https://docs.slack.dev/surfaces/modals#updating_response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local_slack import view_payloads as payloads
from local_slack.config import User
from local_slack.delivery import Ack, AckError, Courier, Envelope, EnvelopeKind
from local_slack.install import Installation
from local_slack.payloads import event_payload
from local_slack.refusal import RefusalError
from local_slack.state import Values, read_values, wrong_inputs
from local_slack.use import Asked, use
from local_slack.validation import check_view
from local_slack.workspace import Json


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission's result. ``errors`` are messages by block_id; ``error`` is an ``AckError``."""

    errors: dict[str, str] | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the app accepted it."""
        return not self.errors and not self.error


class ViewActions:
    """A person's actions in the app's views."""

    def __init__(self, app: Installation, courier: Courier) -> None:
        self._app = app
        self._courier = courier

    def modal(self, user: str) -> Json | None:
        """Return a person's topmost modal."""
        return self._app.views.modal(user)

    def home(self, user: str) -> Json | None:
        """Return a person's App Home."""
        return self._app.views.home(user)

    async def submit(self, user: str, view_id: str, given: Values | None = None) -> Submitted:
        """Press a modal's submit button.

        Args:
            given: the input values by block_id and action_id, as in ``state.values``.

        Raises:
            LookupError: it isn't the person's topmost modal, or it has no such button or input.
        """
        view = self._modal(user, view_id)
        if view["submit"] is None:
            raise LookupError(f"view {view_id} has no submit button")
        values = read_values(view["blocks"], given or {}, view["state"]["values"])
        wrong = wrong_inputs(view, values)
        if wrong:
            return Submitted(errors=wrong)
        view = self._app.views.fill_in(view_id, values)
        trigger_id = self._app.triggers.issue(user, view_id)
        payload = payloads.submission_payload(self._app.workspace, self._user(user), view, trigger_id)
        ack = await self._courier.deliver(Envelope(EnvelopeKind.INTERACTION, payload))
        return self._take_answer(user, view, ack)

    def close(self, user: str, view_id: str) -> None:
        """Press a modal's close button; the app is notified if the view has ``notify_on_close``.

        Raises:
            LookupError: it isn't the person's topmost modal.
        """
        view = self._modal(user, view_id)
        is_cleared = view["clear_on_close"]
        closed = self._app.views.stack(user) if is_cleared else [view_id]
        told = [view for view in map(self._app.views.find, reversed(closed)) if view["notify_on_close"]]
        self._app.views.close(user, closed[0])
        for view in told:
            payload = payloads.closed_payload(self._app.workspace, self._user(user), view, is_cleared=is_cleared)
            self._courier.start(Envelope(EnvelopeKind.INTERACTION, payload))

    async def click(
        self,
        user: str,
        view_id: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: str | Sequence[str] | None = None,
        values: Values | None = None,
    ) -> Ack:
        """Use an element of the topmost modal or App Home.

        Args:
            value: the value of the button, the chosen option, or the picked or entered value.
            values: the values of all inputs so far; if they include this element, ``value`` can be omitted.

        Raises:
            LookupError: the person doesn't see such a view or element.
        """
        view = self._app.views.seen_by(user, view_id)
        used = use(view, Asked(action_id, block_id, value, values or {}), view["state"]["values"])
        view = self._app.views.fill_in(view_id, used.values)
        payload = payloads.view_click_payload(
            self._app.workspace,
            self._user(user),
            view,
            used,
            self._app.triggers.issue(user, view_id),
            self._app.workspace.new_ts(),
        )
        return await self._courier.deliver(Envelope(EnvelopeKind.INTERACTION, payload))

    def open_home(self, user: str) -> None:
        """Open App Home; the event, if subscribed, is delivered in the background.

        Raises:
            LookupError: the person doesn't exist, or the app has no Home tab.
        """
        self._app.expect_installed()
        if not self._app.home_tab:
            raise LookupError("the app has no Home tab")
        person, workspace = self._user(user), self._app.workspace
        if not self._app.hears("app_home_opened"):
            return
        view, im = self.home(user), workspace.open_im(user)
        event = payloads.home_opened_event(person, im, view, workspace.new_ts())
        self._courier.start_event(event_payload(workspace, event))

    def _take_answer(self, user: str, view: Json, ack: Ack) -> Submitted:
        if not ack.ok:
            return Submitted(error=ack.error)
        try:
            return Submitted(errors=self._do(user, view, ack.body or {}))
        except RefusalError as refusal:
            self._app.warnings.append(f"the ack of a submission was refused: {refusal.reply()}")
            return Submitted(error=AckError.BAD_RESPONSE)

    def _do(self, user: str, view: Json, answer: Json | str) -> dict[str, str] | None:
        """Apply the response in a submission's ack; return its validation errors, if any."""
        if not isinstance(answer, dict):
            raise _bad_answer("must be an object")
        match answer.get("response_action"):
            case None:
                self._app.views.close(user, view["id"])
            case "clear":
                self._app.views.clear(user)
            case "update":
                self._app.views.update(self._still_open(user, view), _modal_in(answer))
            case "push":
                self._still_open(user, view)
                self._app.views.push(user, _modal_in(answer))
            case "errors":
                return _complaints(view, answer.get("errors"))
            case other:
                raise _bad_answer(f"unknown response_action: {other}")
        return None

    def _still_open(self, user: str, view: Json) -> str:
        view_id: str = view["id"]
        if view_id not in self._app.views.stack(user):
            raise RefusalError("not_found")
        return view_id

    def _user(self, user: str) -> User:
        if user not in self._app.workspace.users:
            raise LookupError(f"unknown person: {user}")
        return self._app.workspace.users[user]

    def _modal(self, user: str, view_id: str) -> Json:
        view = self.modal(user)
        if view is None or view["id"] != view_id:
            raise LookupError(f"{view_id} isn't the topmost modal of {user}")
        return view


def _modal_in(answer: Json) -> Json:
    view = check_view(answer.get("view"))
    if view["type"] != "modal":
        raise _bad_answer("view isn't a modal")
    return view


def _complaints(view: Json, errors: Any) -> dict[str, str]:
    """Return the messages of ``response_action: errors``; each must belong to an input block of the view."""
    inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors:
        raise _bad_answer("errors must name at least one block_id")
    if not all(isinstance(sentence, str) and sentence for sentence in errors.values()):
        raise _bad_answer("each error must be text")
    if errors.keys() - inputs:
        raise _bad_answer(f"no input block: {sorted(errors.keys() - inputs)}")
    return errors


def _bad_answer(message: str) -> RefusalError:
    return RefusalError.with_messages("invalid_arguments", [f"[ERROR] {message}"])
