"""What Slack sends to an app about its views.

Sources: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload,
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload and
https://docs.slack.dev/reference/events/app_home_opened.
"""

from __future__ import annotations

from local_slack.config import Channel, User
from local_slack.payloads import interaction
from local_slack.use import Use
from local_slack.workspace import Json, WorkspaceState


def _interaction(workspace: WorkspaceState, kind: str, user: User) -> Json:
    """Return the common members; of an app that an organization installed, without the team.

    Not documented, but Bolt expects it: ``extract_team_id`` in slack_bolt/request/internals.py.
    """
    common = interaction(workspace, kind, user)
    return {**common, "team": None} if workspace.is_org_install else common


def submission_payload(workspace: WorkspaceState, user: User, view: Json, trigger_id: str) -> Json:
    """Return a ``view_submission`` payload; the view carries what was filled in."""
    return {
        **_interaction(workspace, "view_submission", user),
        "trigger_id": trigger_id,
        "view": view,
        "response_urls": [],
    }


def closed_payload(workspace: WorkspaceState, user: User, view: Json, *, is_cleared: bool) -> Json:
    """Return a ``view_closed`` payload: it has no trigger, so nothing can be opened in return."""
    return {**_interaction(workspace, "view_closed", user), "view": view, "is_cleared": is_cleared}


def view_click_payload(
    workspace: WorkspaceState, user: User, view: Json, used: Use, trigger_id: str, action_ts: str
) -> Json:
    """Return a ``block_actions`` payload from a view: it has no channel, no message and no ``response_url``."""
    return {
        **_interaction(workspace, "block_actions", user),
        "container": {"type": "view", "view_id": view["id"]},
        "trigger_id": trigger_id,
        "view": view,
        "actions": [used.action_at(action_ts)],
    }


def home_opened_event(user: User, im: Channel, view: Json | None, event_ts: str) -> Json:
    """Return an ``app_home_opened`` event; it has a view once one was published."""
    event: Json = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": im.id,
        "tab": "home",
        "event_ts": event_ts,
    }
    return event if view is None else {**event, "view": view}
