"""The proof holds for a faithful bundle, and each gate bites when what it guards is corrupted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from export.proof.expected import Expected, expect
from export.proof.parity import Parity
from export.proof.prove import prove
from export.proof.reference import reference_of
from export.quantize import VARIANTS
from serving.bundle import Bundle
from serving.predictor import Predictor
from tests.bundles import forge, manifest_of
from trainer.recipe import load_recipe
from trainer.recipe_sections import Export
from trainer.run import Run
from trainer.tasks import learning_of


@pytest.fixture(scope="session")
def expected(tiny_run: Run) -> Expected:
    learning = learning_of(load_recipe(tiny_run.recipe))
    return expect(reference_of(tiny_run.checkpoint), learning, tiny_run.read_evaluation())


Prove = Callable[..., Parity]


@pytest.fixture
def prove_bundle(expected: Expected) -> Prove:
    def run(bundle: Path, variant: str = "fp32", max_accuracy_drop: float = 0.005) -> Parity:
        recipe = expected.learning.recipe.model_copy(update={"export": Export(max_accuracy_drop=max_accuracy_drop)})
        held = dataclasses.replace(expected, learning=learning_of(recipe))
        return prove(held, Predictor(Bundle.open(bundle)), VARIANTS[variant])

    return run


def with_weight(bundle: Path, change: Callable[[onnx.TensorProto], onnx.TensorProto]) -> bytes:
    """The bundle's graph with its largest two-dimensional weight changed."""
    model = onnx.load(bundle / "model.onnx")
    largest = max((each for each in model.graph.initializer if len(each.dims) == 2), key=lambda each: each.ByteSize())
    largest.CopyFrom(change(largest))
    return model.SerializeToString()


def scaled(factor: float) -> Callable[[onnx.TensorProto], onnx.TensorProto]:
    return lambda weight: numpy_helper.from_array(numpy_helper.to_array(weight) * factor, weight.name)


def names_of_failures(parity: Parity) -> str:
    return "\n".join(parity.failures)


def test_a_faithful_bundle_passes(prove_bundle: Prove, tiny_bundle: Path) -> None:
    """Every input has equal token ids and an equal answer, and logits within 1e-4."""
    parity = prove_bundle(tiny_bundle)
    assert parity.passed
    assert parity.token_ids_equal == parity.answers_equal == parity.compared == parity.rows + parity.hard_inputs
    assert 0 < parity.max_abs_logit_difference <= 1e-4
    assert parity.metric == "accuracy"
    assert parity.score == parity.reference_score


def test_every_evaluation_row_is_compared(prove_bundle: Prove, tiny_bundle: Path, tiny_run: Run) -> None:
    """The proof covers the whole held-out set and the hard inputs, not a sample."""
    parity = prove_bundle(tiny_bundle)
    assert parity.rows == len(tiny_run.read_evaluation())
    assert parity.hard_inputs >= 20


def test_a_perturbed_weight_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A weight that is 1 % off moves logits past the bound, and the gate says so."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_weight(tiny_bundle, scaled(1.01))})
    parity = prove_bundle(bundle)
    assert not parity.passed
    assert "largest logit difference" in names_of_failures(parity)


def test_a_broken_graph_fails_on_labels(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A graph that answers something else fails the label gate and loses accuracy."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_weight(tiny_bundle, scaled(-3.0))})
    parity = prove_bundle(bundle)
    assert "inputs whose answer differs" in names_of_failures(parity)
    assert parity.score < parity.reference_score


def test_a_changed_normalizer_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A tokenizer that no longer lower-cases gives other token ids, and the gate counts the rows."""
    tokenizer = json.loads((tiny_bundle / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    bundle = forge(tiny_bundle, tmp_path / "b", files={"tokenizer.json": json.dumps(tokenizer).encode()})
    assert "inputs whose token ids differ" in names_of_failures(prove_bundle(bundle))


def test_another_truncation_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A bundle that cuts long texts earlier than the checkpoint does is found by the over-long hard inputs."""
    bundle = forge(tiny_bundle, tmp_path / "b", tokenizer={"max_length": 32})
    assert "inputs whose token ids differ" in names_of_failures(prove_bundle(bundle))


def test_neighbours_must_not_matter(prove_bundle: Prove, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """Dynamic int8 run in batches lets a neighbour change an answer; the gate finds it."""
    batched = forge(tiny_int8_bundle, tmp_path / "b", graph={"row_independent": True})
    assert prove_bundle(tiny_int8_bundle, "int8", 0.999).max_abs_logit_difference_alone == 0
    assert "logit change by batch neighbours" in names_of_failures(prove_bundle(batched, "int8", 0.999))


def test_an_approximate_variant_may_lose_its_budget(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A variant that is not exact is held to the accuracy it may lose, no more and no less."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_weight(tiny_bundle, scaled(0.0))})
    parity = prove_bundle(bundle, "int8", 0.999)
    lost = parity.reference_score - parity.score
    assert lost > 0
    assert prove_bundle(bundle, "int8", lost).passed
    assert "accuracy lost" in names_of_failures(prove_bundle(bundle, "int8", lost / 2))


def test_no_number_is_no_pass(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """Logits that are not numbers fail, whatever a comparison with them would say."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_weight(tiny_bundle, scaled(float("nan")))})
    assert not prove_bundle(bundle).passed


def test_the_worst_rows_come_first(prove_bundle: Prove, tiny_bundle: Path) -> None:
    """The rows with the largest difference are shown, the largest first, with both sides' labels."""
    parity = prove_bundle(tiny_bundle)
    differences = [row["abs_logit_difference"] for row in parity.worst_rows]
    assert differences == sorted(differences, reverse=True)
    assert differences[0] == parity.max_abs_logit_difference
    labels = manifest_of(tiny_bundle).labels
    assert all(any(label in row["served"] for label in labels) for row in parity.worst_rows)
