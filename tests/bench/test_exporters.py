"""Both roads to ONNX are compared for every family of the support table."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import exporters
from export.graphs.to_onnx import TRACER
from trainer.model.architecture import TESTED


def test_every_tested_family_is_compared() -> None:
    """By its model type."""
    types = {model_type for model_type, _ in (exporters.CLASSIFIERS | exporters.GENERATORS).values()}
    assert types == TESTED


@pytest.mark.slow
@pytest.mark.parametrize("family", ["BERT", "Llama", "GPT-2, generating", "T5, generating"])
def test_a_graph_is_compared_with_torch_and_run(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of classifiers, causal models and encoder-decoders."""
    monkeypatch.setattr(exporters, "SIZES", {**exporters.SIZES, "num_hidden_layers": 1})
    graph = exporters.convert(exporters.conversions(family), TRACER, tmp_path)
    graph.run()
    assert graph.nodes > 20


def test_a_road_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its reason, in the family's row."""

    def fail(*_: object) -> None:
        raise RuntimeError("no such operator\nand a trace")

    monkeypatch.setattr(exporters, "convert", fail)
    assert exporters.row("BERT")[1].startswith("TorchScript: RuntimeError: no such operator; torch.export: ")
