"""The engines that answer windows: one pass of a graph each, in batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding

from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import TokenizerSpec
from serving.inference.session import open_session
from serving.tasks.base import Logits, Task, Window

Inputs = dict[str, npt.NDArray[np.int64]]


class Engine(Protocol):
    """What turns windows into results. It may be run on several threads at once.

    Attributes:
        shape: what one call of its graph takes.
    """

    shape: BatchShape

    def window(self, encoding: Encoding, parameters: Any) -> Window:
        """What stands for an encoding under a caller's parameters."""

    def run(self, windows: Sequence[Any]) -> list[Any]:
        """The result of each window, in the order given, however many they are and however long."""

    def together(self, windows: Sequence[Any], length: int = 0) -> list[Any]:
        """The results of windows that share a batch: those that the batcher chose, or that the proof puts together."""

    def logits(self, windows: Sequence[Any], results: Sequence[Any]) -> list[Logits]:
        """The logits behind each result: what the proof and the golden answers compare."""


class WindowEngine:
    """One pass of one graph a window; the results are the logits themselves."""

    def __init__(self, bundle: Bundle, task: Task, threads: int) -> None:
        """Load the graph; raises BundleError if it is not the one the manifest tells of."""
        self.manifest = bundle.manifest
        self.shape = BatchShape() if bundle.manifest.graph.row_independent else BatchShape(rows=1)
        self._session = open_session(bundle, task.logits_per_window, threads)

    def window(self, encoding: Encoding, parameters: Any) -> Encoding:
        """The encoding itself."""
        return encoding

    def logits(self, windows: Sequence[Encoding], results: Sequence[Logits]) -> list[Logits]:
        """The results themselves."""
        return list(results)

    def run(self, windows: Sequence[Encoding]) -> list[Logits]:
        """The graph's logits of each window, in the order given, without those of padding.

        Windows of like length share a batch. Where the variant is not row-independent, every window is run alone and
        unpadded, so that nobody's answer depends on somebody else's text.
        """
        results: list[Logits] = [np.empty(0, dtype=np.float32)] * len(windows)
        for rows in self.shape.batches([len(window.ids) for window in windows]):
            batch = [windows[row] for row in rows]
            for row, logits in zip(rows, self._run(batch), strict=True):
                results[row] = logits
        return results

    def together(self, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        """The logits of windows in one batch, padded to ``length`` tokens at least; row by row where `run` does so."""
        if not self.manifest.graph.row_independent:
            return self.run(windows)
        return list(self._run(windows, length))

    def _run(self, windows: Sequence[Encoding], length: int = 0) -> Iterator[Logits]:
        output = self._session.run([self.manifest.graph.output], self.pad(windows, length))[0]
        if output.ndim < 3:
            return iter(output)
        longest, side = output.shape[1], self.manifest.tokenizer.padding_side
        return (row[_place(len(window.ids), longest, side)] for window, row in zip(windows, output, strict=True))

    def pad(self, windows: Sequence[Encoding], length: int = 0) -> Inputs:
        """The graph's inputs for a batch of windows, each padded to the longest or, if it is more, ``length``."""
        spec, longest = self.manifest.tokenizer, max(length, *(len(window.ids) for window in windows))
        columns = {
            "input_ids": ([window.ids for window in windows], spec.pad_token_id),
            "attention_mask": ([window.attention_mask for window in windows], 0),
            "token_type_ids": ([window.type_ids for window in windows], spec.pad_token_type_id),
        }
        return {name: _rectangle(*columns[name], longest, spec) for name in self.manifest.graph.inputs}


def _place(length: int, longest: int, side: str) -> slice:
    return slice(length) if side == "right" else slice(longest - length, None)


def _rectangle(rows: Sequence[list[int]], filler: int, longest: int, spec: TokenizerSpec) -> npt.NDArray[np.int64]:
    """Rows of numbers as a matrix; lists are padded first, as an array for each of them would take longer."""
    fillers = [[filler] * (longest - len(row)) for row in rows]
    if spec.padding_side == "right":
        return np.array([row + more for row, more in zip(rows, fillers, strict=True)], dtype=np.int64)
    return np.array([more + row for row, more in zip(rows, fillers, strict=True)], dtype=np.int64)
