"""The gates of the proof. A new one is a function like those below, listed at the end of this file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from export.proof.answer_gates import check_answers
from export.proof.answers.logit_difference import largest_of
from export.proof.answers.served_answers import ServedAnswers
from export.proof.answers.stored_window import same_tokens, store_windows
from export.proof.checks.decoding import check_decoding
from export.proof.checks.invariance import Compositions, Invariance
from export.proof.checks.sampling import Sampling
from export.proof.checks.tokenizer import TokenizerComparison
from export.proof.display import change_unit, format_change
from export.proof.gate import NO_LABELS, Gate, at_most, none_of, not_applicable
from export.proof.statistics.metric_change import MetricChange
from serving.tasks.base import Side
from trainer.metrics.display import metric_title

MAX_LOGIT_DIFFERENCE = 1e-4
"""Bound for exact variants; float32 rounding stays two orders of magnitude below."""

BUDGET_KEY, TEACHER_KEY = "export.max_metric_drop", "export.max_teacher_drop"

ANY_DROP = 2
"""Of `export.max_teacher_drop`: no metric can fall further."""

MOST_CUT = 100
"""Inputs that are cut at the other end too."""

ALONE = "each row runs alone, so that there is nothing to compare"


class Promise(Protocol):
    """What a variant promises; `export.variants.registry.Variant` is one.

    exact: every answer and, within MAX_LOGIT_DIFFERENCE, every logit equals torch's. Without it, answers and metric
        may change within the recipe's bounds.
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
    sampling: Sampling | None = None


def check_gates(evidence: Evidence, promise: Promise) -> list[Gate]:
    """The gates that apply to a variant with this promise."""
    gates = [*[check(evidence, promise) for check in EVERY_VARIANT], *numbers_keep_samples(evidence)]
    gates += keeps_to_teacher(evidence.served)
    if promise.exact:
        return [*gates, *[check(evidence, promise) for check in EXACT]]
    return [*gates, *metric_gates(evidence.served), *check_answers(evidence.served)]


def max_logit_change(promise: Promise) -> float:
    """Rounded activations can turn float rounding into a whole quantization step."""
    return MAX_LOGIT_DIFFERENCE if promise.exact else promise.golden_tolerance


def equal_token_ids(evidence: Evidence, promise: Promise) -> Gate:
    same = evidence.served.same_tokens
    return none_of("inputs whose token ids differ", same.count(False), len(same))


def equal_hard_strings(evidence: Evidence, promise: Promise) -> Gate:
    found = evidence.tokenizer
    return none_of("hard strings whose token ids differ", found.different, found.compared, "the task refuses them all")


def neighbours_keep_answers(evidence: Evidence, promise: Promise) -> Gate:
    return _keeps_answers("batch neighbours", evidence, evidence.invariance.neighbours)


def neighbours_keep_logits(evidence: Evidence, promise: Promise) -> Gate:
    return _keeps_logits("batch neighbours", evidence.invariance.neighbours, promise)


def padding_keeps_answers(evidence: Evidence, promise: Promise) -> Gate:
    return _keeps_answers("padding", evidence, evidence.invariance.padding)


def padding_keeps_logits(evidence: Evidence, promise: Promise) -> Gate:
    return _keeps_logits("padding", evidence.invariance.padding, promise)


def numbers_keep_samples(evidence: Evidence) -> Iterator[Gate]:
    if found := evidence.sampling:
        yield none_of("sampled answers changed by their number", found.changed, found.comparisons)


def _keeps_answers(what: str, evidence: Evidence, found: Compositions) -> Gate:
    name = f"answers changed by {what}"
    if not evidence.served.predictor.task.decides:
        return not_applicable(name, "the answers are numbers, and no decisions")
    return none_of(name, found.changed, found.comparisons, ALONE)


def _keeps_logits(what: str, found: Compositions, promise: Promise) -> Gate:
    name = f"logit change by {what}"
    if not found.comparisons:
        return not_applicable(name, ALONE)
    return at_most(name, found.max_abs_logit_change, max_logit_change(promise))


def equal_logits(evidence: Evidence, promise: Promise) -> Gate:
    largest = largest_of(largest for largest, _ in evidence.served.differences)
    return at_most("largest logit difference", largest, MAX_LOGIT_DIFFERENCE)


def equal_answers(evidence: Evidence, promise: Promise) -> Gate:
    name, same = "inputs whose answer differs", evidence.served.same_answers
    if not evidence.served.predictor.task.decides:
        return not_applicable(name, "the answers are numbers, and no decisions")
    return none_of(name, same.count(False), len(same))


def metric_gates(served: ServedAnswers) -> list[Gate]:
    """For each named test set, or for all rows; and for the parts of answers that callers may ask for."""
    if served.change is None:
        title = metric_title(served.reference.training_task.proof_metric)
        return [not_applicable(f"change of {title}", NO_LABELS)]
    sets = {f" on {name}": change for name, change in served.test_set_changes.items()} or {"": served.change}
    sets |= {f" of {name}": change for name, change in served.cut_changes.items()}
    return [gate(change, where) for where, change in sets.items() for gate in (_above_floor, _within_budget)]


def _above_floor(change: MetricChange, where: str) -> Gate:
    title = metric_title(change.metric)
    advice = f"a constant answer has the same {title}, so no variant can be seen to lose any; train a better model"
    return Gate(
        f"the checkpoint's {title}{where}, above that of a constant answer",
        change.above_floor,
        change.reference,
        f"> {change.floor:.4g}",
        "" if change.above_floor else advice,
    )


def _within_budget(change: MetricChange, where: str, key: str = BUDGET_KEY) -> Gate:
    name = f"change of {metric_title(change.metric)}{where}, lower end (one-sided {100 * change.level:g} %)"
    advice = "" if change.within_budget else budget_advice(change, key)
    return Gate(name, change.within_budget, change.low, f"> {-change.budget:g}", advice, key)


def keeps_to_teacher(served: ServedAnswers) -> Iterator[Gate]:
    """Of a student, unless any drop is accepted: for each named test set, or for all rows."""
    change, teacher = served.teacher_change, served.reference.teacher
    if change and teacher and teacher.budget < ANY_DROP:
        sets = {f" on {name}": each for name, each in served.teacher_set_changes.items()} or {"": change}
        for where, each in sets.items():
            yield _within_budget(each, f"{where} from the teacher's", teacher.key)


def budget_advice(change: MetricChange, key: str = BUDGET_KEY) -> str:
    value, low, high = format_change(change.metric, change.change, change.low, change.high)
    measured = (
        f"the change on {change.rows:,} test rows is {value}{change_unit(change.metric)}, its interval {low} to {high}"
        f" ({change.test}, one-sided {100 * change.level:g} %)"
    )
    if change.loses_too_much:
        loser = "variant" if key == BUDGET_KEY else "student"
        return f"{measured}: more rows would not help, the {loser} itself loses too much"
    other = "export fp32" if key == BUDGET_KEY else "train a larger student"
    return f"{measured}: {_rows_advice(change)}. Provide a larger data.test, {other}, or raise {key}"


def _rows_advice(change: MetricChange) -> str:
    fewest, unlabelled = change.rows_needed_without_loss, change.unlabelled_rows_needed
    advice = f"at least {fewest:,} rows are needed, if no answer is lost" if fewest else "no number of rows is enough"
    if unlabelled:
        advice += f", or by export.rows {unlabelled:,} rows without labels, if no answer changes"
    if change.rows_needed is None:
        return advice
    return f"about {change.rows_needed:,} rows like these would show such a change to be within the budget; {advice}"


def answers_follow(evidence: Evidence, promise: Promise) -> Gate:
    found = check_decoding(evidence.served)
    name = "answers that do not follow from their logits, decoded again"
    if not found.compared:
        return not_applicable(name, "the reference decodes the tokens by transformers")
    return Gate(name, found.different == 0, found.different, "0", worst=found.worst)


def equal_truncation(evidence: Evidence, promise: Promise) -> Gate:
    served, reference = evidence.served.encoded, evidence.served.reference.encoded
    different = sum(a.truncated != b.truncated for a, b in zip(served, reference, strict=True))
    return none_of("inputs that only one side says are cut", different, len(served))


def equal_other_end(evidence: Evidence, promise: Promise) -> Gate:
    name = "inputs whose token ids differ where the other end is cut off"
    predictor, reference = evidence.served.predictor, evidence.served.reference
    task = predictor.task
    cut = [item for item, each in zip(reference.items, reference.encoded, strict=True) if each.truncated][:MOST_CUT]
    if not cut:
        return not_applicable(name, "no input is cut")
    side: Side = "left" if task.truncation_side == "right" else "right"
    sides = predictor.encode(cut, task.parameters_type(truncation_direction=side)), reference.model.encode(cut, side)
    pairs = zip(*([store_windows(task, each) for each in encoded] for encoded in sides), strict=True)
    return none_of(name, sum(not same_tokens(task, *pair) for pair in pairs), len(cut))


CheckGate = Callable[[Evidence, Promise], Gate]
EVERY_VARIANT: tuple[CheckGate, ...] = (
    equal_token_ids,
    equal_hard_strings,
    equal_truncation,
    equal_other_end,
    answers_follow,
    neighbours_keep_answers,
    neighbours_keep_logits,
    padding_keeps_answers,
    padding_keeps_logits,
)
EXACT: tuple[CheckGate, ...] = (equal_logits, equal_answers)
