"""The naive bots' message: a row with a Resync button for each integration."""

from __future__ import annotations

from typing import Any


def status_blocks(integrations: list[dict[str, Any]], syncing: str = "") -> list[dict[str, Any]]:
    """Return the rows; ``syncing`` is the ID of the integration that was just started."""
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
