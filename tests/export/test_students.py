"""A student's bundle: proven against its own checkpoint and, without the teacher at hand, against the teacher."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from export.exporter import ProofFailed, export_hub, export_run
from serving.bundle.bundle import Bundle
from serving.errors import InputError, UserError
from serving.inference.predictor import Predictor
from tests.trainer.conftest import fit
from tests.trainer.fit.distil.test_students import student_of
from trainer.recipe.sections import Export
from trainer.run.run import Run

RunOf = Callable[[str], Run]


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["text-classification", "multi-label-classification", "regression"])
def test_the_whole_road_without_layers(task_run: RunOf, tmp_path: Path, toy: str) -> None:
    """Token vectors alone are exported, proven and served; int8 and the hub's layout say why not."""
    distil = {"student": "static", "layers": None}
    training = {"num_train_epochs": 6, "learning_rate": 5e-3}
    recipe = student_of(tmp_path, task_run(toy), toy, distil=distil, training=training)
    run = fit(recipe.model_copy(update={"export": Export(max_teacher_drop=2)}), tmp_path / "student")
    export = export_run(run, tmp_path / "bundle", "fp32")
    assert export.parity.passed
    graph = onnx.load(tmp_path / "bundle" / "model.onnx")
    assert {node.op_type for node in graph.graph.node} & {"Gather"}
    assert not {node.op_type for node in graph.graph.node} & {"LayerNormalization", "Softmax", "Erf"}
    assert Predictor.load(Bundle.open(tmp_path / "bundle")).predict(["where is the blue lamp?"])
    with pytest.raises(UserError, match="no inner linear layer"):
        export_run(run, tmp_path / "int8", "int8")
    with pytest.raises(InputError, match="static"):
        export_hub(run, tmp_path / "hub")
    with pytest.raises(ValueError, match="tuneship-static"):
        _open_elsewhere(run.checkpoint)


def _open_elsewhere(folder: Path) -> None:
    """As a program without Tuneship does."""
    code = f"from transformers import AutoModel; AutoModel.from_pretrained({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)


@pytest.mark.slow
def test_the_whole_road_of_a_student(task_run: RunOf, tmp_path: Path) -> None:
    """It is exported with the teacher gone; card and parity.json have the teacher's score; a large drop is refused."""
    teacher = tmp_path / "teacher"
    shutil.copytree(task_run("text-classification").root, teacher)
    recipe = student_of(tmp_path, Run(teacher), export={"max_teacher_drop": 0.5}, training={"num_train_epochs": 4})
    run = fit(recipe, tmp_path / "student")
    shutil.rmtree(teacher)
    for variant in ("fp32", "int8"):
        export = export_run(run, tmp_path / variant, variant)
        change = export.parity.teacher
        assert change is not None
        assert change.reference == run.read_record()["teacher"]["metrics"]["accuracy"]
        assert "from the teacher" in (tmp_path / variant / "README.md").read_text(encoding="utf-8")
        assert Predictor.load(Bundle.open(tmp_path / variant)).predict(["where is the blue lamp?"])
    text = run.recipe.read_text(encoding="utf-8").replace("max_teacher_drop: 0.5", "max_teacher_drop: 2")
    run.recipe.write_text(text, encoding="utf-8")
    assert not any("teacher" in gate.name for gate in export_run(run, tmp_path / "fp32", "fp32").parity.gates)
    text = text.replace("max_teacher_drop: 2", "max_teacher_drop: 0.0")
    run.recipe.write_text(text, encoding="utf-8")
    with pytest.raises(ProofFailed) as error:
        export_run(run, tmp_path / "none", "fp32")
    assert "does not answer as well as its teacher" in str(error.value)
    assert "export.max_teacher_drop moves this bound" in str(error.value)
    assert not (tmp_path / "none").exists()
    answers = run.read_teacher_answers()
    assert answers is not None
    run.teacher.write_text("".join(json.dumps(each[:1]) + "\n" for each in reversed(answers)), encoding="utf-8")
    with pytest.raises(InputError, match=r"teacher\.jsonl"):
        export_run(run, tmp_path / "none", "fp32")
