"""A student learns its teacher's vectors of the texts beside the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BertConfig

from serving.errors import InputError
from tests.tiny import toy_rows
from tests.trainer.conftest import StopAt, Stopped, fit, weights
from tests.trainer.fit.distil.test_students import student_of
from trainer.fit.distil.lesson import VECTORS_FILE
from trainer.fit.distil.pooled_vectors import vector_distance, vectors_of
from trainer.model.checkpoint import load_checkpoint
from trainer.run.run import Run
from trainer.setup.teachers import Student, open_teachers, require_same_vectors

RunOf = Callable[[str], Run]


def read_vectors(run: Run) -> Tensor:
    """Of the toy's texts."""
    checkpoint = load_checkpoint(run.checkpoint)
    windows = checkpoint.tokenizer.backend_tokenizer.encode_batch([text for text, _ in toy_rows()])
    found = vectors_of(checkpoint.model, checkpoint.tokenizer, windows, 8)
    return torch.stack([torch.from_numpy(each) for each in found])


@pytest.mark.slow
def test_a_student_learns_its_teachers_vectors(task_run: RunOf, tmp_path: Path) -> None:
    """They are nearer to the teacher's than without; a training that was stopped goes on with those that it has."""
    teacher, distances = task_run("text-classification"), {}
    for weight in (0.0, 4.0):
        (tmp_path / str(weight)).mkdir()
        recipe = student_of(tmp_path / str(weight), teacher, distil={"vector_weight": weight})
        run = fit(recipe, tmp_path / str(weight) / "student")
        distances[weight] = float(vector_distance(read_vectors(run), read_vectors(teacher)).mean())
    assert distances[4.0] < 0.8 * distances[0.0]
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(2))
    kept = (tmp_path / "stopped" / "state" / VECTORS_FILE).stat().st_mtime_ns
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(3))
    assert (tmp_path / "stopped" / "state" / VECTORS_FILE).stat().st_mtime_ns == kept
    assert weights(fit(recipe, tmp_path / "stopped")) == weights(run)


def test_the_distance_is_relative_to_the_teachers_vectors() -> None:
    """Equal vectors have none; a student of zeros is 1 away; the unit of the vectors does not matter."""
    teacher = torch.tensor([[3.0, 4.0], [0.0, 5.0]])
    assert vector_distance(teacher, teacher).tolist() == [0.0, 0.0]
    assert vector_distance(torch.zeros(2, 2), teacher).tolist() == pytest.approx([1.0, 1.0])
    assert vector_distance(teacher + 1, teacher).tolist() == pytest.approx([0.08, 0.08])
    assert torch.equal(vector_distance(8 * teacher + 8, 8 * teacher), vector_distance(teacher + 1, teacher))


def test_heads_without_such_vectors_are_refused(task_run: RunOf, tmp_path: Path) -> None:
    """Another width, transformers' own head, and tasks that answer for each token."""
    recipe = student_of(tmp_path, task_run("text-classification"), distil={"vector_weight": 1.0})
    (teacher,) = open_teachers(recipe)
    tokenizer = load_checkpoint(teacher.run.checkpoint).tokenizer
    wider = Student(teacher.task, teacher.spec, tokenizer, BertConfig(hidden_size=2 * teacher.width()))
    with pytest.raises(InputError, match=r"distil\.vector_weight: .* has vectors of 32 numbers, and the student of 64"):
        require_same_vectors(teacher, wider)
    library = replace(wider, spec=replace(teacher.spec, pooling="cls"))
    with pytest.raises(InputError, match=r"the student has transformers' own head.*set model_head\.pooling to mean"):
        require_same_vectors(teacher, library)
    with pytest.raises(InputError, match=r"distil\.vector_weight"):
        student_of(tmp_path, task_run("token-classification"), "token-classification", distil={"vector_weight": 1.0})
