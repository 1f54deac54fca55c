"""A peer: LitServe with transformers and torch, and batches. BENCH_CHECKPOINT names the model's folder."""

from __future__ import annotations

import os
import sys
from typing import Any

import litserve  # type: ignore[import-not-found]
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class Classifier(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        torch.set_num_threads(1)
        folder = os.environ["BENCH_CHECKPOINT"]
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()

    def decode_request(self, request: dict[str, str]) -> str:
        return request["inputs"]

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        encoded = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            scores, best = self.model(**encoded).logits.softmax(dim=-1).max(dim=-1)
        labels = self.model.config.id2label
        pairs = zip(best.tolist(), scores.tolist(), strict=True)
        return [{"label": labels[index], "score": score} for index, score in pairs]

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output


if __name__ == "__main__":
    api = Classifier(max_batch_size=32, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
