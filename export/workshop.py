"""What every variant of a run is made from and held against: its checkpoint, its fp32 graphs, its test rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from export.graph import OPSET
from export.graphs import Graphs, write_graphs
from export.manifest import TOKENIZER, draft_manifest, entries_of
from export.proof.expected import Expected, expect
from export.proof.parity import Parity
from export.proof.prove import prove
from export.proof.reference import reference_of
from export.quantize import Variant
from serving.bundle import Bundle, GraphSpec, Manifest
from serving.predictor import Predictor
from trainer.model import Checkpoint, load_checkpoint
from trainer.recipe import load_recipe
from trainer.rows import Rows
from trainer.run import Run
from trainer.tasks import learning_of


@dataclass(frozen=True)
class Made:
    """One variant in a folder of its own: its graphs, the tokenizer, and what the manifest will say of it."""

    variant: Variant
    folder: Path
    manifest: Manifest

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

    def make(self, variant: Variant, folder: Path) -> Made:
        """Write the variant into an empty folder."""
        for name in self.graphs.files:
            variant.make(self.source / name, folder / name)
        self._write_tokenizer(folder / TOKENIZER)
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
        return Made(variant, folder, draft_manifest(self.run, self.checkpoint, graph, entries_of(folder)))

    def predictor(self, made: Made) -> Predictor:
        """What will serve the variant."""
        return Predictor(made.bundle, threads=self.threads)

    def prove(self, made: Made, predictor: Predictor) -> Parity:
        """Hold the variant against the checkpoint on the test rows."""
        return prove(self.expected, predictor, made.variant)

    def _write_tokenizer(self, path: Path) -> None:
        """The checkpoint's tokenizer, neither padding nor truncating: the manifest says how long a text may be."""
        tokenizer = Tokenizer.from_file(str(self.run.checkpoint / TOKENIZER))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.save(str(path), pretty=False)
