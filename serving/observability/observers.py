"""What is done with each finished request: metrics, and where the settings ask for them, access log and traces."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from serving.observability.logs import redact
from serving.observability.metrics import Metrics
from serving.observability.request_record import RequestRecord
from serving.observability.tracing import make_tracing
from serving.settings.log_settings import LogSettings

access = logging.getLogger("tuneship.access")
logger = logging.getLogger("tuneship")


class Observers:
    """``on_request``: called on the event loop with each finished request's record."""

    def __init__(self, metrics: Metrics, log: LogSettings, *, traces: bool) -> None:
        self._log = log
        self._tracing = make_tracing() if traces else None
        self.on_request: list[Callable[[RequestRecord], None]] = [metrics.count_request]
        if log.requests:
            self.on_request.append(self._log_request)
        if self._tracing:
            self.on_request.append(self._tracing.record)

    def log_failure(self, record: RequestRecord, error: Exception) -> None:
        """With the traceback, its inputs redacted unless the settings ask for them."""
        fields = {"request_id": record.request_id, "method": record.method, "route": record.route}
        extra = {"fields": fields, **({} if self._log.inputs else redact(record.items))}
        logger.error("the server failed on a request", exc_info=error, extra=extra)

    def flush(self) -> None:
        """For platforms that freeze the process between two requests."""
        if self._tracing:
            self._tracing.flush()
        for handler in logging.getLogger().handlers:
            handler.flush()

    def renew(self) -> None:
        """Traces get ids and connections of their own: this process may be a copy."""
        if self._tracing:
            self._tracing.renew()

    def close(self) -> None:
        """Send pending traces."""
        if self._tracing:
            self._tracing.close()

    def _log_request(self, record: RequestRecord) -> None:
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
        if self._log.labels:
            fields["labels"] = list(record.labels)
        if self._log.inputs:
            fields["inputs"] = list(record.items)
        access.info("%s", f"{record.method} {record.route} {record.status}", extra={"fields": fields})
