"""A small hub on this machine: what huggingface_hub asks for to make, fill, list and read model repositories."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_secretsecretsecret"


@dataclass
class Repo:
    """Branches to commits, commits to the files' bytes."""

    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Put a new state at a branch's head."""
        sha = hashlib.sha1(f"{branch}{len(self.commits)}".encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        return sha

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Of a branch or a commit."""
        sha = self.branches.get(revision, revision)
        return (sha, self.commits[sha]) if sha in self.commits else None


@dataclass
class Hub:
    """``stall_after``: of each file, so many bytes are sent and no more; ``sent``: bytes sent, by file."""

    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    token: str = TOKEN
    public: bool = True
    stall_after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    sent: dict[str, int] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    knows_ranges: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def read(self, name: str) -> dict[str, bytes]:
        """A repository's files at its main branch."""
        found = self.repos[name].files("main")
        assert found is not None
        return found[1]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers until the end of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *rest: Handler(hub, *rest))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Routes by pattern."""

    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *rest: object) -> None:
        self.hub = hub
        super().__init__(*rest)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._route("GET")

    def do_HEAD(self) -> None:
        self._route("HEAD")

    def do_POST(self) -> None:
        self._route("POST")

    def do_PUT(self) -> None:
        self._route("PUT")

    def _route(self, method: str) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.body = b"".join(iter(self._chunk, b""))
        path = urlsplit(self.path).path
        for pattern, name, writes in ROUTES:
            kind, _, pattern = pattern.partition(" ")
            if kind == method and (found := re.fullmatch(pattern, path)):
                if not self._may(writes):
                    self._json({"error": "Invalid credentials in Authorization header"}, 401, bad_token=True)
                    return
                getattr(self, name)(*map(unquote, found.groups()))
                return
        self._json({"error": f"no route {method} {path}"}, 404)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        content = self.rfile.read(size)
        self.rfile.readline()
        return content

    def _may(self, writes: bool) -> bool:
        given = self.headers.get("Authorization")
        if given is None:
            return self.hub.public and not writes
        return given == f"Bearer {self.hub.token}"

    def _json(self, value: object, status: int = 200, code: str = "", bad_token: bool = False) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if code:
            self.send_header("X-Error-Code", code)
        if bad_token:
            self.send_header("X-Error-Message", "Invalid credentials in Authorization header")
        self.end_headers()
        self.wfile.write(content)

    def _files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Answers 404 where there are none."""
        if name not in self.hub.repos:
            self._json({"error": "Repository not found"}, 404, "RepoNotFound")
            return None
        found = self.hub.repos[name].files(revision)
        if found is None:
            self._json({"error": "no revision"}, 404, "RevisionNotFound")
        return found

    def create_repo(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        known = name in self.hub.repos
        if not known:
            self.hub.repos[name] = Repo()
            self.hub.repos[name].commit("main", {".gitattributes": b"*.onnx filter=lfs\n"})
        self._json({"url": f"{self.hub.url}/{name}"}, 409 if known else 200)

    def create_branch(self, name: str, branch: str) -> None:
        repo = self.hub.repos[name]
        known = branch in repo.branches
        repo.branches.setdefault(branch, repo.branches["main"])
        self._json({}, 409 if known else 200)

    def validate(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, name: str, revision: str) -> None:
        asked = json.loads(self.body)["files"]
        modes = [{"path": each["path"], "uploadMode": _mode(each["path"]), "shouldIgnore": False} for each in asked]
        self._json({"files": modes})

    def batch(self, _: str) -> None:
        asked = json.loads(self.body)["objects"]
        new = [each for each in asked if each["oid"] not in self.hub.objects]
        known = [each for each in asked if each["oid"] in self.hub.objects]
        actions = [
            {**each, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{each['oid']}?X-Amz-Signature=secret"}}}
            for each in new
        ]
        self._json({"transfer": "basic", "objects": [*actions, *known]})

    def put_object(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.objects[oid] = self.body
        self._json({})

    def commit(self, name: str, branch: str) -> None:
        repo, files = self.hub.repos[name], None
        for line in map(json.loads, self.body.splitlines()):
            files = dict(repo.commits[repo.branches[branch]]) if files is None else files
            match line["key"], line["value"]:
                case "file", value:
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile", value:
                    files[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile", value:
                    del files[value["path"]]
        sha = repo.commit(branch, files or {})
        self._json({"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha, "hookOutput": ""})

    def info(self, name: str, revision: str = "main") -> None:
        if found := self._files(name, revision):
            self._json({"id": name, "sha": found[0], "siblings": [{"rfilename": each} for each in found[1]]})

    def tree(self, name: str, revision: str) -> None:
        if found := self._files(name, revision):
            sizes = [{"type": "file", "path": path, "size": len(found[1][path]), "oid": "0"} for path in found[1]]
            self._json(sizes)

    def resolve(self, name: str, revision: str, path: str) -> None:
        if not (found := self._files(name, revision)):
            return
        if path not in found[1]:
            self._json({"error": "Entry not found"}, 404, "EntryNotFound")
            return
        content, asked = found[1][path], self.headers.get("Range")
        partial = asked is not None and self.hub.knows_ranges
        start = int(str(asked).removeprefix("bytes=").partition("-")[0]) if partial else 0
        if start >= len(content) > 0:
            self._json({"error": "no such range"}, 416)
            return
        if asked:
            self.hub.ranges.append(f"{path} {asked}")
        self.send_response(206 if partial else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - start))
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self._send(path, content[start:])

    def _send(self, path: str, content: bytes) -> None:
        part = content[: self.hub.stall_after]
        self.wfile.write(part)
        self.wfile.flush()
        with self.hub.lock:
            self.hub.sent[path] = self.hub.sent.get(path, 0) + len(part)
        if len(part) < len(content):
            self.hub.stalled.set()
            threading.Event().wait(60)


def _mode(path: str) -> str:
    return "lfs" if path.endswith((".onnx", ".data")) else "regular"


_REPO = r"([\w.-]+/[\w.-]+)"
ROUTES: tuple[tuple[str, str, bool], ...] = (
    (r"POST /api/repos/create", "create_repo", True),
    (rf"POST /api/models/{_REPO}/branch/(.+)", "create_branch", True),
    (r"POST /api/validate-yaml", "validate", False),
    (rf"POST /api/models/{_REPO}/preupload/([^/]+)", "preupload", True),
    (rf"POST /{_REPO}\.git/info/lfs/objects/batch", "batch", True),
    (r"PUT /lfs/(\w+)", "put_object", False),
    (rf"POST /api/models/{_REPO}/commit/([^/]+)", "commit", True),
    (rf"GET /api/models/{_REPO}", "info", False),
    (rf"GET /api/models/{_REPO}/revision/([^/]+)", "info", False),
    (rf"GET /api/models/{_REPO}/tree/([^/]+)", "tree", False),
    (rf"GET /{_REPO}/resolve/([^/]+)/(.+)", "resolve", False),
)

Make = Callable[[], Hub]
