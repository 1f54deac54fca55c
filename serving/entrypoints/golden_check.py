"""Compares a bundle's golden answers with those that come through a channel, such as HTTP or a Lambda function.

Answers match if they decide the same (label, entities, passage, text) and every number is within the golden answers'
tolerance, relative for numbers above 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import GoldenRow
from serving.errors import BundleError
from serving.tasks import task_of
from serving.tasks.base import Task

INPUTS_AT_ONCE = 16

Ask = Callable[[list[Any]], list[Any]]
"""Turns inputs into answers, in order."""


@dataclass(frozen=True)
class Difference:
    """A golden row that is answered differently; ``row`` counts from 1."""

    row: int
    inputs: Any
    reason: str

    def __str__(self) -> str:
        return f"row {self.row} ({str(self.inputs)[:40]!r}): {self.reason}"


@dataclass(frozen=True)
class GoldenReport:
    channel: str
    rows: int
    differences: list[Difference]

    @property
    def passed(self) -> bool:
        return not self.differences


def check_golden(bundle: Bundle, channel: str, ask: Ask) -> list[GoldenReport]:
    """Ask for every golden answer twice, alone and together with others."""
    together = min(INPUTS_AT_ONCE, bundle.manifest.limits.max_inputs)
    return [
        GoldenReport(f"{channel}, {name}", bundle.manifest.golden.rows, list(_differences(bundle, ask, at_once)))
        for name, at_once in (("alone", 1), ("together", together))
    ]


def select_variant(bundle: Bundle, name: str) -> Bundle:
    """The bundle with this variant first; raises BundleError if there is none."""
    variants = {each.manifest.graph.variant: each for each in (bundle, *bundle.alternatives)}
    if name not in variants:
        raise BundleError(
            f"{bundle.root} holds no variant {name!r}, which the server serves; it holds: {', '.join(variants)}"
        )
    return variants[name]


def _differences(bundle: Bundle, ask: Ask, at_once: int) -> Iterator[Difference]:
    task, tolerance = task_of(bundle.manifest), bundle.manifest.golden.tolerance
    for start in range(0, len(bundle.golden), at_once):
        rows = bundle.golden[start : start + at_once]
        answers = ask([row.inputs for row in rows])
        for number, (row, answer) in enumerate(zip_longest(rows, answers), start + 1):
            if row is None:
                raise BundleError(f"{len(answers)} answers came to {len(rows)} inputs")
            if reason := _compare(task, row, answer, tolerance):
                yield Difference(number, row.inputs, reason)


def _compare(task: Task, row: GoldenRow, answer: Any, tolerance: float) -> str:
    """The difference; empty if the answers match."""
    try:
        decision = task.decision(answer)
    except (KeyError, IndexError, TypeError, AttributeError):
        return f"{str(answer)[:200]!r} is not an answer of {task.name}"
    if decision != (recorded := task.decision(row.outputs)):
        return f"answered {_format(decision)}, recorded {_format(recorded)}"
    return next(iter(compare_values(row.outputs, answer, tolerance)), "")


def compare_values(recorded: Any, answer: Any, tolerance: float, path: str = "") -> Iterator[str]:
    """What differs, each with its place."""
    if isinstance(recorded, float) and isinstance(answer, int | float) and not isinstance(answer, bool):
        if not abs(recorded - answer) <= tolerance * max(1.0, abs(recorded)):  # NaN differs too
            yield f"{path or 'the answer'} is {answer:.6g}, recorded {recorded:.6g} (accepted: {tolerance:.2g} off)"
    elif isinstance(recorded, dict) and isinstance(answer, dict) and recorded.keys() == answer.keys():
        for key in recorded:
            yield from compare_values(recorded[key], answer[key], tolerance, f"{path}.{key}" if path else key)
    elif isinstance(recorded, list) and isinstance(answer, list) and len(recorded) == len(answer):
        for index, (old, new) in enumerate(zip(_sort_labels(recorded), _sort_labels(answer), strict=True)):
            yield from compare_values(old, new, tolerance, f"{path}[{index}]")
    elif recorded != answer or type(recorded) is not type(answer):
        yield f"{path or 'the answer'} is {_format(answer)}, recorded {_format(recorded)}"


def _sort_labels(values: Sequence[Any]) -> Iterable[Any]:
    """The order of labels may change where scores are nearly equal."""
    if all(isinstance(each, dict) and isinstance(each.get("label"), str) for each in values):
        return sorted(values, key=lambda each: str(each["label"]))
    return values


def _format(value: Any) -> str:
    text = ", ".join(sorted(map(str, value))) if isinstance(value, frozenset) else str(value)
    return repr(text[:100])
