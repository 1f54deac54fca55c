"""One log line a message, as text or JSON. Fields beside the message come as ``extra={"fields": {…}}``."""

from __future__ import annotations

import json
import logging
import re
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from serving.observability.log_queue import QueueHandler
from serving.settings.log_settings import LogSettings

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that break a line, control a terminal or change the reading direction."""

MIN_REDACTED = 3
"""Shorter texts occur in any traceback by chance."""


def set_up_logs(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send this process' log lines and Python warnings to a stream, by default stderr."""
    handler = QueueHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tuneship").setLevel(logging.INFO)
    for name in [*logging.root.manager.loggerDict]:  # loggers with handlers of their own
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.captureWarnings(True)


class JsonFormatter(logging.Formatter):
    """One ASCII JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, the record's fields, ``exception``."""
        content = {
            "time": _format_time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            content["exception"] = _format_exception(self, record)
        return json.dumps(content, default=str)


class TextFormatter(logging.Formatter):
    """The traceback is indented below: no line of it looks new."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, its control characters escaped."""
        fields = "".join(f" {name}={json.dumps(value, default=str)}" for name, value in _fields(record).items())
        line = CONTROL.sub(_escape, f"{_format_time(record)} {record.levelname.lower()} {record.getMessage()}") + fields
        if not record.exc_info:
            return line
        traceback = "\n".join(CONTROL.sub(_escape, each) for each in _format_exception(self, record).split("\n"))
        return f"{line}\n{textwrap.indent(traceback, '    | ', lambda _: True)}"


def redact(items: Sequence[Any]) -> dict[str, Any]:
    """The ``extra`` that removes inputs from a record's traceback."""
    texts = [str(text) for item in items for text in (item if isinstance(item, tuple) else (item,))]
    return {"redacted": [text for text in texts if len(text) >= MIN_REDACTED]}


def _format_exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    assert record.exc_info
    text = formatter.formatException(record.exc_info)
    for each in sorted(getattr(record, "redacted", ()), key=len, reverse=True):
        text = text.replace(each, "…").replace(repr(each)[1:-1], "…")
    return text


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _format_time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
