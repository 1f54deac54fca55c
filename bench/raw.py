"""The raw runtime, the ceiling of a server: tokenise, run length-sorted batches of the graph, in a bare loop.

Run as ``python -m bench.raw BUNDLE QUERIES SECONDS IN_HAND``: QUERIES is a JSON file of texts, of which IN_HAND at a
time are tokenised, sorted by length and run in batches by the rule of the server's engine, with the server's session.
It prints one line of JSON: ``answered`` and ``seconds``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.inference.session import open_session


class Raw:
    """A tokenizer, a session, and nothing between them."""

    def __init__(self, bundle: Bundle) -> None:
        spec = bundle.manifest.tokenizer
        self._graph = bundle.manifest.graph
        self.shape = BatchShape() if self._graph.row_independent else BatchShape(rows=1)
        self._session = open_session(bundle, len(bundle.manifest.labels), threads=1)
        self._tokenizer = Tokenizer.from_buffer(bundle.read(spec.file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(spec.max_length)
        self._pad = spec.pad_token_id

    def best(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """The index of each text's best logit, ``[texts]``."""
        rows = self.encode(texts)
        best = np.zeros(len(rows), dtype=np.int64)
        for batch in self.shape.batches([len(row) for row in rows]):
            best[batch] = self.together([rows[at] for at in batch])
        return best

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, truncated, not padded."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]

    def together(self, rows: Sequence[list[int]]) -> npt.NDArray[np.int64]:
        """The index of each row's best logit, all in one batch padded to the longest."""
        best: npt.NDArray[np.int64] = self._run(rows).argmax(axis=-1)
        return best

    def _run(self, rows: Sequence[list[int]]) -> Any:
        ids = np.full((len(rows), max(map(len, rows))), self._pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
            mask[at, : len(row)] = 1
        columns = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return self._session.run([self._graph.output], {name: columns[name] for name in self._graph.inputs})[0]


def measure(raw: Raw, texts: Sequence[str], seconds: float, in_hand: int) -> dict[str, Any]:
    """Go round the texts for some seconds."""
    answered, first, start = 0, 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        answered += len(raw.best(texts[first : first + in_hand]))
        first = first + in_hand if first + 2 * in_hand <= len(texts) else 0
    return {"answered": answered, "seconds": spent}


if __name__ == "__main__":
    path, queries, seconds, in_hand = sys.argv[1:]
    opened = Raw(Bundle.open(Path(path)))
    asked = json.loads(Path(queries).read_text(encoding="utf-8"))
    opened.best(asked[:256])
    print(json.dumps(measure(opened, asked, float(seconds), int(in_hand))))
