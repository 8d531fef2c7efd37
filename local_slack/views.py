"""The Web API's ``views.`` methods."""

from __future__ import annotations

from typing import Any

from local_slack.arguments import Arguments
from local_slack.install import Installation
from local_slack.refusal import RefusalError
from local_slack.validation import check_view
from local_slack.workspace import Json


def open_view(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/views.open."""
    view = _checked(args.value("view"), "modal")
    trigger = app.triggers.exchange(args.text("trigger_id"))
    return {"view": app.views.open(trigger.user_id, view)}


def push_view(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/views.push: only from a modal that is still open."""
    view = _checked(args.value("view"), "modal")
    trigger = app.triggers.exchange(args.text("trigger_id"))
    if trigger.view_id not in app.views.stack(trigger.user_id):
        raise RefusalError("not_found")
    return {"view": app.views.push(trigger.user_id, view)}


def publish_view(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/views.publish: replaces a person's App Home."""
    user = app.workspace.users.get(args.text("user_id"))
    if user is None or user.is_bot:
        raise RefusalError.with_messages("invalid_arguments", ["invalid `user_id`"])
    view = _checked(args.value("view"), "home")
    if not app.home_tab:
        raise RefusalError("not_enabled")
    known = app.views.home(user.id)
    if known is not None:
        _check_hash(known, args)
    return {"view": app.views.publish(user.id, view)}


def update_view(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/views.update: by ``view_id`` or by ``external_id``."""
    if not args.text("view_id") and not args.text("external_id"):
        messages = ["[ERROR] must provide one of: view_id, external_id"]
        raise RefusalError.with_messages("invalid_arguments", messages)
    checked = check_view(args.value("view"))
    known = app.views.find(args.text("view_id"), args.text("external_id"))
    _check_kind(checked, known["type"])
    _check_hash(known, args)
    return {"view": app.views.update(known["id"], checked)}


def _checked(view: Any, kind: str) -> Json:
    checked = check_view(view)
    _check_kind(checked, kind)
    return checked


def _check_kind(view: Json, kind: str) -> None:
    if view["type"] != kind:
        raise RefusalError.with_messages(
            "invalid_arguments", [f"[ERROR] view must be a {kind} [json-pointer:/view/type]"]
        )


def _check_hash(known: Json, args: Arguments) -> None:
    """Refuse to overwrite a view that changed since the caller read it."""
    if args.has("hash") and args.text("hash") != known["hash"]:
        raise RefusalError("hash_conflict")
