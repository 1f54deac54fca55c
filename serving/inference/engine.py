"""Windows to results. This engine runs batches of similar length through one graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding

from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import TokenizerSpec
from serving.inference.session import open_session
from serving.tasks.base import Logits, Task, content_slice

Inputs = dict[str, npt.NDArray[np.int64]]


class WindowEngine:
    """Results are the logits themselves."""

    def __init__(self, bundle: Bundle, task: Task, threads: int) -> None:
        """Load the graph; raises BundleError if it contradicts the manifest."""
        self.manifest = bundle.manifest
        self.shape = BatchShape() if bundle.manifest.graph.row_independent else BatchShape(rows=1)
        self._session = open_session(bundle, task.logits_per_window, threads)

    def window(self, encoding: Encoding, parameters: Any) -> Encoding:
        return encoding

    def logits(self, windows: Sequence[Encoding], results: Sequence[Logits]) -> list[Logits]:
        return list(results)

    def run(self, windows: Sequence[Encoding]) -> list[Logits]:
        """Logits without padding. Windows run alone unless the variant is row-independent."""
        results: list[Logits] = [np.empty(0, dtype=np.float32)] * len(windows)
        for rows in self.shape.batches([len(window.ids) for window in windows]):
            batch = [windows[row] for row in rows]
            for row, logits in zip(rows, self._run(batch), strict=True):
                results[row] = logits
        return results

    def run_batch(self, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        """One batch if the variant is row-independent."""
        if not self.manifest.graph.row_independent:
            return self.run(windows)
        return list(self._run(windows, length))

    def _run(self, windows: Sequence[Encoding], length: int = 0) -> Iterator[Logits]:
        output = self._session.run([self.manifest.graph.output], self.pad(windows, length))[0]
        if output.ndim < 3:
            return iter(output)
        padded, side = output.shape[1], self.manifest.tokenizer.padding_side
        return (row[content_slice(len(window.ids), padded, side)] for window, row in zip(windows, output, strict=True))

    def interrupt(self) -> None:
        """Make the calls under way fail."""
        self._session.interrupt()

    def pad(self, windows: Sequence[Encoding], length: int = 0) -> Inputs:
        """The graph's inputs [rows, tokens], of at least ``length`` tokens."""
        spec, longest = self.manifest.tokenizer, max(length, *(len(window.ids) for window in windows))
        columns = {
            "input_ids": ([window.ids for window in windows], spec.pad_token_id),
            "attention_mask": ([window.attention_mask for window in windows], 0),
            "token_type_ids": ([window.type_ids for window in windows], spec.pad_token_type_id),
        }
        return {name: _pad_rows(*columns[name], longest, spec) for name in self.manifest.graph.inputs}


def _pad_rows(rows: Sequence[list[int]], filler: int, longest: int, spec: TokenizerSpec) -> npt.NDArray[np.int64]:
    # Padding lists is faster than padding arrays.
    fillers = [[filler] * (longest - len(row)) for row in rows]
    if spec.padding_side == "right":
        return np.array([row + more for row, more in zip(rows, fillers, strict=True)], dtype=np.int64)
    return np.array([more + row for row, more in zip(rows, fillers, strict=True)], dtype=np.int64)
