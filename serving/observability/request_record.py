"""What is measured and logged of a request: filled in on its way, read by the observers at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from starlette.types import Scope

from serving.batching.batcher import Timing

KEY = "tuneship.request_record"
"""Of the record in the ASGI scope."""

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
"""Any other is recorded as ``other``: a caller may send any word."""


class RequestRecord:
    """Times are `time.perf_counter` seconds, 0 until they come.

    Attributes:
        headers: by lower-case name; the last of a name counts.
        started: when the head was read.
        ended: when the answer's last byte was sent.
        tokens: of all inputs and an explanation's rows.
        encoding, encoded: when tokenizing began and ended.
        deadline: when the request expires unless it has begun to run.
        end: when a generation expires.
        labels: those answered, by the model's own thresholds.
    """

    __slots__ = (
        "deadline", "encoded", "encoding", "end", "ended", "headers", "items", "labels", "model", "request_id",
        "scope", "started", "status", "timing", "tokens",
    )  # fmt: skip

    def __init__(self, scope: Scope, headers: Mapping[bytes, bytes], request_id: str) -> None:
        self.scope, self.headers, self.request_id = scope, headers, request_id
        self.started = time.perf_counter()
        self.ended = self.encoding = self.encoded = 0.0
        self.deadline = self.end = math.inf
        self.status = self.tokens = 0
        self.model = ""
        self.items: Sequence[Any] = ()
        self.labels: Sequence[str] = ()
        self.timing = Timing()

    @property
    def method(self) -> str:
        """One of METHODS, or ``other``."""
        method: str = self.scope["method"]
        return method if method in METHODS else "other"

    @property
    def route(self) -> str:
        """The route's pattern, or ``other``: callers cannot create new ones."""
        route = self.scope.get("route")
        # A parent app that mounts this one sets a route with an empty path; a 405 may name any method.
        return (getattr(route, "path", "") if self.status != 405 else "") or "other"

    @property
    def seconds(self) -> float:
        """From the head to the answer's end."""
        return self.ended - self.started

    @property
    def server_timing(self) -> str:
        """W3C Server Timing, section 3, in milliseconds."""
        total = (time.perf_counter() - self.started) * 1000
        timing = self.timing
        if not timing.begun:
            return f"total;dur={total:.2f}"
        tokenize = (self.encoded - self.encoding) * 1000
        queue = (timing.begun - timing.submitted) * 1000
        infer = ((timing.answered or time.perf_counter()) - timing.begun) * 1000
        return f"tokenize;dur={tokenize:.2f}, queue;dur={queue:.2f}, infer;dur={infer:.2f}, total;dur={total:.2f}"


def record_of(scope: Scope) -> RequestRecord:
    """As `serving.http.middleware.observe` put it there."""
    return cast(RequestRecord, scope[KEY])
