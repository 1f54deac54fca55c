"""Does every link of the built site lead somewhere, and does no page load anything from elsewhere?"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href", "object": "data"}
"""What a browser fetches by itself."""
NOT_FETCHED = {"canonical", "next", "prev", "alternate", "edit"}
"""What a ``link`` only names."""


class _Page(HTMLParser):
    """The ids and references of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        if (name := LOADED.get(tag)) and values.get(name) and values.get("rel") not in NOT_FETCHED:
            self.loaded.add(values[name])


def problems(site: Path) -> list[str]:
    """Each in a sentence; none for a sound site. A page of 404 has absolute links, and is left out."""
    files = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    pages = {path: page for path, page in files.items() if path.name != "404.html"}
    return [problem for path in pages for problem in _problems_of(path, pages, site)]


def _problems_of(path: Path, pages: dict[Path, _Page], site: Path) -> Iterator[str]:
    name = path.relative_to(site)
    for link in sorted(pages[path].loaded):
        if urlsplit(link).scheme not in ("", "data") or link.startswith("//"):
            yield f"{name} loads {link} from elsewhere"
    for link in sorted(pages[path].links | pages[path].loaded):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = _file_of((path.parent / unquote(parts.path)) if parts.path else path)
        if not target.is_file():
            yield f"{name}: {link} leads nowhere"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
            yield f"{name}: {link} names no heading"


def _file_of(path: Path) -> Path:
    """A folder's page is its index."""
    resolved = path.resolve()
    return resolved / "index.html" if resolved.is_dir() else resolved
