"""report.html: the Markdown report as one page that needs no other file."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

_CSS = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Whatever a text in the report holds, a browser runs and fetches nothing."""


def render_page(markdown: str, folder: Path) -> str:
    """``folder`` has the figures that the report names."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    headings = list(_number_headings(tokens))
    for picture in (child for token in tokens for child in token.children or [] if child.type == "image"):
        picture.attrs["src"] = _inline_picture(folder, str(picture.attrs["src"]))
    title = next((tokens[at + 1].content for at, each in enumerate(tokens) if each.tag == "h1"), "report")
    body = parser.renderer.render(tokens, parser.options, {})
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    links = "".join(f'<a href="#{name}">{escape(text)}</a>' for name, text in headings)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_CSS.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        f'<nav aria-label="Sections">{links}</nav>\n<main>\n{body}</main>\n</body>\n</html>\n'
    )


def _number_headings(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Give each section's heading an id, and yield it with the heading's text."""
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            text = tokens[at + 1].content
            name = "-".join(re.findall(r"\w+", text.lower()))
            token.attrs["id"] = name
            yield name, text


def _inline_picture(folder: Path, name: str) -> str:
    """A data URI of one of the report's own figures; any other source is dropped."""
    path = folder / name
    if name not in {f"figures/{each.name}" for each in (folder / "figures").glob("*.png")}:
        return ""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
