"""Log lines for people or, as JSON, for machines. Whatever is in a message, it stays one line.

The core writes with the standard `logging`; fields beside the message come as ``extra={"fields": {…}}``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from serving.settings.log_settings import LogSettings

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What could begin a new line, steer a terminal, or turn the order of what is read round."""

SHORTEST_PRIVATE = 3
"""Texts under this many characters are in every trace by chance."""


def set_up_logs(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send every line of this process, the server's own and Python's warnings too, to a stream in one format."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tuneship").setLevel(logging.INFO)
    for name in [*logging.root.manager.loggerDict]:  # those that had their own format
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.captureWarnings(True)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII, so that nothing in it can end the line."""

    def format(self, record: logging.LogRecord) -> str:
        """``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, the record's fields, ``exception``."""
        content = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            content["exception"] = _exception(self, record)
        return json.dumps(content, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, message and fields on one line; a trace indented below, so that it cannot pass for another line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without control characters."""
        fields = "".join(f" {name}={json.dumps(value, default=str)}" for name, value in _fields(record).items())
        line = CONTROL.sub(_escaped, f"{_time(record)} {record.levelname.lower()} {record.getMessage()}") + fields
        if not record.exc_info:
            return line
        trace = "\n".join(CONTROL.sub(_escaped, each) for each in _exception(self, record).split("\n"))
        return f"{line}\n{textwrap.indent(trace, '    | ', lambda _: True)}"


def private(texts: Sequence[Any]) -> dict[str, Any]:
    """The ``extra`` of a record whose trace may repeat these texts: they are blanked out."""
    flat = [part for each in texts for part in (each if isinstance(each, tuple) else (each,))]
    return {"private": [str(part) for part in flat if len(str(part)) >= SHORTEST_PRIVATE]}


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    assert record.exc_info
    text = formatter.formatException(record.exc_info)
    for each in sorted(getattr(record, "private", ()), key=len, reverse=True):
        text = text.replace(each, "…").replace(repr(each)[1:-1], "…")
    return text


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
