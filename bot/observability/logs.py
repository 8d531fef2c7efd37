"""Logging: structlog for the bot and the libraries alike, for people or as JSON. Secrets are never logged."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, MutableMapping, Sequence
from io import StringIO
from types import TracebackType
from typing import Any, Final, Literal, TextIO
from urllib.parse import quote

import structlog
from structlog.typing import ExcInfo

_log = structlog.get_logger(__name__)

EPISODE_S: Final = 60.0
"""What happens again within this time belongs to the same episode."""

SHORTEST_BLOTTED: Final = 4
"""A shorter secret is not worth the name, and would blot out half of every line."""

OURS: Final = "bot"
"""Whose words are written at the level that is set. Others' are written from WARNING on, whatever the level is: at
DEBUG, libraries write payloads, response_urls, people's words and the parameters of statements down."""

_SECRET_ADDRESSES: Final = re.compile(r"""(?<=hooks\.slack\.com/)[^\s"'\\]+|(?<=[?&]ticket=)[^\s"'\\&]+""")
"""What in an address is a secret: of a response_url, and of a socket's."""

SILENCED: Final = ("sqlalchemy.pool",)
"""It reports as an error that a connection to a database that is gone could not be closed; the store tells of that."""

SOCKET_REPORTS: Final = (
    "Failed to run a request listener: Cannot write to closing transport",
    "Failed to run message listeners: ",
    "Failed to connect (error: ",
    "Failed to retrieve WSS URL: ",
    "Failed to check the current session ",
    "Failed to receive or enqueue a message: ",
)
"""How the SDK's errors about a socket begin that closed under it, or that Slack did not renew at once.

None is a fault of ours: the SDK tries again, and `bot.slack.socket` rebuilds what it does not mend. (Listeners that
raise are reported with other words: the second of these is written only when a new socket cannot be opened.)
"""


# Without local variables: they hold people's words and, clipped so that they cannot be blotted out, keys.
_traceback_as_dict: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure_logging(format_: Literal["console", "json"], level: str, *, secrets: Sequence[str]) -> None:
    """Send all logs to stderr; ``secrets`` are blotted out wherever a library might have let one in."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if format_ == "json":
        last: list[Any] = [_traceback_as_dict, structlog.processors.JSONRenderer()]  # its strings are all ASCII
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback)
        last = [_escape_values, renderer]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_worth_reading)
    handler.addFilter(_weigh_socket_reports)
    handler.setFormatter(_Blotting(formatter, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.getLogger(OURS).setLevel(level)
    for name in SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.excepthook = _log_crash


def _log_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Log what ends the process like everything else: in the log's format, and without secrets."""
    if issubclass(kind, Exception):
        _log.error("crashed", exc_info=(kind, error, traceback))
    else:  # Ctrl+C
        sys.__excepthook__(kind, error, traceback)


def escape(text: str) -> str:
    """Write what cannot be seen, or would move the cursor, colour the line or begin another one, as its escape.

    Those are the control characters, all kinds of line ends, and marks that turn the direction of writing around.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _escape_values(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: _escape_value(name, value) for name, value in event.items()}


def _escape_value(name: str, value: object) -> object:
    if name == "exc_info" or value is None or isinstance(value, bool | int | float):
        return value
    return escape(value if isinstance(value, str) else repr(value))


def _write_traceback(out: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback, indented: no line of it, whatever an exception says, can be taken for one of the log's."""
    told = StringIO()
    structlog.dev.plain_traceback(told, exc_info)
    out.writelines(f"\n  | {escape(line)}" for line in told.getvalue().splitlines())


class Episodes:
    """Warnings of what may happen a thousand times a second, because anybody can cause it: one for each episode."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen_at: dict[tuple[object, ...], float] = {}

    def note(self, event: str, **values: str | int) -> None:
        """Warn, unless the same was noted less than a minute ago; of values there must be few."""
        key, now = (event, *values.values()), self._clock()
        if now - self._seen_at.get(key, -EPISODE_S) >= EPISODE_S:
            _log.warning(event, **values)
        self._seen_at[key] = now


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Tell what is written down at all.

    Bolt warns twice that it ignores SLACK_BOT_TOKEN: that is on purpose, ``app.py`` hands it the client. And aiohttp
    reports what is no HTTP as an error, which anybody can send.
    """
    if record.name == "aiohttp.server":
        return not (record.exc_info and type(record.exc_info[1]).__module__ == "aiohttp.http_exceptions")
    return not (record.name.startswith("slack_bolt") and "`token`" in str(record.msg))


def _weigh_socket_reports(record: logging.LogRecord) -> bool:
    """Make a warning of what the SDK reports about its socket as an error, without the traceback of its insides."""
    if record.name.startswith("slack_bolt") and record.getMessage().startswith(SOCKET_REPORTS):
        record.levelno, record.levelname, record.exc_info, record.exc_text = logging.WARNING, "WARNING", None, None
    return logging.getLogger(record.name).isEnabledFor(record.levelno)


class _Blotting(logging.Formatter):
    """Replaces secrets in finished lines: the last line of defence, behind ``SecretStr``."""

    def __init__(self, inner: logging.Formatter, secrets: Sequence[str]) -> None:
        super().__init__()
        self._inner = inner
        long_enough = [secret for secret in secrets if len(secret) >= SHORTEST_BLOTTED]
        self._secrets = tuple(dict.fromkeys(form for secret in long_enough for form in _forms_of(secret)))

    def format(self, record: logging.LogRecord) -> str:
        line = _SECRET_ADDRESSES.sub("(redacted)", self._inner.format(record))
        for secret in self._secrets:
            line = line.replace(secret, "(redacted)")
        return line


def _forms_of(secret: str) -> list[str]:
    """Return how a secret may be written: as it is, in an address, in JSON, in Python, or in Python within Python."""
    slashed = [secret, *(secret.replace("\\", "\\" * times) for times in (2, 4))]
    quoted = [form.replace(sign, f"\\{sign}") for form in slashed for sign in ("'", '"')]
    return [*slashed, *quoted, quote(secret, safe=""), quote(secret)]
