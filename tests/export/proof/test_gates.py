"""Each gate from figures alone: what it measures, what it accepts, when it does not apply, and what it tells the user.
That the figures are right is the matter of the checks' own tests."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from export.proof.answers.reference import TeacherAnswers
from export.proof.checks.invariance import Compositions, Invariance
from export.proof.checks.sampling import Sampling
from export.proof.checks.tokenizer import TokenizerComparison
from export.proof.gate import Gate, at_least, at_most, none_of, not_applicable
from export.proof.gates import ALONE, Evidence, budget_advice, check_gates, max_logit_change, metric_gates
from export.proof.statistics.metric_change import MetricChange
from export.variants.registry import FP32
from serving.tasks.base import Encoded
from serving.tasks.regression import Regression, RegressionSettings

APPROXIMATE = dataclasses.replace(FP32, name="int8", exact=False, golden_tolerance=0.25)
NO_DECISION = "the answers are numbers, and no decisions"


def compositions(comparisons: int = 40, changed: int = 0, logit_change: float = 0.0) -> Compositions:
    return Compositions(["mixed"], 20, comparisons, changed, (0.0, 0.1), logit_change)


class Served(SimpleNamespace):
    """Twelve items that number task answers: 0.0, 1.0, …"""

    def __init__(self, decides: bool = True, **figures: Any) -> None:
        task = Regression(["value"], RegressionSettings(mean=0.0, std=1.0), None)  # type: ignore[arg-type]
        task.decides = decides  # type: ignore[misc]
        encoded = [Encoded(f"text {at}", [[at]]) for at in range(12)]
        super().__init__(
            predictor=SimpleNamespace(task=task, encode=self.encode_served),
            reference=SimpleNamespace(
                items=[each.item for each in encoded],
                encoded=encoded,
                model=SimpleNamespace(encode=lambda items, side: self.encode(items, side)),
                teacher=None,
            ),
            encoded=encoded,
            results=[[[float(at)]] for at in range(12)],
            answers=[[{"score": float(at)}] for at in range(12)],
            same_tokens=[True] * 12,
            same_answers=[True] * 12,
            differences=[(1e-5 * at, 0.0) for at in range(10)],
            test_set_changes={},
            cut_changes={},
            change=change(),
            teacher_change=None,
            teacher_set_changes={},
        )
        self.__dict__.update(figures)

    def encode(self, items: Sequence[str], side: str) -> list[Encoded]:
        return [Encoded(item, [[item, side]]) for item in items]

    def encode_served(self, items: Sequence[str], parameters: Any) -> list[Encoded]:
        return self.encode(items, parameters.truncation_direction)


def change(**figures: Any) -> MetricChange:
    """Of accuracy: 90 % fall to 89.5 % on 1,000 rows, and no test is passed."""
    plain = MetricChange(
        metric="accuracy", reference=0.9, served=0.895, floor=0.25, change=-0.005, test="a test", level=0.025,
        low=-0.0123, high=0.0021, served_interval=(0.87, 0.91), rows=1000, budget=0.01, rows_needed=2500,
        rows_needed_without_loss=736, unlabelled_rows_needed=875, unlabelled=None,
    )  # fmt: skip
    return dataclasses.replace(plain, **figures)


def evidence(
    served: Any = None,
    neighbours: Compositions | None = None,
    padding: Compositions | None = None,
    strings: tuple[int, int] = (300, 0),
    sampling: Sampling | None = None,
) -> Evidence:
    found = TokenizerComparison(300, 0, [], *strings, [])
    mixed = Invariance(True, neighbours or compositions(), padding or compositions())
    return Evidence(served or Served(), found, mixed, sampling)


def by_name(gates: Sequence[Gate]) -> dict[str, tuple[bool | None, float | None, str]]:
    assert len({gate.name for gate in gates}) == len(gates)
    return {gate.name: (gate.passed, gate.measured, gate.accepted or gate.advice) for gate in gates}


def cut(served: Served, places: Sequence[int]) -> list[Encoded]:
    return [dataclasses.replace(each, truncated=at in places) for at, each in enumerate(served.reference.encoded)]


def test_an_exact_variants_gates() -> None:
    """All of them, with what a faithful one measures."""
    assert by_name(check_gates(evidence(), FP32)) == {
        "inputs whose token ids differ": (True, 0, "0"),
        "hard strings whose token ids differ": (True, 0, "0"),
        "inputs that only one side says are cut": (True, 0, "0"),
        "inputs whose token ids differ where the other end is cut off": (None, None, "no input is cut"),
        "answers that do not follow from their logits, decoded again": (True, 0, "0"),
        "answers changed by batch neighbours": (True, 0, "0"),
        "logit change by batch neighbours": (True, 0.0, "≤ 0.0001"),
        "answers changed by padding": (True, 0, "0"),
        "logit change by padding": (True, 0.0, "≤ 0.0001"),
        "largest logit difference": (True, 9e-5, "≤ 0.0001"),
        "inputs whose answer differs": (True, 0, "0"),
    }


def test_each_fault_fails_its_gate() -> None:
    """As many are counted as there are, and every gate bites."""
    served = Served(
        same_tokens=[False, True, False] + [True] * 9,
        same_answers=[False] * 5 + [True] * 7,
        differences=[(2e-4, 0.0), (3e-4, 0.0), (0.0, 0.0)],
        answers=[[{"score": float(at + (at == 7))}] for at in range(12)],
    )
    served.encoded = cut(served, [1, 2, 3])
    served.reference.encoded = cut(served, [3, 4])
    served.predictor.encode = lambda items, parameters: [Encoded(each, [["other"]]) for each in items]
    gates = check_gates(
        evidence(served, compositions(changed=6, logit_change=0.5), compositions(changed=7, logit_change=0.75),
                 strings=(300, 8), sampling=Sampling(3, 16, 9)),
        FP32,
    )  # fmt: skip
    assert by_name(gates) == {
        "inputs whose token ids differ": (False, 2, "0"),
        "hard strings whose token ids differ": (False, 8, "0"),
        "inputs that only one side says are cut": (False, 3, "0"),
        "inputs whose token ids differ where the other end is cut off": (False, 2, "0"),
        "answers that do not follow from their logits, decoded again": (False, 1, "0"),
        "answers changed by batch neighbours": (False, 6, "0"),
        "logit change by batch neighbours": (False, 0.5, "≤ 0.0001"),
        "answers changed by padding": (False, 7, "0"),
        "logit change by padding": (False, 0.75, "≤ 0.0001"),
        "sampled answers changed by their number": (False, 9, "0"),
        "largest logit difference": (False, 3e-4, "≤ 0.0001"),
        "inputs whose answer differs": (False, 5, "0"),
    }
    assert next(gate.worst for gate in gates if gate.name.startswith("answers that do not follow")) == "text 7"


def test_what_was_not_compared_passes_no_gate() -> None:
    """Each such gate says why."""
    served = Served(decides=False)
    served.predictor.task.name = "text-generation"
    found = by_name(
        check_gates(evidence(served, compositions(comparisons=0), compositions(comparisons=0), strings=(0, 0)), FP32)
    )
    assert {name: advice for name, (passed, measured, advice) in found.items() if passed is measured is None} == {
        "hard strings whose token ids differ": "the task refuses them all",
        "inputs whose token ids differ where the other end is cut off": "no input is cut",
        "answers that do not follow from their logits, decoded again": "the reference decodes the tokens by "
        "transformers",
        "answers changed by batch neighbours": NO_DECISION,
        "logit change by batch neighbours": ALONE,
        "answers changed by padding": NO_DECISION,
        "logit change by padding": ALONE,
        "inputs whose answer differs": NO_DECISION,
    }
    assert by_name(check_gates(evidence(neighbours=compositions(0)), FP32))["answers changed by batch neighbours"] == (
        None, None, ALONE,
    )  # fmt: skip


def test_an_approximate_variant_has_a_tolerance_and_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of equal logits and answers: its own tolerance, the metric, and what `answer_gates` finds."""
    others = [none_of("share", 0, 5)]
    monkeypatch.setattr("export.proof.gates.check_answers", lambda served: others)
    mixed = compositions(logit_change=0.2)
    found = by_name(check_gates(evidence(None, mixed, mixed, sampling=Sampling(3, 16, 0)), APPROXIMATE))
    assert found["logit change by padding"] == found["logit change by batch neighbours"] == (True, 0.2, "≤ 0.25")
    assert list(found)[-4:] == [
        "sampled answers changed by their number",
        "the checkpoint's accuracy, above that of a constant answer",
        "change of accuracy, lower end (one-sided 2.5 %)",
        "share",
    ]
    assert "largest logit difference" not in found
    assert (max_logit_change(FP32), max_logit_change(APPROXIMATE)) == (1e-4, 0.25)


@pytest.mark.parametrize("task_side", ["right", "left"])
def test_the_other_end_is_cut_by_both_sides(task_side: str) -> None:
    """Of the first hundred inputs that are cut, whichever end the task cuts; the sides agree, so nothing differs."""
    asked = []
    served = Served()
    items = [f"text {at}" for at in range(150)]
    served.predictor.task.truncation_side = task_side
    served.reference.items = items
    served.encoded = served.reference.encoded = [
        Encoded(item, [[0]], truncated=at > 9) for at, item in enumerate(items)
    ]
    served.answers, served.results = [[{"score": 0.0}]] * 150, [[[0.0]]] * 150

    def encode(items: Sequence[str], side: str) -> list[Encoded]:
        asked.append((list(items), side))
        return [Encoded(item, [[item if at < 97 else at]]) for at, item in enumerate(items)]

    served.reference.model.encode = encode
    gate = by_name(check_gates(evidence(served), FP32))["inputs whose token ids differ where the other end is cut off"]
    assert asked == [(items[10:110], "left" if task_side == "right" else "right")]
    assert gate == (False, 100, "0")
    served.predictor.encode = lambda items, parameters: encode(items, parameters.truncation_direction)
    gate = by_name(check_gates(evidence(served), FP32))["inputs whose token ids differ where the other end is cut off"]
    assert gate == (True, 0, "0")
    assert asked[1] == asked[2]


def test_a_score_that_a_constant_answer_has_is_no_evidence() -> None:
    """The gate fails at the floor itself, and says that a better model is needed."""
    above, at = (metric_gates(Served(change=change(reference=score)))[0] for score in (0.2501, 0.25))
    assert (above.passed, above.measured, above.accepted, above.advice) == (True, 0.2501, "> 0.25", "")
    assert (at.passed, at.measured) == (False, 0.25)
    assert at.advice == (
        "a constant answer has the same accuracy, so no variant can be seen to lose any; train a better model"
    )


def test_each_named_test_set_is_named() -> None:
    """All rows together have no gate then."""
    sets = {"news": change(low=-0.02), "tweets": change(low=-0.005)}
    found = metric_gates(Served(test_set_changes=sets))
    assert [(gate.name, gate.passed) for gate in found] == [
        ("the checkpoint's accuracy on news, above that of a constant answer", True),
        ("change of accuracy on news, lower end (one-sided 2.5 %)", False),
        ("the checkpoint's accuracy on tweets, above that of a constant answer", True),
        ("change of accuracy on tweets, lower end (one-sided 2.5 %)", True),
    ]


def test_each_size_of_a_vector_has_a_gate() -> None:
    """Callers may cut a Matryoshka model's vectors: what the whole one keeps, its beginning may lose."""
    sizes = {"16 dimensions": change(low=-0.005), "8 dimensions": change(low=-0.02)}
    found = metric_gates(Served(change=change(low=-0.005), cut_changes=sizes))
    assert (len(found), [gate.name for gate in found if gate.failed]) == (
        6,
        ["change of accuracy of 8 dimensions, lower end (one-sided 2.5 %)"],
    )


def test_the_budgets_gate_says_what_would_help() -> None:
    """The bound's key, the change with its interval and test, and how many rows would be enough."""
    gate = metric_gates(Served(change=change()))[1]
    assert (gate.measured, gate.accepted, gate.key) == (-0.0123, "> -0.01", "export.max_metric_drop")
    assert gate.advice == (
        "the change on 1,000 test rows is -0.5 points, its interval -1.23 to +0.21 (a test, one-sided 2.5 %): "
        "about 2,500 rows like these would show such a change to be within the budget; at least 736 rows are needed, "
        "if no answer is lost, or by export.rows 875 rows without labels, if no answer changes. Provide a larger "
        "data.test, export fp32, or raise export.max_metric_drop"
    )
    assert metric_gates(Served(change=change(low=-0.009)))[1].advice == ""


@pytest.mark.parametrize(
    ("figures", "advice"),
    [
        ({"high": -0.0101}, "%): more rows would not help, the variant itself loses too much"),
        ({"rows_needed": None}, "%): at least 736 rows are needed, if no answer is lost, or by export.rows 875 rows "),
        ({"rows_needed": None, "unlabelled_rows_needed": None}, "needed, if no answer is lost. Provide a larger data"),
        (
            {"rows_needed": None, "rows_needed_without_loss": None, "unlabelled_rows_needed": None},
            "%): no number of rows is enough. Provide",
        ),
        ({"metric": "macro_f1"}, "the change on 1,000 test rows is -0.005, its interval -0.0123 to +0.0021 (a test"),
    ],
)
def test_advice_where_fewer_things_would_help(figures: dict[str, Any], advice: str) -> None:
    """Only what is true of the change is said."""
    assert advice in budget_advice(change(**figures))


def test_a_failure_is_a_sentence() -> None:
    """Measured and accepted, then advice, the worst input and the key that moves the bound, as far as there are any."""
    gate = Gate("change", False, 0.1234567, "≤ 0.1", "look there", "export.max", "row 3, 'text'")
    assert gate.failure == (
        "change: measured 0.123457, accepted ≤ 0.1; look there; the worst is row 3, 'text'; export.max moves this bound"
    )
    assert Gate("change", False, 2, "0").failure == "change: measured 2, accepted 0"


def test_bounds_are_reached_by_the_bound_itself() -> None:
    """NaN reaches none; a gate that does not apply has neither passed nor failed."""
    assert at_most("a", 0.5, 0.5, "k", "w") == Gate("a", True, 0.5, "≤ 0.5", "", "k", "w")
    assert at_least("a", 0.5, 0.5, "k", "w", "do") == Gate("a", True, 0.5, "≥ 0.5", "do", "k", "w")
    assert [at_most("a", value, 0.5).passed for value in (0.49, 0.51, math.nan)] == [True, False, False]
    assert [at_least("a", value, 0.5).passed for value in (0.49, 0.51, math.nan)] == [False, True, False]
    assert at_most("a", 1, 2) == Gate("a", True, 1, "≤ 2", "", "", "")
    assert at_least("a", 1, 2) == Gate("a", False, 1, "≥ 2", "", "", "")
    assert none_of("a", 0, 1) == Gate("a", True, 0, "0")
    assert none_of("a", 1, 1) == Gate("a", False, 1, "0")
    assert not_applicable("a", "why") == none_of("a", 0, 0, "why") == Gate("a", None, None, "", "why")
    assert [Gate("a", passed, 0, "").failed for passed in (True, False, None)] == [False, True, False]


@pytest.mark.parametrize(
    ("accepted", "low", "passed"), [(0.02, -0.0123, True), (0.01, -0.0123, False), (2, -0.9, None)]
)
def test_a_student_keeps_to_its_teacher(accepted: float, low: float, passed: bool | None) -> None:
    """The same test of the same rows as that of a variant, exact ones too; a recipe that accepts any drop asks none."""
    served = Served(teacher_change=change(low=low, budget=accepted))
    served.reference.teacher = TeacherAnswers([], accepted, "export.max_teacher_drop")
    gates = {gate.name: gate.passed for gate in check_gates(evidence(served), FP32)}
    assert gates.get("change of accuracy from the teacher's, lower end (one-sided 2.5 %)") is passed
