"""A small Google Cloud Storage on this machine: what gcsfs asks for to put, list, read and remove objects.

https://cloud.google.com/storage/docs/json_api/v1
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "models"
_OBJECT = re.compile(rf"(?:/download)?/storage/v1/b/{BUCKET}/o/(.+)")


@dataclass
class Gcs:
    """``refuses``: the status and message of every answer, if not None; ``sent``: bytes sent, by object."""

    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)
    refuses: tuple[int, str] | None = None
    sent: dict[str, int] = field(default_factory=dict)
    url: str = ""


@contextmanager
def running_gcs() -> Iterator[Gcs]:
    """One with an empty bucket."""
    gcs = Gcs()

    class Handler(_Handler):
        state = gcs

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gcs.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield gcs
        finally:
            server.shutdown()
            thread.join()


def _describe(name: str, content: bytes) -> dict[str, Any]:
    return {
        "kind": "storage#object", "bucket": BUCKET, "name": name, "size": str(len(content)), "generation": "1",
        "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(), "etag": "any",
        "updated": "2026-01-01T00:00:00.000Z", "timeCreated": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    state: Gcs
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, query = self._asked()
        if self._refused():
            return
        if path == f"/storage/v1/b/{BUCKET}":
            self._answer(200, {"kind": "storage#bucket", "name": BUCKET, "location": "US", "storageClass": "STANDARD"})
        elif path == f"/storage/v1/b/{BUCKET}/o":
            prefix = query.get("prefix", "")
            found = {name: each for name, each in self.state.objects.items() if name.startswith(prefix)}
            self._answer(
                200, {"kind": "storage#objects", "items": [_describe(*each) for each in sorted(found.items())]}
            )
        elif (match := _OBJECT.fullmatch(path)) and (name := unquote(match[1])) in self.state.objects:
            content = self.state.objects[name]
            self._read(name, content) if query.get("alt") == "media" else self._answer(200, _describe(name, content))
        else:
            self._answer(404, {"error": {"code": 404, "message": "Not Found"}})

    def do_POST(self) -> None:
        _, query = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._refused():
            return
        if query["uploadType"] == "resumable":
            key = str(len(self.state.uploads))
            self.state.uploads[key] = str(json.loads(body)["name"])
            self._answer(200, {}, {"Location": f"{self.state.url}/upload/storage/v1/b/{BUCKET}/o?upload_id={key}"})
            return
        boundary = self.headers["Content-Type"].partition("boundary=")[2].strip("'\"").encode()
        head, content = (part.partition(b"\n\n")[2] for part in body.split(b"--" + boundary)[1:3])
        self._store(str(json.loads(head)["name"]), content[:-1])

    def do_PUT(self) -> None:
        """The one and only part of a resumable upload."""
        _, query = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._refused():
            self._store(self.state.uploads[query["upload_id"]], body)

    def do_DELETE(self) -> None:
        path, _ = self._asked()
        match = _OBJECT.fullmatch(path)
        if not self._refused():
            gone = self.state.objects.pop(unquote(match[1]), None) if match else None
            self._answer(204 if gone is not None else 404, {})

    def _asked(self) -> tuple[str, dict[str, str]]:
        place = urlsplit(self.path)
        return place.path, {name: values[0] for name, values in parse_qs(place.query).items()}

    def _refused(self) -> bool:
        if self.state.refuses is None:
            return False
        status, message = self.state.refuses
        self._answer(status, {"error": {"code": status, "message": message, "errors": [{"message": message}]}})
        return True

    def _store(self, name: str, content: bytes) -> None:
        self.state.objects[name] = content
        self._answer(200, _describe(name, content))

    def _read(self, name: str, content: bytes) -> None:
        start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(start) : int(end) + 1 if end else None]
        self.state.sent[name] = self.state.sent.get(name, 0) + len(part)
        self._send(206, part, {"Content-Range": f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}"})

    def _answer(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send(status, b"" if status == 204 else json.dumps(content).encode(), headers or {})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(content))} | headers
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
