"""The conditions that a variant must hold, and what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from export.proof.invariance import Compositions, Invariance
from export.proof.logit_difference import largest_of
from export.proof.served_answers import ServedAnswers
from export.proof.statistics import Change
from export.proof.tokenizer import TokenizerComparison
from trainer.metrics.display import PERCENT, metric_title

MAX_LOGIT_DIFFERENCE = 1e-4
"""The strict gate's bound: float32 rounding stays two orders of magnitude under it."""


class Promise(Protocol):
    """What a variant promises of its answers; `export.variants.variant.Variant` tells what each means."""

    @property
    def name(self) -> str: ...

    @property
    def exact(self) -> bool: ...

    @property
    def golden_tolerance(self) -> float: ...


@dataclass(frozen=True)
class Gate:
    """One condition of the proof, what was measured, what is accepted, and what a failure means."""

    name: str
    passed: bool
    measured: float
    accepted: str
    advice: str = ""

    @property
    def failure(self) -> str:
        """One readable line, for a gate that does not hold."""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.name}: measured {self.measured:.6g}, accepted {self.accepted}{advice}"


def gates_of(
    served: ServedAnswers, variant: Promise, tokens: TokenizerComparison, invariance: Invariance, change: Change
) -> list[Gate]:
    """Every gate of a variant: fp32 is held to torch's own answers, an approximate one to the recipe's budget."""
    gates = [
        _none("inputs whose token ids differ", served.same_tokens.count(False)),
        _none("hard strings whose token ids differ", tokens.different),
        *_invariant("batch neighbours", invariance.neighbours, variant),
        *_invariant("padding", invariance.padding, variant),
    ]
    if variant.exact:
        largest = largest_of(found for found, _ in served.differences)
        return [
            *gates,
            _at_most("largest logit difference", largest, MAX_LOGIT_DIFFERENCE),
            _none("inputs whose answer differs", served.same_answers.count(False)),
        ]
    return [*gates, _budget(change)]


def max_logit_change(variant: Promise) -> float:
    """How far neighbours and padding may move a logit: float rounding, or the step that it tips over where logits
    come from rounded activations. Answers may not change at all, whatever the variant."""
    return MAX_LOGIT_DIFFERENCE if variant.exact else variant.golden_tolerance


def _invariant(what: str, found: Compositions, variant: Promise) -> list[Gate]:
    return [
        _none(f"answers changed by {what}", found.changed),
        _at_most(f"logit change by {what}", found.max_abs_logit_change, max_logit_change(variant)),
    ]


def _none(name: str, count: int) -> Gate:
    return Gate(name, count == 0, count, "0")


def _at_most(name: str, measured: float, bound: float) -> Gate:
    return Gate(name, measured <= bound, measured, f"≤ {bound:g}")


def _budget(change: Change) -> Gate:
    name = f"change of {metric_title(change.metric)}, lower end"
    return Gate(name, change.within, change.low, f"> {-change.budget:g}", "" if change.within else _advice(change))


def _advice(change: Change) -> str:
    unit, factor = (" points", 100) if change.metric in PERCENT else ("", 1)
    low, high, at = (f"{factor * each:+.3g}" for each in (change.low, change.high, change.change))
    found = f"the change on {change.rows:,} test rows is {at}{unit}, its 95 % interval {low} to {high}"
    if change.rows_needed is None:
        return f"{found}: more rows would not help, the variant itself loses too much"
    return (
        f"{found}: about {change.rows_needed:,} rows like these could tell that so small a change is within the "
        "budget. Give a larger data.test, export fp32, or accept more by export.max_metric_drop"
    )
