"""Graphs with a data file: each form of a graph has the same tensors, in one file or in two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.graphs.convert import Graphs, write_graphs
from export.graphs.graph_file import (
    ALIGNMENT,
    PROTOBUF_LIMIT,
    copy_graph,
    data_file,
    fold_transposes,
    load_graph,
    move_tensors,
    read_tensor,
)
from export.graphs.inline import inline_tensors
from export.variants.calibration import Calibration, create_single_thread_session
from export.variants.registry import VARIANTS, Variant
from tests.tiny_generators import make_gpt2, make_t5
from trainer.model.checkpoint import load_checkpoint
from trainer.run.run import Run

NO_ROWS = Calibration(lambda: [], judge=lambda: pytest.fail("nothing is calibrated"))


@pytest.fixture(scope="module")
def graphs(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny run's fp32 graph with a data file, and as the onnx package puts it in one."""
    whole, split = (tmp_path_factory.mktemp(name) / "model.onnx" for name in ("whole", "split"))
    write_graphs(load_checkpoint(tiny_run.checkpoint, attn_implementation="eager"), split.parent)
    model = onnx.load(str(split))
    for tensor in model.graph.initializer:
        tensor.ClearField("data_location")  # the default, written out
    onnx.save(model, str(whole))
    return {"whole": whole, "split": split}


def tensors(path: Path) -> dict[str, np.ndarray]:
    """All weights by name."""
    return {each.name: read_tensor(each, path.parent) for each in load_graph(path).graph.initializer}


def logits(path: Path) -> np.ndarray:
    """Of two rows of tokens."""
    session = create_single_thread_session(load_graph(path), path.parent)
    rows = np.asarray([[2, 7, 9, 11, 3], [2, 8, 3, 0, 0]])
    feeds = {"input_ids": rows, "attention_mask": (rows != 0).astype(np.int64), "token_type_ids": 0 * rows}
    return session.run(None, {node.name: feeds[node.name] for node in session.get_inputs()})[0]


def test_a_graph_has_a_data_file(graphs: dict[str, Path]) -> None:
    """Its ONNX file has no large tensor, its data file begins each at a page, and together they are the graph."""
    whole, split = graphs["whole"], graphs["split"]
    assert not data_file(whole).exists()
    assert sorted(path.name for path in split.parent.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert split.stat().st_size < 0.5 * whole.stat().st_size
    weights = load_graph(split).graph.initializer
    places = [{each.key: each.value for each in tensor.external_data} for tensor in weights]
    assert {each["location"] for each in places if each} == {"model.onnx.data"}
    assert all(int(each["offset"]) % ALIGNMENT == 0 for each in places if each)
    for name, tensor in tensors(whole).items():
        np.testing.assert_array_equal(tensors(split)[name], tensor)
    np.testing.assert_array_equal(logits(split), logits(whole))


def test_a_data_file_is_put_back(graphs: dict[str, Path], tmp_path: Path) -> None:
    """One file, which the onnx package reads, has the tensors of two, in their order, and the same answers."""
    path = tmp_path / "model.onnx"
    copy_graph(graphs["split"], path)
    inline_tensors(path, PROTOBUF_LIMIT)
    onnx.checker.check_model(str(path), full_check=True)
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]
    assert load_graph(path) == load_graph(graphs["whole"])
    assert [*tensors(path)] == [*tensors(graphs["split"])]
    np.testing.assert_array_equal(logits(path), logits(graphs["split"]))


def test_a_data_file_stays_above_the_limit(graphs: dict[str, Path], tmp_path: Path) -> None:
    """Neither file changes if one file would be too large."""
    path = tmp_path / "model.onnx"
    copy_graph(graphs["split"], path)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    inline_tensors(path, sum(map(len, before.values())) - 1)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_other_tools_read_it(graphs: dict[str, Path]) -> None:
    """The onnx package finds the data file by the graph's own words."""
    onnx.checker.check_model(str(graphs["split"]))
    found = {each.name: numpy_helper.to_array(each) for each in onnx.load(str(graphs["split"])).graph.initializer}
    for name, tensor in tensors(graphs["whole"]).items():
        np.testing.assert_array_equal(found[name], tensor)


def test_a_copy_has_its_own_data_file(graphs: dict[str, Path], tmp_path: Path) -> None:
    """A copy under another name reads its own data file."""
    copy_graph(graphs["split"], tmp_path / "model.fp32.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.fp32.onnx", "model.fp32.onnx.data"]
    np.testing.assert_array_equal(logits(tmp_path / "model.fp32.onnx"), logits(graphs["whole"]))


@pytest.mark.parametrize("variant", [VARIANTS[name] for name in VARIANTS if name != "int8"], ids=lambda each: each.name)
def test_every_variant(graphs: dict[str, Path], variant: Variant, tmp_path: Path) -> None:
    """A variant of a graph with a data file has one too, and the same answers as without."""
    paths = {}
    for form, source in graphs.items():
        paths[form] = tmp_path / form / "model.onnx"
        paths[form].parent.mkdir()
        variant.build(source, paths[form], NO_ROWS)
    assert [path.name for path in sorted(paths["split"].parent.iterdir())] == ["model.onnx", "model.onnx.data"]
    np.testing.assert_array_equal(logits(paths["split"]), logits(paths["whole"]))


@pytest.mark.parametrize("variant", [VARIANTS[name] for name in VARIANTS if name != "int8"], ids=lambda each: each.name)
def test_a_nodes_own_tensor(variant: Variant, tmp_path: Path) -> None:
    """A large tensor of a Constant node, such as a table of positions, stays in the graph."""
    table = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    weight = numpy_helper.from_array(np.eye(32, dtype=np.float32), "w")
    nodes = [
        helper.make_node("Constant", [], ["table"], value=numpy_helper.from_array(table)),
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", ["product", "table"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [32, 32]) for name in "xy")
    model = helper.make_model(helper.make_graph(nodes, "graph", [x], [y], [weight]), ir_version=8)
    model.opset_import[0].version = 17
    source, target = tmp_path / "source.onnx", tmp_path / "model.onnx"
    move_tensors(model, data_file(source), tmp_path)
    source.write_bytes(model.SerializeToString())
    variant.build(source, target, NO_ROWS)
    answers = create_single_thread_session(load_graph(target), tmp_path).run(None, {"x": table})[0]
    np.testing.assert_allclose(answers, 2 * table, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_gpt2, make_t5], ids=["gpt2", "t5"])
def test_generating_models(make: object, tmp_path: Path) -> None:
    """Each graph of a generating model has a data file, without weights that a session would transpose."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    from export.graphs.generator import export_causal, export_seq2seq

    folder = make(tmp_path / "base")  # type: ignore[operator]
    if make is make_gpt2:
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
        names = ["model.onnx"]
        export_causal(model, tmp_path / "model.onnx")
    else:
        model = AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation="eager").eval()
        names = ["encoder.onnx", "decoder.onnx"]
        export_seq2seq(model, tmp_path / "encoder.onnx", tmp_path / "decoder.onnx")
    for name in names:
        graph = load_graph(tmp_path / name).graph
        weights = {each.name for each in graph.initializer}
        assert data_file(tmp_path / name).stat().st_size > 10_000
        transposed = [node.input[0] for node in graph.node if node.op_type == "Transpose" and node.input[0] in weights]
        assert len(transposed) <= 1  # the embedding that is also the output layer


@pytest.mark.parametrize("external", [False, True])
def test_transposes_are_folded(tmp_path: Path, external: bool) -> None:
    """A weight that layers read transposed alone is written so; one that is also read as it is stays."""
    model = transposed_twice()
    before = create_single_thread_session(model).run(None, {"x": np.ones((1, 4), np.float32)})[0]
    if external:
        for tensor in model.graph.initializer:
            (tmp_path / tensor.name).write_bytes(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=tensor.name)
    fold_transposes(model, tmp_path)
    assert [node.op_type for node in model.graph.node] == [*["MatMul"] * 2, "Add", "Transpose", *["MatMul"] * 2]
    for tensor in model.graph.initializer:
        values = read_tensor(tensor, tmp_path)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.checker.check_model(model)
    after = create_single_thread_session(model).run(None, {"x": np.ones((1, 4), np.float32)})[0]
    np.testing.assert_allclose(after, before, rtol=1e-6)


def transposed_twice() -> ModelProto:
    """(x @ a.T + x @ a.T) @ b.T @ b, as where layers share a weight."""
    random = np.random.default_rng(0)
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in (("a", (6, 4)), ("b", (3, 6)))}
    nodes = [
        helper.make_node("Transpose", ["a"], ["at"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "at"], ["first"]),
        helper.make_node("Transpose", ["a"], ["again"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "again"], ["second"]),
        helper.make_node("Add", ["first", "second"], ["p"]),
        helper.make_node("Transpose", ["b"], ["bt"], perm=[1, 0]),
        helper.make_node("MatMul", ["p", "bt"], ["q"]),
        helper.make_node("MatMul", ["q", "b"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 4), ("y", 6)))
    constants = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "graph", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_files_of_a_pair() -> None:
    """The graphs of an encoder-decoder model."""
    assert Graphs("encoder.onnx", "decoder.onnx", [], opset=17).files == ["encoder.onnx", "decoder.onnx"]
