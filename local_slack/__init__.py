"""A strict local Slack: what the bot's tests and the demo talk to instead of Slack's servers."""

from local_slack.delivery import Ack, Envelope
from local_slack.faults import Fault
from local_slack.install import LostRoots
from local_slack.local import LocalSlack
from local_slack.waiting import NotYet
from local_slack.web import ApiCall

__all__ = ["Ack", "ApiCall", "Envelope", "Fault", "LocalSlack", "LostRoots", "NotYet"]
