"""The page at `/` in a real browser: every task, every reader, and no request to another host."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser

from tests.bundles import forge
from tests.serving.http.page.browser import CHROMIUM, NARROW, Visit, photograph, violations, visiting
from tests.serving.processes import ServerProcess, serving
from tests.toys import TOYS

pytestmark = [
    pytest.mark.slow,  # each opens a page in a browser
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

Servers = Callable[[str], ServerProcess]

NOISE = "the parcel was shipped and the order is paid back 🎉 "
ASKED = {
    "text-classification": ["please cancel my parcel"],
    "text pairs": ["stop the blue lamp now", "refund order 17"],
    "multi-label-classification": ["where is my parcel?, refund order 17"],
    "regression": ["where is my parcel?"],
    "token-classification": ["Ada flew to Oslo . 👩‍🚀 Grace lives in Kyoto ."],
    "question-answering": ["where is Ada?", NOISE + "Ada flew to Oslo. " + NOISE],
    "answers or none": ["where is Ada?", "Linus lives in order 17."],
    "feature-extraction": ["where is my parcel?", "track order 17 for me", "refund it"],
}
FAST = ("text-classification", "token-classification")
IMAGE = '<img src=x onerror="window.hacked=1">'
EVIL = f"{IMAGE}<script>window.hacked=1</script>"


def test_every_toy_is_asked() -> None:
    """Every task has an input here."""
    assert set(ASKED) == set(TOYS)


@pytest.mark.parametrize("toy", [toy if toy in FAST else pytest.param(toy, marks=pytest.mark.slow) for toy in ASKED])
def test_every_task(browser: Browser, task_server: Servers, toy: str) -> None:
    """Answer and explanation show in light, dark and narrow windows, and the console stays empty."""
    with visiting(browser, task_server(toy).url) as visit:
        page = visit.open(ASKED[toy])
        if toy != "feature-extraction":
            page.locator("#answers button", has_text="Why?").first.click()
            page.wait_for_selector(".why:not([hidden]) .legend")
            assert page.locator(".why .token").count() > 0
        photograph(page, f"{toy}-light")
        page.emulate_media(color_scheme="dark")
        photograph(page, f"{toy}-dark")
        page.set_viewport_size(NARROW)
        photograph(page, f"{toy}-narrow")
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
        assert visit.complaints == []
        assert all(each.startswith((visit.url, "data:")) for each in visit.requests)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("toy", ["token-classification", pytest.param("question-answering", marks=pytest.mark.slow)])
def test_accessible(browser: Browser, task_server: Servers, toy: str, scheme: Any) -> None:
    """axe-core finds no violation with an answer, an explanation and the card, in either scheme."""
    with visiting(browser, task_server(toy).url, bypass_csp=True, color_scheme=scheme) as visit:
        page = visit.open(ASKED[toy])
        page.locator("summary").click()
        page.wait_for_selector("#card table")
        if toy != "feature-extraction":
            page.locator("#answers button", has_text="Why?").first.click()
            page.wait_for_selector(".why:not([hidden]) .legend")
        assert violations(page) == []


def test_it_shows_what_it_serves(visit: Visit) -> None:
    """The page shows the task, the labels, the proof's verdict and figures, the limits, and readiness."""
    visit.open()
    visit.page.wait_for_selector("#ready .dot.on")
    assert visit.text("#about").startswith("text classification · 3 labels · fp32")
    assert visit.text("#verdict").split("\n")[-1] == "What is served is what was measured"
    figures = visit.text("#figures")
    assert re.search(r"Equal answers\s+(\d+) of \1", figures)
    assert re.search(r"Inputs per request\s+128", visit.text("#limits"))


def test_scores_are_shown_beside_what_is_right(browser: Browser, task_server: Servers) -> None:
    """The proof's reliability as bars with a tick, and the calibration error; a regression's interval instead."""
    with visiting(browser, task_server("text pairs").url) as visit:
        visit.open()
        assert re.search(r"Calibration error 0\.\d{3}, before calibration 0\.\d{3}", visit.text("#reliability-means"))
        assert visit.page.locator("#reliability-bars tbody tr").count() > 1
        assert "mean score" in str(visit.page.locator("#reliability-bars .tick").first.get_attribute("title"))
    with visiting(browser, task_server("regression").url) as visit:
        visit.open(ASKED["regression"])
        assert visit.page.locator("#reliability").is_hidden()
        assert re.search(r"label, \d+\.\d+ to \d+\.\d+ in 90\.0 % of texts", visit.text("#answers .big"))


def test_a_text_is_classified_and_explained(visit: Visit) -> None:
    """A text gets its labels as bars; the explanation ranks the deciding word first."""
    page = visit.open(["please cancel my parcel"])
    assert visit.text("#answers .big").startswith("cancel")
    assert page.locator("#answers .bars").first.locator("tbody tr").count() == 3
    page.get_by_role("button", name="Why cancel?").click()
    page.wait_for_selector(".why:not([hidden])")
    assert page.locator(".why .bars th").first.inner_text() == "cancel"
    assert page.locator(".why .token").all_inner_texts() == ["please", "cancel", "my", "parcel"]
    page.get_by_role("button", name="Shapley values").click()
    page.wait_for_selector(".why [aria-pressed=true]:has-text('Shapley')")


def test_entities_are_marked_in_the_text(browser: Browser, task_server: Servers) -> None:
    """Entities are marked at their place, after emoji of several code units too."""
    with visiting(browser, task_server("token-classification").url) as visit:
        page = visit.open(["👩‍🚀🎉 Ada flew to Oslo ."])
        answer = page.evaluate(
            "text => fetch('predict', {method: 'POST', headers: {'Content-Type': 'application/json'},"
            " body: JSON.stringify({inputs: text})}).then(response => response.json())",
            "👩‍🚀🎉 Ada flew to Oslo .",
        )
        marks = (
            page.locator("#answers .passage")
            .first.locator("mark")
            .evaluate_all("marks => marks.map(mark => mark.firstChild.data)")
        )
        assert marks == [entity["word"] for entity in answer]


def test_right_to_left_texts(browser: Browser, task_server: Servers) -> None:
    """A right-to-left text is shown right to left, the left-to-right one beside it is not."""
    with visiting(browser, task_server("token-classification").url) as visit:
        page = visit.open(["Ada flew to Oslo", "שלום Ada flew to Oslo ."])
        directions = "parts => parts.map(part => getComputedStyle(part).direction)"
        assert page.locator("#answers .passage").evaluate_all(directions) == ["ltr", "rtl"]
        assert page.locator("#answers .asked").evaluate_all(directions) == ["ltr", "rtl"]
        page.locator("#answers article").last.locator("button", has_text="Why?").first.click()
        page.wait_for_selector(".why:not([hidden]) .legend")
        assert page.locator(".why:not([hidden]) .passage").evaluate_all(directions) == ["rtl"]
        photograph(page, "right-to-left-light")


def test_right_to_left_labels(browser: Browser, tiny_bundle: Path, tmp_path: Path) -> None:
    """A right-to-left label does not move the figures beside it."""
    golden = (tiny_bundle / "golden.jsonl").read_text(encoding="utf-8").replace('"cancel"', '"ביטול 17"')
    bundle = forge(
        tiny_bundle,
        tmp_path / "bundle",
        files={"golden.jsonl": golden.encode()},
        labels=["ביטול 17", "refund", "track"],
    )
    with serving(bundle, folder=tmp_path) as server, visiting(browser, server.url) as visit:
        page = visit.open(["please cancel my parcel"])
        directions = "parts => parts.map(part => getComputedStyle(part.querySelector('bdi')).direction)"
        assert page.locator("#answers .big").evaluate_all(directions) == ["rtl"]
        assert page.locator("#answers .bars th").evaluate_all(directions) == ["rtl", "ltr", "ltr"]
        assert page.locator("#answers .big").evaluate("part => getComputedStyle(part).direction") == "ltr"


def test_a_truncated_text(visit: Visit) -> None:
    """The answer to a truncated text says so, and how many tokens the model reads."""
    page = visit.open(["refund order 17", "refund order 17 " * 100])
    length = page.evaluate("fetch('info').then(response => response.json()).then(info => info.limits.max_length)")
    first, second = page.locator("#answers article").all()
    assert first.locator(".cut").count() == 0
    told = f"longer than what the model reads, which is {length} tokens: its end was not read"
    assert told in second.locator(".cut").inner_text()


def test_truncated_vectors(browser: Browser, task_server: Servers) -> None:
    """One answer for several texts names the truncated ones."""
    with visiting(browser, task_server("feature-extraction").url) as visit:
        visit.open(["refund order 17 " * 100, "track order 17", "refund it " * 100])
        assert visit.text("#answers .cut").startswith("Texts 1 and 3 are longer than what the model reads, which is")


def test_the_trainings_warnings_are_shown(browser: Browser, tiny_bundle: Path, tmp_path: Path) -> None:
    """Beside the proof, as text; there is no notice without any."""
    warnings = [EVIL, "449 of 499 test texts are in the training set too"]
    bundle = forge(tiny_bundle, tmp_path / "bundle", data_warnings=warnings)
    with serving(bundle, folder=tmp_path) as server, visiting(browser, server.url) as visit:
        page = visit.open([])
        assert page.locator("#data-warnings li").all_inner_texts() == warnings
        assert page.evaluate("window.hacked") is None
        assert violations(page) == []


def test_nothing_becomes_markup(browser: Browser, tiny_bundle: Path, tmp_path: Path) -> None:
    """A forged bundle's labels, texts, name and card are shown as plain text."""
    old, labels = "cancel", [EVIL, "refund", "track"]
    golden = (tiny_bundle / "golden.jsonl").read_text().replace(f'"label":"{old}"', f'"label":{json.dumps(EVIL)}')
    golden = golden.replace(f'"label": "{old}"', f'"label": {json.dumps(EVIL)}')
    card = f"# {EVIL}\n\n- {EVIL}\n\n[a](javascript:window.hacked=1) `{EVIL}`\n\n| {EVIL} |\n| --- |\n| {EVIL} |\n"
    files = {"golden.jsonl": golden.encode(), "README.md": card.encode()}
    bundle = forge(tiny_bundle, tmp_path / "bundle", files=files, labels=labels, name=IMAGE)
    with serving(bundle, folder=tmp_path) as server, visiting(browser, server.url) as visit:
        page = visit.open([f"{EVIL} please cancel my parcel"])
        page.locator("#answers button", has_text="Why?").first.click()
        page.wait_for_selector(".why:not([hidden])")
        page.locator("summary").click()
        page.wait_for_selector("#card table")
        assert EVIL in visit.text("#answers")
        assert visit.text("#name") == IMAGE
        assert page.locator("img, main script, #card a").count() == 0
        assert page.evaluate("window.hacked") is None
        assert visit.complaints == []


def test_themes(visit: Visit) -> None:
    """The theme follows the system until the button sets it."""
    page = visit.open()

    def ground() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert light != dark
    for expected in (light, dark, dark):
        page.locator("#theme").click()
        assert ground() == expected


def test_snippets_are_what_the_page_asks(visit: Visit) -> None:
    """The curl command and the Python program give the page's answer."""
    page = visit.open(['it\'s my parcel, "refund" it 🎉 \\o/'])
    shown = visit.text("#answers .big").split()[0]
    for command in (["bash", "-c", visit.text("#curl") + " --silent"], [sys.executable, "-c", visit.text("#python")]):
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert shown in result.stdout
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[data-copy=curl]").click()
    page.wait_for_selector("[data-copy=curl]:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#curl").text_content()


def test_the_card_is_the_bundles(visit: Visit, tiny_bundle: Path) -> None:
    """The card shows the bundle's README with headings, tables, lists and code."""
    page = visit.open()
    page.locator("summary").click()
    page.wait_for_selector("#card table")
    source = (tiny_bundle / "README.md").read_text().split("\n---\n", 1)[1]  # behind its metadata
    # A table's heads and the line beneath them are no rows of it.
    assert page.locator("#card tbody tr").count() == source.count("\n| ") - 2 * source.count("\n| ---")
    listed = re.findall(r"^- (.+)$", source.replace("`", ""), re.MULTILINE)
    assert page.locator("#card li").all_inner_texts() == listed
    assert "pipeline_tag" not in visit.text("#card")


def test_the_content_security_policy(client: TestClient) -> None:
    """The policy allows one style and one script, by their hashes, and nothing else inline."""
    response = client.get("/")
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    for name, pattern in (("style", r"<style>(.*?)</style>"), ("script", r"<script>(.*?)</script>")):
        (content,) = re.findall(pattern, response.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{name}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", response.text)
