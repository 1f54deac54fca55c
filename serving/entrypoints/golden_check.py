"""The same answers everywhere: a bundle's golden answers, asked for in any way it can be asked, and compared.

A way is whatever takes inputs and gives answers in the Hugging Face shape of the task: the predictor, HTTP, an AWS
Lambda function, a batch file. `serving.entrypoints.remote_client` asks a running server.

Two answers match where their decisions are equal (the label, the entities and their places, the passage, the generated
text), and every number is within the golden answers' tolerance; numbers past one are measured in units of themselves.
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
"""Inputs to their answers, in order."""


@dataclass(frozen=True)
class Difference:
    """A golden row that is answered otherwise: its number in the file, its input, and what differs."""

    row: int
    inputs: Any
    reason: str

    def __str__(self) -> str:
        return f"row {self.row} ({str(self.inputs)[:40]!r}): {self.reason}"


@dataclass(frozen=True)
class Report:
    """What one way came to."""

    channel: str
    rows: int
    differences: list[Difference]

    @property
    def passed(self) -> bool:
        """Whether every row was answered as recorded."""
        return not self.differences


def check_golden(bundle: Bundle, channel: str, ask: Ask) -> list[Report]:
    """Ask for every golden answer twice, each input alone and all of them beside others; compare.

    Args:
        bundle: an opened bundle, the variant that is asked first in it.
        way: what the reports call the way.
        ask: the way.
    """
    alone = Report(f"{channel}, alone", bundle.manifest.golden.rows, list(_differences(bundle, ask, 1)))
    limit = min(INPUTS_AT_ONCE, bundle.manifest.limits.max_inputs)
    beside = Report(f"{channel}, together", bundle.manifest.golden.rows, list(_differences(bundle, ask, limit)))
    return [alone, beside]


def variant_of(bundle: Bundle, name: str) -> Bundle:
    """The bundle with the variant of that name first; raises BundleError where it holds none."""
    variants = [bundle, *bundle.alternatives]
    for each in variants:
        if each.manifest.graph.variant == name:
            return each
    known = ", ".join(each.manifest.graph.variant for each in variants)
    raise BundleError(f"{bundle.root} holds no variant {name!r}, which the server serves; it holds: {known}")


def _differences(bundle: Bundle, ask: Ask, at_once: int) -> Iterator[Difference]:
    task, tolerance = task_of(bundle.manifest), bundle.manifest.golden.tolerance
    for start in range(0, len(bundle.golden), at_once):
        rows = bundle.golden[start : start + at_once]
        answers = ask([row.inputs for row in rows])
        for number, (row, answer) in enumerate(zip_longest(rows, answers), start + 1):
            if row is None:
                raise BundleError(f"{len(answers)} answers came to {len(rows)} inputs")
            if reason := _difference(task, row, answer, tolerance):
                yield Difference(number, row.inputs, reason)


def _difference(task: Task, row: GoldenRow, answer: Any, tolerance: float) -> str:
    try:
        found = task.decision(answer)
    except (KeyError, IndexError, TypeError, AttributeError):
        return f"{str(answer)[:200]!r} is not an answer of {task.name}"
    if found != (recorded := task.decision(row.outputs)):
        return f"answered {_shown(found)}, recorded {_shown(recorded)}"
    return next(iter(_gaps(row.outputs, answer, tolerance, "")), "")


def _gaps(recorded: Any, found: Any, tolerance: float, where: str) -> Iterator[str]:
    """Where two JSON values differ by more than rounding."""
    if isinstance(recorded, float) and isinstance(found, int | float) and not isinstance(found, bool):
        if not abs(recorded - found) <= tolerance * max(1.0, abs(recorded)):
            yield f"{where or 'the answer'} is {found:.6g}, recorded {recorded:.6g} (accepted: {tolerance:.2g} off)"
    elif isinstance(recorded, dict) and isinstance(found, dict) and recorded.keys() == found.keys():
        for key in recorded:
            yield from _gaps(recorded[key], found[key], tolerance, f"{where}.{key}" if where else key)
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for at, (ours, theirs) in enumerate(zip(_ordered(recorded), _ordered(found), strict=True)):
            yield from _gaps(ours, theirs, tolerance, f"{where}[{at}]")
    elif recorded != found or type(recorded) is not type(found):
        yield f"{where or 'the answer'} is {_shown(found)}, recorded {_shown(recorded)}"


def _ordered(values: Sequence[Any]) -> Iterable[Any]:
    """Labels by name: behind the answered one, two with nearly the same score may change places."""
    if all(isinstance(each, dict) and isinstance(each.get("label"), str) for each in values):
        return sorted(values, key=lambda each: str(each["label"]))
    return values


def _shown(value: Any) -> str:
    shown = ", ".join(sorted(map(str, value))) if isinstance(value, frozenset) else str(value)
    return repr(shown[:100])
