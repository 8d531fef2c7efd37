"""All workspaces of a local Slack, and which of them a token or a response URL belongs to."""

from __future__ import annotations

from collections.abc import Iterator

from local_slack.arguments import Arguments
from local_slack.install import Installation, TokenKind
from local_slack.local_workspace import LocalWorkspace
from local_slack.response_url import ResponseUrls


class Workspaces:
    """The workspaces by ID, the first one first."""

    def __init__(self, first: LocalWorkspace) -> None:
        self.first = first
        self._by_id = {first.workspace.id: first}

    def __iter__(self) -> Iterator[LocalWorkspace]:
        return iter(self._by_id.values())

    def __getitem__(self, team_id: str) -> LocalWorkspace:
        """Return a workspace.

        Raises:
            KeyError: there is none with this ID.
        """
        return self._by_id[team_id]

    def get(self, team_id: str) -> LocalWorkspace | None:
        """Return a workspace, or None."""
        return self._by_id.get(team_id)

    def add(self, workspace: LocalWorkspace) -> None:
        """Add a workspace.

        Raises:
            ValueError: its ID or its bot token is taken.
        """
        new = workspace.workspace
        if new.id in self._by_id:
            raise ValueError(f"There already is a workspace {new.id}.")
        token = workspace.installation.tokens.bot
        if token and any(token == known.installation.tokens.bot for known in self):
            raise ValueError(f"Another workspace has the bot token of {new.id}: give it one of its own.")
        self._by_id[new.id] = workspace

    def authenticate(self, token: str, wanted: TokenKind, _method: str, _args: Arguments) -> Installation:
        """Return the installation that a token belongs to; the app token belongs to none in particular.

        Raises:
            RefusalError: ``not_authed``, ``invalid_auth``, ``token_revoked`` or ``not_allowed_token_type``.
        """
        installation = self._holder(token) or self.first.installation
        installation.tokens.check(token, wanted)
        return installation

    def scopes(self, _token: str, installation: Installation) -> frozenset[str]:
        """Return what a valid token may do."""
        return installation.scopes

    def team_of(self, token: str, _args: Arguments) -> str:
        """Return the ID of the workspace that a token belongs to, or ""."""
        holder = self._holder(token)
        return "" if holder is None else holder.workspace.id

    def response_urls(self, token: str) -> ResponseUrls:
        """Return the response URLs of the workspace that issued one with this last segment."""
        return self._by_id.get(token.partition(".")[0], self.first).response_urls

    def _holder(self, token: str) -> Installation | None:
        return next((one.installation for one in self if one.installation.tokens.bot == token), None)
