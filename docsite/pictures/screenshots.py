"""docs/pictures/*.png: the server's page, a run's report and a bundle's card, as a browser shows them.

    python -m docsite.pictures.screenshots RUN BUNDLE

Chromium comes from the machine, and is driven by playwright. Colours are reduced so that each file stays small.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.measurement.process import free_port
from docsite.pages import ROOT

FOLDER = ROOT / "docs" / "pictures"
MOST_BYTES = 150_000
QUESTION = "my parcel was due on monday and nobody knows where it is"


@contextmanager
def browser() -> Iterator[Any]:
    """The machine's Chromium."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise SystemExit("screenshots need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def server(bundle: Path) -> Iterator[str]:
    """The address of a server of the bundle that is ready."""
    port = free_port()
    command = [sys.executable, "-m", "tuneship", "serve", str(bundle), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(f"{url}/readyz")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise SystemExit(f"{url} did not get ready")


def take_page(opened: Any, url: str, locale: str = "en-US") -> bytes:
    """A question, its answer, and the words that the answer rests on."""
    page = opened.new_page(viewport={"width": 1180, "height": 900}, locale=locale, reduced_motion="reduce")
    page.goto(f"{url}/#{QUESTION.replace(' ', '%20')}")
    page.wait_for_selector("#answers[aria-busy=false] > article")
    page.locator("#answers .act button").first.click()
    page.wait_for_selector(".why:not([hidden]) .legend")
    page.wait_for_selector("#ready .dot.on")
    return bytes(page.screenshot())


def take_card(opened: Any, url: str) -> bytes:
    """The model card, from which a reviewer signs off."""
    page = opened.new_page(viewport={"width": 1180, "height": 900}, reduced_motion="reduce")
    page.goto(f"{url}/")
    page.locator("summary").click()
    page.wait_for_selector("#card table")
    page.locator("#card-part").scroll_into_view_if_needed()
    page.locator("#card").get_by_text("Metrics", exact=True).first.evaluate("heading => heading.scrollIntoView()")
    return bytes(page.screenshot(clip={"x": 0, "y": 0, "width": 860, "height": 900}))


def take_report(opened: Any, run: Path) -> bytes:
    """The first screen of a run's report."""
    page = opened.new_page(viewport={"width": 1060, "height": 1100}, reduced_motion="reduce")
    page.goto((run / "report.html").resolve().as_uri())
    return bytes(page.screenshot())


def reduce(png: bytes) -> bytes:
    """The same picture with as many colours as MOST_BYTES allow."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32):
        file = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= MOST_BYTES:
            return file.getvalue()
    raise SystemExit(f"the picture has {file.tell():,} bytes, and at most {MOST_BYTES:,} are kept in the repository")


def main(run: Path, bundle: Path) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with server(bundle) as url, browser() as opened:
        taken = {
            "page.png": take_page(opened, url),
            "page-zh.png": take_page(opened, url, "zh-CN"),
            "card.png": take_card(opened, url),
            "report.png": take_report(opened, run),
        }
    for name, png in taken.items():
        (FOLDER / name).write_bytes(reduce(png))
        print(f"{FOLDER / name}: {(FOLDER / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
