"""What a run is trained from: the resolved recipe, the base model, the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks.base import Task
from trainer.data.rows import Rows
from trainer.model.architecture import check_head, check_layers, has_library_head, is_static, kind_of
from trainer.model.base_model import BaseCheckpoint, find_base_model
from trainer.model.case_markers import with_case_markers
from trainer.model.checkpoint import ModelSpec, check_weights, load_tokenizer
from trainer.model.fewer_layers import pick_layers
from trainer.model.heads import vector_width
from trainer.model.sentence_modules import SUPPORTED, SentenceModules
from trainer.model.static_vectors import INPUTS, StaticConfig
from trainer.model.trained_head import Carried, TrainedHead, plan_head, read_trained_head
from trainer.recipe.applicability import adds_noise
from trainer.recipe.defaults import with_defaults
from trainer.recipe.recipe import Recipe
from trainer.run.extensions import Records, extension_records
from trainer.run.processes import count
from trainer.run.run import DISTIL_ROWS, FEW_SHOT_ROWS
from trainer.setup.sources import InputCheck
from trainer.setup.splits import Splits, fingerprint, load_splits
from trainer.setup.teachers import Student, Teacher, open_teachers, require_same_answers, require_same_vectors
from trainer.setup.unlabelled import UnlabelledRows, read_further_rows, read_unlabelled
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask


@dataclass(frozen=True)
class TrainingSetup:
    training_task: TrainingTask
    base: BaseCheckpoint
    tokenizer: PreTrainedTokenizerFast
    splits: Splits
    trained_head: TrainedHead | None = None
    teachers: tuple[Teacher, ...] = ()
    unlabelled: UnlabelledRows | None = None

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return self.training_task.recipe

    @cached_property
    def task(self) -> Task:
        """The answering task, with its settings before training."""
        # statistics of the training rows, such as the mean of their numbers, would have no noise
        rows = self.splits.validation if adds_noise(self.recipe) else self.splits.train
        settings = self.training_task.settings(rows, self.splits.labels, self.tokenizer.model_max_length)
        size: int = self.base.config.vocab_size
        embeddings = size if len(self.tokenizer) > size else None
        return self.training_task.task(self.splits.labels, settings.model_copy(update={"vocabulary": embeddings}))

    @property
    def model_spec(self) -> ModelSpec:
        chosen, head, layers = self.recipe.model_head.pooling, self.training_task.head, self.recipe.model_head.layers
        pooling = "+".join(chosen) if isinstance(chosen, tuple) else chosen or self.base.pooling
        modules, vector = self.base.modules, head == "vector"
        as_folder = pooling == self.base.pooling and layers == 1 and head in ("sequence", "vector")
        spec = ModelSpec(
            head=head,
            pooling=pooling,
            logits=self.task.logits_per_window,
            normalized=self.recipe.few_shot is not None or (vector and modules.normalized),
            layers=layers,
            library_head=has_library_head(self.base.config, head),
            dense=modules.dense if as_folder else (),
            classifier=self.recipe.model_head.head or "",
        )
        if not self.trained_head or self.recipe.few_shot:
            return spec
        return self.trained_head.shape(spec)

    @property
    def carried(self) -> Carried | None:
        """What goes on of the base model's head, if it has one and this is a fine-tuning."""
        if self.trained_head is None or self.recipe.few_shot:
            return None
        return plan_head(self.trained_head, self.model_spec, self.task)

    @cached_property
    def extensions(self) -> Records:
        """Code of the user's own that the training uses."""
        return extension_records(self.recipe)

    @property
    def kept_layers(self) -> list[int] | None:
        """The base model's layers that a student keeps; raises InputError for layers that it does not have."""
        distil = self.recipe.distil
        return pick_layers(distil.layers, self.base.config, self.base.id) if distil and distil.layers else None

    def to_record(self, output: Path) -> dict[str, Any]:
        """What run.json says before training; a resumed run must share it."""
        data, teachers = fingerprint(self.recipe.data, self.splits), [each.to_record() for each in self.teachers]
        if self.unlabelled:
            data["files"][self.unlabelled.key] = {"name": self.unlabelled.rows.name, "sha256": self.unlabelled.sha256}
        return {
            "task": self.recipe.task,
            "labels": self.splits.labels,
            "model": self.base.to_record() | ({"teachers": teachers} if teachers else {}),
            "recipe": self.recipe.to_mapping(output),
            "data": data,
            **({"extensions": self.extensions} if self.extensions else {}),
            "processes": count(),
            **({} if self.recipe.few_shot else {"total_train_batch_size": self.recipe.training.rows_a_step(count())}),
        }


def prepare_setup(recipe: Recipe, output: Path) -> TrainingSetup:
    """Raises InputError or HubUnreachable."""
    teachers = open_teachers(recipe)
    base = find_base_model(recipe.model, recipe.to_mapping(output)["model"], recipe.model_revision)
    head = read_trained_head(base)
    inputs: Sequence[str] | None = None
    if recipe.distil and recipe.distil.student == "static":
        base, head, inputs = _without_layers(base), None, INPUTS
    training_task = create_training_task(resolve_recipe(recipe, base, head))
    training_task.open_extensions()
    check_head(base.config, training_task.head, base.id)
    check_layers(base.config, training_task.recipe.model_head.layers, base.id)
    tokenizer = load_tokenizer(base.folder, training_task.data.max_length, inputs)
    tokenizer = with_case_markers(tokenizer) if training_task.data.case_markers else tokenizer
    training_task.prepare(base, tokenizer)
    splits = load_splits(training_task, lambda train: _check_of(training_task, base, tokenizer, train, head), output)
    setup = TrainingSetup(training_task, base, tokenizer, splits, head, teachers)
    _check_stride(setup)
    _check_student(setup)
    _check_export(setup)
    return replace(setup, unlabelled=_read_unlabelled(setup))


def _check_stride(setup: TrainingSetup) -> None:
    """Raise InputError for windows that do not move on; the tokenizers library would end the process."""
    task, length = setup.task, setup.tokenizer.model_max_length
    content = length - setup.tokenizer.num_special_tokens_to_add(pair=task.truncation == "only_second")
    if task.uses_windows and task.stride >= content:
        raise InputError(
            f"data.stride: windows of {length} tokens, {content} of them a text's, cannot share {task.stride}; give at"
            f" most {content - 1}",
            field="data.stride",
        )


def tokens_read(setup: TrainingSetup) -> int:
    """The most of a text."""
    special = setup.tokenizer.num_special_tokens_to_add(pair=setup.task.is_pair)
    return setup.task.most_tokens(setup.tokenizer.model_max_length, special)


def require_rows_in_memory(recipe: Recipe, verb: str) -> None:
    """Raises InputError."""
    if recipe.data.streaming:
        raise InputError(
            f"data.streaming: {verb} compares rows with one another, and needs them in memory; give a part of the rows"
            " as data.train, with data.streaming=false",
            field="data.streaming",
        )


def _without_layers(base: BaseCheckpoint) -> BaseCheckpoint:
    """A vector for each token, as wide as the base model's."""
    config = StaticConfig(base.config.vocab_size, vector_width(base.config), pad_token_id=base.config.pad_token_id)
    return replace(base, config=config, pooling="mean", modules=SentenceModules())


def _check_student(setup: TrainingSetup) -> None:
    """Raise InputError for layers that are not there, and for teachers that answer something else."""
    if setup.teachers:
        _ = setup.kept_layers
        student = Student(setup.task, setup.model_spec, setup.tokenizer, setup.base.config)
        require_same_answers(setup.teachers, student)
        if setup.recipe.distil and setup.recipe.distil.vector_weight:
            require_same_vectors(setup.teachers[0], student)


def _read_unlabelled(setup: TrainingSetup) -> UnlabelledRows | None:
    """What is learned from beside the training rows, without any that measure the model."""
    distil, few_shot, splits = setup.recipe.distil, setup.recipe.few_shot, setup.splits
    if distil and distil.rows:
        key, name, known = DISTIL_ROWS, distil.rows, [splits.train, splits.validation, splits.test]
    elif few_shot and few_shot.rows:  # the training rows that are no examples may be among them
        key, name, known = FEW_SHOT_ROWS, few_shot.rows, [splits.validation, splits.test]
    else:
        return None
    check = setup.training_task.input_check(setup.task, setup.tokenizer.backend_tokenizer)
    return read_further_rows(setup.training_task, check, known, key, name)


def _check_of(
    training_task: TrainingTask,
    base: BaseCheckpoint,
    tokenizer: PreTrainedTokenizerFast,
    train: Rows,
    head: TrainedHead | None,
) -> InputCheck:
    """What the server would refuse, told now rather than after an hour of training; raises InputError for the model.

    Neither depends on how many labels there are.
    """
    setup = TrainingSetup(training_task, base, tokenizer, Splits(train, train, train, ["", ""], {}), head)
    if not is_static(base.config):
        check_weights(base, setup.model_spec)
    return training_task.input_check(setup.task, tokenizer.backend_tokenizer)


def _check_export(setup: TrainingSetup) -> None:
    """What an export would refuse of the recipe and its rows; raises InputError."""
    if setup.recipe.export.rows is not None:
        check = setup.training_task.input_check(setup.task, setup.tokenizer.backend_tokenizer)
        files = fingerprint(setup.recipe.data, setup.splits)["files"]
        read_unlabelled(setup.training_task, check, setup.splits.test, files)


def resolve_recipe(recipe: Recipe, base: BaseCheckpoint, trained: TrainedHead | None = None) -> Recipe:
    """Fill in the defaults that depend on base model, on the head that it was trained with, or on other keys."""
    recipe = _as_trained(recipe, trained)
    length = recipe.data.max_length or create_training_task(recipe).default_max_length(base)
    if base.max_length and length > base.max_length:
        raise InputError(
            f"data.max_length: {length} is more than {base.id} takes; give at most {base.max_length}",
            field="data.max_length",
        )
    if base.modules.unsupported and recipe.model_head.pooling is None:
        raise InputError(
            f"model: {base.id}: its sentence-transformers files ask for {', '.join(base.modules.unsupported)}, which"
            f" Tuneship does not do (it does {SUPPORTED}); give model_head.pooling to train without it",
            field="model_head.pooling",
        )
    if recipe.model_head.pooling == "cls" and kind_of(base.config) != "encoder":
        raise InputError(
            f"model_head.pooling: cls: the first token of {base.id}, of kind {kind_of(base.config)!r}, has not read the"
            " text; give last or mean",
            field="model_head.pooling",
        )
    pooling = recipe.model_head.pooling or _to_choice(base.pooling)
    head = recipe.model_head.model_copy(update={"pooling": pooling})
    data = recipe.data.model_copy(update={"max_length": length})
    return with_defaults(recipe.model_copy(update={"model_head": head, "data": data}))


def _as_trained(recipe: Recipe, trained: TrainedHead | None) -> Recipe:
    """Where the recipe is silent, a head of the same kind reads what it was trained to read."""
    if trained is None or recipe.few_shot or create_training_task(recipe).head != trained.spec.head:
        return recipe
    section, spec = recipe.model_head, trained.spec
    silent: dict[str, Any] = {} if section.pooling else {"pooling": _to_choice(spec.pooling)}
    silent |= {} if "layers" in section.model_fields_set else {"layers": spec.layers}
    silent |= {} if "head" in section.model_fields_set or not spec.classifier else {"head": spec.classifier}
    return recipe.model_copy(update={"model_head": section.model_copy(update=silent)})


def _to_choice(pooling: str) -> str | tuple[str, ...]:
    """As a recipe names it."""
    return tuple(pooling.split("+")) if "+" in pooling else pooling
