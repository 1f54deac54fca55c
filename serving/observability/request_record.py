"""One request and its answer, as far as it is measured and logged: filled in on the way, read at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from starlette.types import Scope

from serving.batching.timing import Timing

KEY = "tuneship.exchange"

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
"""Those that are told apart; a caller may name any other."""


class RequestRecord:
    """Times are of `time.perf_counter`, in seconds; those that never came are 0.

    Attributes:
        request_id: its name, see `serving.http.middleware.observe`.
        headers: the request's, by lower-case name; of several of a name, the last.
        begun: when the request's head was read.
        ended: when the last byte of the answer was handed on.
        status: of the answer.
        model: the name of the model that was asked, empty where none was.
        items: the checked inputs.
        tokens: of all inputs together, and of the rows that an explanation runs.
        encoding: when the inputs began to be tokenised.
        encoded: when all were.
        timing: of the batcher.
        deadline: when the answer need not be given any more.
        outcomes: the labels that the model answered, by its own thresholds.
    """

    __slots__ = (
        "begun", "deadline", "encoded", "encoding", "ended", "headers", "items", "model", "outcomes", "request_id",
        "scope", "status", "timing", "tokens",
    )  # fmt: skip

    def __init__(self, scope: Scope, headers: Mapping[bytes, bytes], request_id: str) -> None:
        self.scope, self.headers, self.request_id = scope, headers, request_id
        self.begun = time.perf_counter()
        self.ended = self.encoding = self.encoded = 0.0
        self.deadline = math.inf
        self.status = self.tokens = 0
        self.model = ""
        self.items: Sequence[Any] = ()
        self.outcomes: Sequence[str] = ()
        self.timing = Timing()

    @property
    def method(self) -> str:
        """The method, of a bounded set."""
        method: str = self.scope["method"]
        return method if method in METHODS else "other"

    @property
    def route(self) -> str:
        """The path as the routes have it, so that no caller can make a new one; ``other`` where there is no route."""
        route = self.scope.get("route")
        # The route may be that of whoever mounts us, whose path is empty; and a 405 may name any method.
        return (getattr(route, "path", "") if self.status != 405 else "") or "other"

    @property
    def seconds(self) -> float:
        """From the request's head to the answer's end."""
        return self.ended - self.begun

    @property
    def server_timing(self) -> str:
        """The ``Server-Timing`` header (W3C Server Timing, section 3): milliseconds until the answer began."""
        total = (time.perf_counter() - self.begun) * 1000
        timing = self.timing
        if not timing.begun:
            return f"total;dur={total:.2f}"
        tokenize = (self.encoded - self.encoding) * 1000
        queue = (timing.begun - timing.submitted) * 1000
        infer = ((timing.answered or time.perf_counter()) - timing.begun) * 1000
        return f"tokenize;dur={tokenize:.2f}, queue;dur={queue:.2f}, infer;dur={infer:.2f}, total;dur={total:.2f}"


def record_of(scope: Scope) -> RequestRecord:
    """The exchange that `serving.http.middleware.observe` has begun for a request."""
    return cast(RequestRecord, scope[KEY])
