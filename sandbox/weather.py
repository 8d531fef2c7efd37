"""The "weather" between the bot and the stand-ins: one fault for all requests until it's changed."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from local_slack import LocalSlack
from local_slack import faults as slack_faults
from local_slack.faults import ANY_METHOD
from sandbox.local_flokit import LocalFlokit
from sandbox.local_flokit import faults as flokit_faults
from sandbox.local_flokit.faults import FaultKind

SLOW_S: Final = 5.0
"""Annoyingly slow, but within the bot's own timeout."""

RETRY_AFTER_S: Final = 3


class FlokitWeather(StrEnum):
    """The fault for every request to FloKit."""

    FINE = "fine"
    SLOW = "slow"
    HTTP_500 = "http_500"
    RATELIMITED = "ratelimited"
    GARBAGE = "garbage"
    DOWN = "down"
    HANG = "hang"


class SlackWeather(StrEnum):
    """The fault for every call to Slack."""

    FINE = "fine"
    RATELIMITED = "ratelimited"
    HTTP_500 = "http_500"


_FLOKIT_FAULTS: Final[dict[FlokitWeather, FaultKind]] = {
    FlokitWeather.SLOW: "slow",
    FlokitWeather.HTTP_500: "http_500",
    FlokitWeather.RATELIMITED: "ratelimited",
    FlokitWeather.GARBAGE: "garbage",
    FlokitWeather.HANG: "hang",
}


def set_flokit_weather(flokit: LocalFlokit, weather: FlokitWeather) -> None:
    """Replace FloKit's faults with this weather."""
    flokit.faults.clear()
    flokit.down = weather is FlokitWeather.DOWN
    kind = _FLOKIT_FAULTS.get(weather)
    if kind is not None:
        flokit.faults.add(
            flokit_faults.Fault(kind, times=None, delay_s=SLOW_S, retry_after=str(RETRY_AFTER_S)),
        )


def slack_weather(slack: LocalSlack) -> SlackWeather:
    """Return Slack's weather, which all workspaces share."""
    kinds = [fault.kind for fault in slack.faults if fault.method == ANY_METHOD]
    return next((weather for weather in SlackWeather if weather.value in kinds), SlackWeather.FINE)


def set_slack_weather(slack: LocalSlack, weather: SlackWeather) -> None:
    """Replace Slack's faults with this weather."""
    slack.faults.clear()
    if weather is not SlackWeather.FINE:
        slack.faults.add(slack_faults.Fault(ANY_METHOD, weather.value, times=None, retry_after_s=RETRY_AFTER_S))
