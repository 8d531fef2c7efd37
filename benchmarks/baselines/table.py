"""What both naive bots show: one message with a row for each integration, and a Resync button."""

from __future__ import annotations

from typing import Any


def status_blocks(integrations: list[dict[str, Any]], syncing: str = "") -> list[dict[str, Any]]:
    """Make the rows; ``syncing`` is the integration that was just started."""
    return [
        {
            "type": "section",
            "text": {
                "type": "mrkdwn",
                "text": f"*{one['type']}* `{one['id']}`: {'syncing' if one['id'] == syncing else one['status']}",
            },
            "accessory": {
                "type": "button",
                "text": {"type": "plain_text", "text": "Resync"},
                "action_id": "flokit_resync",
                "value": one["id"],
            },
        }
        for one in integrations[:40]
    ]
