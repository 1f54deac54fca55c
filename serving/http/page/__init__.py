"""The page at ``/``: ``page.html`` with its style and scripts inlined.

The content security policy allows this style and this script by their hash, and no trusted types: no text can become
markup.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

SCRIPTS = (
    *("words.js", "dom.js", "server.js", "key.js", "bars.js", "marks.js", "answers.js", "explain.js", "stream.js"),
    *("card.js", "info.js", "form.js", "ask.js", "main.js"),
)


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _script() -> str:
    return '(() => {\n"use strict";\n' + "\n".join(map(_read, SCRIPTS)) + "})();\n"


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


STYLE, SCRIPT = _read("page.css"), _script()
PAGE = _read("page.html").replace("/* page.css */", STYLE).replace("/* page.js */", SCRIPT)
POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash(STYLE)}",
        f"script-src {_hash(SCRIPT)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
