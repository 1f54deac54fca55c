"""The predictor: texts in, answers out. What the proof measures, the server, Lambda and batch all call this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from serving.bundle import Bundle, GoldenRow, TokenizerSpec
from serving.errors import BundleError
from serving.session import open_session
from serving.tasks import task_of
from serving.tasks.text_classification import DEFAULT_PARAMETERS, LabelScore, Logits, Parameters

TOKENS_PER_BATCH = 512
"""Padded tokens in one call of the graph: enough to keep the matrix products busy, little enough to stay in cache."""

LONGEST_TO_SHORTEST = 1.25
"""How much longer than its shortest row a batch's longest may be. Measured with MiniLM fp32 on one core, 32 random
banking77 queries at a time: 460 queries a second with these two bounds, 200 without (python -m bench batching)."""

Inputs = dict[str, npt.NDArray[np.int64]]


class Predictor:
    """A loaded bundle. It is used from one thread at a time and holds no state between calls."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        """Load tokenizer and graph.

        Args:
            bundle: an opened, and so checked, bundle.
            threads: CPU threads the graph may use.

        Raises:
            BundleError: the tokenizer or the graph cannot be loaded, or the graph is not the one the manifest tells of.
        """
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.task = task_of(bundle.manifest)
        self.tokenizer = _load_tokenizer(bundle)
        self._session = open_session(bundle, threads)

    @classmethod
    def open(cls, root: Path, *, threads: int = 1) -> Predictor:
        """Open a bundle, load it, and replay its golden answers on this machine; raises BundleError."""
        predictor = cls(Bundle.open(root), threads=threads)
        predictor.replay_golden()
        return predictor

    def predict(self, texts: Sequence[str], parameters: Parameters = DEFAULT_PARAMETERS) -> list[list[LabelScore]]:
        """Answers in the order of the texts; raises InputError for a text that cannot be answered."""
        checked = [self.task.check(text, f"inputs[{index}]") for index, text in enumerate(texts)]
        return [self.task.decode(row, parameters) for row in self.logits(self.encode(checked))]

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Token ids of checked texts, truncated to the bundle's ``max_length``, not padded."""
        return self.task.encode(self.tokenizer, texts)

    def logits(self, encodings: Sequence[Encoding]) -> Logits:
        """The graph's logits, shape [rows, labels], in the order given.

        Rows of like length share a batch. Where the variant is not row-independent, every row is run alone and
        unpadded, so that nobody's answer depends on somebody else's text.
        """
        result = np.empty((len(encodings), len(self.manifest.labels)), dtype=np.float32)
        for rows in self._batches([len(encoding.ids) for encoding in encodings]):
            result[rows] = self._run(self._pad([encodings[row] for row in rows]))
        return result

    def replay_golden(self) -> float:
        """Answer the golden rows on this machine and compare.

        Returns:
            The largest absolute difference of a logit.

        Raises:
            BundleError: token ids or the label differ, or a logit is further off than the bundle's tolerance.
        """
        rows = self.bundle.golden
        encodings = self.encode([row.inputs for row in rows])
        logits = self.logits(encodings)
        return max(
            self._compare_golden(*each) for each in zip(range(1, len(rows) + 1), rows, encodings, logits, strict=True)
        )

    def _compare_golden(self, number: int, golden: GoldenRow, encoding: Encoding, logits: Logits) -> float:
        where = f"{self.manifest.golden.file}, row {number} ({golden.inputs[:40]!r})"
        if encoding.ids != golden.input_ids:
            raise BundleError(f"{where}: this machine's token ids differ from the recorded ones. Do not serve it here.")
        difference = float(np.abs(logits - np.asarray(golden.logits, dtype=np.float32)).max())
        label, recorded = self.task.decode(logits)[0]["label"], golden.outputs[0].get("label")
        if label != recorded or not difference <= self.manifest.golden.tolerance:
            raise BundleError(
                f"{where}: this machine answers {label!r} with a logit {difference:.2g} off the recorded answer "
                f"{recorded!r} (accepted: {self.manifest.golden.tolerance:.2g}). "
                "Export and prove the bundle on a machine of this kind."
            )
        return difference

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        if not self.manifest.graph.row_independent:
            yield from ([row] for row in range(len(lengths)))
            return
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):
            if batch and not _fits(lengths[row], len(batch), lengths[batch[0]]):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _pad(self, encodings: Sequence[Encoding]) -> Inputs:
        spec = self.manifest.tokenizer
        columns = {
            "input_ids": ([encoding.ids for encoding in encodings], spec.pad_token_id),
            "attention_mask": ([encoding.attention_mask for encoding in encodings], 0),
            "token_type_ids": ([encoding.type_ids for encoding in encodings], spec.pad_token_type_id),
        }
        return {name: _rectangle(*columns[name], spec) for name in self.manifest.graph.inputs}

    def _run(self, inputs: Inputs) -> Logits:
        logits: Logits = self._session.run([self.manifest.graph.output], inputs)[0]
        return logits


def _fits(length: int, rows: int, shortest: int) -> bool:
    """Whether a row, the longest so far, may join a batch."""
    return (rows + 1) * length <= TOKENS_PER_BATCH and length <= LONGEST_TO_SHORTEST * shortest


def _rectangle(rows: Sequence[list[int]], filler: int, spec: TokenizerSpec) -> npt.NDArray[np.int64]:
    longest = max(map(len, rows))
    result = np.full((len(rows), longest), filler, dtype=np.int64)
    for target, row in zip(result, rows, strict=True):
        place = slice(len(row)) if spec.padding_side == "right" else slice(longest - len(row), None)
        target[place] = row
    return result


def _load_tokenizer(bundle: Bundle) -> Tokenizer:
    spec = bundle.manifest.tokenizer
    try:
        tokenizer = Tokenizer.from_buffer(bundle.read(spec.file))
    except ValueError as error:
        raise BundleError(f"{spec.file} is not a tokenizer that this version can read: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(spec.max_length)
    return tokenizer
