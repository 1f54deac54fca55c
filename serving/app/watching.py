"""Who looks at the exchanges that are over: the metrics always, the log and the traces where they are asked for."""

from __future__ import annotations

from collections.abc import Callable

from serving.app.access_log import AccessLog
from serving.app.exchange import Exchange
from serving.app.tracing import tracing
from serving.logs import LogSettings
from serving.metrics import Metrics


class Watching:
    """The watchers of one app."""

    def __init__(self, metrics: Metrics, log: LogSettings, *, traces: bool) -> None:
        self._metrics = metrics
        self._traces = tracing(asked=traces)
        access_log = AccessLog(log)
        self.failed = access_log.failed
        self.watchers: list[Callable[[Exchange], None]] = [self._count]
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

    def _count(self, exchange: Exchange) -> None:
        self._metrics.request(exchange.model, exchange.method, exchange.route, exchange.status, exchange.seconds)
