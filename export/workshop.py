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

from export.graph import OPSET
from export.graphs import Graphs, write_graphs
from export.manifest import TOKENIZER, draft_manifest, entries_of
from export.proof.expected import Expected, expect
from export.proof.judge import Judgement, judge
from export.proof.parity import Parity
from export.proof.prove import prove
from export.proof.reference import reference_of
from export.variants.calibration import ROWS, SEED, VALIDATION_ROWS, Calibration, Feeds
from export.variants.variant import Variant
from serving.bundle import Bundle, GraphSpec, Manifest
from serving.errors import InputError
from serving.predictor import Predictor
from trainer.data import Splits, fingerprint, load_splits
from trainer.model import Checkpoint, load_checkpoint
from trainer.recipe import load_recipe
from trainer.rows import Rows
from trainer.run import Run
from trainer.tasks import learning_of


@dataclass(frozen=True)
class Made:
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
class Workshop:
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
    expected: Expected
    threads: int

    @property
    def evaluation(self) -> Rows:
        """The test rows."""
        return self.expected.evaluation

    @classmethod
    @contextmanager
    def open(cls, run: Run, threads: int) -> Iterator[Workshop]:
        """Load the checkpoint, convert it, load it again as the reference and ask that one every test row."""
        checkpoint = load_checkpoint(run.checkpoint, attn_implementation="eager")
        with tempfile.TemporaryDirectory() as folder:
            graphs = write_graphs(checkpoint, Path(folder))
            reference, learning = reference_of(run.checkpoint), learning_of(load_recipe(run.recipe))
            expected = expect(reference, learning, run.read_evaluation())
            yield cls(run, checkpoint, graphs, Path(folder), expected, threads)

    @cached_property
    def splits(self) -> Splits:
        """The run's training and validation rows; raises InputError where they cannot be read, or have changed."""
        splits = load_splits(self.expected.learning)
        found = fingerprint(self.expected.learning.data, splits)["splits"]
        recorded = self.run.read_record()["data"]["splits"]
        for name in ("train", "validation"):
            if found[name]["sha256"] != recorded[name]["sha256"]:
                raise InputError(f"the {name} rows are not those that the run was trained with; train it again")
        return splits

    @cached_property
    def validation(self) -> Expected:
        """The reference's answers to validation rows, by which a variant may be chosen."""
        rows = _drawn(self.splits.validation, VALIDATION_ROWS)
        return expect(self.expected.reference, self.expected.learning, rows)

    def make(self, variant: Variant, folder: Path) -> Made:
        """Write the variant into an empty folder; raises InputError where it cannot be made of this model."""
        self._write_tokenizer(folder / TOKENIZER)
        calibration = Calibration(self._feeds, lambda: self.judge(self._made(variant, folder, {})))
        facts: dict[str, Any] = {}
        for name in self.graphs.files:
            facts |= variant.make(self.source / name, folder / name, calibration)
        return self._made(variant, folder, facts)

    def _feeds(self) -> Feeds:
        """Training rows as the graph takes them, each alone."""
        learning, task = self.expected.learning, self.expected.reference.task
        items = [item for inputs in _drawn(self.splits.train, ROWS).inputs for item in learning.items(task, inputs)]
        encoded = self.expected.reference.encode(items)
        windows = [window for each in encoded for window in each.windows]
        columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        return [
            {name: np.asarray([getattr(window, columns[name])], dtype=np.int64) for name in self.graphs.inputs}
            for window in windows
        ]

    def _made(self, variant: Variant, folder: Path, facts: dict[str, Any]) -> Made:
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
        return Made(variant, folder, draft_manifest(self.run, self.checkpoint, graph, entries_of(folder)), facts)

    def predictor(self, made: Made, threads: int | None = None) -> Predictor:
        """What will serve the variant."""
        return Predictor(made.bundle, threads=threads or self.threads)

    def judge(self, made: Made) -> Judgement:
        """Hold the variant's answers against the checkpoint's on validation rows; raises InputError without those."""
        return judge(self.validation, self.predictor(made))

    def prove(self, made: Made, predictor: Predictor) -> Parity:
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
    return learning_of(load_recipe(run.recipe)).head in ("causal", "seq2seq")
