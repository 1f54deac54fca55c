"""The page in Chinese: by the browser's setting, by a button, and every word of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser

from serving.http import page as package
from tests.serving.http.page.browser import CHROMIUM, photograph, violations, visiting
from tests.serving.processes import ServerProcess

Servers = Callable[[str], ServerProcess]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

FOLDER = Path(package.__file__).parent
WORDS = (FOLDER / "words.js").read_text(encoding="utf-8")
CODE = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in package.SCRIPTS if name != "words.js")
PAIR = re.compile(r'"((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)"')
TABLE = dict(PAIR.findall(WORDS.partition("const CHINESE")[2].partition("\n};")[0]))
NAMED_BY_THE_SERVER = WORDS.partition("// What the server names")[2].partition("\n};")[0]
SAME = {"Tuneship", "…", "curl", "Ctrl", "Enter", "Theme: auto", "中文", "openapi.json"}
"""What is the same in every language, or shown by a script."""

CHINESE = re.compile(r"[\u4e00-\u9fff]")


class _Texts(HTMLParser):
    """The texts and labels of page.html, but for what is inside `noscript`, which no script can translate."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._inside: list[str] = []
        self.feed((FOLDER / "page.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside.append(tag)
        self.found |= {value for name, value in attrs if name == "aria-label" and value}

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"noscript", "style", "script", "title"} & set(self._inside):
            self.found.add(data if data in TABLE else data.strip())


def test_every_word_of_the_page_has_its_chinese() -> None:
    """Those of page.html, and every text that a script shows."""
    shown = set(re.findall(r'\bt\("((?:[^"\\]|\\.)*)"', CODE)) - {"Theme: {0}"}
    assert shown - TABLE.keys() == set()
    assert _Texts().found - SAME - TABLE.keys() == set()


def test_no_word_is_left_over() -> None:
    """Whatever is translated is in the page, in a script, or a name that the server sends."""
    written = _Texts().found | set(re.findall(r'"((?:[^"\\]|\\.)*)"', CODE))
    assert {word for word in TABLE.keys() - written if f'"{word}":' not in NAMED_BY_THE_SERVER} == set()


def test_the_same_values_are_filled_in() -> None:
    """A translation has each {0}, {1} … of its text."""
    places = re.compile(r"\{\d\}")
    assert [
        text for text, words in TABLE.items() if sorted(places.findall(text)) != sorted(places.findall(words))
    ] == []


@pytest.mark.slow
@needs_chromium
def test_a_browser_set_to_chinese_sees_chinese(browser: Browser, task_server: Servers) -> None:
    """Title, figures, answer and explanation; labels and texts stay as they are; no violation of accessibility."""
    server = task_server("text-classification")
    with visiting(browser, server.url, locale="zh-CN", bypass_csp=True) as visit:
        page = visit.open(["please cancel my parcel"])
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
        assert visit.text("#ask") == "提问"
        assert visit.text("#about").startswith("文本分类 · 3 个标签 · fp32")
        assert visit.text("#answers .big").startswith("cancel")
        page.locator("#answers button", has_text="为什么？").first.click()
        page.wait_for_selector(".why:not([hidden]) .legend")
        assert not [each for each in page.locator("dt").all_inner_texts() if not CHINESE.search(each)]
        photograph(page, "chinese")
        assert violations(page) == []
        assert visit.complaints == []


@pytest.mark.slow
@needs_chromium
def test_a_button_changes_the_language(browser: Browser, task_server: Servers) -> None:
    """There and back: what was typed stays, and the answer is there again, in the other language."""
    with visiting(browser, task_server("text-classification").url, locale="en-US") as visit:
        page = visit.open(["refund order 17"])
        english = page.locator("main").inner_text()
        page.get_by_role("button", name="中文").click()
        visit.answered()
        assert visit.text("#ask") == "提问"
        assert page.locator("textarea").first.input_value() == "refund order 17"
        page.get_by_role("button", name="English").click()
        visit.answered()
        assert page.locator("main").inner_text() == english
        assert visit.complaints == []
