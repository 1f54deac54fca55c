"""Static int8: a row's answer is its own, whatever the family; a layer that saturates is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from export.graphs.convert import write_graphs
from export.proof.gate import Gate
from export.proof.prove import Judgement
from export.variants import static_int8 as static
from export.variants.activations import observe_activations
from export.variants.calibration import Calibration
from export.variants.calibration import create_single_thread_session as create_session
from export.variants.linear_layers import find_groups
from export.variants.quantize_graph import quantize_layers, quantize_tables
from export.variants.smoothquant import Range, quantize_weight, round_weight, search_range
from export.variants.static_int8 import VariantFailed
from serving.bundle.bundle import Bundle
from serving.bundle.cpu import INSTRUCTIONS, describe_machine
from serving.errors import BundleError
from serving.inference.predictor import Predictor
from tests.bundles import forge
from tests.toys import write_toy
from tests.zoo import FAMILIES
from trainer.model.checkpoint import build_model, load_checkpoint, save_checkpoint
from trainer.model.heads import Model
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.setup.training_setup import prepare_setup

TEXTS = 12

exact = pytest.mark.skipif(
    INSTRUCTIONS["int8-dot-product"].isdisjoint(describe_machine()["features"]),
    reason="this CPU has no 8-bit dot products: its sums saturate, see serving.bundle.cpu",
)


@pytest.fixture
def graph(tmp_path: Path) -> Callable[..., onnx.ModelProto]:
    """The fp32 graph of an untrained family for a toy."""

    def make(family: str, toy: str = "text-classification") -> onnx.ModelProto:
        plan = prepare_setup(load_recipe(write_toy(tmp_path, FAMILIES[family](tmp_path / "backbone"), toy)), tmp_path)
        model: Model = build_model(plan.base, plan.model_spec, plan.splits.labels).eval()
        save_checkpoint(model, plan.model_spec, plan.task, plan.tokenizer, tmp_path / "checkpoint")
        checkpoint = load_checkpoint(tmp_path / "checkpoint", attn_implementation="eager")
        write_graphs(checkpoint, tmp_path)
        return onnx.load(str(tmp_path / "model.onnx"))

    return make


def feeds_for(model: onnx.ModelProto, lengths: list[int]) -> list[dict[str, Any]]:
    """Random token rows of these lengths, each alone."""
    random = np.random.default_rng(0)
    made = []
    for length in lengths:
        values = {"input_ids": random.integers(5, 60, (1, length)), "attention_mask": np.ones((1, length), np.int64)}
        values["token_type_ids"] = np.zeros((1, length), np.int64)
        made.append({node.name: values[node.name] for node in model.graph.input})
    return made


def padded(feeds: list[dict[str, Any]], length: int) -> dict[str, Any]:
    """The rows in one batch, padded to a length."""
    return {
        name: np.concatenate([np.pad(feed[name], ((0, 0), (0, length - feed[name].shape[1]))) for feed in feeds])
        for name in feeds[0]
    }


def in_eight_bits(model: onnx.ModelProto) -> onnx.ModelProto:
    """All of its groups, with ranges seen on random rows."""
    groups = find_groups(model)
    seen = observe_activations(model, groups, feeds_for(model, list(range(3, 40))))
    ranges = {group.input: search_range(group, activations) for group, activations in seen}
    return quantize_layers(quantize_tables(model), groups, ranges)


@pytest.mark.slow
@exact
@pytest.mark.parametrize("family", ["BERT", "RoBERTa", "ALBERT", "DeBERTa-v3", "ModernBERT"])
def test_neighbours_and_padding_do_not_matter(graph: Callable[..., onnx.ModelProto], family: str) -> None:
    """Alone, in a mixed batch and padded far beyond, within float32 rounding; and near the float32 logits."""
    model = graph(family)
    small, exact = create_session(in_eight_bits(model)), create_session(model)
    feeds = feeds_for(model, [3, 5, 8, 8, 13, 30])
    alone = np.concatenate([small.run(None, feed)[0] for feed in feeds])
    wanted = np.concatenate([exact.run(None, feed)[0] for feed in feeds])
    for length in (30, 100):
        np.testing.assert_allclose(small.run(None, padded(feeds, length))[0], alone, rtol=0, atol=1e-4)
    assert 0 < np.abs(alone - wanted).mean() < 0.2 * np.abs(wanted).mean()


@pytest.mark.slow
def test_the_graph_is_smaller(graph: Callable[..., onnx.ModelProto]) -> None:
    """Embeddings and layers are int8; only the products are onnxruntime's own operators."""
    model = graph("BERT")
    small = in_eight_bits(model)
    onnx.checker.check_model(small)
    assert small.ByteSize() < 0.6 * model.ByteSize()
    assert {node.op_type for node in small.graph.node if node.domain} == {"MatMulIntegerToFloat"}
    kinds = [each.data_type for each in small.graph.initializer if len(each.dims) == 2]
    assert kinds.count(onnx.TensorProto.INT8) >= 2 * 6 + 1


@exact
@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        ("y = Gemm <transB = 1> (x, wt, b)", []),
        ("p = MatMul (x, w)  y = Add (p, b)", []),
        ("p = MatMul (x, w)  y = Add (b, p)", []),
        ("y = MatMul (x, w)", []),
        ("p = MatMul (x, w)  q = Add (p, b)  y = Mul (q, p)", ["Add", "Mul"]),
        ("p = MatMul (x, w)  y = Add (p, one)", ["Add"]),
        ("p = MatMul (x, w)  y = Add (p, p)", ["Add"]),
        ("p = MatMul (x, w)  y = Add (p, x)", ["Add"]),
    ],
)
def test_a_layer_is_its_formula(nodes: str, kinds: list[str]) -> None:
    """Rounded activations times rounded weights plus the bias, however it is added; other additions stay outside."""
    model = layer_then_another(nodes)
    group = find_groups(model)[0]
    x = np.random.default_rng(1).normal(size=(9, 6)).astype(np.float32)
    x[:, 2] *= 30
    chosen = search_range(group, x)
    small = quantize_layers(model, [group], {"x": chosen})
    feeds = {"x": x, "rounded": chosen.round(x / smoothing_of(chosen))}
    found = create_session(small).run(None, {"x": x})[0]
    np.testing.assert_allclose(
        found, create_session(on_rounded(model, chosen)).run(None, feeds)[0], rtol=1e-5, atol=1e-3
    )
    inner = [node.op_type for node in small.graph.node if node.op_type in ("Add", "Mul") and "smooth" not in node.name]
    assert inner == kinds


def test_unsigned_weights_saturate_nowhere() -> None:
    """Sums of large weights of one sign; of signed ones they are wrong on a CPU without 8-bit dot products."""
    model = layer_then_another("y = MatMul (x, w)")
    weight = next(each for each in model.graph.initializer if each.name == "w")
    weight.CopyFrom(numpy_helper.from_array(np.abs(numpy_helper.to_array(weight)), "w"))
    group, x = find_groups(model)[0], np.linspace(1, 2, 54, dtype=np.float32).reshape(9, 6)
    chosen = search_range(group, x)
    small = quantize_layers(model, [group], {"x": chosen}, unsigned=True)
    feeds = {"x": x, "rounded": chosen.round(x / smoothing_of(chosen))}
    expected = create_session(on_rounded(model, chosen)).run(None, feeds)[0]
    np.testing.assert_allclose(create_session(small).run(None, {"x": x})[0], expected, rtol=1e-5)


def layer_then_another(nodes: str) -> onnx.ModelProto:
    """A layer of 6 inputs and 6 outputs with these nodes, and another one after it."""
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[n, 6] x) => (float[n, 2] z) {{ {nodes} z = MatMul (y, v) }}'
    )
    random = np.random.default_rng(0)
    w = random.normal(size=(6, 6)).astype(np.float32)
    values = {"w": w, "wt": w.T, "b": random.normal(size=6), "one": np.ones(1), "v": random.normal(size=(6, 2))}
    read = {name for node in model.graph.node for name in node.input}
    constants = {name: np.ascontiguousarray(each, np.float32) for name, each in values.items() if name in read}
    model.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in constants.items())
    return model


def on_rounded(model: onnx.ModelProto, chosen: Range) -> onnx.ModelProto:
    """The same in float32, with the first layer's weight and activations as rounded to 8 bits."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    product = copy.graph.node[0]
    product.input[0] = "rounded"
    copy.graph.input.append(onnx.helper.make_tensor_value_info("rounded", onnx.TensorProto.FLOAT, ["n", 6]))
    weight = next(each for each in copy.graph.initializer if each.name == product.input[1])
    turned = product.op_type == "Gemm"
    values = numpy_helper.to_array(weight).T if turned else numpy_helper.to_array(weight)
    left = round_weight(values * smoothing_of(chosen)[:, None])
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(left.T if turned else left), weight.name))
    return copy


def smoothing_of(chosen: Range) -> Any:
    return np.ones(6, np.float32) if chosen.smoothing is None else chosen.smoothing


@pytest.mark.slow
def test_layers_that_read_the_same_form_a_group(graph: Callable[..., onnx.ModelProto]) -> None:
    """Query, key and value of one layer form a group; the last layer, the classifier, is in none."""
    model = graph("BERT")
    groups = find_groups(model)
    assert [len(group.layers) for group in groups] == [*[3, 1, 1, 1] * 2, 1]  # two layers and the pooler
    labels = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    assert all(layer.weight.shape[1] != labels for group in groups for layer in group.layers)


def test_a_weight_keeps_its_size() -> None:
    """Each output channel has its own scale: an error is at most half a step of it."""
    weight = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32) * np.array([1, 10, 100, 1e-3], np.float32)
    eight, scale = quantize_weight(weight)
    assert (np.abs(eight * scale - weight) <= scale / 2 + 1e-6).all()


@pytest.mark.slow
def test_one_large_channel_does_not_drown_the_others(graph: Callable[..., onnx.ModelProto]) -> None:
    """If one channel is a hundred times the others, it is smoothed."""
    group = find_groups(graph("BERT"))[0]
    random = np.random.default_rng(0)
    seen = random.normal(size=(500, group.weight.shape[0])).astype(np.float32)
    seen[:, 3] *= 100
    chosen = search_range(group, seen)
    assert chosen.alpha > 0
    assert chosen.smoothing is not None
    assert chosen.smoothing[3] > 2 * np.median(chosen.smoothing)


def test_a_saturating_layer_is_refused(tiny_run: Run, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """A bundle with far too small scales of activations does not reproduce the recorded answers."""
    model = onnx.load(str(tiny_int8_bundle / "model.onnx"))
    scales = [each for each in model.graph.initializer if each.name.endswith("/scale")]
    assert scales
    for each in scales:
        each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each) / np.float32(100), each.name))
    forged = forge(tiny_int8_bundle, tmp_path / "b", files={"model.onnx": model.SerializeToString()})
    with pytest.raises(BundleError, match="this machine's answer is"):
        Predictor(Bundle.open(forged)).replay_golden()


@pytest.mark.slow
def test_the_most_sensitive_layers_go_back(
    graph: Callable[..., onnx.ModelProto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While too many validation answers differ, groups return to float32, first the one that saturates."""
    feeds = feeds_for(graph("BERT"), list(range(3, 40)))
    spoilt = spoil_group(monkeypatch, 2)
    judged = Calibration(lambda: feeds, judge=answers_that_differ(5, 3, 1))
    facts = static.static_int8(tmp_path / "model.onnx", tmp_path / "int8.onnx", judged)
    assert len(facts["reverted"]) == 2
    assert spoilt[0] in facts["reverted"]
    assert facts["validation"]["answers_equal"] == 99
    written = onnx.load(str(tmp_path / "int8.onnx"))
    assert not any(each.name.startswith(f"{spoilt[0]}/") for each in written.graph.initializer)
    assert any(each.name.endswith("/smoothing") or each.name.endswith("/scale") for each in written.graph.initializer)


@pytest.mark.parametrize("fewest", [0, 1, 2, 3, 5, 7, 8, 23, None])
def test_the_fewest_are_found_in_few_steps(fewest: int | None) -> None:
    """Doubling and bisection: 10 judgements at most for 24 layers, and one where none goes back."""
    asked: list[int] = []

    def accepts(count: int) -> bool:
        asked.append(count)
        return fewest is not None and count >= fewest

    assert static.find_fewest(accepts, 23) == fewest
    assert len(asked) == len(set(asked)) <= 10
    assert fewest != 0 or asked == [0]


@pytest.mark.slow
def test_a_model_that_cannot_be_quantized_is_refused(graph: Callable[..., onnx.ModelProto], tmp_path: Path) -> None:
    """If even one group in 8 bits changes too many answers, the variant is refused."""
    feeds = feeds_for(graph("BERT"), [5, 9])
    judged = Calibration(lambda: feeds, judge=answers_that_differ(*[7] * 20))
    with pytest.raises(VariantFailed, match="even with one layer, on validation rows, answers equal"):
        static.static_int8(tmp_path / "model.onnx", tmp_path / "int8.onnx", judged)


def answers_that_differ(*counts: int) -> Callable[[], Any]:
    """A judge that reports these counts of 100 answers as different, one at each call."""
    left = iter(counts)
    change: Any = SimpleNamespace(change=0.0, budget=0.005)

    def judge() -> Judgement:
        different = next(left)
        gate = Gate("answers equal", different <= 1, different, "at most 1 of 100 differs")
        return Judgement(100, 100 - different, "accuracy", 1.0, 1.0, change, None, [gate])

    return judge


def spoil_group(monkeypatch: pytest.MonkeyPatch, place: int) -> list[str]:
    """Make the scale of the group at this place a thousand times too small; the list then has its name."""
    choose, asked, spoilt = static.search_range, iter(range(100)), list[str]()

    def chosen(group: Any, seen: Any) -> Any:
        found = choose(group, seen)
        if next(asked) != place:
            return found
        spoilt.append(group.input)
        return replace(found, scale=np.float32(found.scale / 1000))

    monkeypatch.setattr(static, "search_range", chosen)
    return spoilt
