"""The proof holds for a faithful bundle, and each gate bites when what it guards is corrupted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from export.proof.answers.reference import ReferenceAnswers
from export.proof.prove import Parity, find_worst_rows, prove
from export.variants.registry import VARIANTS
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from tests.bundles import forge, manifest_of
from trainer.recipe.sections import Export
from trainer.run.run import Run
from trainer.tasks import create_training_task

Prove = Callable[..., Parity]


@pytest.fixture
def prove_bundle(reference: ReferenceAnswers) -> Prove:
    def run(bundle: Path, variant: str = "fp32", max_metric_drop: float = 0.005) -> Parity:
        recipe = reference.training_task.recipe.model_copy(update={"export": Export(max_metric_drop=max_metric_drop)})
        answers = dataclasses.replace(reference, training_task=create_training_task(recipe))
        return prove(answers, Predictor(Bundle.open(bundle)), VARIANTS[variant])

    return run


def with_weight(bundle: Path, change: Callable[[onnx.TensorProto], onnx.TensorProto]) -> bytes:
    """The bundle's graph with its largest two-dimensional weight changed."""
    model = onnx.load(bundle / "model.onnx")
    largest = max((each for each in model.graph.initializer if len(each.dims) == 2), key=lambda each: each.ByteSize())
    largest.CopyFrom(change(largest))
    return model.SerializeToString()


def with_nodes(bundle: Path, tensor: str, make: Callable[[str], list[onnx.NodeProto]]) -> bytes:
    """The bundle's graph, in which readers of ``tensor`` read ``tensor``/changed, computed by the nodes of ``make``."""
    model = onnx.load(bundle / "model.onnx")
    nodes = make(tensor)
    for node in model.graph.node:
        node.input[:] = [f"{tensor}/changed" if name == tensor else name for name in node.input]
    first = next(at for at, node in enumerate(model.graph.node) if f"{tensor}/changed" in node.input)
    for node in reversed(nodes):
        model.graph.node.insert(first, node)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def with_batch_mean(bundle: Path) -> bytes:
    """The graph with logits minus five times the batch's mean."""
    model = onnx.load(bundle / "model.onnx")
    for node in model.graph.node:
        node.output[:] = ["own" if name == "logits" else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(5.0), "five"))
    model.graph.node.extend(
        [
            helper.make_node("ReduceMean", ["own"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Mul", ["mean", "five"], ["much"]),
            helper.make_node("Sub", ["own", "much"], ["logits"]),
        ]
    )
    return model.SerializeToString()


def without_mask(bundle: Path) -> bytes:
    """The graph with a mask of ones only."""
    return with_nodes(
        bundle,
        "attention_mask",
        lambda name: [
            helper.make_node("Equal", [name, name], ["always"]),
            helper.make_node("Cast", ["always"], [f"{name}/changed"], to=onnx.TensorProto.INT64),
        ],
    )


def with_saturation(bundle: Path, bound: float) -> bytes:
    """The graph with one layer's output clipped to a bound."""
    model = onnx.load(bundle / "model.onnx")
    hidden = [node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"][-1]
    model.graph.initializer.extend(
        numpy_helper.from_array(np.float32(value), name) for name, value in (("low", -bound), ("high", bound))
    )
    for node in model.graph.node:
        node.input[:] = [f"{hidden}/cut" if name == hidden else name for name in node.input]
    place = next(at for at, node in enumerate(model.graph.node) if hidden in node.output)
    model.graph.node.insert(place + 1, helper.make_node("Clip", [hidden, "low", "high"], [f"{hidden}/cut"]))
    return model.SerializeToString()


def scaled(factor: float) -> Callable[[onnx.TensorProto], onnx.TensorProto]:
    return lambda weight: numpy_helper.from_array(numpy_helper.to_array(weight) * factor, weight.name)


def names_of_failures(parity: Parity) -> str:
    return "\n".join(parity.failures)


def test_a_faithful_bundle_passes(faithful_parity: Parity) -> None:
    """Every input has equal token ids and an equal answer, and logits within 1e-4."""
    parity = faithful_parity
    assert parity.passed
    assert parity.token_ids_equal == parity.answers_equal == parity.compared == parity.rows + parity.hard_inputs
    assert 0 < parity.max_abs_logit_difference <= 1e-4
    assert 0 < parity.mean_abs_logit_difference < parity.max_abs_logit_difference
    assert (parity.metric, parity.variant, parity.test_sets, parity.sampling) == ("accuracy", "fp32", {}, None)
    assert parity.score == parity.reference_score == parity.change.served
    assert (parity.flips.rows, parity.flips.changed, parity.flips.lost) == (parity.rows, 0, 0)
    assert parity.calibration is not None
    assert parity.calibration.reference_ece == pytest.approx(parity.calibration.served_ece, abs=1e-4)
    assert set(parity.reliability) == {"before", "after"}
    assert (parity.tokenizer.strings, parity.agreement, len(parity.worst_rows)) == (300, 1.0, 10)


def test_every_evaluation_row_is_compared(faithful_parity: Parity, tiny_run: Run) -> None:
    """The proof covers the whole held-out set and the hard inputs, not a sample."""
    assert faithful_parity.rows == len(tiny_run.read_evaluation())
    assert faithful_parity.hard_inputs >= 20


def test_a_perturbed_weight_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A weight that is 1 % off moves logits past the bound."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_weight(tiny_bundle, scaled(1.01))})
    parity = prove_bundle(bundle)
    assert not parity.passed
    assert "largest logit difference" in names_of_failures(parity)


def test_a_broken_graph_fails_on_labels(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A graph with other answers fails the answer gate and loses accuracy."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_weight(tiny_bundle, scaled(-3.0))})
    parity = prove_bundle(bundle)
    assert "inputs whose answer differs" in names_of_failures(parity)
    assert parity.score < parity.reference_score


def test_a_changed_normalizer_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A tokenizer that no longer lower-cases gives other token ids."""
    tokenizer = json.loads((tiny_bundle / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    bundle = forge(tiny_bundle, tmp_path / "b", files={"tokenizer.json": json.dumps(tokenizer).encode()})
    assert "inputs whose token ids differ" in names_of_failures(prove_bundle(bundle))


def test_another_truncation_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """Over-long hard inputs find a bundle that truncates earlier than the checkpoint."""
    bundle = forge(tiny_bundle, tmp_path / "b", tokenizer={"max_length": 32})
    assert "inputs whose token ids differ" in names_of_failures(prove_bundle(bundle))


@pytest.mark.slow
def test_neighbours_must_not_matter(prove_bundle: Prove, tiny_dynamic_bundle: Path, tmp_path: Path) -> None:
    """Dynamic int8 run in batches lets a neighbour change an answer; the gate finds it."""
    batched = forge(tiny_dynamic_bundle, tmp_path / "b", graph={"row_independent": True})
    assert prove_bundle(tiny_dynamic_bundle, "int8-dynamic", 0.999).invariance.neighbours.max_abs_logit_change == 0
    assert "logit change by batch neighbours" in names_of_failures(prove_bundle(batched, "fp32"))


def test_a_batch_dependent_graph_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A graph that adds the batch's mean gives other answers in other batches, which no variant may do."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_batch_mean(tiny_bundle)})
    parity = prove_bundle(bundle, "int8", 0.999)
    assert "answers changed by batch neighbours" in names_of_failures(parity)
    assert parity.invariance.neighbours.changed > 0
    assert parity.invariance.padding.changed == 0


def test_a_padding_dependent_graph_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """A graph that ignores its mask reads padding as text, so padding changes answers."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": without_mask(tiny_bundle)})
    parity = prove_bundle(bundle, "int8", 0.999)
    assert "answers changed by padding" in names_of_failures(parity)
    assert parity.invariance.padding.changed > 0


@pytest.mark.slow
def test_a_saturating_layer_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """Clipped activations, as with 8 bits on some CPUs, fail the gates of exact and approximate variants."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_saturation(tiny_bundle, 0.001)})
    assert "largest logit difference" in names_of_failures(prove_bundle(bundle))
    assert "change of accuracy, lower end" in names_of_failures(prove_bundle(bundle, "int8"))


def test_swapped_labels_fail(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """Two swapped labels change no logit, but their answers."""
    first, second, *others = manifest_of(tiny_bundle).labels
    bundle = forge(tiny_bundle, tmp_path / "b", labels=[second, first, *others])
    parity = prove_bundle(bundle)
    assert [gate.name for gate in parity.gates if not gate.passed] == ["inputs whose answer differs"]
    assert parity.flips.lost
    assert parity.flips.changed >= parity.flips.lost


def test_a_shifted_token_id_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """Two words with swapped ids in the vocabulary."""
    tokenizer = json.loads((tiny_bundle / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["where"], vocabulary["money"] = vocabulary["money"], vocabulary["where"]
    bundle = forge(tiny_bundle, tmp_path / "b", files={"tokenizer.json": json.dumps(tokenizer).encode()})
    assert "inputs whose token ids differ" in names_of_failures(prove_bundle(bundle))


def test_generated_strings_find_what_the_rows_do_not(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """Only the generated strings have a rare letter that a changed normaliser drops."""
    tokenizer = json.loads((tiny_bundle / "tokenizer.json").read_text())
    drop = {"type": "Replace", "pattern": {"String": "ſ"}, "content": ""}
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [drop, tokenizer["normalizer"]]}
    bundle = forge(tiny_bundle, tmp_path / "b", files={"tokenizer.json": json.dumps(tokenizer).encode()})
    parity = prove_bundle(bundle)
    assert [gate.name for gate in parity.gates if not gate.passed] == ["hard strings whose token ids differ"]
    assert parity.tokenizer.examples


@pytest.mark.slow
def test_a_variant_that_flips_answers_fails(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """The budget bounds the lower end of the interval, and the message says whether more rows would help."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_weight(tiny_bundle, scaled(0.0))})
    parity = prove_bundle(bundle, "int8", 0.005)
    assert parity.change.low <= parity.change.change < -0.005
    assert "more rows would not help" in names_of_failures(parity)
    assert "change of accuracy" not in names_of_failures(prove_bundle(bundle, "int8", 0.999))
    few = prove_bundle(bundle, "int8", -parity.change.change + 0.01)
    assert f"about {few.change.rows_needed:,} rows like these" in names_of_failures(few)


def test_no_number_is_no_pass(prove_bundle: Prove, tiny_bundle: Path, tmp_path: Path) -> None:
    """NaN logits fail every comparison."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={"model.onnx": with_weight(tiny_bundle, scaled(float("nan")))})
    assert not prove_bundle(bundle).passed


def test_the_worst_rows_come_first(faithful_parity: Parity, tiny_bundle: Path) -> None:
    """Ten rows are shown with both sides' labels, the largest difference first if no answer differs."""
    parity = faithful_parity
    differences = [row["abs_logit_difference"] for row in parity.worst_rows]
    assert differences == sorted(differences, reverse=True)
    assert differences[0] == parity.max_abs_logit_difference
    labels = manifest_of(tiny_bundle).labels
    assert all(any(label in row["served"] for label in labels) for row in parity.worst_rows)


def test_other_answers_are_worse_than_other_logits() -> None:
    """Of what differs by as much the first; no number is the largest difference; texts are cut to 200 characters."""
    differences = [0.0, 0.1, 0.2, 0.3, float("nan"), 0.05, 0.2, *[0.01] * 9]
    same = [each != 0.05 for each in differences]
    served: Any = SimpleNamespace(
        differences=[(largest, 0.0) for largest in differences],
        same_answers=same,
        predictor=SimpleNamespace(task=SimpleNamespace(decision=lambda answer: f"of {answer}")),
        reference=SimpleNamespace(answers=[f"r{at}" + "x" * 300 for at in range(16)]),
        answers=[f"s{at}" for at in range(16)],
        encoded=[SimpleNamespace(item=f"i{at}" + "y" * 300) for at in range(16)],
    )
    rows = find_worst_rows(served)
    assert [row["row"] for row in rows] == [5, 4, 3, 2, 6, 1, 7, 8, 9, 10]
    assert rows[0] == {
        "row": 5,
        "inputs": "i5" + "y" * 198,
        "reference": "r5" + "x" * 198,
        "served": "s5",
        "decisions": ["of r5" + "x" * 195, "of s5"],
        "answers_equal": False,
        "abs_logit_difference": 0.05,
    }
