"""Texts of wanted lengths, a bundle that reads them, and the server with fixed batches that is compared."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from bench.lengths import LONGEST, SHORTEST, mixed
from bench.longer import longer
from bench.peers.fixed_batches import FixedBatches, create_app
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor


def test_lengths_are_spread_and_shuffled(tiny_bundle: Path) -> None:
    """From the shortest to the longest, special tokens included, in an order that depends on the seed alone."""
    predictor = Predictor(Bundle.open(tiny_bundle))
    texts = mixed(predictor.tokenizer, ["where is my parcel?", "cancel it"], 40, seed=0)
    lengths = [len(encoding.ids) for encoding in predictor.tokenizer.encode_batch(texts)]
    assert (min(lengths), max(lengths)) == (SHORTEST, LONGEST)
    assert lengths != sorted(lengths)
    assert len(set(lengths)) == 40
    assert texts == mixed(predictor.tokenizer, ["where is my parcel?", "cancel it"], 40, seed=0)


def test_a_longer_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    """It is a bundle like any other, and differs in the limit alone; made again, it takes the old one's place."""
    for _ in range(2):
        made = longer(tiny_bundle, 40, tmp_path / "longer")
    before, after = Bundle.open(tiny_bundle).manifest, Bundle.open(made).manifest
    assert after.tokenizer.max_length == 40
    assert after.files == before.files


def test_fixed_batches_answer_as_the_predictor(tiny_bundle: Path) -> None:
    """Over HTTP, the label of each text is the predictor's own."""
    best = Predictor.open(tiny_bundle).predict(["where is it?"])[0][0]["label"]
    with TestClient(create_app(Bundle.open(tiny_bundle))) as client:
        assert client.get("/readyz").status_code == 200
        assert client.post("/", json={"inputs": "where is it?"}).json() == [{"label": best}]


def test_fixed_batches_are_of_32_at_most() -> None:
    """What waits is taken 32 at a time, in the order in which it came, and each caller gets its own answer."""
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
