"""A bundle that holds several variants: each one's files, proof and recorded answers are its own."""

from __future__ import annotations

from pathlib import Path

from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor


def test_the_first_serves_and_the_others_stand_by(tiny_fallback_bundle: Path) -> None:
    """The first variant is the graph; each further one is an alternative with the same labels and tokenizer."""
    opened = Bundle.open(tiny_fallback_bundle)
    assert opened.manifest.graph.variant == "int8"
    assert [each.manifest.graph.variant for each in opened.alternatives] == ["fp32"]
    assert opened.alternatives[0].manifest.tokenizer == opened.manifest.tokenizer


def test_each_variant_replays_its_own_answers(tiny_fallback_bundle: Path) -> None:
    """The fallback's golden answers are those of its own graph, within its own tolerance."""
    opened = Bundle.open(tiny_fallback_bundle)
    assert Predictor(opened).replay_golden() == 0.0
    assert Predictor(opened.alternatives[0]).replay_golden() == 0.0
    assert opened.golden[0].logits != opened.alternatives[0].golden[0].logits
    assert opened.alternatives[0].manifest.golden.tolerance < opened.manifest.golden.tolerance


def test_each_variant_has_its_own_proof(tiny_fallback_bundle: Path) -> None:
    """The bundle has two proofs, and the manifest hashes both."""
    files = Bundle.open(tiny_fallback_bundle).manifest.files
    assert {"parity.json", "parity.fp32.json", "model.onnx", "model.fp32.onnx", "golden.fp32.jsonl"} <= files.keys()
    assert Bundle.open(tiny_fallback_bundle).alternatives[0].manifest.verdict.passed


def test_only_the_approximate_variant_depends_on_the_cpu(tiny_fallback_bundle: Path) -> None:
    """int8 depends on the CPU's 8-bit dot products; float32 differs by rounding only."""
    opened = Bundle.open(tiny_fallback_bundle)
    assert opened.manifest.graph.depends_on == ["int8-dot-product"]
    assert opened.alternatives[0].manifest.graph.depends_on == []
