"""Using the page at `/`: the keyboard, keys, several models, errors, and requests that overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, Route

from tests.serving.http.page.browser import CHROMIUM, Visit, photograph, visiting
from tests.serving.processes import ServerProcess, serving

pytestmark = [
    pytest.mark.slow,  # each opens a page in a browser
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

Bundles = Callable[[str], Path]

KEY = "a-key-of-our-own-0123456789abcdef"
LABEL = "#answers .big"


@pytest.fixture(scope="module")
def locked_server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that requires a key."""
    with serving(tiny_bundle, folder=tmp_path_factory.mktemp("locked"), TUNESHIP_API_KEYS=KEY) as server:
        yield server


@pytest.fixture
def locked(browser: Browser, locked_server: ServerProcess) -> Iterator[Visit]:
    """A visit to a server that requires a key, the page just opened."""
    with visiting(browser, locked_server.url) as visit:
        visit.page.goto(f"{locked_server.url}/")
        visit.page.wait_for_selector("#key-form:not([hidden])")
        yield visit


@pytest.fixture(scope="module")
def several(
    tiny_bundle: Path, task_bundle: Bundles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server over two models."""
    models = (f"support={tiny_bundle}", f"a vector={task_bundle('feature-extraction')}")
    with serving(*models, folder=tmp_path_factory.mktemp("several")) as server:
        yield server


def hold_requests(page: Page, pattern: str) -> list[Route]:
    """Requests to a path from now on; each waits for `Route.continue_`."""
    routes: list[Route] = []
    page.route(pattern, lambda route: routes.append(route))
    return routes


def unlock(page: Page, key: str = KEY) -> None:
    """Type a key."""
    page.locator("#key").fill(key)
    page.keyboard.press("Enter")


def submit_by_keyboard(page: Page, routes: list[Route], times: int) -> None:
    """Submit the form by the keyboard, several times, each once the request before is on its way."""
    for _ in range(times):
        before = len(routes)
        page.locator("textarea").first.press("Control+Enter")
        while len(routes) == before:
            page.wait_for_timeout(5)


def test_keyboard_alone(visit: Visit) -> None:
    """Skip link, text, answer and explanation work by Tab, Enter and Control-Enter, with visible focus."""
    page = visit.open()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.keyboard.type("refund order 17")
    page.keyboard.press("Control+Enter")
    visit.answered()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Why?":
            break
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Why refund?"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector(".why:not([hidden])")
    assert page.locator("#status").inner_text() == "The words that refund rests on are shown."


def test_several_inputs(visit: Visit) -> None:
    """A second text gets its own field and answer, in one request."""
    page = visit.open()
    page.locator("#more").click()
    page.keyboard.type("refund order 17")
    page.locator("textarea").first.fill("where is my parcel?")
    page.locator("#ask").click()
    visit.answered()
    assert page.locator("#answers article .big").all_inner_texts()[1].startswith("refund")
    assert sum(each.endswith("/predict") for each in visit.requests) == 1


def test_an_input_is_removed(visit: Visit) -> None:
    """An input can be removed, but not the last one."""
    page = visit.open()
    page.locator("textarea").fill("where is my parcel?")
    for text in ("refund order 17", "please cancel my parcel"):
        page.locator("#more").click()
        page.locator("textarea").last.fill(text)
    page.get_by_role("button", name="Remove input 2").click()
    assert page.evaluate("document.activeElement.value") == "please cancel my parcel"
    page.locator("#more").click()
    page.locator("textarea").last.fill("track my order")
    page.get_by_role("button", name="Remove input 1").click()
    assert page.locator("label[for^=text-]").all_inner_texts() == ["Text 1", "Text 2"]
    assert [page.get_by_label(f"Text {n}").input_value() for n in (1, 2)] == [
        "please cancel my parcel",
        "track my order",
    ]
    page.get_by_role("button", name="Remove input 2").click()
    assert page.locator(".remove").is_hidden()
    page.locator("#ask").click()
    visit.answered()
    assert page.locator(LABEL).all_inner_texts()[0].startswith("cancel")


def test_a_refusal_is_shown(visit: Visit) -> None:
    """A server's error is shown as an alert, in its words."""
    page = visit.open()
    page.locator("textarea").fill("\u00a0")
    page.locator("#ask").click()
    page.wait_for_selector("#problem strong")
    assert "is empty; a text needs" in visit.text("[role=alert]")


def test_a_server_that_is_gone(browser: Browser, tiny_bundle: Path, tmp_path: Path) -> None:
    """Without an answer the page says so, and what to check."""
    with visiting(browser, "") as visit:
        with serving(tiny_bundle, folder=tmp_path) as server:
            visit.url = server.url
            page = visit.open()
        page.locator("textarea").fill("hello")
        page.locator("#ask").click()
        page.wait_for_selector("#problem strong")
        assert "The server did not answer" in visit.text("#problem")


def test_a_failed_start_can_be_retried(visit: Visit) -> None:
    """If start-up fails, the page offers one button, which tries again."""
    page = visit.page
    page.route("**/info", lambda route: route.abort())
    page.goto(f"{visit.url}/")
    page.wait_for_selector("#problem:has-text('The server did not answer')")
    assert page.locator("#form").is_hidden()
    assert visit.text("#status") == ""
    page.unroute("**/info")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("#figures dd")
    assert visit.text("#problem") == ""
    assert page.locator("#form").is_visible()


def test_a_key_is_requested_first(locked: Visit) -> None:
    """The page requests a key first, and shows neither an error nor empty parts."""
    assert locked.text("#problem") == ""
    assert [locked.page.locator(part).is_hidden() for part in ("#form", "#proof", "#code", "#card-part")] == [True] * 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("another-key-0123456789abcdef01234", "is not one of this server's"),
        ("a-key-of-our-own-0123456789…", "A key has no “…” in it"),
        ("ключ-ключ-ключ-ключ", "A key has no “к” in it"),
    ],
)
def test_a_wrong_key(locked: Visit, wrong: str, message: str) -> None:
    """After a wrong key, a right one works."""
    unlock(locked.page, wrong)
    locked.page.wait_for_selector(f"#problem:has-text('{message}')".replace("server's", "server\\'s"))
    unlock(locked.page, f" {KEY} ")
    locked.page.wait_for_selector("#figures dd")
    assert locked.text("#problem") == ""
    assert locked.page.locator("#key-form").is_hidden()
    locked.page.wait_for_function("document.activeElement.tagName === 'TEXTAREA'")  # after the list of models has come


def test_the_key_stays_in_the_page(locked: Visit) -> None:
    """The key is sent with requests and stored nowhere."""
    page = locked.page
    unlock(page)
    page.locator("textarea").fill("refund order 17")
    page.locator("#ask").click()
    locked.answered()
    assert locked.text(LABEL).startswith("refund")
    stored = page.evaluate("[document.cookie, localStorage.length, sessionStorage.length, location.href]")
    assert stored == ["", 0, 0, f"{locked.url}/"]
    assert "YOUR_KEY" in locked.text("#curl")
    assert KEY not in page.content()


@pytest.mark.parametrize("path", ["info", "openapi.json", "card", "metrics"])
def test_links_are_followed_with_the_key(locked: Visit, path: str) -> None:
    """A link's target opens in a new tab, as without keys."""
    unlock(locked.page)
    with locked.page.context.expect_page() as opened:
        locked.page.get_by_role("link", name=f"/{path}").click()
    with_key = "([path, key]) => fetch(path, {headers: {'X-API-Key': key}}).then(response => response.text())"
    served = locked.page.evaluate(with_key, [path, KEY])
    # Metrics move on between two looks.
    assert opened.value.evaluate("document.body.textContent")[:100] == served[:100]


def test_one_of_several_models(browser: Browser, several: ServerProcess) -> None:
    """The chosen model's own endpoints answer, explain and describe it."""
    with visiting(browser, several.url) as visit:
        page = visit.open(["refund order 17"])
        assert visit.text("#answers .big").startswith("refund")
        assert visit.text("#name") == "support"
        assert page.locator("#model option").all_inner_texts() == ["support", "a vector"]
        page.locator("#model").select_option("a vector")
        page.wait_for_selector("#about:has-text('feature extraction')")
        assert page.locator("textarea").first.input_value() == "refund order 17"  # kept for both to be compared
        page.locator("textarea").last.fill("refund order 17")
        page.locator("#ask").click()
        visit.answered()
        assert visit.text("#answers .big").startswith("1.000")
        assert f"{several.url}/models/a%20vector/predict" in visit.requests
        assert "/models/a%20vector/predict" in visit.text("#curl")
        page.locator("#model").select_option("support")
        page.wait_for_selector("#about:has-text('text classification')")
        page.locator("#ask").click()
        visit.answered()
        page.locator("#answers button", has_text="Why?").first.click()
        page.wait_for_selector(".why:not([hidden])")
        assert f"{several.url}/models/support/explain" in visit.requests
        photograph(page, "several-models-light")
        assert visit.complaints == []


def test_another_model_aborts_the_request(browser: Browser, several: ServerProcess) -> None:
    """Choosing another model aborts the request to the one before."""
    with visiting(browser, several.url) as visit:
        page = visit.open()
        page.locator("textarea").fill("refund order 17")
        submit_by_keyboard(page, hold_requests(page, "**/predict"), 1)
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/predict")):
            page.locator("#model").select_option("a vector")
        page.wait_for_selector("#about:has-text('feature extraction')")
        assert page.locator("#answers").inner_text() == ""
        assert page.locator("#answers").get_attribute("aria-busy") == "false"
        assert page.locator("#ask").is_enabled()


def test_the_last_choice_holds(browser: Browser, several: ServerProcess) -> None:
    """Of two models chosen quickly, all of the page shows the second."""
    with visiting(browser, several.url) as visit:
        page = visit.open()
        hold_requests(page, "**/models/a%20vector/info")
        with page.expect_request("**/models/a%20vector/info"):
            page.locator("#model").select_option("a vector")
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/a%20vector/info")):
            page.locator("#model").select_option("support")
        page.wait_for_selector("#form:not([inert])")
        assert visit.text("#about").startswith("text classification")
        assert page.locator("#model").input_value() == "support"
        assert "/models/support/predict" in visit.text("#curl")
        assert page.locator("textarea").count() == 1


def test_a_model_that_does_not_answer_is_not_chosen(browser: Browser, several: ServerProcess) -> None:
    """If the chosen model cannot be loaded, the page keeps the one before."""
    with visiting(browser, several.url) as visit:
        page = visit.open()
        page.route("**/models/a%20vector/info", lambda route: route.abort())
        page.locator("#model").select_option("a vector")
        page.wait_for_selector("#problem strong")
        assert page.locator("#model").input_value() == "support"
        page.locator("textarea").fill("refund order 17")
        page.locator("#ask").click()
        visit.answered()
        assert visit.text(LABEL).startswith("refund")


def test_a_second_request_aborts_the_first(visit: Visit) -> None:
    """A second request aborts the first; the page is busy until the second is answered."""
    page = visit.open()
    page.locator("textarea").fill("refund order 17")
    answers = hold_requests(page, "**/predict")
    submit_by_keyboard(page, answers, 2)
    assert page.locator("#answers").get_attribute("aria-busy") == "true"
    assert page.locator("#ask").is_disabled()
    assert visit.text("#status") == "Asking…"
    answers[1].continue_()
    visit.answered()
    assert page.locator("#ask").is_enabled()


def test_the_status_after_an_error(visit: Visit) -> None:
    """After an error the status no longer says that a request is running."""
    page = visit.open(["refund order 17"])
    page.route("**/explain", lambda route: route.abort())
    page.get_by_role("button", name="Why refund?").click()
    page.wait_for_selector("#problem strong")
    assert visit.text("#status") == ""
    page.locator("textarea").fill("\u00a0")
    page.locator("#ask").click()
    page.wait_for_selector("#problem:has-text('is empty')")
    assert visit.text("#status") == ""


@pytest.mark.parametrize(
    ("address", "texts"),
    [
        ("#50%", ["50%"]),
        ("#100%25%20sure&refund%20%2B%20cancel", ["100% sure", "refund + cancel"]),
    ],
)
def test_texts_in_the_address(visit: Visit, address: str, texts: list[str]) -> None:
    """Texts after the # are sent, percent-encoded or not, and again when they change."""
    page = visit.open(["where is my parcel?"])
    with page.expect_request("**/predict"):
        page.evaluate("address => { location.hash = address }", address)
    visit.answered()
    assert page.locator("textarea").evaluate_all("areas => areas.map(area => area.value)") == texts
    assert visit.text("#problem") == ""


def test_the_skip_link_is_no_text(visit: Visit) -> None:
    """The skip link sends nothing."""
    page = visit.open()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("[location.hash, document.activeElement.id]") == ["", "try"]
    assert page.locator("textarea").input_value() == ""


def test_generation_is_streamed(browser: Browser, task_bundle: Bundles, tmp_path: Path) -> None:
    """A generated text is streamed after its prompt, and equals the unstreamed answer."""
    with serving(task_bundle("text-generation"), folder=tmp_path) as server, visiting(browser, server.url) as visit:
        page = visit.open(["hello there"])
        page.wait_for_selector(".generated .cursor", state="detached")
        answer = page.evaluate(
            "fetch('predict', {method: 'POST', headers: {'Content-Type': 'application/json'},"
            " body: JSON.stringify({inputs: 'hello there'})}).then(response => response.json())"
        )
        assert page.locator(".generated").text_content() == "hello there" + answer[0]["generated_text"]
        photograph(page, "text-generation-light")
        assert page.locator("#max_tokens").get_attribute("placeholder") == "8"
        assert visit.complaints == []


def test_a_generation_can_be_stopped(browser: Browser, task_bundle: Bundles, tmp_path: Path) -> None:
    """Stop is visible during generation, and stops it."""
    with serving(task_bundle("text-generation"), folder=tmp_path) as server, visiting(browser, server.url) as visit:
        page = visit.open()
        page.locator("textarea").fill("I want my money back")
        submit_by_keyboard(page, hold_requests(page, "**/v1/completions"), 2)
        page.locator("#stop").click()
        page.wait_for_selector(".generated:has-text('(stopped)')")
        assert page.locator("#stop").is_hidden()
        assert page.locator("#ask").is_enabled()
        assert visit.text("#status") == "Stopped."


def test_a_truncated_prompt(browser: Browser, task_bundle: Bundles, tmp_path: Path) -> None:
    """For a truncated prompt the page says that its beginning was not read."""
    with serving(task_bundle("text-generation"), folder=tmp_path) as server, visiting(browser, server.url) as visit:
        visit.open(["I want my money back & more. " * 60])
        assert "beginning was not read" in visit.text("#answers .cut")
