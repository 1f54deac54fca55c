"""A real headless Chromium over the page at `/`, and what is asked of every page it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.paths import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = ROOT / "build" / "screenshots"
"""Where a test run keeps what the page looked like."""

NARROW = {"width": 360, "height": 780}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page that is open; every request it makes and every complaint of its console is kept."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.url = url
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._context = browser.new_context(reduced_motion="reduce", **context)
        self.page: Page = self._context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self._complain(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, texts: Sequence[str] = ()) -> Page:
        """The page after it has introduced its model, with ``texts`` asked where there are some."""
        self.page.goto(f"{self.url}/" + ("#" + "&".join(map(quote, texts)) if texts else ""))
        if texts:
            self.answered()
        else:
            self.page.wait_for_selector("#figures dd")
        return self.page

    def answered(self) -> None:
        """Wait until the answer is there."""
        self.page.wait_for_selector("#answers[aria-busy=false] > article")

    def text(self, selector: str) -> str:
        """What is to be read there."""
        return self.page.locator(selector).first.inner_text()

    def close(self) -> None:
        """End the visit."""
        self._context.close()

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@contextmanager
def visiting(browser: Browser, url: str, **context: Any) -> Iterator[Visit]:
    """A visit in a fresh browser context."""
    visit = Visit(browser, url, **context)
    try:
        yield visit
    finally:
        visit.close()


def photograph(page: Page, name: str) -> Path:
    """Keep what the whole page looks like."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name.replace(' ', '-')}.png"
    page.screenshot(path=path, full_page=True)
    return path


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands: rule, gravity and place."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:120]}" for each in found]
