"""What was looked at: how it stands, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """``remedy`` is empty where there is nothing to do."""

    name: str
    state: State
    found: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "state": self.state, "found": self.found, "remedy": self.remedy or None}


def ok(name: str, found: str) -> Finding:
    return Finding(name, "ok", found)


def warning(name: str, found: str, remedy: str) -> Finding:
    return Finding(name, "warning", found, remedy)


def error(name: str, found: str, remedy: str) -> Finding:
    return Finding(name, "error", found, remedy)
