"""A scriptable local FloKit: the documented API, its traps, and its failures."""

from sandbox.local_flokit.local import READ_KEY, WRITE_KEY, LocalFlokit, Request

__all__ = ["READ_KEY", "WRITE_KEY", "LocalFlokit", "Request"]
