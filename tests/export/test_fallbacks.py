"""A bundle that holds several variants: each one's files, proof and recorded answers are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.pack import Proven, write_bundle
from export.quantize import VARIANTS
from export.workshop import Workshop
from serving.bundle import Bundle
from serving.predictor import Predictor
from trainer.run import Run


@pytest.fixture(scope="module")
def bundle(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    target = folder / "bundle"
    target.mkdir()
    with Workshop.open(tiny_run, threads=1) as workshop:
        proven = []
        for name in ("int8", "fp32"):
            (folder / name).mkdir()
            made = workshop.make(VARIANTS[name], folder / name)
            proven.append(Proven(made, workshop.prove(made, workshop.predictor(made))))
        write_bundle(workshop, proven, target)
    return target


def test_the_first_serves_and_the_others_stand_by(bundle: Path) -> None:
    """The first variant is the graph, each further one an alternative with the same labels and tokenizer."""
    opened = Bundle.open(bundle)
    assert opened.manifest.graph.variant == "int8"
    assert [each.manifest.graph.variant for each in opened.alternatives] == ["fp32"]
    assert opened.alternatives[0].manifest.tokenizer == opened.manifest.tokenizer


def test_each_variant_replays_its_own_answers(bundle: Path) -> None:
    """The fallback's golden answers are those of its own graph, within its own tolerance."""
    opened = Bundle.open(bundle)
    assert Predictor(opened).replay_golden() == 0.0
    assert Predictor(opened.alternatives[0]).replay_golden() == 0.0
    assert opened.golden[0].logits != opened.alternatives[0].golden[0].logits
    assert opened.alternatives[0].manifest.golden.tolerance < opened.manifest.golden.tolerance


def test_each_variant_has_its_own_proof(bundle: Path) -> None:
    """Two proofs lie in the bundle, and the manifest hashes both."""
    files = Bundle.open(bundle).manifest.files
    assert {"parity.json", "parity.fp32.json", "model.onnx", "model.fp32.onnx", "golden.fp32.jsonl"} <= files.keys()
    assert Bundle.open(bundle).alternatives[0].manifest.verdict.passed
