"""A local stand-in of AWS Lambda's Runtime API: the real paths, headers and status codes, for the real runtime loop.

Described at https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

RUNTIME = "/2018-06-01/runtime"
FUNCTION_ARN = "arn:aws:lambda:eu-west-1:123456789012:function:tuneship"
DEADLINE_SECONDS = 60
MAX_RESPONSE_BYTES = 6 * 2**20


@dataclass(frozen=True)
class Outcome:
    """What the runtime posted back for one invocation.

    Attributes:
        payload: the JSON that was posted.
        failed: it came to ``…/error``, not to ``…/response``.
        error_type: the header Lambda-Runtime-Function-Error-Type, where there is one.
        chunks: of a streamed response, in which the payload came.
        trailers: of a streamed response, by their lower-case names.
    """

    payload: Any
    failed: bool = False
    error_type: str | None = None
    chunks: Sequence[bytes] = ()
    trailers: Mapping[str, str] = field(default_factory=dict)


class RuntimeApi:
    """The stand-in, listening between ``with`` and its end; ``address`` is for AWS_LAMBDA_RUNTIME_API.

    ``failures`` are statuses that it gives first to ``next`` and ``response``; 0 closes the connection. After
    ``most_chunks`` of a streamed response it closes the connection, as where the caller has gone.
    """

    def __init__(self) -> None:
        self.init_errors: queue.Queue[Outcome] = queue.Queue()
        self.pending: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        self.outcomes: dict[str, queue.Queue[Outcome]] = {}
        self.restores = 0
        self.failures: dict[str, list[int]] = {"next": [], "response": []}
        self.most_chunks = 1_000_000
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pending.put(None)  # frees a runtime's waiting GET
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def invoke(self, event: Any, timeout: float = 30.0, running: Callable[[], bool] = lambda: True) -> Outcome:
        """Give the runtime an event and wait for what it posts back, while it runs; raises TimeoutError."""
        request_id = str(uuid.uuid4())
        self.outcomes[request_id] = queue.Queue()
        self.pending.put((request_id, json.dumps(event).encode()))
        end = time.monotonic() + timeout
        while running() and time.monotonic() < end:
            with suppress(queue.Empty):
                return self.outcomes[request_id].get(timeout=0.1)
        raise TimeoutError(f"the runtime posted nothing within {timeout:g} s, or ended")

    def wait_init_error(self, timeout: float = 30.0) -> Outcome:
        """What the runtime reported when it could not start; raises TimeoutError."""
        return self._wait(self.init_errors, timeout)

    @staticmethod
    def _wait(outcomes: queue.Queue[Outcome], timeout: float) -> Outcome:
        try:
            return outcomes.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"the runtime posted nothing within {timeout:g} s") from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: RuntimeApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A runtime that was stopped in the middle of its poll is no fault of the stand-in's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == f"{RUNTIME}/restore/next":  # SnapStart: answered once the snapshot is restored, at once here
            self.server.api.restores += 1
            return self._send(200, b"", {})
        if self.path != f"{RUNTIME}/invocation/next":
            return self._reply(404, {"errorType": "NotFound"})
        if self._fails("next"):
            return None
        invocation = self.server.api.pending.get()
        if invocation is None:
            self.server.api.pending.put(None)
            self.close_connection = True
            return None
        request_id, event = invocation
        deadline = int((time.time() + DEADLINE_SECONDS) * 1000)
        return self._send(200, event, {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
        })  # fmt: skip

    def do_POST(self) -> None:
        streamed = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        chunked = self._read_chunks() if streamed else ([], {})
        body = b"".join(chunked[0]) if streamed else self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == f"{RUNTIME}/init/error":
            self.server.api.init_errors.put(self._outcome(body, failed=True))
            return self._reply(202, {"status": "OK"})
        request_id, _, kind = self.path.removeprefix(f"{RUNTIME}/invocation/").partition("/")
        outcomes = self.server.api.outcomes.get(request_id)
        if outcomes is None or kind not in ("response", "error"):
            return self._reply(404, {"errorType": "NotFound"})
        if self._fails("response"):
            return None
        if self.headers.get("Lambda-Runtime-Function-Response-Mode") == "streaming":
            return self._end_stream(outcomes, *chunked)
        if len(body) > MAX_RESPONSE_BYTES:
            return self._reply(413, {"errorType": "RequestEntityTooLarge"})
        outcomes.put(self._outcome(body, failed=kind == "error"))
        return self._reply(202, {"status": "OK"})

    def _fails(self, place: str) -> bool:
        """Whether it was to fail here, and has."""
        if not self.server.api.failures[place]:
            return False
        if status := self.server.api.failures[place].pop(0):
            self._reply(status, {"errorType": "InternalError"})
        else:
            self.close_connection = True
        return True

    def log_message(self, *_: object) -> None:
        """Stay silent: what matters is in the outcomes."""

    def _outcome(self, body: bytes, *, failed: bool) -> Outcome:
        return Outcome(json.loads(body or b"null"), failed, self.headers.get("Lambda-Runtime-Function-Error-Type"))

    def _read_chunks(self) -> tuple[list[bytes], dict[str, str]]:
        """A chunked body (RFC 9112, section 7.1) and its trailers; not all of it if the caller is to go."""
        chunks: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
            if len(chunks) == self.server.api.most_chunks:
                self.close_connection = True
                return chunks, {}
        trailers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(": ")
            trailers[name.lower()] = value
        return chunks, trailers

    def _end_stream(self, outcomes: queue.Queue[Outcome], chunks: list[bytes], trailers: dict[str, str]) -> None:
        prelude, _, body = b"".join(chunks).partition(bytes(8))
        assert self.headers["Content-Type"] == "application/vnd.awslambda.http-integration-response"
        outcomes.put(Outcome({**json.loads(prelude), "body": body.decode()}, chunks=chunks, trailers=trailers))
        if not self.close_connection:
            self._reply(202, {"status": "OK"})

    def _reply(self, status: int, content: dict[str, str]) -> None:
        self._send(status, json.dumps(content).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {
            **headers,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
