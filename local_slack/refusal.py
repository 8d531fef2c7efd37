"""How the stand-in says no: one exception that becomes ``{"ok": false, "error": code}``."""

from __future__ import annotations

from typing import Any


class RefusalError(Exception):
    """Slack refuses the call; ``code`` is Slack's own error code.

    Args:
        details: further members of the reply, such as ``needed`` or ``response_metadata``.
    """

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details

    @classmethod
    def with_messages(cls, code: str, messages: list[str]) -> RefusalError:
        """Make a refusal that explains itself the way Slack does, in ``response_metadata.messages``."""
        return cls(code, response_metadata={"messages": messages})

    def reply(self) -> dict[str, Any]:
        """Return the body of the reply."""
        return {"ok": False, "error": self.code, **self.details}
