"""A peer: BentoML with onnxruntime and tokenizers, as in BentoML's guides. BENCH_MODEL names the model's folder.

It has no access log, and imports onnxruntime as this project does, to use AMX on one CPU.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from tokenizers import Tokenizer

from serving.inference.session import onnxruntime


@bentoml.service(name="bentoml-onnxruntime", workers=1, logging={"access": {"enabled": False}})
class Classifier:
    def __init__(self) -> None:
        folder = Path(os.environ["BENCH_MODEL"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        self.inputs = [node.name for node in self.session.get_inputs()]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        self.labels = facts["labels"]
        self.tokenizer.enable_truncation(facts["max_length"])
        self.tokenizer.enable_padding(pad_id=facts["pad_token_id"])

    @bentoml.api(batchable=True, max_batch_size=32)  # type: ignore[untyped-decorator]
    def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        encoded = self.tokenizer.encode_batch(texts)
        columns = {
            "input_ids": [each.ids for each in encoded],
            "attention_mask": [each.attention_mask for each in encoded],
            "token_type_ids": [each.type_ids for each in encoded],
        }
        logits = self.session.run(None, {name: np.array(columns[name], dtype=np.int64) for name in self.inputs})[0]
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores, best = (odds / odds.sum(axis=-1, keepdims=True)).max(axis=-1), logits.argmax(axis=-1)
        pairs = zip(best.tolist(), scores.tolist(), strict=True)
        return [{"label": self.labels[index], "score": score} for index, score in pairs]
