"""Lists that were written as text: by JSON, Python's ``str``, numpy, torch or pandas. Nothing is evaluated."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_ARRAY = re.compile(r"(?:(?:np|numpy|torch)\.)?(?:array|tensor)\((\[.*?\])(?:,\s*\w+=[^)]*)?\)", re.DOTALL)
_ITEM = re.compile(
    r"""\s*(?P<scalar>(?:np|numpy)\.\w+\()?"""
    r"""(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s,'"\[\](){}:]+)(?(scalar)\))\s*,?\s*""",
    re.DOTALL,
)
_WORDS: dict[str, Any] = {
    "True": True, "False": False, "true": True, "false": False, "None": None, "null": None, "nan": None, "NaN": None,
}  # fmt: skip
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def parse_list(text: str) -> list[Any] | None:
    """The list, tuple or set of texts and numbers that ``text`` writes; None for any other text.

    Both ``['a', 'b']`` and numpy's ``['a' 'b']`` and ``[0 1 0]`` are read, and a list in JSON's quotes.
    """
    text = text.strip()
    if text.startswith('"[') and isinstance(inner := parse_nested(text), str):
        text = inner.strip()
    if array := _ARRAY.fullmatch(text):
        text = array[1]
    if text == "set()":
        return []
    if len(text) < 2 or _BRACKETS.get(text[0]) != text[-1]:
        return None
    inside, place, values = text[1:-1], 0, []
    while inside[place:].strip():
        item = _ITEM.match(inside, place)
        if item is None:
            return None
        try:
            values.append(_parse_value(item["value"]))
        except ValueError:
            return None
        place = item.end()
    return values


def parse_nested(text: str) -> Any:
    """The lists in lists, or objects, that ``text`` writes as JSON or Python does; ``text`` itself if it is neither.

    numpy's arrays inside are lists.
    """
    for parse in (json.loads, ast.literal_eval, lambda each: ast.literal_eval(_ARRAY.sub(r"\1", each))):
        try:
            return parse(text.strip())  # builds nothing but literals
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def _parse_value(text: str) -> Any:
    if text[0] in "'\"":
        try:
            return ast.literal_eval(text)  # a quoted text: builds nothing else
        except SyntaxError as error:
            raise ValueError(text) from error
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text) if text.lstrip("+-").isdecimal() else float(text)
