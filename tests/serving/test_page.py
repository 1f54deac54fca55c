"""The page at `/` in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bench.process import free_port
from tests.serving.processes import ServerProcess, python, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server over the tiny bundle."""
    port = free_port()
    command = python("-m", "tuneship", "serve", tiny_bundle, "--port", port)
    with running(command, port, tmp_path_factory.mktemp("page") / "log") as process:
        yield process


def rendered(url: str, profile: Path) -> str:
    """The page's elements after its scripts have run and its requests were answered."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", "--virtual-time-budget=5000", "--dump-dom", url]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return result.stdout


def test_it_tells_what_it_serves(server: ServerProcess, tmp_path: Path) -> None:
    """The page shows the task, the number of labels and the verdict of the proof."""
    page = rendered(server.url, tmp_path)
    assert "text-classification, 3 labels, fp32" in page
    assert "Proof passed" in page


def test_a_text_is_classified(server: ServerProcess, tmp_path: Path) -> None:
    """A text gets its labels with bars and percentages."""
    page = rendered(f"{server.url}/#{quote('where is my parcel?')}", tmp_path)
    assert page.count('class="bar"') == 3
    assert "<td>track</td>" in page


def test_a_refusal_is_shown(server: ServerProcess, tmp_path: Path) -> None:
    """What the server refuses is told in its own words."""
    assert "is empty; a text needs" in rendered(f"{server.url}/#{quote(chr(0xA0))}", tmp_path)


def test_it_loads_nothing_from_elsewhere(server: ServerProcess, tmp_path: Path) -> None:
    """No script, style, image or font comes from another place than the server."""
    page = rendered(server.url, tmp_path)
    assert "http://" not in page
    assert "https://" not in page
