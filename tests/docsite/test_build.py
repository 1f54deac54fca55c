"""The whole site is built, strictly, and works from the file system."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from docsite.build import GENERATOR, run_generator, write_source
from docsite.check import problems
from docsite.pages import pages

needs_generator = pytest.mark.skipif(not GENERATOR.is_file(), reason="no .venv-site: make generator makes it")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    write_source(folder)
    return run_generator(folder)


@needs_generator
@pytest.mark.slow
def test_the_site_is_built_without_a_problem(site: Path) -> None:
    """Every page is there; every link and every anchor leads somewhere; nothing is loaded from elsewhere."""
    made = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")}
    assert {place for place in pages().values() if place.endswith(".md")} <= made
    assert problems(site) == []


@needs_generator
@pytest.mark.slow
@pytest.mark.parametrize("link", ["gone.md", "proof.md#no-such-heading"])
def test_a_broken_link_or_anchor_fails_the_build(link: str, tmp_path: Path) -> None:
    """The generator's own strict mode finds it too, whatever the project's tests look at."""
    write_source(tmp_path)
    page = tmp_path / "docs" / "http.md"
    page.write_text(f"{page.read_text()}\n[broken]({link})\n")
    with pytest.raises(subprocess.CalledProcessError):
        run_generator(tmp_path)


@needs_generator
@pytest.mark.slow
def test_it_is_read_and_searched_offline(site: Path) -> None:
    """A browser that opens the file finds a page by its words, and asks no other machine for anything."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from tests.serving.http.page.browser import CHROMIUM, chromium

    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with chromium() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.get_by_role("button", name="Search").first.click()
        page.keyboard.type("McNemar")
        page.get_by_text("exact test counts the answers that flip").first.wait_for(timeout=60_000)
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
