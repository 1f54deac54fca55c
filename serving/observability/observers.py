"""Who looks at the exchanges that are over: the metrics always, the log and the traces where they are asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from serving.observability.logs import private
from serving.observability.metrics import Metrics
from serving.observability.request_record import RequestRecord
from serving.observability.tracing import tracing
from serving.settings.log_settings import LogSettings


class Observers:
    """The watchers of one app."""

    def __init__(self, metrics: Metrics, log: LogSettings, *, traces: bool) -> None:
        self._metrics = metrics
        self._traces = tracing(asked=traces)
        access_log = AccessLog(log)
        self.failed = access_log.failed
        self.watchers: list[Callable[[RequestRecord], None]] = [self._count]
        if log.requests:
            self.watchers.append(access_log)
        if self._traces:
            self.watchers.append(self._traces)

    def flush(self) -> None:
        """Send what waits to be sent: for surroundings that stop the process between two requests."""
        if self._traces:
            self._traces.flush()

    def close(self) -> None:
        """Send what waits to be sent, and stop."""
        if self._traces:
            self._traces.close()

    def _count(self, record: RequestRecord) -> None:
        self._metrics.request(record.model, record.method, record.route, record.status, record.seconds)


access = logging.getLogger("tuneship.access")
logger = logging.getLogger("tuneship")


class AccessLog:
    """Tells of exchanges. A caller's text and its answer are told only where the settings ask for them."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings

    def __call__(self, record: RequestRecord) -> None:
        """The line of an exchange that is over."""
        message = f"{record.method} {record.route} {record.status}"
        access.info("%s", message, extra={"fields": self._fields(record)})

    def failed(self, record: RequestRecord, error: Exception) -> None:
        """The server's own fault, with its trace; the inputs are blanked out of it."""
        fields = {"request_id": record.request_id, "method": record.method, "route": record.route}
        extra = {"fields": fields, **({} if self._settings.inputs else private(record.items))}
        logger.error("the server failed on a request", exc_info=error, extra=extra)

    def _fields(self, record: RequestRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "request_id": record.request_id,
            "method": record.method,
            "route": record.route,
            "status": record.status,
            "seconds": round(record.seconds, 6),
            "tokens": record.tokens,
        }
        if record.model:
            fields["model"] = record.model
        if self._settings.labels:
            fields["labels"] = list(record.outcomes)
        if self._settings.inputs:
            fields["inputs"] = list(record.items)
        return fields
