"""Byte streams that no HTTP client sends: request smuggling, malformed heads, other protocols, one table for all.

Each is a function that gives the raw bytes, and the statuses that may come back; None is an end without an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BODY = b'{"inputs": "where is my parcel?"}'
SECOND = b"GET /card HTTP/1.1\r\nHost: a\r\n\r\n"
"""Smuggled: its answer must never come."""


@dataclass(frozen=True)
class ByteStream:
    name: str
    give: Callable[[], bytes]
    accepted: tuple[int | None, ...] = (400,)


def posted(*headers: bytes, body: bytes = BODY, version: bytes = b"HTTP/1.1") -> Callable[[], bytes]:
    lines = [b"POST /predict " + version, b"Host: a", b"Connection: close", b"Content-Type: application/json", *headers]
    return lambda: b"\r\n".join([*lines, b"", body])


def got(line: bytes = b"GET /livez HTTP/1.1", *headers: bytes) -> Callable[[], bytes]:
    return lambda: b"\r\n".join([line, *(headers or [b"Host: a", b"Connection: close"]), b"", b""])


CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)

BYTE_STREAMS = [
    ByteStream("length and chunks", posted(b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\n" + SECOND)),
    ByteStream("chunks and length", posted(CHUNKED, b"Content-Length: 4", body=b"0\r\n\r\n" + SECOND)),
    ByteStream("two lengths", posted(LENGTH, b"Content-Length: 0", body=BODY + SECOND)),
    ByteStream("two equal lengths", posted(LENGTH, LENGTH), (200, 400)),
    ByteStream("a list of lengths", posted(b"Content-Length: 0, 33", body=BODY)),
    ByteStream("a negative length", posted(b"Content-Length: -1")),
    ByteStream("a signed length", posted(b"Content-Length: +33")),
    ByteStream("a hexadecimal length", posted(b"Content-Length: 0x21")),
    ByteStream("a length past 2⁶⁴", posted(b"Content-Length: 18446744073709551617")),
    ByteStream("a length of a terabyte", posted(b"Content-Length: 1000000000000"), (413,)),
    ByteStream("chunked twice", posted(CHUNKED, CHUNKED, body=CHUNK), (400, 200)),
    ByteStream("an unknown coding", posted(b"Transfer-Encoding: xchunked", body=CHUNK), (400, 501)),
    ByteStream("chunked, then another", posted(b"Transfer-Encoding: chunked, identity", body=CHUNK)),
    ByteStream("a vertical tab before chunked", posted(b"Transfer-Encoding: \x0bchunked", body=CHUNK), (400, 501)),
    ByteStream("a space before the colon", posted(b"Transfer-Encoding : chunked", body=CHUNK)),
    ByteStream("a folded header", posted(LENGTH, b"X: a", b" Transfer-Encoding: chunked")),
    ByteStream("a chunk's size in words", posted(CHUNKED, body=b"many\r\n")),
    ByteStream("a chunk's size past 2⁶⁴", posted(CHUNKED, body=b"1FFFFFFFFFFFFFFFF\r\na")),
    ByteStream("a chunk longer than it says", posted(CHUNKED, body=b"1\r\nab\r\n0\r\n\r\n")),
    ByteStream("a NUL in a header", got(b"GET /livez HTTP/1.1", b"Host: a", b"X: a\0b")),
    ByteStream("a bare CR in a header", got(b"GET /livez HTTP/1.1", b"Host: a", b"X: a\rY: b")),
    ByteStream("a header without a colon", got(b"GET /livez HTTP/1.1", b"Host: a", b"nothing")),
    ByteStream("a header without a name", got(b"GET /livez HTTP/1.1", b"Host: a", b": b")),
    ByteStream("no host", got(b"GET /livez HTTP/1.1", b"X: a")),
    ByteStream("two hosts", got(b"GET /livez HTTP/1.1", b"Host: a", b"Host: b")),
    ByteStream("no version", lambda: b"GET /livez\r\n\r\n"),
    ByteStream("version 9.9", got(b"GET /livez HTTP/9.9")),
    ByteStream("HTTP/2's preface", lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ByteStream("TLS", lambda: bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 200),
    ByteStream("SSH", lambda: b"SSH-2.0-OpenSSH_9.6\r\n"),
    ByteStream("a PROXY line", lambda: b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + got()()),
    ByteStream("zeros", lambda: bytes(5000), (400, 431)),
    ByteStream("a method of 10,000 letters", got(b"A" * 10_000 + b" /livez HTTP/1.1"), (400, 405, 501)),
    ByteStream("an unknown method", got(b"BREW /livez HTTP/1.1"), (400, 405, 501)),
    ByteStream("a path with a NUL", got(b"GET /livez%00 HTTP/1.1"), (404,)),
    ByteStream("a path upwards", got(b"GET /../../../etc/passwd HTTP/1.1"), (404,)),
    ByteStream("an encoded path upwards", got(b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1"), (404,)),
    ByteStream("a path that is no UTF-8", got(b"GET /%ff%fe HTTP/1.1"), (400, 404)),
    ByteStream("a fragment", got(b"GET /livez#a HTTP/1.1"), (200, 400, 404)),
    ByteStream("a switch to h2c", got(
        b"GET /livez HTTP/1.1", b"Host: a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), (200,)),
    ByteStream("a switch to WebSocket", got(
        b"GET /livez HTTP/1.1", b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13"), (200,)),
    ByteStream("CONNECT", got(b"CONNECT a:443 HTTP/1.1"), (400, 404, 405)),
    ByteStream("TRACE", got(b"TRACE /livez HTTP/1.1"), (400, 405)),
    ByteStream("a body that is not sent", posted(b"Expect: 100-continue", b"Content-Length: 5", body=b""), (100,)),
    ByteStream("bad chunks after a good head", posted(CHUNKED, body=b"g\r\n")),
    ByteStream("gzip", posted(LENGTH, b"Content-Encoding: gzip"), (415,)),
    ByteStream("UTF-16", posted(b"Content-Length: 6", body=b"\xff\xfe{\0}\0")),
    ByteStream("a lone surrogate", posted(b"Content-Length: 20", body=b'{"inputs": "\\ud800"}'[:20]), (400, 422)),
]  # fmt: skip
