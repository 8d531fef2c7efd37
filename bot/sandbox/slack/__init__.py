"""A strict local Slack: what the bot's tests and the demo talk to instead of Slack's servers."""

from bot.sandbox.slack.delivery import Ack, Envelope
from bot.sandbox.slack.faults import Fault
from bot.sandbox.slack.install import LostRoots
from bot.sandbox.slack.local import LocalSlack
from bot.sandbox.slack.web import ApiCall

__all__ = ["Ack", "ApiCall", "Envelope", "Fault", "LocalSlack", "LostRoots"]
