"""The gates of the proof. A new one is a function like those below, listed at the end of this file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from export.proof.display import change_unit, format_change
from export.proof.invariance import Invariance
from export.proof.logit_difference import largest_of
from export.proof.served_answers import ServedAnswers
from export.proof.statistics import MetricChange
from export.proof.tokenizer import TokenizerComparison
from trainer.metrics.display import metric_title

MAX_LOGIT_DIFFERENCE = 1e-4
"""Bound for exact variants; float32 rounding stays two orders of magnitude below."""


class Promise(Protocol):
    """What a variant promises; `export.variants.registry.Variant` is one.

    exact: every answer and, within MAX_LOGIT_DIFFERENCE, every logit equals torch's. Without it, the metric may change
        within the recipe's budget.
    golden_tolerance: largest change of a logit by batch neighbours, padding or another machine.
    """

    @property
    def name(self) -> str: ...

    @property
    def exact(self) -> bool: ...

    @property
    def golden_tolerance(self) -> float: ...


@dataclass(frozen=True)
class Evidence:
    served: ServedAnswers
    tokenizer: TokenizerComparison
    invariance: Invariance


@dataclass(frozen=True)
class Gate:
    name: str
    passed: bool
    measured: float
    accepted: str
    advice: str = ""

    @property
    def failure(self) -> str:
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.name}: measured {self.measured:.6g}, accepted {self.accepted}{advice}"


def check_gates(evidence: Evidence, promise: Promise) -> list[Gate]:
    """The gates that apply to a variant with this promise."""
    return [gate(evidence, promise) for gate in (*EVERY_VARIANT, *(EXACT if promise.exact else APPROXIMATE))]


def max_logit_change(promise: Promise) -> float:
    """Rounded activations can turn float rounding into a whole quantization step."""
    return MAX_LOGIT_DIFFERENCE if promise.exact else promise.golden_tolerance


def equal_token_ids(evidence: Evidence, promise: Promise) -> Gate:
    return _none("inputs whose token ids differ", evidence.served.same_tokens.count(False))


def equal_hard_strings(evidence: Evidence, promise: Promise) -> Gate:
    return _none("hard strings whose token ids differ", evidence.tokenizer.different)


def neighbours_keep_answers(evidence: Evidence, promise: Promise) -> Gate:
    return _none("answers changed by batch neighbours", evidence.invariance.neighbours.changed)


def neighbours_keep_logits(evidence: Evidence, promise: Promise) -> Gate:
    largest = evidence.invariance.neighbours.max_abs_logit_change
    return _at_most("logit change by batch neighbours", largest, max_logit_change(promise))


def padding_keeps_answers(evidence: Evidence, promise: Promise) -> Gate:
    return _none("answers changed by padding", evidence.invariance.padding.changed)


def padding_keeps_logits(evidence: Evidence, promise: Promise) -> Gate:
    largest = evidence.invariance.padding.max_abs_logit_change
    return _at_most("logit change by padding", largest, max_logit_change(promise))


def equal_logits(evidence: Evidence, promise: Promise) -> Gate:
    largest = largest_of(largest for largest, _ in evidence.served.differences)
    return _at_most("largest logit difference", largest, MAX_LOGIT_DIFFERENCE)


def equal_answers(evidence: Evidence, promise: Promise) -> Gate:
    return _none("inputs whose answer differs", evidence.served.same_answers.count(False))


def metric_within_budget(evidence: Evidence, promise: Promise) -> Gate:
    change = evidence.served.change
    name = f"change of {metric_title(change.metric)}, lower end"
    advice = "" if change.within_budget else _budget_advice(change)
    return Gate(name, change.within_budget, change.low, f"> {-change.budget:g}", advice)


def _none(name: str, count: int) -> Gate:
    return Gate(name, count == 0, count, "0")


def _at_most(name: str, measured: float, bound: float) -> Gate:
    return Gate(name, measured <= bound, measured, f"≤ {bound:g}")


def _budget_advice(change: MetricChange) -> str:
    value, low, high = format_change(change.metric, change.change, change.low, change.high)
    value += change_unit(change.metric)
    measured = f"the change on {change.rows:,} test rows is {value}, its 95 % interval {low} to {high}"
    if change.rows_needed is None:
        return f"{measured}: more rows would not help, the variant itself loses too much"
    return (
        f"{measured}: about {change.rows_needed:,} rows like these would show such a change to be within the budget. "
        "Provide a larger data.test, export fp32, or raise export.max_metric_drop"
    )


CheckGate = Callable[[Evidence, Promise], Gate]
EVERY_VARIANT: tuple[CheckGate, ...] = (
    equal_token_ids,
    equal_hard_strings,
    neighbours_keep_answers,
    neighbours_keep_logits,
    padding_keeps_answers,
    padding_keeps_logits,
)
EXACT: tuple[CheckGate, ...] = (equal_logits, equal_answers)
APPROXIMATE: tuple[CheckGate, ...] = (metric_within_budget,)
