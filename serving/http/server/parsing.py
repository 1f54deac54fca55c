"""uvicorn's parsing with bounds on what one connection can make the server hold, and do in a turn of the event loop.

uvicorn parses all that it receives at once: a thousand requests in one segment, a million chunks of a byte. Here one
request is read while none before it waits for its answer, and a connection gets half a millisecond of a turn.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from typing import TYPE_CHECKING

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.http.server.target import split_target
from serving.http.server.transport import CoalescingTransport
from serving.settings.limits import MAX_HEAD_BYTES, MAX_HEAD_FIELDS

if TYPE_CHECKING:  # BentoML's parent process needs no metrics
    from serving.observability.metrics import Reason

SLICE_BYTES = 4096
"""Parsed at once. An ordinary request has fewer."""

TURN_SECONDS = 0.0005
"""That a connection may parse before others have their turn."""


class HeadTooLarge(Exception):
    """More fields than `MAX_HEAD_FIELDS`."""


class BoundedParsing(HttpToolsProtocol):
    """Calls `_refuse` for what is out of bounds."""

    transport: CoalescingTransport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head."""
        super().connection_made(CoalescingTransport(transport, self.loop, lambda: self._in_body))
        self._in_body = False
        self._head_since: float | None = self.loop.time()
        self._head_bytes = self._framing_bytes = 0
        self._unparsed, self._continues = bytearray(), False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not parsed."""
        self._unparsed.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, now or when its turn comes."""
        if len(data) <= SLICE_BYTES and not self._unparsed and not self._answering:
            self._parse(data)
        else:
            self._unparsed += data
            if not self._continues:
                self._parse_unparsed()
                self._continue_soon()  # uvloop would go on reading a fast sender

    def on_response_complete(self) -> None:
        """Go on with what was not parsed."""
        super().on_response_complete()
        if self._unparsed:
            self._continue_soon()

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _is_reading_head(self) -> bool:
        """Or waits for one."""
        return self._idle and not self._in_body

    @property
    def _answering(self) -> bool:
        """Whether a complete request waits for its answer."""
        return not self._idle and not self._in_body

    def _parse_unparsed(self) -> None:
        end = time.perf_counter() + TURN_SECONDS
        while self._unparsed and not self._answering and not self.transport.is_closing():
            part = bytes(self._unparsed[:SLICE_BYTES])
            del self._unparsed[:SLICE_BYTES]
            self._parse(part)
            if time.perf_counter() > end:
                self._continue_soon()
                break

    def _continue_soon(self) -> None:
        if not self._continues:
            self._continues = True
            self.loop.call_soon(self._continue)
        self.transport.hold(True)

    def _continue(self) -> None:
        self._continues = False
        if self.transport.is_closing():
            self._unparsed.clear()
            return
        self._parse_unparsed()
        if not self._continues:
            self.transport.hold(len(self._unparsed) > MAX_HEAD_BYTES)  # with fewer, a hang-up is still noticed

    def _parse(self, data: bytes) -> None:
        """At most a slice; bytes after a finished request belong to the next head."""
        if self._head_since is None and self._idle:
            self._head_since, self._head_bytes = self.loop.time(), 0
        if self._in_body:
            self._framing_bytes += len(data)
        elif self._head_since is not None and self._is_large(data):
            self._refuse(431, "large_head")
            return
        self._feed(data)
        if self._in_body and self._framing_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "large_head")

    def _is_large(self, data: bytes) -> bool:
        self._head_bytes += len(data)
        return (
            self._head_bytes > MAX_HEAD_BYTES
            and b"\r\n\r\n" not in data[: len(data) - self._head_bytes + MAX_HEAD_BYTES]
        )

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self.parser.get_method() == b"CONNECT":  # which is for proxies
                self._refuse(400, "malformed")
            else:
                self._feed(self._without_upgrade() + data[offer.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, HeadTooLarge):
                self._refuse(431, "large_head")
            else:
                self._refuse(400, "malformed")

    def _without_upgrade(self) -> bytes:
        """The head without its Upgrade header, to parse again: httptools would skip the body.

        An offer to upgrade may be ignored (RFC 9110, section 7.8).
        """
        line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        return b"\r\n".join([line, *headers, b"", b""])

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers are dropped: the request's key, host and length have been checked."""
        if self._in_body:
            return
        if len(self.headers) >= MAX_HEAD_FIELDS:
            raise HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The app times the body."""
        if self.parser.should_upgrade():
            return
        self._require_host()
        if not self.url.startswith(b"/"):
            self._take_host_from_target()
        self._head_since, self._in_body, self._framing_bytes = None, True, 0
        super().on_headers_complete()

    def _require_host(self) -> None:
        """RFC 9112, section 3.2. The error ends the parser, see `_feed`."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            raise ValueError(f"{hosts} Host headers")

    def _take_host_from_target(self) -> None:
        """RFC 9112, section 3.2.2."""
        authority, self.url = split_target(self.url)
        self.headers[:] = [(b"host", authority), *(each for each in self.headers if each[0] != b"host")]

    def on_chunk_header(self) -> None:
        """Chunks are many; what surrounds each is bounded."""
        self._framing_bytes = 0

    def on_body(self, body: bytes) -> None:
        """What is not body is framing: sizes and extensions of chunks, trailers."""
        self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self.parser.should_upgrade():
            return
        self._head_since, self._in_body = None, False
        super().on_message_complete()
        if self.transport.lingers:
            self.transport.close()

    @abstractmethod
    def _refuse(self, status: int, reason: Reason) -> None:
        """Answer with an error, and read no more."""
