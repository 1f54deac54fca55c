"""A model that others trained becomes a run: it answers as transformers does, and what no file says is told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from export.bundle.card import check_card
from export.exporter import export_run
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.sharing import made_once
from tests.tiny import LABELS, toy_rows, write_csv
from tests.trained_elsewhere import make_checkpoint
from trainer.imports.importer import import_checkpoint
from trainer.recipe.recipe import load_recipe
from trainer.replay import replay
from trainer.run.run import Run
from trainer.train import train

LABEL_N = {str(number): f"LABEL_{number}" for number in range(3)}
ROWS = [*toy_rows()[::3], ("cancel order 17 now", "cancel")]
Import = Callable[..., Run]


@pytest.fixture(scope="session")
def classifier(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BertForSequenceClassification of the toy's labels; read it only."""
    home = made_once(
        tmp_path_factory, "imported-classifier", lambda home: make_checkpoint(tiny_backbone, home / "model", "sequence")
    )
    return home / "model"


@pytest.fixture
def copy(classifier: Path, tmp_path: Path) -> Path:
    """A classifier that a test may break."""
    import shutil

    return Path(shutil.copytree(classifier, tmp_path / "model"))


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """Imports a folder with the toy's rows, or others."""

    def run(
        model: Path, rows: list[tuple[str, ...]] | None = None, *, header: Any = ("text", "label"), **options: Any
    ) -> Run:
        file = write_csv(tmp_path / "rows.csv", ROWS if rows is None else rows, header)
        mapping = {
            "model": str(model),
            "data": {"train": str(file), **options.pop("data", {})},
            **options.pop("mapping", {}),
        }
        return import_checkpoint(mapping, tmp_path / "run", console=Console(file=io.StringIO()), **options)

    return run


def pipeline(folder: Path, task: str = "text-classification", **options: Any) -> Any:
    from transformers import pipeline as make

    return make(task, str(folder), device="cpu", **options)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.slow
def test_a_classifier_goes_the_whole_road(classifier: Path, imported: Import, tmp_path: Path) -> None:
    """Labels and scores of every row are those of transformers' pipeline; the card says where the model is from."""
    run = imported(classifier)
    bundle = export_run(run, tmp_path / "bundle").bundle
    texts = [text for text, _ in ROWS]
    answers, expected = Predictor.open(bundle).predict(texts), pipeline(classifier)(texts, top_k=None)
    for ours, theirs in zip(answers, expected, strict=True):
        assert [each["label"] for each in ours] == [each["label"] for each in theirs]
        assert [each["score"] for each in ours] == pytest.approx([each["score"] for each in theirs], abs=1e-4)
    record = run.read_record()
    assert record["settings"]["temperature"] == 1.0
    assert record["settings"]["threshold"] is None
    assert "training" not in record["recipe"]
    assert 0 <= record["metrics"]["test"]["accuracy"] <= 1
    card = check_card(Bundle.open(bundle))
    assert "imported from" in card
    assert "nothing was trained, tuned or calibrated here" in card
    assert "Scores are not calibrated." in card


@pytest.mark.slow
def test_rows_without_labels_prove_equality_alone(classifier: Path, imported: Import, tmp_path: Path) -> None:
    """No metric stands anywhere, int8's gates on it do not apply, and the card says that quality was not measured."""
    run = imported(classifier, [(text,) for text, _ in ROWS], header=("text",))
    result = export_run(run, tmp_path / "bundle", "int8")
    assert run.read_record()["metrics"] == {"test": {"rows": len(run.read_evaluation())}}
    assert "its quality was not measured" in run.report.read_text()
    parity = result.parity
    assert (parity.score, parity.change) == (None, None)
    assert {gate.advice for gate in parity.gates if "change of" in gate.name} >= {"the rows have no labels"}
    card = check_card(Bundle.open(result.bundle))
    assert "Its quality was not measured" in card
    assert "model-index" not in card
    assert Bundle.open(result.bundle).manifest.verdict.score is None


@pytest.mark.slow
def test_a_run_is_imported_again(classifier: Path, imported: Import) -> None:
    """replay compares recipe, model, rows, metrics and weights; training by its recipe is refused."""
    run = imported(classifier)
    assert replay(run.root, console=Console(file=io.StringIO())).equal
    with pytest.raises(InputError, match="of a run that tuneship import made"):
        train(load_recipe(run.recipe), run.root.with_name("other"))


@pytest.mark.slow
def test_a_recipe_may_train_on_from_it(classifier: Path, imported: Import, tmp_path: Path) -> None:
    """Its checkpoint is a model like any other."""
    from trainer.model.base_model import find_base_model

    assert find_base_model(str(imported(classifier).checkpoint)).config.model_type == "bert"


@pytest.mark.parametrize(
    ("config", "labels", "rows", "told"),
    [
        (
            {"id2label": LABEL_N},
            None,
            ROWS,
            r"the labels cancel, refund, track are none of the model's: LABEL_0.*--labels",
        ),
        ({"id2label": {"0": "cancel", "1": "refund"}}, None, ROWS, r"give --labels FILE with 3 lines, in the order"),
        ({"id2label": {"0": "a", "2": "b", "3": "c"}}, None, ROWS, "id2label of config.json has 0, 2, 3, for 3 logits"),
        ({"id2label": {"0": "a", "1": "a", "2": "c"}}, None, ROWS, "'a' occurs twice"),
        ({"id2label": {"0": "CANCEL", "1": "REFUND", "2": "TRACK"}}, None, ROWS, "they differ in case alone"),
        ({}, ["cancel", "refund"], ROWS, r"--labels FILE with 3 lines"),
    ],
)
def test_labels_that_do_not_fit_are_told(
    copy: Path, imported: Import, config: dict[str, Any], labels: list[str] | None, rows: Any, told: str
) -> None:
    """With what mends them, and before anything is written."""
    change(copy / "config.json", **config)
    with pytest.raises(InputError, match=told):
        imported(copy, rows, labels=labels)
    assert not copy.with_name("run").exists()
    assert not list(copy.parent.glob(".run*"))


@pytest.mark.parametrize(
    ("label", "told"),
    [("cancel|refund", r"several in one; give --task multi-label-classification --set data\.label_separator='\"|\"'"),
     (["cancel", "refund"], "a list of labels; give one label a row, or task: multi-label-classification")],
)  # fmt: skip
def test_several_labels_of_a_model_for_one(classifier: Path, tmp_path: Path, label: Any, told: str) -> None:
    """Where config.json names no problem_type, transformers' pipeline gives one: several have to be asked for."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, _ in ROWS))
    mapping = {"model": str(classifier), "data": {"train": str(rows)}}
    with pytest.raises(InputError, match=told):
        import_checkpoint(mapping, tmp_path / "run")


def test_vectors_are_in_the_order_of_the_logits(classifier: Path, tmp_path: Path) -> None:
    """Of a classifier for several labels the names are known."""
    rows = tmp_path / "rows.jsonl"
    texts = [text for text, _ in ROWS]
    rows.write_text(
        "".join(json.dumps({"text": text, "label": [1, 0, at % 2]}) + "\n" for at, text in enumerate(texts))
    )
    mapping = {"model": str(classifier), "task": "multi-label-classification", "data": {"train": str(rows)}}
    run = import_checkpoint(mapping, tmp_path / "run", console=Console(file=io.StringIO()))
    targets = run.read_evaluation().targets
    assert {"|".join(each) for each in targets} == {"cancel", "cancel|track"}
    assert "the rows' 0/1 vectors or numbers are in the order of the logits" in run.read_record()["imported"]["assumed"]


@pytest.mark.slow
def test_labels_of_a_file_and_numbers_in_rows(copy: Path, imported: Import) -> None:
    """A file names the logits; rows may have their numbers, and a wrong order shows by the rows."""
    change(copy / "config.json", id2label=LABEL_N, label2id=None)
    answers = [each["label"] for each in pipeline(copy)([text for text, _ in ROWS])]
    numbers = [(text, answer.removeprefix("LABEL_")) for (text, _), answer in zip(ROWS, answers, strict=True)]
    run = imported(copy, numbers, labels=list(LABELS))
    assert run.read_record()["metrics"]["test"]["accuracy"] == 1
    assert "the rows' labels are numbers: places among the logits" in run.read_record()["imported"]["assumed"]
    wrong = imported(copy, numbers, labels=["a", "b", "c"], overwrite=True, data={"label_names": ["b", "c", "a"]})
    assert any("their order looks wrong" in warning for warning in wrong.read_record()["warnings"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "count", "task", "score"),
    [
        ("multi_label_classification", 3, "multi-label-classification", "sigmoid"),
        ("regression", 1, "regression", "none"),
        (None, 1, "regression", "sigmoid"),
    ],
)
def test_scores_of_other_problem_types(
    tiny_backbone: Path, imported: Import, tmp_path: Path, problem: str | None, count: int, task: str, score: str
) -> None:
    """By the function that transformers' pipeline applies."""
    labels = LABELS if count == 3 else ("value",)
    folder = make_checkpoint(tiny_backbone, tmp_path / "model", "sequence", labels, problem_type=problem)
    run = imported(folder, [(text,) for text, _ in ROWS], header=("text",))
    predictor = Predictor.open(export_run(run, tmp_path / "bundle").bundle)
    texts = [text for text, _ in ROWS]
    expected = pipeline(folder)(texts, top_k=None)
    assert run.read_record()["task"] == task
    for text, theirs in zip(texts, expected, strict=True):
        options = predictor.task.parameters_type(**({"threshold": 0} if count == 3 else {}))
        ours = predictor.predict([text], options)[0]
        assert [each["label"] for each in ours] == [each["label"] for each in theirs]
        assert [each["score"] for each in ours] == pytest.approx([each["score"] for each in theirs], abs=1e-4)


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (lambda folder: change(folder / "config.json", architectures=["BertModel"]), "has no head for a task"),
        (lambda folder: change(folder / "config.json", auto_map={"AutoModel": "x.Y"}), "brings code of its own"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "pickled ones are never"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 40), "cannot be loaded"),
    ],
)
def test_what_cannot_be_imported_is_refused(copy: Path, imported: Import, breaks: Any, told: str) -> None:
    """A base model, code, pickles, no model, half a file: each with the reason, and nothing written."""
    breaks(copy)
    with pytest.raises(InputError, match=told):
        imported(copy)
    assert not copy.with_name("run").exists()


def test_a_head_that_is_not_in_the_file(copy: Path, imported: Import) -> None:
    """transformers would draw one at random."""
    from safetensors.torch import load_file, save_file

    weights = {name: value for name, value in load_file(copy / "model.safetensors").items() if "classifier" not in name}
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="2 weights of its head, so that it would answer at random, are not in its"):
        imported(copy)


@pytest.mark.slow
def test_a_target_that_exists(classifier: Path, imported: Import, tmp_path: Path) -> None:
    """A run is replaced only where it is asked for, anything else never."""
    first = imported(classifier).read_record()
    with pytest.raises(InputError, match=r"holds a run \(finished\) already"):
        imported(classifier)
    assert imported(classifier, overwrite=True).read_record()["metrics"] == first["metrics"]
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(InputError, match="holds something else than a run"):
        imported(classifier, overwrite=True)


def test_another_task_than_the_models(classifier: Path, imported: Import) -> None:
    """Told, with what it is for."""
    with pytest.raises(
        InputError, match=r"--task token-classification: .* is a model for text-classification or multi"
    ):
        imported(classifier, mapping={"task": "token-classification"})


@pytest.mark.slow
def test_few_rows_are_all_proven_on(classifier: Path, imported: Import, tmp_path: Path) -> None:
    """fp32 is exported; int8 has no texts to calibrate with, and says so."""
    run = imported(classifier, ROWS[:5])
    assert len(run.read_evaluation()) == 5
    assert "int8 has no texts" in run.read_record()["imported"]["held_back"]
    assert export_run(run, tmp_path / "bundle").parity.rows == 5
    with pytest.raises(InputError, match=r"int8 has no texts to calibrate with: .* --calibration-rows FILE"):
        export_run(run, tmp_path / "int8", "int8")
    assert replay(run.root, console=Console(file=io.StringIO())).equal


def test_rows_of_one_text_are_split_too(classifier: Path, imported: Import) -> None:
    """Nothing is learned from one side, so that both may have it."""
    run = imported(classifier, [("where is my order", "track")] * 30)
    assert len(run.read_evaluation()) == 24


def test_half_precision_is_told(copy: Path, imported: Import) -> None:
    """Answers are computed in fp32, whatever the weights are kept in."""
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(copy, dtype=torch.bfloat16).save_pretrained(copy)
    assert any("torch.bfloat16" in each for each in imported(copy).read_record()["imported"]["assumed"])
