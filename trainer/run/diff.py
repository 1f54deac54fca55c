"""What differs between two records, key by key, in words."""

from __future__ import annotations

import json
from typing import Any

_SHOWN = 40


def differences(old: Any, new: Any, key: str = "", words: tuple[str, str] = ("there", "now")) -> list[str]:
    """A line for each value that is not the same in both, such as ``training.seed: 0 there, 7 now``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            each
            for name in keys
            for each in differences(old.get(name), new.get(name), f"{key}.{name}".strip("."), words)
        ]
    return [] if old == new else [f"{key}: {_shown(old)} {words[0]}, {_shown(new)} {words[1]}"]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:12] + "…"
