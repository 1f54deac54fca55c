"""Rows without labels: the share of answers that change on them bounds what a variant can lose."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from export.bundle.card import check_card
from export.exporter import export_run
from export.proof.answers.reference import ReferenceAnswers, UnlabelledAnswers
from export.proof.checks.unlabelled import answer_unlabelled
from export.proof.prove import prove
from export.proof.statistics.metric_change import ChangedAnswers
from export.variants.registry import VARIANTS
from serving.bundle.bundle import Bundle, sha256_of
from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.bundles import manifest_of
from trainer.recipe.recipe import load_recipe
from trainer.recipe.sections import Export
from trainer.run.run import Run
from trainer.tasks import create_training_task

Answer = Callable[..., UnlabelledAnswers | None]


@pytest.fixture
def answer(reference: ReferenceAnswers, tmp_path: Path) -> Answer:
    """Writes rows, and gives the reference's answers to them."""

    def run(rows: Sequence[object], name: str = "texts.jsonl", files: dict[str, dict[str, str]] | None = None):  # type: ignore[no-untyped-def]
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        recipe = reference.training_task.recipe
        export = recipe.export.model_copy(update={"rows": str(path)})
        task = create_training_task(recipe.model_copy(update={"export": export}))
        return answer_unlabelled(reference.model, task, reference.evaluation, files or {})

    return run


def texts(count: int) -> list[dict[str, str]]:
    return [{"text": f"where is order {number}?"} for number in range(count)]


def test_repeated_and_test_rows_do_not_count(answer: Answer, reference: ReferenceAnswers) -> None:
    """A row that is written ten times is one row, and a test row is already counted."""
    found = answer([*texts(5), *10 * texts(1), {"text": reference.evaluation.inputs[0].upper()}])
    assert found is not None
    assert (found.rows, len(found.answers.evaluation)) == (16, 5)
    assert found.source == "texts.jsonl"


def test_the_file_is_named_with_its_row(answer: Answer) -> None:
    """A row without a text is an error that says where."""
    with pytest.raises(InputError, match=r"texts\.jsonl .*row 2: text is empty"):
        answer([{"text": "a card"}, {"text": " "}])
    with pytest.raises(InputError, match="no column 'text'"):
        answer([{"texts": "a card"}])


def test_the_runs_own_rows_are_refused(answer: Answer, reference: ReferenceAnswers, tmp_path: Path) -> None:
    """Rows that the model was trained on change less than others; test rows alone add nothing."""
    answer(texts(3))
    files = {"train": {"name": "toy.csv", "sha256": sha256_of(tmp_path / "texts.jsonl")}}
    with pytest.raises(InputError, match=r"export\.rows: texts\.jsonl is the run's own data\.train"):
        answer(texts(3), files=files)
    with pytest.raises(InputError, match=r"every row of texts\.jsonl is among the test rows"):
        answer([{"text": text} for text in reference.evaluation.inputs])


def test_no_key_is_no_rows(reference: ReferenceAnswers) -> None:
    """Without ``export.rows`` nothing is read."""
    assert answer_unlabelled(reference.model, reference.training_task, reference.evaluation, {}) is None


@pytest.mark.slow
def test_unchanged_answers_prove_what_few_labels_cannot(
    answer: Answer, reference: ReferenceAnswers, tiny_bundle: Path
) -> None:
    """300 rows without a changed answer show a drop below 1.5 points, on a test set that shows 10 at best."""
    recipe = reference.training_task.recipe.model_copy(update={"export": Export(max_metric_drop=0.015)})
    task = create_training_task(recipe)
    predictor = Predictor.open(tiny_bundle)
    gates = {}
    for rows in (None, 100, 300):
        unlabelled = answer(texts(rows)) if rows else None
        answers = dataclasses.replace(reference, training_task=task, unlabelled=unlabelled)
        parity = prove(answers, predictor, VARIANTS["fp16"])
        gates[rows] = next(gate for gate in parity.gates if gate.key == "export.max_metric_drop")
    assert [gates[rows].passed for rows in (None, 100, 300)] == [False, False, True]
    assert "by export.rows 290 rows without labels, if no answer changes" in gates[None].failure
    assert parity.change.unlabelled == ChangedAnswers(
        "texts.jsonl",
        parity.change.unlabelled.sha256,
        300,
        compared=300,
        changed=0,  # type: ignore[union-attr]
    )
    assert parity.change.low == pytest.approx(-(1 - 0.0125 ** (1 / 300)), rel=1e-3)


def test_the_share_is_clopper_and_pearsons() -> None:
    """One-sided; no rows that keep their answer are no bound."""
    assert ChangedAnswers("", "", 500, 500, 0).share_limit(0.0125) == pytest.approx(1 - 0.0125 ** (1 / 500))
    assert ChangedAnswers("", "", 5, 5, 5).share_limit(0.0125) == 1


@pytest.mark.slow
def test_manifest_and_card_have_the_rows(tiny_run: Run, tmp_path: Path) -> None:
    """By number and hash, not by text; the key may be given after the training."""
    run = Run(Path(shutil.copytree(tiny_run.root, tmp_path / "run")))
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(map(json.dumps, texts(20))), encoding="utf-8")
    load_recipe(run.recipe, [f"export.rows={path}"]).save(run.recipe)
    bundle = export_run(run, tmp_path / "bundle").bundle
    described = {"source": "texts.jsonl", "rows": 20, "sha256": sha256_of(path)}
    assert manifest_of(bundle).data["unlabelled"] == described
    parity = json.loads((bundle / "parity.json").read_text())
    assert parity["change"]["unlabelled"] == described | {"compared": 20, "changed": 0}
    card = (bundle / "README.md").read_text()
    assert "Of 20 unlabelled rows of texts.jsonl, 0 have another answer than the checkpoint's." in card
    assert check_card(Bundle.open(bundle)) == card
