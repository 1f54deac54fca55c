"""The site's navigation, which is docs/README.md: its headings are the parts, its list items the pages."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from docsite.pages import ROOT, place_of

INDEX = "docs/README.md"
ENTRY = re.compile(r"^- \[([^\]]+)\]\(([^)#]+)\)", re.MULTILINE)
HEADING = re.compile(r"^(##+) (.+)$", re.MULTILINE)


def navigation(text: str) -> list[dict[str, Any]]:
    """The pages by part, and within a part by the heading below it, as zensical.toml has them."""
    parts: list[dict[str, Any]] = [{"Home": "index.md"}, {"All pages": "contents.md"}]
    opened: dict[int, list[dict[str, Any]]] = {1: parts}
    for depth, title, entries in _sections(text):
        opened[depth] = entries
        opened[max(above for above in opened if above < depth)].append({title: entries})
        opened = {above: listed for above, listed in opened.items() if above <= depth}
    return _without_empty(parts)


def _sections(text: str) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
    headings = list(HEADING.finditer(text))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        body = text[heading.end() : following.start() if following else None]
        yield len(heading[1]), heading[2], [{title: _place(link)} for title, link in ENTRY.findall(body)]


def _place(link: str) -> str:
    """Where the site has the page."""
    name = posixpath.normpath(posixpath.join(posixpath.dirname(INDEX), link))
    return place_of(name) or link


def _without_empty(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = []
    for (title, inside), *_ in (list(entry.items()) for entry in entries):
        inside = _without_empty(inside) if isinstance(inside, list) else inside
        if inside:
            kept.append({title: inside})
    return kept


def listed() -> list[str]:
    """The files of the repository that docs/README.md lists."""
    links = [link for _, link in ENTRY.findall((ROOT / INDEX).read_text(encoding="utf-8"))]
    return [posixpath.normpath(posixpath.join("docs", link)) for link in links]


def to_toml(value: Any) -> str:
    """An array, a table or a text as a TOML value on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {to_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
