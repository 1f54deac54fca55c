"""A log line for each request, and one for each that the server failed on."""

from __future__ import annotations

import logging
from typing import Any

from serving.app.exchange import Exchange
from serving.logs import LogSettings, private

access = logging.getLogger("tuneship.access")
logger = logging.getLogger("tuneship")


class AccessLog:
    """Tells of exchanges. A caller's text and its answer are told only where the settings ask for them."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings

    def __call__(self, exchange: Exchange) -> None:
        """The line of an exchange that is over."""
        message = f"{exchange.method} {exchange.route} {exchange.status}"
        access.info("%s", message, extra={"fields": self._fields(exchange)})

    def failed(self, exchange: Exchange, error: Exception) -> None:
        """The server's own fault, with its trace; the inputs are blanked out of it."""
        fields = {"request_id": exchange.request_id, "method": exchange.method, "route": exchange.route}
        extra = {"fields": fields, **({} if self._settings.inputs else private(exchange.items))}
        logger.error("the server failed on a request", exc_info=error, extra=extra)

    def _fields(self, exchange: Exchange) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "request_id": exchange.request_id,
            "method": exchange.method,
            "route": exchange.route,
            "status": exchange.status,
            "seconds": round(exchange.seconds, 6),
            "tokens": exchange.tokens,
        }
        if exchange.model:
            fields["model"] = exchange.model
        if self._settings.labels:
            fields["labels"] = list(exchange.outcomes)
        if self._settings.inputs:
            fields["inputs"] = list(exchange.items)
        return fields
