"""Each person's views: a stack of modals, and an App Home.

Source: https://docs.slack.dev/surfaces/modals. As in Slack, closed views can't be found anymore.
"""

from __future__ import annotations

import copy
import secrets
from typing import Final

from local_slack.content import fill_in_ids
from local_slack.refusal import RefusalError
from local_slack.workspace import Json, WorkspaceState

MOST_STACKED: Final = 3

UNSET: Final[Json] = {
    "private_metadata": "",
    "callback_id": "",
    "external_id": "",
    "submit": None,
    "close": None,
    "clear_on_close": False,
    "notify_on_close": False,
    "state": {"values": {}},
    "previous_view_id": None,
}
"""Slack's defaults for a view's members."""


class Views:
    """All open and published views.

    Args:
        workspace: notifies subscribers whenever a person's view changes.
    """

    def __init__(self, workspace: WorkspaceState) -> None:
        self._workspace = workspace
        self._views: dict[str, Json] = {}
        self._stacks: dict[str, list[str]] = {}
        self._homes: dict[str, str] = {}

    # reading

    def find(self, view_id: str = "", external_id: str = "") -> Json:
        """Return a copy of a view, by either of its IDs.

        Raises:
            RefusalError: ``not_found``.
        """
        for view in self._views.values():
            if view["id"] == view_id or (external_id and view["external_id"] == external_id):
                return copy.deepcopy(view)
        raise RefusalError("not_found")

    def has(self, view_id: str) -> bool:
        """Whether there is a view with this ID."""
        return view_id in self._views

    def stack(self, user_id: str) -> list[str]:
        """Return the IDs of a person's open modals, the topmost last."""
        return list(self._stacks.get(user_id, []))

    def modal(self, user_id: str) -> Json | None:
        """Return a person's topmost modal."""
        stack = self._stacks.get(user_id)
        return copy.deepcopy(self._views[stack[-1]]) if stack else None

    def home(self, user_id: str) -> Json | None:
        """Return a person's App Home."""
        view_id = self._homes.get(user_id)
        return copy.deepcopy(self._views[view_id]) if view_id else None

    def seen_by(self, user_id: str, view_id: str) -> Json:
        """Return a view if it's the person's topmost modal or App Home.

        Raises:
            LookupError: it's neither.
        """
        for view in (self.modal(user_id), self.home(user_id)):
            if view is not None and view["id"] == view_id:
                return view
        raise LookupError(f"{user_id} can't see a view {view_id}")

    # changing

    def open(self, user_id: str, view: Json) -> Json:
        """Show a modal, replacing all open ones."""
        front = self.modal(user_id)
        self._check_external_id(view)
        self._forget(user_id)
        stored = self._store(view)
        self._stacks[user_id] = [stored["id"]]
        self._tell_view(user_id, replaces=front["id"] if front else None)
        return copy.deepcopy(stored)

    def push(self, user_id: str, view: Json) -> Json:
        """Show a modal on top of the open one.

        Raises:
            RefusalError: ``not_found`` (none is open), ``push_limit_reached`` or ``duplicate_external_id``.
        """
        stack = self._stacks.get(user_id)
        if not stack:
            raise RefusalError("not_found")
        if len(stack) >= MOST_STACKED:
            raise RefusalError("push_limit_reached")
        self._check_external_id(view)
        stored = self._store(view, root_view_id=stack[0], previous_view_id=stack[-1])
        stack.append(stored["id"])
        self._tell_view(user_id, replaces=None)
        return copy.deepcopy(stored)

    def update(self, view_id: str, view: Json) -> Json:
        """Replace a view; input values are kept.

        Raises:
            RefusalError: ``duplicate_external_id``.
        """
        known = self._views[view_id]
        self._check_external_id(view, but=view_id)
        kept = {name: known[name] for name in ("id", "root_view_id", "previous_view_id", "state")}
        stored = self._store(view, **kept)
        for user_id, stack in self._stacks.items():
            if stack and stack[-1] == view_id:
                self._tell_view(user_id, replaces=view_id)
        for user_id, home_id in self._homes.items():
            if home_id == view_id:
                self._tell_home(user_id)
        return copy.deepcopy(stored)

    def publish(self, user_id: str, view: Json) -> Json:
        """Replace a person's App Home."""
        view_id = self._homes.get(user_id)
        if view_id is not None:
            return self.update(view_id, view)
        self._check_external_id(view)
        stored = self._store(view)
        self._homes[user_id] = stored["id"]
        self._tell_home(user_id)
        return copy.deepcopy(stored)

    def fill_in(self, view_id: str, values: Json) -> Json:
        """Store a person's input values and return the view with them."""
        self._views[view_id]["state"] = {"values": copy.deepcopy(values)}
        return copy.deepcopy(self._views[view_id])

    def close(self, user_id: str, view_id: str) -> None:
        """Close a modal and those on top of it, revealing the one below; does nothing if it's already closed."""
        stack = self._stacks.get(user_id, [])
        if view_id not in stack:
            return
        for closed in stack[stack.index(view_id) :]:
            del self._views[closed]
            stack.remove(closed)
        self._tell_view(user_id, replaces=view_id)

    def clear(self, user_id: str) -> None:
        """Close all modals of a person."""
        stack = self.stack(user_id)
        if stack:
            self.close(user_id, stack[0])

    def clear_all(self) -> None:
        """Close everybody's modals and remove their App Homes."""
        for user_id in tuple(self._stacks):
            self.clear(user_id)
        for user_id in tuple(self._homes):
            del self._views[self._homes.pop(user_id)]
            self._tell_home(user_id)

    # internals

    def _forget(self, user_id: str) -> None:
        for view_id in self._stacks.pop(user_id, []):
            del self._views[view_id]

    def _check_external_id(self, view: Json, but: str = "") -> None:
        external_id = view.get("external_id")
        others = (known for known in self._views.values() if known["id"] != but)
        if external_id and any(other["external_id"] == external_id for other in others):
            raise RefusalError("duplicate_external_id")

    def _store(self, view: Json, **identity: object) -> Json:
        view_id = f"V{secrets.token_hex(5).upper()}"
        app = self._workspace.app
        made: Json = {
            "team_id": self._workspace.id,
            "app_id": app.id,
            "bot_id": app.bot_id,
            "id": view_id,
            "root_view_id": view_id,
            "hash": f"{secrets.randbelow(10**10)}.{secrets.token_hex(4)}",
        }
        stored: Json = {**copy.deepcopy(UNSET), **view, **made, **identity, "blocks": fill_in_ids(view["blocks"])}
        self._views[stored["id"]] = stored
        return stored

    def _tell_view(self, user_id: str, replaces: str | None) -> None:
        self._workspace.tell({"type": "view", "user": user_id, "view": self.modal(user_id), "replaces": replaces})

    def _tell_home(self, user_id: str) -> None:
        self._workspace.tell({"type": "home", "user": user_id, "view": self.home(user_id)})
