"""What every variant of a run is made from and held against: its checkpoint, its fp32 graphs, its test rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from export.bundle.manifest import TOKENIZER, draft_manifest, entries_of
from export.graphs.convert import Graphs, write_graphs
from export.graphs.encoder import OPSET
from export.proof.judge import Judgement, judge
from export.proof.parity import Parity
from export.proof.prove import prove
from export.proof.reference import reference_of
from export.proof.reference_answers import ReferenceAnswers, compute_reference_answers
from export.variants.calibration import ROWS, SEED, VALIDATION_ROWS, Calibration, Feeds
from export.variants.variant import Variant
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import GraphSpec, Manifest
from serving.errors import InputError
from serving.inference.predictor import Predictor
from trainer.data.rows import Rows
from trainer.model.checkpoint import Checkpoint, load_checkpoint
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.setup.splits import Splits, fingerprint, load_splits
from trainer.tasks import create_training_task


@dataclass(frozen=True)
class BuiltVariant:
    """One variant in a folder of its own: its graphs, the tokenizer, what the manifest will say of it, how it came."""

    variant: Variant
    folder: Path
    manifest: Manifest
    facts: dict[str, Any]

    @property
    def bundle(self) -> Bundle:
        """The folder as a bundle that is not sealed yet."""
        return Bundle(self.folder, self.manifest)

    @property
    def size(self) -> int:
        """Bytes of the graphs."""
        graph = self.manifest.graph
        return sum((self.folder / name).stat().st_size for name in (graph.file, graph.decoder) if name)


@dataclass(frozen=True)
class Workspace:
    """Open it as a context: the fp32 graphs are in a folder that is gone afterwards.

    Attributes:
        checkpoint: loaded for conversion; the reference has loaded its own.
        graphs: the fp32 graphs, which lie in ``source``.
        expected: the reference's answers, which every variant is held against.
        threads: CPU threads of a predictor.
    """

    run: Run
    checkpoint: Checkpoint
    graphs: Graphs
    source: Path
    expected: ReferenceAnswers
    threads: int

    @property
    def evaluation(self) -> Rows:
        """The test rows."""
        return self.expected.evaluation

    @classmethod
    @contextmanager
    def open(cls, run: Run, threads: int) -> Iterator[Workspace]:
        """Load the checkpoint, convert it, load it again as the reference and ask that one every test row."""
        checkpoint = load_checkpoint(run.checkpoint, attn_implementation="eager")
        with tempfile.TemporaryDirectory() as folder:
            graphs = write_graphs(checkpoint, Path(folder))
            reference, training_task = reference_of(run.checkpoint), create_training_task(load_recipe(run.recipe))
            expected = compute_reference_answers(reference, training_task, run.read_evaluation())
            yield cls(run, checkpoint, graphs, Path(folder), expected, threads)

    @cached_property
    def splits(self) -> Splits:
        """The run's training and validation rows; raises InputError where they cannot be read, or have changed."""
        splits = load_splits(self.expected.training_task)
        found = fingerprint(self.expected.training_task.data, splits)["splits"]
        recorded = self.run.read_record()["data"]["splits"]
        for name in ("train", "validation"):
            if found[name]["sha256"] != recorded[name]["sha256"]:
                raise InputError(f"the {name} rows are not those that the run was trained with; train it again")
        return splits

    @cached_property
    def validation(self) -> ReferenceAnswers:
        """The reference's answers to validation rows, by which a variant may be chosen."""
        rows = _drawn(self.splits.validation, VALIDATION_ROWS)
        return compute_reference_answers(self.expected.reference, self.expected.training_task, rows)

    def build(self, variant: Variant, folder: Path) -> BuiltVariant:
        """Write the variant into an empty folder; raises InputError where it cannot be made of this model."""
        self._write_tokenizer(folder / TOKENIZER)
        calibration = Calibration(self._feeds, lambda: self.judge(self._made(variant, folder, {})))
        facts: dict[str, Any] = {}
        for name in self.graphs.files:
            facts |= variant.build(self.source / name, folder / name, calibration)
        return self._made(variant, folder, facts)

    def _feeds(self) -> Feeds:
        """Training rows as the graph takes them, each alone."""
        training_task, task = self.expected.training_task, self.expected.reference.task
        items = [
            item for inputs in _drawn(self.splits.train, ROWS).inputs for item in training_task.items(task, inputs)
        ]
        encoded = self.expected.reference.encode(items)
        windows = [window for each in encoded for window in each.windows]
        columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        return [
            {name: np.asarray([getattr(window, columns[name])], dtype=np.int64) for name in self.graphs.inputs}
            for window in windows
        ]

    def _made(self, variant: Variant, folder: Path, facts: dict[str, Any]) -> BuiltVariant:
        graph = GraphSpec(
            file=self.graphs.file,
            decoder=self.graphs.decoder,
            variant=variant.name,
            opset=OPSET,
            inputs=self.graphs.inputs,
            output="logits",
            row_independent=variant.row_independent,
            depends_on=list(variant.depends_on),
        )
        return BuiltVariant(
            variant, folder, draft_manifest(self.run, self.checkpoint, graph, entries_of(folder)), facts
        )

    def predictor(self, made: BuiltVariant, threads: int | None = None) -> Predictor:
        """What will serve the variant."""
        return Predictor(made.bundle, threads=threads or self.threads)

    def judge(self, made: BuiltVariant) -> Judgement:
        """Hold the variant's answers against the checkpoint's on validation rows; raises InputError without those."""
        return judge(self.validation, self.predictor(made))

    def prove(self, made: BuiltVariant, predictor: Predictor) -> Parity:
        """Hold the variant against the checkpoint on the test rows."""
        return prove(self.expected, predictor, made.variant)

    def _write_tokenizer(self, path: Path) -> None:
        """The checkpoint's tokenizer, neither padding nor truncating: the manifest says how long a text may be."""
        tokenizer = Tokenizer.from_file(str(self.run.checkpoint / TOKENIZER))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.save(str(path), pretty=False)


def _drawn(rows: Rows, most: int) -> Rows:
    """Some of the rows, drawn by seed, in their order."""
    if len(rows) <= most:
        return rows
    drawn = np.random.default_rng(SEED).choice(len(rows), most, replace=False)
    return rows.take(sorted(int(at) for at in drawn))


def generates(run: Run) -> bool:
    """Whether the run's model generates texts."""
    return create_training_task(load_recipe(run.recipe)).head in ("causal", "seq2seq")
