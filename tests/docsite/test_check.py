"""What is found in a built site."""

from __future__ import annotations

from pathlib import Path

import pytest

from docsite.check import problems

SOUND = """<link rel="canonical" href="https://example.org"><script src="x.js"></script><h2 id="b">B</h2>
<a href="#b">b</a> <a href="part/">part</a> <a href="part/index.html#c">c</a> <a href="https://example.org">out</a>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of two pages and a script."""
    (tmp_path / "part").mkdir()
    (tmp_path / "index.html").write_text(SOUND)
    (tmp_path / "part" / "index.html").write_text('<h2 id="c">C</h2><a href="../x.js">x</a>')
    (tmp_path / "x.js").write_text("")
    return tmp_path


def test_a_sound_site_has_no_problems(site: Path) -> None:
    """Links to other sites are no problem, nor what only names another address."""
    assert problems(site) == []


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<a href="gone.html">x</a>', "index.html: gone.html leads nowhere"),
        ('<a href="part/#d">x</a>', "index.html: part/#d names no heading"),
        ('<a href="#d">x</a>', "index.html: #d names no heading"),
        ('<img src="gone.png">', "index.html: gone.png leads nowhere"),
        ('<script src="https://cdn.example.org/x.js"></script>', "index.html loads https://cdn.example.org/x.js"),
        ('<link rel="stylesheet" href="//fonts.example.org/x">', "index.html loads //fonts.example.org/x"),
    ],
)
def test_what_is_broken_is_named(site: Path, html: str, found: str) -> None:
    """A link, an anchor, a picture; and whatever a reader's browser would fetch from somebody else."""
    (site / "index.html").write_text(SOUND + html)
    (problem,) = problems(site)
    assert problem.startswith(found)
