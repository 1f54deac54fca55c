"""onnxruntime without a server: tokenise and run batches sorted by length, with the server's session and batch rule.

Run as ``python -m bench.bare_runtime BUNDLE QUERIES SECONDS TEXTS_AT_ONCE``; QUERIES is a JSON file of texts.
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


class BareRuntime:
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
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]

    def together(self, rows: Sequence[list[int]]) -> npt.NDArray[np.int64]:
        """The same of token ids, in one padded batch."""
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


def measure(runtime: BareRuntime, texts: Sequence[str], seconds: float, texts_at_once: int) -> dict[str, Any]:
    answered, first, start = 0, 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        answered += len(runtime.best(texts[first : first + texts_at_once]))
        first = first + texts_at_once if first + 2 * texts_at_once <= len(texts) else 0
    return {"answered": answered, "seconds": spent}


if __name__ == "__main__":
    path, queries, seconds, texts_at_once = sys.argv[1:]
    runtime = BareRuntime(Bundle.open(Path(path)))
    texts = json.loads(Path(queries).read_text(encoding="utf-8"))
    runtime.best(texts[:256])
    print(json.dumps(measure(runtime, texts, float(seconds), int(texts_at_once))))
