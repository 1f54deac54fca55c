"""Texts of given lengths, a bundle that reads them, and the peer with fixed batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from bench.lengths import LONGEST, SHORTEST, lengthen_bundle, mix_lengths
from bench.peers.fixed_batches import FixedBatches, create_app
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor


def test_lengths_are_spread_and_shuffled(tiny_bundle: Path) -> None:
    """Lengths go from SHORTEST to LONGEST, special tokens included; the order depends on the seed alone."""
    predictor = Predictor(Bundle.open(tiny_bundle))
    texts = mix_lengths(predictor.tokenizer, ["where is my parcel?", "cancel it"], 40, seed=0)
    lengths = [len(encoding.ids) for encoding in predictor.tokenizer.encode_batch(texts)]
    assert (min(lengths), max(lengths)) == (SHORTEST, LONGEST)
    assert lengths != sorted(lengths)
    assert len(set(lengths)) == 40
    assert texts == mix_lengths(predictor.tokenizer, ["where is my parcel?", "cancel it"], 40, seed=0)


def test_a_lengthened_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    """It is a valid bundle that differs in the limit alone; it may be made twice."""
    for _ in range(2):
        made = lengthen_bundle(tiny_bundle, 40, tmp_path / "longer")
    before, after = Bundle.open(tiny_bundle).manifest, Bundle.open(made).manifest
    assert after.tokenizer.max_length == 40
    assert after.files == before.files


def test_fixed_batches_answer_as_the_predictor(tiny_bundle: Path) -> None:
    """Over HTTP, each text gets the predictor's label."""
    best = Predictor.open(tiny_bundle).predict(["where is it?"])[0][0]["label"]
    with TestClient(create_app(Bundle.open(tiny_bundle))) as client:
        assert client.get("/readyz").status_code == 200
        assert client.post("/", json={"inputs": "where is it?"}).json() == [{"label": best}]


def test_fixed_batches_have_32_texts_at_most() -> None:
    """Waiting texts are run 32 at a time in the order of arrival, and each caller gets its own answer."""
    sizes = []

    class Lengths:
        def encode(self, texts: Sequence[str]) -> list[list[int]]:
            return [[len(text)] for text in texts]

        def together(self, rows: Sequence[list[int]]) -> np.ndarray:
            sizes.append(len(rows))
            return np.array([row[0] for row in rows])

    async def ask() -> list[int]:
        batches = FixedBatches(Lengths())  # type: ignore[arg-type]
        task = asyncio.create_task(batches.work())
        answers = await asyncio.gather(*(batches.best("x" * number) for number in range(70)))
        task.cancel()
        return list(answers)

    assert asyncio.run(ask()) == list(range(70))
    assert sizes == [32, 32, 6]
