"""Which integrations a person may view, and which others they may only use.

The name of an integration that a person may not view is never revealed: not in suggestions, and not by answering
differently than for a name that doesn't exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.commands.targets import Ambiguous, NotFound, OfType, One, match_target, not_found
from bot.core.models import Integration
from bot.core.nicknames import NO_NICKNAMES, Nicknames, nicknames_of


@dataclass(frozen=True, slots=True)
class Sight:
    """The integrations that a person may view (``seen``) and those they may use in a request (``usable``).

    ``usable`` includes ``seen``: someone may be allowed to sync an integration that they may not view, by name.
    ``is_whole``: they may view everything. ``nicknames`` are what the integrations are called.
    """

    seen: tuple[Integration, ...]
    usable: tuple[Integration, ...]
    is_whole: bool
    nicknames: Nicknames = NO_NICKNAMES

    def find(self, text: str) -> One | Ambiguous | NotFound:
        """Find the integration that a person means; a type counts if there's only one integration of it.

        Choices and similar names include only integrations that they may view.
        """
        return self.match(text) or not_found(text, self.seen, self.nicknames)

    def match(self, text: str) -> One | Ambiguous | None:
        """Return the same, but None if there's no match: finding similar names takes much longer."""
        match match_target(text, self.usable, self.nicknames, types=()):
            case One() as one:
                return one
            case OfType(integrations=(only,)):
                return One(only)
            case OfType(integrations=matches) | Ambiguous(matches=matches):
                if seen := tuple(one for one in matches if self.sees(one)):
                    return Ambiguous(seen)
        return None

    @property
    def seen_nicknames(self) -> Nicknames:
        """What the integrations are called that they may view: for messages about those that may be gone."""
        if self.is_whole:
            return self.nicknames
        return nicknames_of(self.nicknames.of(one.id) for one in self.seen)

    def sees(self, integration: Integration) -> bool:
        """Whether they may view an integration."""
        return self.is_whole or any(one.id == integration.id for one in self.seen)


def all_of(integrations: tuple[Integration, ...], nicknames: Nicknames = NO_NICKNAMES) -> Sight:
    """Return the sight of someone who may view everything."""
    return Sight(integrations, integrations, is_whole=True, nicknames=nicknames)
