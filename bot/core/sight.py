"""What one person may name: integrations that they may look at, and others that they may only use.

A name that a person may not see is never given away: not as a suggestion, and not by another answer than the one for
a name that doesn't exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.commands.targets import Ambiguous, NotFound, OfType, One, not_found, resolve_target
from bot.core.models import Integration


@dataclass(frozen=True, slots=True)
class Sight:
    """The integrations that a person may look at (``seen``), and those that a request of theirs may be about.

    ``usable`` holds what is seen, too: somebody who may sync an integration that they may not look at can still name
    it. ``is_whole``: nothing is kept from them.
    """

    seen: tuple[Integration, ...]
    usable: tuple[Integration, ...]
    is_whole: bool

    def find(self, text: str) -> One | Ambiguous | NotFound:
        """Find the one integration that a person means, of a type only if there's no other of it.

        Several are offered, and similar names suggested, only among what they see.
        """
        match resolve_target(text, self.usable, types=()):
            case One() as one:
                return one
            case OfType(integrations=(only,)):
                return One(only)
            case OfType(integrations=matches) | Ambiguous(matches=matches):
                if seen := tuple(one for one in matches if self.sees(one)):
                    return Ambiguous(seen)
        return not_found(text, self.seen)

    def sees(self, integration: Integration) -> bool:
        """Tell whether they may look at an integration."""
        return self.is_whole or any(one.id == integration.id for one in self.seen)


def all_of(integrations: tuple[Integration, ...]) -> Sight:
    """Return the sight of somebody from whom nothing is kept."""
    return Sight(integrations, integrations, is_whole=True)
