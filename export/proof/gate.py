"""One condition of the proof."""

from __future__ import annotations

from dataclasses import dataclass

NO_LABELS = "the rows have no labels"


@dataclass(frozen=True)
class Gate:
    """Attributes:
    passed: None where nothing could be compared; ``advice`` says why.
    key: of the recipe, that moves the bound.
    worst: the input with the worst value.
    """

    name: str
    passed: bool | None
    measured: float | None
    accepted: str
    advice: str = ""
    key: str = ""
    worst: str = ""

    @property
    def failed(self) -> bool:
        return self.passed is False

    @property
    def failure(self) -> str:
        moved = f"{self.key} moves this bound" if self.key else ""
        worst = f"the worst is {self.worst}" if self.worst else ""
        details = "".join(f"; {part}" for part in (self.advice, worst, moved) if part)
        return f"{self.name}: measured {self.measured:.6g}, accepted {self.accepted}{details}"


def not_applicable(name: str, why: str) -> Gate:
    return Gate(name, None, None, "", why)


def none_of(name: str, count: int, comparisons: int, why: str = "there is nothing to compare") -> Gate:
    """Not applicable for want of comparisons, for the reason ``why``."""
    return Gate(name, count == 0, count, "0") if comparisons else not_applicable(name, why)


def at_most(name: str, measured: float, bound: float, key: str = "", worst: str = "") -> Gate:
    """Fails for NaN."""
    return Gate(name, measured <= bound, measured, f"≤ {bound:g}", key=key, worst=worst)


def at_least(name: str, measured: float, bound: float, key: str = "", worst: str = "", advice: str = "") -> Gate:
    return Gate(name, measured >= bound, measured, f"≥ {bound:g}", advice, key, worst)
