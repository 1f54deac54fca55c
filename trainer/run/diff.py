from __future__ import annotations

import json
from typing import Any

_MOST_CHARACTERS = 40


def differences(old: Any, new: Any, key: str = "", words: tuple[str, str] = ("there", "now")) -> list[str]:
    """A line for each, such as ``training.seed: 0 there, 7 now``."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(dict.fromkeys([*old, *new]))
        keys = {name: f"{key}.{name}".strip(".") for name in names}
        return [line for name in names for line in differences(old.get(name), new.get(name), keys[name], words)]
    return [] if old == new else [f"{key}: {_format(old)} {words[0]}, {_format(new)} {words[1]}"]


def _format(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_CHARACTERS else text[:12] + "…"
