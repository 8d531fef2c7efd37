"""The workspaces and organizations that installed the app, sealed with a data key of their own.

A secret that can't be decrypted raises `SecretUnreadable` for its own workspace only, and never ends a batch.
"""

from bot.store.installations.installed import Installations, Stamp
from bot.store.installations.tokens import REFRESH_AHEAD, REFRESH_LEASE

__all__ = ["REFRESH_AHEAD", "REFRESH_LEASE", "Installations", "Stamp"]
