"""Pairs without scores from the recipe to the server: what the proof says of recall is what a client measures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from serving.bundle.bundle import Bundle
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from tests.bundles import trained_bundle
from trainer.data.rows import Rows, normalize
from trainer.run.run import Run


@pytest.fixture
def client_of() -> Iterator[Callable[[Path], TestClient]]:
    """Gives a client of a bundle's app, its lifespan run."""
    with ExitStack() as stack:
        yield lambda bundle: stack.enter_context(TestClient(create_app(lambda: Predictor.open(bundle))))


def recall_at_1(rows: Rows, embed: Callable[[list[str]], list[list[float]]]) -> float:
    """As a client would measure it, from vectors of length 1; no question of the toy has two answers."""
    documents = list(dict.fromkeys(normalize(text) for each in rows.inputs for text in [*each.values()][1:]))
    questions, found = (np.array(embed(texts)) for texts in ([each["text"] for each in rows.inputs], documents))
    best = (questions @ found.T).argmax(axis=1)
    return float(np.mean([documents[at] == normalize(text) for at, text in zip(best, rows.targets, strict=True)]))


@pytest.mark.slow
def test_vectors_are_proven_by_what_they_find(
    tiny_backbone: Path, tmp_path: Path, client_of: Callable[[Path], TestClient]
) -> None:
    """int8 and each trained size: recall@1 of the checkpoint and of the variant, with a bound of the drop."""
    head = {"matryoshka_dims": [16, 8], "symmetric": True}
    folder = trained_bundle("pairs without scores", tiny_backbone, tmp_path, model_head=head, variant="int8")
    run, bundle = Run.open(tmp_path / "run"), Bundle.open(folder)
    record, rows, parity = run.read_record(), run.read_evaluation(), json.loads((folder / "parity.json").read_text())
    figures, client = record["metrics"]["test"], client_of(folder)

    assert figures["recall_at_1"] > 0.5
    assert figures["recall_at_1_interval_95"][0] < figures["recall_at_1"] < figures["recall_at_1_interval_95"][1]
    assert bundle.manifest.verdict.metric == "recall_at_1"
    assert bundle.manifest.verdict.reference_score == pytest.approx(figures["recall_at_1"])
    assert [each["expected"] != each["answered"] for each in record["errors"]["worst"]].count(False) == 0

    def embed(texts: list[str], **options: Any) -> list[list[float]]:
        response = client.post("/v1/embeddings", json={"input": texts, **options})
        return [each["embedding"] for each in response.json()["data"]]

    assert recall_at_1(rows, embed) == pytest.approx(parity["change"]["served"])
    for size in (16, 8):
        change = parity["cut"][f"{size} dimensions"]
        assert change["reference"] == pytest.approx(figures["cut"][f"{size} dimensions"]["recall_at_1"])
        assert recall_at_1(rows, lambda texts, size=size: embed(texts, dimensions=size)) == pytest.approx(  # type: ignore[misc]
            change["served"]
        )
    gates = [each["name"] for each in parity["gates"]]
    assert any("recall@1 of 8 dimensions" in name for name in gates)
    refused = client.post("/v1/embeddings", json={"input": "a", "dimensions": 12})
    assert (refused.status_code, "trained for 8, 16, 32" in refused.text) == (422, True)


@pytest.mark.slow
def test_a_cross_encoder_is_proven_by_its_ranks(
    tiny_backbone: Path, tmp_path: Path, client_of: Callable[[Path], TestClient]
) -> None:
    """Its bundle reranks: the right answer is where the served scores put it."""
    folder = trained_bundle("ranked pairs", tiny_backbone, tmp_path)
    run, client = Run.open(tmp_path / "run"), client_of(folder)
    rows, parity = run.read_evaluation(), json.loads((folder / "parity.json").read_text())
    assert Predictor.open(folder).manifest.verdict.passed
    hits = 0
    for inputs in rows.inputs:
        query, *texts = inputs.values()
        ranks = client.post("/rerank", json={"query": query, "texts": texts}).json()
        assert all(0 <= each["score"] <= 1 for each in ranks)
        hits += ranks[0]["index"] == 0
    assert hits / len(rows) == pytest.approx(parity["change"]["served"])
    assert 0 < hits < len(rows)
