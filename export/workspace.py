"""What all variants of a run share."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from export.bundle.files import TOKENIZER, hash_files
from export.bundle.manifest import draft_manifest
from export.bundle.own import OwnBundle
from export.bundle.samples import create_drift_reference
from export.graphs.convert import Graphs, write_graphs
from export.graphs.graph_file import PROTOBUF_LIMIT, data_file
from export.graphs.inline import inline_tensors
from export.proof.answers.reference import (
    ReferenceAnswers,
    TeacherAnswers,
    compute_reference_answers,
    load_reference,
)
from export.proof.answers.served_answers import compute_served_answers
from export.proof.checks.unlabelled import answer_unlabelled
from export.proof.gates import TEACHER_KEY
from export.proof.prove import Judgement, Parity, judge, prove_served
from export.proof.recalibrate import recalibrate
from export.proof.statistics.metric_change import LEVEL
from export.variants.calibration import ROWS, SEED, VALIDATION_ROWS, Calibration, Feeds
from export.variants.registry import Variant
from serving.bundle.manifest import GraphSpec, Manifest, Provider, Reference
from serving.errors import InputError
from serving.inference.memory import return_freed_memory
from serving.inference.predictor import Predictor
from trainer.data.rows import Rows
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.applicability import adds_noise
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import LOCKED, NOW, read_lock
from trainer.run.run import Run, differences
from trainer.setup.splits import Splits, fingerprint, load_splits
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask

VALIDATION_PROMPTS = 64
"""Validation rows that judge a generating model: an answer takes as many passes as it has tokens."""

Teacher = Callable[[Rows], TeacherAnswers]

WINDOW_ATTRIBUTES = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""By graph input, the attribute of a window."""


@dataclass(frozen=True)
class BuiltVariant:
    """``manifest`` is a draft; ``facts`` are for ``variants.json``."""

    variant: Variant
    folder: Path
    manifest: Manifest
    facts: dict[str, Any]

    @property
    def graph_files(self) -> list[str]:
        """With data files."""
        return [*self.manifest.graph.files, *self.manifest.graph.data]

    @property
    def size(self) -> int:
        """Bytes of the graphs, also after the folder is removed."""
        return sum(self.manifest.files[name].size for name in self.graph_files)


@dataclass(frozen=True)
class Workspace:
    """``folder`` has the fp32 graphs, with data files, and is temporary.

    Attributes:
        threads: predictor calls that run at once.
        max_bytes: a variant's graph that is larger keeps its data file.
        provider: where variants run.
        teacher: of a student's run, where another run's answers replace those that it has.
        drift_references: of each proven variant.
    """

    run: Run
    graphs: Graphs
    folder: Path
    reference: ReferenceAnswers
    threads: int
    max_bytes: int = PROTOBUF_LIMIT
    provider: Provider = "cpu"
    teacher: Teacher | None = None
    drift_references: dict[str, Reference] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def open(
        cls,
        run: Run,
        threads: int,
        max_bytes: int = PROTOBUF_LIMIT,
        provider: Provider = "cpu",
        *,
        overrides: Sequence[str] = (),
        teacher: Teacher | None = None,
    ) -> Iterator[Workspace]:
        """Convert the checkpoint and compute the reference's answers. A graph above ``max_bytes`` gets a data file.

        Args:
            overrides: of the recipe's section export, ``KEY=VALUE`` each.
            teacher: gives the answers that replace those which a student's run has of its teacher.
        """
        with tempfile.TemporaryDirectory() as folder:
            graphs = _convert(run, Path(folder))
            training_task = create_training_task(load_recipe(run.recipe, overrides))
            model = load_reference(run.checkpoint, generates(run))
            training_task.read_with(model.checkpoint_tokenizer, str(run.checkpoint))
            answers = compute_reference_answers(model, training_task, run.read_evaluation())
            files = run.read_record()["data"].get("files", {})
            unlabelled = answer_unlabelled(model, training_task, answers.evaluation, files)
            taught = teacher(answers.evaluation) if teacher else _read_teacher(run, training_task)
            reference = replace(answers, test_sets=run.read_test_sets(), unlabelled=unlabelled, teacher=taught)
            yield cls(run, graphs, Path(folder), reference, threads, max_bytes, provider, teacher)

    @cached_property
    def splits(self) -> Splits:
        """Raises InputError if the rows have changed since training, or all of them are proven on."""
        data = self.reference.training_task.data
        if self.reference.training_task.recipe.imported and data.test == data.train:
            raise InputError(
                "int8 has no texts to calibrate with: all rows of the import are proven on; import again with more"
                " --rows, or with --calibration-rows FILE"
            )
        training_task, model = self.reference.training_task, self.reference.model
        check = training_task.input_check(model.task, model.tokenizer)
        splits = load_splits(training_task, lambda _: check, self.run.root)
        current = fingerprint(self.reference.training_task.data, splits)["splits"]
        locked = read_lock(self.run).data["splits"]
        for name in ("train", "validation"):
            if changes := differences(locked[name], current[name], f"{name} rows", (LOCKED, NOW)):
                raise InputError(
                    f"the {name} rows are not those that the run was trained with: {'; '.join(changes[:3])}."
                    " Restore the files that the recipe names, or train it again"
                )
        return splits

    @cached_property
    def validation(self) -> ReferenceAnswers:
        """The reference's answers to validation rows, for selecting a variant; generated ones are greedy."""
        rows = self.validation_rows
        answers = compute_reference_answers(self.reference.model, self.reference.training_task, rows)
        return replace(answers, teacher=self.teacher(rows)) if self.teacher else answers

    @cached_property
    def validation_rows(self) -> Rows:
        most = VALIDATION_PROMPTS if generates(self.run) else VALIDATION_ROWS
        return _sample_rows(self.splits.validation, most)

    def build(self, variant: Variant, folder: Path) -> BuiltVariant:
        """Raises UserError if this model cannot be written so."""
        self.reference.model.release()
        self._write_tokenizer(folder / TOKENIZER)
        split = "validation" if self._private else "training"
        calibration = Calibration(self._read_feeds, lambda: self.judge(self._describe(variant, folder, {})), split)
        facts: dict[str, Any] = {}
        for name in self.graphs.files:
            facts |= variant.build(self.folder / name, folder / name, calibration)
            inline_tensors(folder / name, self.max_bytes)
        return self._describe(variant, folder, facts)

    def calibrate(self, built: BuiltVariant) -> BuiltVariant:
        """An approximate variant with settings of its own, or the checkpoint's where there are no validation rows.

        An imported model's scores stay as it gives them.
        """
        training_task = self.reference.training_task
        if built.variant.exact or not training_task.calibrates or training_task.recipe.imported:
            return built
        try:
            rows = self.validation_rows
        except InputError as error:
            return replace(built, facts=built.facts | {"scores": f"calibrated as the checkpoint: {error}"})
        settings, record = recalibrate(self.create_predictor(built), self.reference.training_task, rows)
        manifest = built.manifest.model_copy(update={"settings": settings.model_dump(mode="json")})
        return replace(built, manifest=manifest, facts=built.facts | {"scores": record})

    @property
    def _private(self) -> bool:
        """Scales that are fitted to training rows would have no noise."""
        return adds_noise(self.reference.training_task.recipe)

    def _read_feeds(self) -> Feeds:
        training_task, model = self.reference.training_task, self.reference.model
        rows = _sample_rows(self.splits.validation if self._private else self.splits.train, ROWS)
        items = [item for inputs in rows.inputs for item in training_task.items(model.task, inputs)]
        return [
            {
                name: np.asarray([getattr(window, WINDOW_ATTRIBUTES[name])], dtype=np.int64)
                for name in self.graphs.inputs
            }
            for each in model.encode(items)
            for window in each.windows
        ]

    def _describe(self, variant: Variant, folder: Path, facts: dict[str, Any]) -> BuiltVariant:
        graph = GraphSpec(
            file=self.graphs.file,
            decoder=self.graphs.decoder,
            data=[path.name for name in self.graphs.files if (path := data_file(folder / name)).exists()],
            variant=variant.name,
            opset=self.graphs.opset,
            inputs=self.graphs.inputs,
            output="logits",
            row_independent=variant.row_independent,
            depends_on=list(variant.depends_on),
            provider=self.provider,
        )
        return BuiltVariant(
            variant,
            folder,
            draft_manifest(self.run, self.reference.model, graph, hash_files(folder), variant.extension),
            facts,
        )

    def create_predictor(self, built: BuiltVariant) -> Predictor:
        """Of one thread: cores share batches, so that no sum depends on their number."""
        self.reference.model.release()
        return Predictor(OwnBundle(built.folder, built.manifest), threads=1)

    def judge(self, built: BuiltVariant) -> Judgement:
        """Compare with the checkpoint on validation rows."""
        return judge(self.validation, self.create_predictor(built), self.threads)

    def prove(self, built: BuiltVariant, tried: int = 1) -> Parity:
        """Compare with the checkpoint on the test rows; variants that are ``tried`` on them share the test's level."""
        predictor, level = self.create_predictor(built), LEVEL / tried
        served = compute_served_answers(self.reference, predictor, level, self.threads)
        self.drift_references[built.variant.name] = create_drift_reference(served)
        return prove_served(served, built.variant)

    def _write_tokenizer(self, path: Path) -> None:
        """Padding and truncation are in the manifest."""
        tokenizer = Tokenizer.from_file(str(self.run.checkpoint / TOKENIZER))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.save(str(path), pretty=False)


def _read_teacher(run: Run, training_task: TrainingTask) -> TeacherAnswers | None:
    """As a student's run has it."""
    answers = run.read_teacher_answers()
    return (
        None if answers is None else TeacherAnswers(answers, training_task.recipe.export.max_teacher_drop, TEACHER_KEY)
    )


def _convert(run: Run, folder: Path) -> Graphs:
    """Returns with the checkpoint freed."""
    graphs = write_graphs(load_checkpoint(run.checkpoint, attn_implementation="eager"), folder)
    gc.collect()
    return_freed_memory()
    return graphs


def _sample_rows(rows: Rows, most: int) -> Rows:
    """Drawn by SEED, in their order."""
    if len(rows) <= most:
        return rows
    return rows.take(sorted(np.random.default_rng(SEED).choice(len(rows), most, replace=False).tolist()))


def generates(run: Run) -> bool:
    return create_training_task(load_recipe(run.recipe)).head in ("causal", "seq2seq")
