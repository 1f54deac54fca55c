"""A student of a finished run: fewer layers, the teacher's answers, repeatable without a step lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests import tiny
from tests.toys import TOYS, write_toy
from tests.trainer.conftest import StopAt, Stopped, fit, weights
from trainer.fit.distil.lesson import FILE
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.recipe import Recipe, load_recipe
from trainer.replay import replay
from trainer.run.run import Run

RunOf = Callable[[str], Run]


def student_of(folder: Path, teacher: Run, toy: str = "text-classification", **sections: Any) -> Recipe:
    """A recipe for a student of ``teacher``, with the toy's rows; ``distil`` of ``sections`` adds to its keys."""
    path = write_toy(folder, teacher.checkpoint, toy, training={"num_train_epochs": 2})
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("model:")), encoding="utf-8")
    distil = {"teacher": str(teacher.root), "layers": 1} | sections.pop("distil", {})
    every: dict[str, Any] = {"distil": distil, **sections}
    overrides = [
        f"{section}.{key}={json.dumps(value)}" for section, values in every.items() for key, value in values.items()
    ]
    return load_recipe(path, overrides)


@pytest.mark.slow
@pytest.mark.parametrize("toy", TOYS)
def test_a_student_of_any_task(task_run: RunOf, tmp_path: Path, toy: str) -> None:
    """It has one layer of two, learns more than guessing, and its run keeps the teacher's answers to the test rows."""
    run = fit(student_of(tmp_path, task_run(toy), toy, training={"num_train_epochs": 4}), tmp_path / "student")
    assert load_checkpoint(run.checkpoint).model.config.num_hidden_layers == 1
    record, answers = run.read_record(), run.read_teacher_answers()
    assert answers is not None
    assert len(answers) == record["metrics"]["test"]["rows"]
    metric = record["metric"]
    teacher = task_run(toy).read_record()["metrics"]["test"][metric]
    assert record["teacher"]["metrics"][metric] == pytest.approx(teacher)
    assert record["metrics"]["test"][metric] > teacher / 2


@pytest.mark.slow
def test_a_student_is_repeated_and_resumed(task_run: RunOf, tmp_path: Path) -> None:
    """Stopped, it goes on with the logits that it has; a replay has equal weights; another teacher is told."""
    teacher = tmp_path / "teacher"
    shutil.copytree(task_run("text-classification").root, teacher)
    tiny.write_csv(tmp_path / "more.csv", [("cancel the red lamp",), ("where is my red lamp?",)], ("text",))
    recipe = student_of(tmp_path, Run(teacher), distil={"rows": str(tmp_path / "more.csv")})
    whole = fit(recipe, tmp_path / "whole")
    steps = whole.read_record()["history"][-1]["step"]
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(steps - 2))
    kept = (tmp_path / "stopped" / "state" / FILE).stat().st_mtime_ns
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(steps - 1))
    assert (tmp_path / "stopped" / "state" / FILE).stat().st_mtime_ns == kept
    assert weights(fit(recipe, tmp_path / "stopped")) == weights(whole)
    assert replay(tmp_path / "whole").equal
    lock = teacher / "lock.json"
    lock.write_text(lock.read_text(encoding="utf-8").replace('"resumed": []', '"resumed": ["by hand"]'))
    told = replay(tmp_path / "whole")
    assert not told.trained
    assert any("teachers" in line for check in told.checks for line in check.differences)


@pytest.mark.slow
def test_the_teacher_is_learned_without_labels(task_run: RunOf, tmp_path: Path) -> None:
    """With label_weight 0 the labels of the training rows say nothing, and the student still answers as the teacher."""
    teacher = task_run("text-classification")
    recipe = student_of(tmp_path, teacher, distil={"label_weight": 0}, training={"num_train_epochs": 6})
    rows = tmp_path / "rows.csv"
    lines = rows.read_text(encoding="utf-8")
    run = fit(recipe, tmp_path / "student")
    assert run.read_record()["metrics"]["test"]["accuracy"] > 0.8
    assert rows.read_text(encoding="utf-8") == lines


@pytest.mark.slow
def test_several_teachers(task_run: RunOf, tmp_path: Path) -> None:
    """Their mean is learned, and the student is measured against the one that validation prefers."""
    first = task_run("text-classification")
    recipe = load_recipe(write_toy(tmp_path, first.checkpoint, "text-classification"), ["training.seed=7"])
    second = fit(recipe, tmp_path / "second")
    distil = {"teacher": [str(first.root), str(second.root)]}
    record = fit(student_of(tmp_path, first, distil=distil), tmp_path / "student").read_record()
    assert [each["id"] for each in record["model"]["teachers"]] == [first.root.name, "second"]
    assert record["teacher"]["id"] in (first.root.name, "second")


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["text-classification", "multi-label-classification", "regression"])
def test_a_student_without_layers(task_run: RunOf, tmp_path: Path, toy: str) -> None:
    """It begins with the teacher's vector of each token, learns, and goes on where it was stopped."""
    teacher = task_run(toy)
    distil = {"student": "static", "layers": None}
    training = {"num_train_epochs": 6, "learning_rate": 5e-3}
    recipe = student_of(tmp_path, teacher, toy, distil=distil, training=training)
    whole = fit(recipe, tmp_path / "whole")
    record = whole.read_record()
    assert record["metrics"]["test"][record["metric"]] > 0.5
    model = load_checkpoint(whole.checkpoint).model
    assert [*model.state_dict()] == ["backbone.embeddings.weight", "classifier.weight", "classifier.bias"]
    assert "token_type_ids" not in (whole.checkpoint / "tokenizer_config.json").read_text(encoding="utf-8")
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(record["history"][-1]["step"] - 2))
    assert weights(fit(recipe, tmp_path / "stopped")) == weights(whole)


def test_refused(task_run: RunOf, tmp_path: Path) -> None:
    """What cannot be learned is told before anything is written, with what is accepted."""
    teacher = task_run("text-classification")

    def refusal(**sections: Any) -> str:
        with pytest.raises(InputError) as error:
            fit(student_of(tmp_path, teacher, **sections), tmp_path / "student")
        assert not (tmp_path / "student").exists()
        return str(error.value)

    assert "has 2 layers, 0 to 1, and not 3 layers" in refusal(distil={"layers": 3})
    static = {"student": "static", "layers": None}
    assert "are all trained" in refusal(distil=static, training={"freeze_embeddings": True})
    assert "has no layers" in refusal(distil={"student": "static"})
    assert "ascending" in refusal(distil={"layers": [1, 0]})
    assert "there is no such run folder" in refusal(distil={"teacher": str(tmp_path / "nothing")})
    tiny.write_csv(tmp_path / "two.csv", [row for row in tiny.toy_rows() if row[1] != "track"])
    assert "has 'track'" in refusal(data={"train": str(tmp_path / "two.csv")})
