"""transformers.js of the npm registry, in Node and in Chromium, without a network once it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock

from tests.paths import ROOT

SOURCES, HOME = ROOT / "tests" / "js", ROOT / "build" / "js"
INSTALL = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")


def installed() -> Path:
    """The folder with `tests/js` and its packages; skips the test where they cannot be had."""
    missing = [name for name in ("node", "npm") if not shutil.which(name)]
    if missing:
        pytest.skip(f"there is no {missing[0]} on this machine")
    HOME.mkdir(parents=True, exist_ok=True)
    wanted = (SOURCES / "package.json").read_text()
    with FileLock(HOME / "lock"):
        for path in SOURCES.iterdir():
            shutil.copy(path, HOME)
        stamp = HOME / "installed.json"
        if not stamp.exists() or stamp.read_text() != wanted:
            result = subprocess.run(INSTALL, cwd=HOME, capture_output=True, text=True, timeout=600, check=False)
            if result.returncode != 0:
                pytest.skip(f"npm cannot install transformers.js here: {result.stderr.strip()[-300:]}")
            stamp.write_text(wanted)
    return HOME


def ask_node(models: Path, jobs: Sequence[dict[str, Any]]) -> list[Any]:
    """Each job's answers (`tests/js/answers.mjs`), or its error; ``models`` has the folders."""
    command = ("node", str(installed() / "node.mjs"), f"{models}/")
    result = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True, timeout=300, check=True)
    answers: list[Any] = json.loads(result.stdout)
    return answers


@contextmanager
def serving_models(models: Path) -> Iterator[str]:
    """A web server with the page, the packages and the models; gives its URL."""
    home = installed()

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            name = unquote(urlsplit(path).path).lstrip("/")
            root, name = (models, name.removeprefix("models/")) if name.startswith("models/") else (home, name)
            return str(root / name)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
