"""A preprocessing: a message without its signature and quoted lines. A recipe names it in data.preprocess."""

from __future__ import annotations

SIGNATURE = "\n-- \n"
QUOTE = ">"


def without_signature(text: str) -> str:
    """The same text has the same result on every machine; an exception refuses the text."""
    body = text.partition(SIGNATURE)[0]
    return "\n".join(line for line in body.splitlines() if not line.startswith(QUOTE)).strip()
