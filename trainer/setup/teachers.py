"""The finished runs that a student learns from, and the texts without labels that they answer for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerFast

from serving.bundle.bundle import sha256_of
from serving.errors import InputError, shorten
from serving.tasks.base import Task
from trainer.model.architecture import read_architecture
from trainer.model.checkpoint import Checkpoint, ModelSpec, load_checkpoint, load_tokenizer, read_task
from trainer.model.heads import pooled_width
from trainer.recipe.recipe import Recipe, load_recipe
from trainer.run.lock import require_locked
from trainer.run.run import Run

KEY, VECTORS_KEY = "distil.teacher", "distil.vector_weight"


@dataclass(frozen=True)
class Teacher:
    """A finished run, as its lock says."""

    run: Run
    spec: ModelSpec
    task: Task

    def load(self) -> Checkpoint:
        return load_checkpoint(self.run.checkpoint)

    def reads_as(self, tokenizer: PreTrainedTokenizerFast) -> bool:
        """Whether it cuts texts into the same tokens and windows."""
        return _reading(load_tokenizer(self.run.checkpoint)) == _reading(tokenizer)

    @cached_property
    def sha256(self) -> str:
        """Of its lock, which has the sha256 of its recipe, rows and weights."""
        return sha256_of(self.run.lock)

    def width(self) -> int:
        """Of its vectors."""
        return vector_size(read_architecture(self.run.checkpoint, str(self.run.checkpoint)), self.spec)

    def score(self, metric: str) -> float:
        """On its own validation rows."""
        return float(self.run.read_record()["metrics"]["validation"].get(metric, 0.0))

    def to_record(self) -> dict[str, Any]:
        return {"id": self.run.root.resolve().name, "sha256": self.sha256}

    def test_rows(self) -> str:
        """Their sha256."""
        return str(self.run.read_record()["data"]["splits"]["test"]["sha256"])


def open_teachers(recipe: Recipe) -> tuple[Teacher, ...]:
    """None without the section distil; raises InputError."""
    return tuple(_open_teacher(Path(each), recipe) for each in recipe.distil.teachers) if recipe.distil else ()


@dataclass(frozen=True)
class Student:
    """What it answers and reads."""

    task: Task
    spec: ModelSpec
    tokenizer: PreTrainedTokenizerFast
    config: PretrainedConfig


def require_same_answers(teachers: Sequence[Teacher], student: Student) -> None:
    """Raise InputError unless each teacher's logits are those of the student, in some order of the labels."""
    for teacher in teachers:
        if problem := _misfit(teacher, student):
            raise InputError(f"{KEY}: {teacher.run.root.name} {problem}", field=KEY)


def require_same_vectors(teacher: Teacher, student: Student) -> None:
    """Raise InputError unless both classifiers read a vector of this project's heads, of one width."""
    for who, spec in ((teacher.run.root.name, teacher.spec), ("the student", student.spec)):
        if not spec.own_head:
            raise InputError(
                f"{VECTORS_KEY}: {who} has transformers' own head, which shows no vector; set model_head.pooling to"
                " mean, or leave it out",
                field=VECTORS_KEY,
            )
    widths = teacher.width(), vector_size(student.config, student.spec)
    if widths[0] != widths[1]:
        raise InputError(
            f"{VECTORS_KEY}: {teacher.run.root.name} has vectors of {widths[0]} numbers, and the student of"
            f" {widths[1]}; leave it out, or take a base model of the teacher's width",
            field=VECTORS_KEY,
        )


def _misfit(teacher: Teacher, student: Student) -> str:
    theirs, ours, spec = teacher.task.labels, student.task.labels, student.spec
    if sorted(theirs) != sorted(ours) or (spec.logits != len(theirs) and theirs != ours):
        return f"answers other labels than the rows have: {_difference(theirs, ours)}"
    if spec.head == "vector":
        widths = teacher.width(), vector_size(student.config, spec)
        return f"gives vectors of {widths[0]} numbers, and the student of {widths[1]}" if widths[0] != widths[1] else ""
    if teacher.spec.logits != spec.logits:
        return f"has {teacher.spec.logits} logits, the student {spec.logits}; give model_head.loss as its recipe has it"
    if spec.head in ("token", "span") and not teacher.reads_as(student.tokenizer):
        return (
            "cuts texts into other tokens or windows than the student; give its base model, and data.max_length as its"
            " recipe has it"
        )
    return ""


def vector_size(config: PretrainedConfig, spec: ModelSpec) -> int:
    return spec.dense[-1].out_features if spec.dense else pooled_width(config, spec.pooling, spec.layers)


def best_teacher(teachers: Sequence[Teacher], metric: str) -> Teacher:
    """By validation; the student is measured against it."""
    return max(teachers, key=lambda teacher: teacher.score(metric))


def other_test_rows(teachers: Sequence[Teacher], sha256: str) -> list[str]:
    """Warnings: what a teacher was trained on, a student has seen too."""
    return [
        f"{each.run.root.name}, a teacher, has other test rows; if it was trained on some of these, scores are too high"
        for each in teachers
        if each.test_rows() != sha256
    ]


def _open_teacher(folder: Path, recipe: Recipe) -> Teacher:
    try:
        run = Run.open(folder)
        require_locked(run)
        task = load_recipe(run.recipe).task
    except InputError as error:
        raise InputError(f"{KEY}: {error}", field=KEY) from error
    if task != recipe.task:
        raise InputError(f"{KEY}: {folder.name} was trained for task: {task}, not {recipe.task}", field=KEY)
    spec, answers, _ = read_task(run.checkpoint)
    return Teacher(run, spec, answers)


def _reading(tokenizer: PreTrainedTokenizerFast) -> tuple[int, dict[str, Any]]:
    """The window's length, and what the tokenizer does; its own truncation is as of its last call."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    return tokenizer.model_max_length, {key: content[key] for key in content if key not in ("truncation", "padding")}


def _difference(theirs: Sequence[str], ours: Sequence[str]) -> str:
    missing, more = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
    told = [f"{what} {shorten(repr(found[0]), 40)}" for what, found in (("lacks", missing), ("has", more)) if found]
    return " and ".join(told) or "they are in another order"
