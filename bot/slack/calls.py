"""Calls to Slack's Web API, reported to telemetry; failures raise a ``SlackError``.

The only module that reads the SDK's exceptions.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import (
    SlackArchived,
    SlackAuthLost,
    SlackError,
    SlackMessageGone,
    SlackNoAccess,
    SlackOther,
    SlackRateLimited,
    SlackRefusedContent,
    SlackUnavailable,
)
from bot.observability.telemetry import Telemetry
from bot.slack.session import why_unavailable

log = structlog.get_logger(__name__)

DEFAULT_RETRY_AFTER_S: Final = 5.0
MAX_RETRY_AFTER_S: Final = 120.0

_RESULTS: Final = {
    SlackUnavailable: "unavailable",
    SlackRateLimited: "rate_limited",
    SlackNoAccess: "no_access",
    SlackArchived: "archived",
    SlackMessageGone: "gone",
    SlackRefusedContent: "refused_content",
    SlackAuthLost: "auth_lost",
}
"""How a failed call is counted; any other error is "other"."""

_TYPED: Final = (
    SlackUnavailable,
    SlackNoAccess,
    SlackArchived,
    SlackMessageGone,
    SlackRefusedContent,
    SlackAuthLost,
)
_CLASS_OF_CODE: Final = {code: error for error in _TYPED for code in error.codes}


class ObservedWebClient(AsyncWebClient):
    """The SDK's client, with each call reported under the name of its method.

    Args:
        telemetry: what calls are reported to.
        on_refusal: called with the error code of each call that Slack refuses.
        options: those of the SDK.
    """

    def __init__(self, telemetry: Telemetry, on_refusal: Callable[[str], None] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._telemetry = telemetry
        self._on_refusal = on_refusal

    async def api_call(self, api_method: str, **options: Any) -> Any:
        """Call a method of the Web API."""
        with reported(self._telemetry, api_method):
            try:
                return await super().api_call(api_method, **options)
            except SlackApiError as error:
                if self._on_refusal:
                    self._on_refusal(_typed(error).code)
                raise


@contextmanager
def reported(telemetry: Telemetry, method: str) -> Iterator[None]:
    """Report one call with its result and duration."""
    began_at, result = time.monotonic(), "unavailable"
    try:
        with telemetry.tracer.span(f"slack {method}", outward=True):
            yield
            result = "ok"
    except (SlackApiError, SlackError) as error:
        typed = error if isinstance(error, SlackError) else _typed(error)
        result = _RESULTS.get(type(typed), "other")
        raise
    finally:
        took_s = time.monotonic() - began_at
        telemetry.called_slack(method, result, took_s)
        log.debug("slack.call", method=method, result=result, ms=round(took_s * 1000))


async def answer_of(call: Awaitable[Any]) -> Any:
    """Await one Web API call, and return the SDK's response; its ``data`` is an object.

    Raises:
        SlackError: Slack refused it or sent no usable reply.
    """
    try:
        response = await call
    except SlackApiError as error:
        raise _typed(error) from error
    except (
        SlackClientError,
        aiohttp.ClientError,
        TimeoutError,
        OSError,
        ValueError,
        AttributeError,  # the SDK assumes that JSON is an object
        RecursionError,  # JSON of a thousand levels
    ) as error:
        raise SlackUnavailable(why_unavailable(error)) from error
    if not isinstance(response.data, dict):  # the SDK returns text and gzip as they are
        raise SlackUnavailable("Slack answered with something that isn't an object")
    return response


def _typed(error: SlackApiError) -> SlackError:
    response = error.response
    status = getattr(response, "status_code", None) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    code = str(data.get("error") or "") if isinstance(data, dict) else ""
    if status == 429 or code in SlackRateLimited.codes:
        return SlackRateLimited("Slack asks to slow down", retry_after_s=retry_after_s(response.headers))
    if not code:  # not a reply of Slack's API, but a proxy's page or a truncated reply
        return SlackUnavailable(f"Slack answered HTTP {status} without a usable body")
    return _CLASS_OF_CODE.get(code, SlackOther)(f"Slack refused: {code}", code=code)


def retry_after_s(headers: Any) -> float:
    """Return the pause that Slack asks for: 5 s if it doesn't say or says zero, at most 120 s."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if text is None or not str(text).strip().isdecimal():
        return DEFAULT_RETRY_AFTER_S
    # Taking zero at its word would mean hundreds of calls per second.
    return min(float(text), MAX_RETRY_AFTER_S) or DEFAULT_RETRY_AFTER_S
