"""A strict local Slack to test any Slack app against: see README.md."""

from local_slack.config import App, Channel, ChannelKind, OAuth, Org, User, Workspace
from local_slack.delivery import Ack, Envelope
from local_slack.faults import Fault
from local_slack.install import LostRoots
from local_slack.local import LocalSlack
from local_slack.local_workspace import LocalWorkspace
from local_slack.waiting import NotYet
from local_slack.web import ApiCall

__all__ = [
    "Ack",
    "ApiCall",
    "App",
    "Channel",
    "ChannelKind",
    "Envelope",
    "Fault",
    "LocalSlack",
    "LocalWorkspace",
    "LostRoots",
    "NotYet",
    "OAuth",
    "Org",
    "User",
    "Workspace",
]
