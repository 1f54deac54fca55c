"""The README and the pages of docs/: their commands run, their links lead somewhere, their examples are real.

A block in ``sh`` is run by these tests, page by page. A block in ``console`` needs a container engine or an AWS
account, so only its syntax is checked here; `tests/test_image.py` builds and runs the image that it names.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.measurement.process import free_port
from docsite.navigation import INDEX, listed
from tests.copies import copy_of_the_project
from tests.paths import ROOT
from tests.sharing import made_once

README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [README, *DOCS]
WRITTEN = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]

FOLDERS = ("batch", "serving", "stores", "trainer", "export", "search", "bench", "tests", "deploy", "docs", "docsite",
           "recipes", "examples")  # fmt: skip
CLIENTS = {"huggingface_hub"}
OWN_CODE = {"library.md": {"serving", "trainer", "export"}}
"""The pages whose Python blocks are this project's own, and what they import."""
LANGUAGES = {"sh", "console", "python", "yaml", "js", ""}
README_LINES, SENTENCE_WORDS, LINE_WIDTH = 160, 38, 120

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OUTPUT = re.compile(r"^```sh\n(?:(?!^```).)*^```\n\n```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGE_LINK = re.compile(r"\]\(([^)#]+)")
MAKE = re.compile(r"^make ", re.MULTILINE)
NO_SETUP = "make -o setup -o .venv/.ready "
"""The environment of these tests is the one that `make setup` has made."""
LEAVE_NOTHING = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
"""A script that fails ends the servers that it has started, which would hold its output open."""


def name_of(page: Path) -> str:
    """A page as a test's id."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """A page's fenced blocks of one language."""
    return [body for found, body in FENCE.findall(page.read_text()) if found == language]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


TUTORIALS = sorted((ROOT / "recipes" / "tutorials").glob("*.yaml"))
SCRIPTS = [page for page in DOCS if blocks(page, "sh")]


def shown_outputs(page: Path) -> list[str]:
    """The lines that a page shows as what its commands print: the plain block that follows one in `sh`."""
    lines = [line for block in OUTPUT.findall(page.read_text()) for line in block.splitlines()]
    return [_without_figures(line) for line in lines if line != "…"]


def _without_figures(line: str) -> str:
    """A line as it is on every machine: figures, and how wide the terminal was, differ."""
    return re.sub(r"[-+]?[\d.]+", "#", re.sub(r"[\s─━]+", " ", line)).strip()


def run(script: str, checkout: Path) -> str:
    """The output, errors among it, of a shell script whose every command must succeed."""
    port = str(free_port())
    environment = {
        **os.environ,
        "PORT": port,
        "COLUMNS": "80",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "BENTOML_HOME": str(checkout / "build" / "bentoml"),
        "TUNESHIP_DRAIN_SECONDS": "0",
    }
    script = MAKE.sub(NO_SETUP, script).replace("3000", port)
    command = ["bash", "-m", "-euo", "pipefail", "-c", LEAVE_NOTHING + script]
    together: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    result = subprocess.run(command, cwd=checkout, env=environment, **together, text=True, timeout=900, check=False)
    assert result.returncode == 0, f"{script}\n{result.stdout[-5000:]}"
    return result.stdout


@pytest.fixture(scope="session")
def made_by_the_readme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the README's commands have made a run and a bundle, and its shell's output."""

    def make(folder: Path) -> None:
        checkout = copy_of_the_project(folder)
        (folder / "output.txt").write_text(run("\n".join(blocks(README, "sh")), checkout))

    return made_once(tmp_path_factory, "readme", make)


@pytest.fixture
def checkout(made_by_the_readme: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it to write into, with the further bundles that pages name."""
    checkout = Path(shutil.copytree(made_by_the_readme / "tuneship", tmp_path / "tuneship", symlinks=True))
    for name in ("spam", "support-v2"):
        shutil.copytree(checkout / "bundles" / "support", checkout / "bundles" / name)
    yield checkout
    shutil.rmtree(checkout)


@pytest.mark.slow(first=True)
@pytest.mark.xdist_group("docs")
def test_the_readmes_commands_work_as_written(made_by_the_readme: Path) -> None:
    """Every `sh` block runs in order; the shell asks the server that it started and gets an answer."""
    assert '"label":"track_order"' in (made_by_the_readme / "output.txt").read_text()
    assert (made_by_the_readme / "tuneship" / "runs" / "support" / "report.md").is_file()


@pytest.mark.slow(first=True)
@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize("page", SCRIPTS, ids=name_of)
def test_a_pages_commands_work_as_written(page: Path, checkout: Path) -> None:
    """Every `sh` block of a page runs in order, where the README's commands have run before, and prints what it shows.

    What is shown is a part: figures aside, each of its lines is in one that was printed.
    """
    printed = run("\n".join(blocks(page, "sh")), checkout)
    lines = list(map(_without_figures, printed.splitlines()))
    assert [shown for shown in shown_outputs(page) if not any(shown in line for line in lines)] == []


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_block_says_truly_what_it_is(page: Path) -> None:
    """No language that nobody checks; what is not run is a shell's all the same."""
    assert {language for language, _ in FENCE.findall(page.read_text())} <= LANGUAGES
    for block in blocks(page, "console"):
        subprocess.run(["bash", "-n", "-c", block], check=True)
    for block in blocks(page, "yaml"):
        assert yaml.safe_load(block)


@pytest.mark.parametrize("recipe", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_shows_its_recipe(recipe: Path) -> None:
    """The recipe on the page is the file that its commands name; no hub is needed for its base model."""
    page = ROOT / "docs" / "tutorials" / f"{recipe.stem}.md"
    assert recipe.relative_to(ROOT).as_posix() in page.read_text()
    assert yaml.safe_load(blocks(page, "yaml")[0]) == yaml.safe_load(recipe.read_text())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_examples_need_only_a_client(page: Path) -> None:
    """The Python blocks compile, and need nothing but the package of a client, or what their page is about."""
    for block in blocks(page, "python"):
        compile(block, name_of(page), "exec")
        imported = set(re.findall(r"^(?:from|import) (\w+)", block, re.MULTILINE))
        assert imported <= CLIENTS | OWN_CODE.get(page.name, set())


@pytest.mark.slow(first=True)
@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize("name", OWN_CODE)
def test_a_pages_python_works_as_written(name: str, checkout: Path) -> None:
    """Its Python blocks run in order as one program, where the README's commands have run before."""
    program = "\n".join(blocks(ROOT / "docs" / name, "python"))
    assert program
    run(f"python - <<'EOF'\n{program}\nEOF\n", checkout)


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Every relative link names a file of the project, and its anchor a heading of that file."""
    for path, _, anchor in (link.partition("#") for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose(page))):
        target = (page.parent / path) if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_links_every_page() -> None:
    """No page of docs/ is out of reach: the README links docs/README.md, which lists every other one once."""
    assert "docs/README.md" in PAGE_LINK.findall(README.read_text())
    assert sorted(name for name in listed() if name.startswith("docs/")) == sorted({*map(name_of, DOCS)} - {INDEX})


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_every_make_target_named_exists(page: Path) -> None:
    """Each `make TARGET` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)\b", page.read_text(), re.MULTILINE)) <= targets


def test_the_readme_is_short() -> None:
    """A page's length, and sentences that are read once."""
    assert len(README.read_text().splitlines()) <= README_LINES
    assert [each for each in sentences(README) if len(each.split()) > SENTENCE_WORDS] == []


def sentences(page: Path) -> list[str]:
    """The sentences of a page's paragraphs, list items and table cells."""
    text = re.sub(r"\n(?=\s*(?:[-*|#]|\d+\.)\s)", "\n\n", re.sub(r"\]\([^)]*\)", "]", prose(page)))
    parts = [part for block in text.split("\n\n") for part in re.split(r" \| |^\| | \|$", block, flags=re.MULTILINE)]
    return [each for part in parts for each in re.split(r"(?<=[.!?])\s+", part)]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_lines_are_wrapped(page: Path) -> None:
    """Prose fits beside the code; tables, and pages that the code writes, have their own lines."""
    if page.name in {"recipe.md", "bundle.md", "errors.md"}:
        return
    assert [line for line in prose(page).splitlines() if len(line) > LINE_WIDTH and not line.startswith("|")] == []


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_file_named_exists(page: Path) -> None:
    """Paths below the project's folders are there, and so is a file of each name that stands alone."""
    names = re.findall(rf"`((?:[\w-]+/)*[\w-]+\.py|(?:{'|'.join(FOLDERS)})/[\w./-]*)`", prose(page))
    assert [name for name in names if not (ROOT / name).exists() and not any_file_named(name)] == []


def any_file_named(name: str) -> bool:
    """Whether a file of the project has a path that ends so."""
    return any(next((ROOT / folder).rglob(name), None) for folder in FOLDERS)


def test_every_path_of_the_readmes_tree_exists() -> None:
    """What the README's tree of the repository names is there."""
    (tree,) = [block for block in blocks(README, "") if block.startswith("tuneship.py")]
    assert [path for path in tree_paths(tree) if not (ROOT / path).exists()] == []


def tree_paths(tree: str) -> Iterator[str]:
    """The paths of a tree: names in the first column, two spaces for each level, and those that its words name."""
    folders: list[str] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names, _, words = re.sub(r"(?<=\.py)  (?=\w+\.py)", " ", line.strip()).partition("  ")
        for name in names.split():
            folders[depth:] = [name]
            yield "".join(folders)
        folder = "".join(folders if names.endswith("/") else folders[:-1])
        yield from (folder + name for name in re.findall(r"(?<![\w/])\w+(?:\.py|/(?!\w))", words))
