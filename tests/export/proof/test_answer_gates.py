"""The gates of approximate variants in units that users see: what they measure, what they say, and when they do not
apply. `tests.mutations` shows for each task that they bite."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.proof.answers.reference import ReferenceAnswers, TeacherAnswers, compute_reference_answers, load_reference
from export.proof.answers.served_answers import compute_served_answers
from export.proof.checks.answer_changes import Total
from export.proof.checks.sampling import measure_sampling
from export.proof.gate import Gate, at_most, none_of
from export.proof.prove import Parity, prove
from export.variants.registry import DYNAMIC_INT8, FP32, VARIANTS
from export.workspace import Workspace
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from tests.bundles import forge, manifest_of, scale_logits
from trainer.metrics.changes import COSINE, LENGTH, token_probability_changes, vector_changes
from trainer.recipe.recipe import load_recipe
from trainer.recipe.sections import Export
from trainer.run.run import Run
from trainer.tasks import create_training_task

LOOSE = {"max_metric_drop": 0.999, "max_ece_change": 1.0}


def prove_with(reference: ReferenceAnswers, bundle: Path, **keys: float) -> Parity:
    recipe = reference.training_task.recipe.model_copy(update={"export": Export(**keys)})
    answers = dataclasses.replace(reference, training_task=create_training_task(recipe))
    return prove(answers, Predictor.open(bundle) if not keys else _unreplayed(bundle), VARIANTS["int8"])


def _unreplayed(bundle: Path) -> Predictor:
    return Predictor(Bundle.open(bundle))


def failed(parity: Parity) -> dict[str, Gate]:
    return {gate.name: gate for gate in parity.gates if gate.failed}


@pytest.mark.slow
def test_sharper_probabilities_fail_though_every_answer_is_equal(
    reference: ReferenceAnswers, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Measured, accepted, the key and the worst input are in the message; each key moves its own gate."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": scale_logits(tiny_bundle, 3.0)})
    parity = prove_with(reference, bundle, **LOOSE, max_probability_change=0.1)
    assert parity.answers_equal == parity.compared
    found = failed(parity)
    assert set(found) == {"largest change of a probability", "mean change of a probability"}
    message = found["largest change of a probability"].failure
    assert "accepted ≤ 0.1" in message
    assert "export.max_probability_change moves this bound" in message
    assert "the worst is row " in message or "the worst is a hard input" in message
    wide = {"max_probability_change": 1.0, "max_mean_probability_change": 1.0}
    assert not failed(prove_with(reference, bundle, **LOOSE, **wide))


def test_the_calibration_error_may_not_move(reference: ReferenceAnswers, tiny_bundle: Path, tmp_path: Path) -> None:
    """Flat probabilities with the same answers: up or down, the change is bounded."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": scale_logits(tiny_bundle, 0.01)})
    keys = {"max_metric_drop": 0.999, "max_probability_change": 1.0, "max_mean_probability_change": 1.0}
    assert set(failed(prove_with(reference, bundle, **keys))) == {"change of the calibration error"}


def test_the_gates_of_other_tasks_do_not_appear(reference: ReferenceAnswers, tiny_bundle: Path) -> None:
    """A classifier has no cosine, no text and no value."""
    names = [gate.name for gate in prove_with(reference, tiny_bundle, **LOOSE).gates]
    assert not [name for name in names if "cosine" in name or "text" in name or "deviation" in name]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("toy", ["feature-extraction", "regression"])
def test_where_nothing_is_compared_no_gate_passes(
    task_run: Callable[[str], Run], task_bundle: Callable[[str], Path], toy: str
) -> None:
    """Numbers are no decisions: the bundle says so wherever it would have said that all answers are equal."""
    bundle = task_bundle(toy)
    record: dict[str, Any] = json.loads((bundle / "parity.json").read_text())
    found = {gate["name"]: gate for gate in record["gates"]}["inputs whose answer differs"]
    assert (found["passed"], found["measured"], found["advice"]) == (
        None, None, "the answers are numbers, and no decisions",
    )  # fmt: skip
    assert record["answers_equal"] is None
    assert Predictor.open(bundle).manifest.verdict.answers_equal is None
    card = (bundle / "README.md").read_text()
    assert "| inputs whose answer differs |  |  | not applicable: the answers are numbers, and no decisions |" in card
    assert "inputs with the checkpoint's answer" not in card


def test_rows_that_run_alone_are_not_padded(tiny_dynamic_bundle: Path) -> None:
    """What was not compared is no evidence."""
    gates = json.loads((tiny_dynamic_bundle / "parity.json").read_text())["gates"]
    padding = [gate for gate in gates if "padding" in gate["name"]]
    assert [gate["passed"] for gate in padding] == [None, None]
    assert "not applicable: each row runs alone" in (tiny_dynamic_bundle / "README.md").read_text()


def test_gates_without_comparisons_prove_nothing(faithful_parity: Parity) -> None:
    """A proof in which no gate applied has not passed."""
    empty = none_of("answers", 0, comparisons=0, why="there are none")
    assert (empty.passed, empty.failed) == (None, False)
    assert not dataclasses.replace(faithful_parity, gates=[empty]).passed
    assert dataclasses.replace(faithful_parity, gates=[empty, none_of("answers", 0, comparisons=3)]).passed


def test_a_value_that_is_no_number_stays_the_largest() -> None:
    """Whatever comes after it, the gates fail."""
    total = Total()
    for item, value in enumerate((0.1, math.nan, 0.2)):
        total.add(item, np.array([value]))
    assert (total.largest, total.worst, total.mean) == (math.inf, 1, math.inf)
    assert not at_most("change", total.largest, 1.0).passed
    assert not at_most("change", math.nan, 1.0).passed


def test_vectors_have_a_direction_and_a_length() -> None:
    """Scaled: the cosine is 1, the length differs; turned: the other way round; of another size: neither."""
    scaled, turned, longer = (vector_changes([3.0, 4.0], each) for each in ([6.0, 8.0], [4.0, 3.0], [3.0, 4.0, 0.0]))
    assert [float(scaled[unit][0]) for unit in (COSINE, LENGTH)] == pytest.approx([0.0, 1.0])
    assert [float(turned[unit][0]) for unit in (COSINE, LENGTH)] == pytest.approx([1 - 24 / 25, 0.0])
    assert longer[COSINE][0] == 2


def test_a_distance_of_distributions_is_the_mass_that_moves() -> None:
    """From (½, ½) to (¾, ¼) a quarter of the draws change."""
    before, after = (np.log(np.array([each], dtype=np.float32)) for each in ([0.5, 0.5], [0.75, 0.25]))
    assert token_probability_changes(before, after) == pytest.approx([0.25])


@pytest.mark.slow
def test_a_generators_answers_are_compared_as_texts(
    task_run: Callable[[str], Run], task_bundle: Callable[[str], Path]
) -> None:
    """Its gates: equal answers, the next token's probabilities, the words of the text."""
    run, toy = task_run("text-generation"), "text-generation"
    task = create_training_task(load_recipe(run.recipe))
    answers = compute_reference_answers(load_reference(run.checkpoint, generates=True), task, run.read_evaluation())
    parity = prove(answers, Predictor.open(task_bundle(toy)), dataclasses.replace(FP32, exact=False))
    names = [gate.name for gate in parity.gates]
    assert {
        "share of equal answers", "largest change of a probability", "mean change of a probability",
        "mean word F1 with the checkpoint's text",
    } <= set(names)  # fmt: skip
    expected = "change of F1", "that of a constant answer"  # few rows prove no metric, and the toy has learned little
    assert not [name for name in failed(parity) if not any(part in name for part in expected)]


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["text-generation", "text2text-generation"])
def test_how_many_answers_are_drawn_changes_none_of_them(
    task_run: Callable[[str], Run], tmp_path: Path, toy: str
) -> None:
    """Scales of a whole batch would tie the answers drawn together; each row of dynamic int8 runs alone instead."""
    with Workspace.open(task_run(toy), 1) as workspace:
        built = workspace.build(DYNAMIC_INT8, tmp_path)
        alone = measure_sampling(compute_served_answers(workspace.reference, workspace.create_predictor(built)))
        graph = built.manifest.graph.model_copy(update={"row_independent": True})
        batched = dataclasses.replace(built, manifest=built.manifest.model_copy(update={"graph": graph}))
        found = measure_sampling(compute_served_answers(workspace.reference, workspace.create_predictor(batched)))
    assert alone is not None
    assert found is not None
    assert (alone.changed, alone.comparisons) == (0, found.comparisons)
    assert found.changed > 0


@pytest.mark.slow
def test_each_named_test_set_has_its_own_metric_gate(
    reference: ReferenceAnswers, tiny_bundle: Path, tmp_path: Path
) -> None:
    """What a small set loses is not hidden by a large one, to the checkpoint or to a student's teacher."""
    first, second, *others = manifest_of(tiny_bundle).labels
    renamed = Predictor(Bundle.open(forge(tiny_bundle, tmp_path / "b", labels=[second, first, *others])))
    recipe = reference.training_task.recipe.model_copy(update={"export": Export(max_metric_drop=0.6)})
    spared = [at for at, target in enumerate(reference.evaluation.targets) if target not in (first, second)]
    rows = reference.evaluation.take([*spared, *(at for at in range(len(reference.evaluation)) if at not in spared)])
    task = create_training_task(recipe)
    answers = compute_reference_answers(reference.model, task, rows)
    sets = {"spared": range(len(spared)), "hit": range(len(spared), len(rows))}
    teacher = TeacherAnswers(answers.row_answers, 0.6, "export.max_teacher_drop")
    parity = prove(dataclasses.replace(answers, test_sets=sets, teacher=teacher), renamed, VARIANTS["int8"])
    gates = [(gate.name.split(",")[0], gate.passed) for gate in parity.gates if gate.name.startswith("change of acc")]
    assert gates == [
        ("change of accuracy on spared from the teacher's", True),
        ("change of accuracy on hit from the teacher's", False),
        ("change of accuracy on spared", True),
        ("change of accuracy on hit", False),
    ]
    assert {name: change.rows for name, change in parity.test_sets.items()} == {n: len(r) for n, r in sets.items()}


def test_a_run_knows_which_rows_are_whose(tiny_run: Run, tmp_path: Path) -> None:
    """The test rows lie set after set; one set has no name."""
    run = Run(tmp_path)
    run.write_record(tiny_run.read_record() | {"test_sets": {"news": {"rows": 3}, "tweets": {"rows": 2}}})
    assert run.read_test_sets() == {"news": range(3), "tweets": range(3, 5)}
    run.write_record(tiny_run.read_record() | {"test_sets": {}})
    assert run.read_test_sets() == {}
