"""Which files of the repository are pages of the site, and where their links lead there."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MOVED = {
    "README.md": "index.md",
    "README.zh.md": "zh.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "docs/README.md": "contents.md",
}
"""Pages whose places on the site are not their paths below docs/."""

CODE = re.compile(r"(^```.*?^```$|``[^`].*?``|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(\[[^\]]*\]\()(?![a-z]+:)([^)\s#]*)(#[^)\s]*)?(\))")


class BrokenLink(Exception):
    """The message names the page and the link."""


def pages() -> dict[str, str]:
    """The place on the site of each file of the repository that it has."""
    names = [*MOVED, *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*")))]
    return {name: place for name in names if (place := place_of(name))}


def place_of(name: str) -> str | None:
    """The place on the site of a file of the repository; None if the site does not have it."""
    if not (ROOT / name).is_file():
        return None
    return MOVED.get(name) or (name.removeprefix("docs/") if name.startswith("docs/") else None)


def move_links(text: str, name: str, repository: str = "") -> str:
    """A page's markdown with its relative links as the site has them.

    A link to another file of the repository leads to ``repository``, such as ``https://host/team/tuneship/blob/main``;
    without one, its text stays. Raises BrokenLink.
    """
    code: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        code.append(found[0])
        return f"\0{len(code) - 1}\0"

    moved = LINK.sub(_mover(name, repository), CODE.sub(put_aside, text))
    return re.sub(r"\0(\d+)\0", lambda found: code[int(found[1])], moved)


def _mover(name: str, repository: str) -> Callable[[re.Match[str]], str]:
    here = posixpath.dirname(place_of(name) or "")

    def move(link: re.Match[str]) -> str:
        before, path, anchor, after = link[1], link[2], link[3] or "", link[4]
        if not path:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        if target.startswith("..") or not (ROOT / target).exists():
            raise BrokenLink(f"{name}: there is no {target}, which {link[0]} names")
        if place := place_of(target):
            return f"{before}{os.path.relpath(place, here or '.')}{anchor}{after}"
        if repository:
            return f"{before}{repository.rstrip('/')}/{target}{anchor}{after}"
        return before[1:-2]

    return move
