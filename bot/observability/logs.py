"""Logging: structlog for the bot and its libraries, as text or JSON. Secrets are never logged."""

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
"""An event that repeats within this time isn't logged again."""

SHORTEST_REDACTED: Final = 4
"""A shorter secret isn't redacted: it would match parts of ordinary words in every line."""

OURS: Final = "bot"
"""The package whose log lines follow the level that is set. Libraries log from WARNING on, whatever the level: at DEBUG
they log payloads, response_urls, what people typed and the parameters of SQL statements."""

_SECRETS_BY_FORM: Final = re.compile(
    r"""
    (?<=hooks\.slack\.com/) [^\s"'\\]+                      # of a response_url
    | (?<=[?&]ticket=) [^\s"'\\&]+                           # of a Socket Mode URL
    | (?<=[?&]code=) [^\s"'\\&]+ | (?<=[?&]state=) [^\s"'\\&]+  # of an installation under way
    | (?<=/webhooks/flokit/) [\w-]{32,}                       # of a workspace's webhooks
    | \b xox[a-z] (?:\.xox[a-z])? - [\w-]{4,} | \b xapp- [\w-]{4,}  # Slack's tokens
    | (?<=Bearer\ ) [\w.~+/-]{8,} =*                          # of an Authorization header: RFC 6750
    """,
    re.VERBOSE,
)
"""What is secret wherever it appears. With many workspaces, the secrets themselves aren't known at the start."""

SILENCED: Final = ("sqlalchemy.pool",)
"""It logs an error when it can't close a connection to a database that is gone; the store already reports that."""

# Without local variables: they hold what people typed, and keys cut so that they can't be recognized and redacted.
_traceback_as_dict: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure_logging(format_: Literal["console", "json"], level: str, *, secrets: Sequence[str]) -> None:
    """Send all logs to stderr; ``secrets`` are redacted from every line, including those of libraries."""
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
    handler.setFormatter(_Redacting(formatter, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.getLogger(OURS).setLevel(level)
    for name in SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.excepthook = _log_crash


def _log_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Log the error that ends the process like any other: in the log's format, and without secrets."""
    if issubclass(kind, Exception):
        _log.error("crashed", exc_info=(kind, error, traceback))
    else:  # Ctrl+C
        sys.__excepthook__(kind, error, traceback)


def escape(text: str) -> str:
    """Escape invisible characters, and those that would move the cursor, color the line or start a new one.

    These are control characters, all line separators, and marks that change the direction of text.
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
    """Write a traceback, indented: whatever an exception says, none of its lines looks like a log line."""
    written = StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    out.writelines(f"\n  | {escape(line)}" for line in written.getvalue().splitlines())


class Episodes:
    """Logs a warning once per episode, for events that anyone can cause a thousand times a second."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen_at: dict[tuple[object, ...], float] = {}

    def note(self, event: str, **values: str | int) -> None:
        """Warn, unless the same was logged less than a minute ago. The values must be from a small set."""
        key, now = (event, *values.values()), self._clock()
        if now - self._seen_at.get(key, -EPISODE_S) >= EPISODE_S:
            _log.warning(event, **values)
        self._seen_at[key] = now


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Return whether to log a record.

    Bolt warns twice that it ignores SLACK_BOT_TOKEN, which is intended: it gets a client instead. aiohttp logs an error
    for requests that aren't HTTP, which anyone can send.
    """
    if record.name == "aiohttp.server":
        return not (record.exc_info and type(record.exc_info[1]).__module__ == "aiohttp.http_exceptions")
    return not (record.name.startswith("slack_bolt") and "`token`" in str(record.msg))


class _Redacting(logging.Formatter):
    """Redacts secrets in formatted lines: the last line of defense, behind ``SecretStr``."""

    def __init__(self, inner: logging.Formatter, secrets: Sequence[str]) -> None:
        super().__init__()
        self._inner = inner
        long_enough = [secret for secret in secrets if len(secret) >= SHORTEST_REDACTED]
        self._secrets = tuple(dict.fromkeys(form for secret in long_enough for form in _forms_of(secret)))

    def format(self, record: logging.LogRecord) -> str:
        line = _SECRETS_BY_FORM.sub("(redacted)", self._inner.format(record))
        for secret in self._secrets:
            line = line.replace(secret, "(redacted)")
        return line


def _forms_of(secret: str) -> list[str]:
    """Return the ways a secret can be written: as is, in a URL, in JSON, in a Python repr, or in a repr of a repr."""
    slashed = [secret, *(secret.replace("\\", "\\" * times) for times in (2, 4))]
    quoted = [form.replace(sign, f"\\{sign}") for form in slashed for sign in ("'", '"')]
    return [*slashed, *quoted, quote(secret, safe=""), quote(secret)]
