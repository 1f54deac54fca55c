"""What serving computes of the logits, a pipeline of others finds in the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from export.bundle.hub.graph import Closing, write_hub_graph
from serving.bundle.manifest import Limits
from serving.inference.session import onnxruntime
from serving.tasks import TASKS
from serving.tasks.activations import apply_function
from serving.tasks.base import Task

ROWS = np.random.default_rng(0).normal(scale=2, size=(200, 3)).astype(np.float32)


def task_with(name: str, labels: int, **settings: Any) -> Task:
    """A task of so many labels."""
    kind = TASKS[name]
    return kind([f"label {at}" for at in range(labels)], kind.settings_type.model_validate(settings), Limits())


def outputs_of(folder: Path, task: Task, logits: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Of the hub's form of a graph that gives these logits for them."""
    shape = ["batch", *logits.shape[1:]]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("given", "logits")]
    graph = helper.make_graph([helper.make_node("Identity", ["given"], ["logits"])], "graph", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "own.onnx")
    write_hub_graph(folder / "own.onnx", folder / "hub.onnx", task)
    onnx.checker.check_model(str(folder / "hub.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(folder / "hub.onnx"), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, {"given": logits}), strict=True))


@pytest.mark.parametrize("one_logit", [False, True])
@pytest.mark.parametrize("threshold", [None, 0.2, 0.5, 0.9])
def test_two_labels(tmp_path: Path, one_logit: bool, threshold: float | None) -> None:
    """The larger softmax is the answered label's; scores differ only where the larger one is not."""
    task = task_with("text-classification", 2, one_logit=one_logit, threshold=threshold, temperature=0.7)
    logits = ROWS[:, : 1 if one_logit else 2]
    found = apply_function(outputs_of(tmp_path, task, logits)["logits"], "softmax")
    for ours, row in zip(found, logits, strict=True):
        expected, order = task.scores(row), task.order(row)  # type: ignore[attr-defined]
        assert int(ours.argmax()) == order[0]
        if int(expected.argmax()) == order[0] and abs(expected[0] - 0.5) > 1e-3:
            assert ours == pytest.approx(expected, abs=1e-6)
        else:
            assert ours == pytest.approx([0.5, 0.5], abs=1e-3)


def test_more_labels(tmp_path: Path) -> None:
    """The temperature is in the graph."""
    task = task_with("text-classification", 3, temperature=3.1)
    found = apply_function(outputs_of(tmp_path, task, ROWS)["logits"], "softmax")
    assert found == pytest.approx(np.array([task.scores(row) for row in ROWS]), abs=1e-6)  # type: ignore[attr-defined]


def test_many_labels(tmp_path: Path) -> None:
    """Each label's scale and bias are in the graph."""
    task = task_with("multi-label-classification", 3, scales=[1.0, 0.5, 2.0], biases=[0.0, -1.0, 0.3])
    found = apply_function(outputs_of(tmp_path, task, ROWS)["logits"], "sigmoid")
    assert found == pytest.approx(task.probabilities(ROWS), abs=1e-6)  # type: ignore[attr-defined]


def test_a_number_has_its_unit_and_no_axis_of_labels(tmp_path: Path) -> None:
    """transformers.js would take a softmax over that axis, and answer 1 to every text."""
    task = task_with("regression", 1, mean=1000.0, std=20.0)
    found = outputs_of(tmp_path, task, ROWS[:, :1])["logits"]
    assert found == pytest.approx(ROWS[:, 0] * 20 + 1000, abs=1e-3)


def test_tags_have_the_bias_of_o(tmp_path: Path) -> None:
    """It is added to that tag's logit alone."""
    kind = TASKS["token-classification"]
    task = kind(["B-A", "O", "I-A"], kind.settings_type.model_validate({"outside_bias": -1.5}), Limits())
    found = outputs_of(tmp_path, task, ROWS.reshape(20, 10, 3))["logits"]
    assert found == pytest.approx(ROWS.reshape(20, 10, 3) + np.array([0, -1.5, 0]), abs=1e-6)


def test_start_and_end_are_apart(tmp_path: Path) -> None:
    """Under the names of transformers, divided by the temperature; the lowest logits stay the lowest."""
    task = task_with("question-answering", 0, temperature=2.0)
    logits = ROWS[:, :2].reshape(20, 10, 2).copy()
    logits[:, 5:] = np.finfo(np.float32).min
    found = outputs_of(tmp_path, task, logits)
    assert found["start_logits"] == pytest.approx(logits[:, :, 0] / 2)
    assert found["end_logits"] == pytest.approx(logits[:, :, 1] / 2)


def test_a_vector_has_length_one(tmp_path: Path) -> None:
    """Also one of zeros is no error."""
    task = task_with("feature-extraction", 0, dimensions=3)
    found = outputs_of(tmp_path, task, np.vstack([ROWS, np.zeros((1, 3), np.float32)]))["sentence_embedding"]
    assert np.linalg.norm(found[:-1], axis=1) == pytest.approx(np.ones(len(ROWS)), abs=1e-6)
    assert not found[-1].any()


def test_a_text_that_was_cut_off_is_closed(tmp_path: Path) -> None:
    """Only the last of the most tokens; shorter rows beside such a one stay, and so do longer ones."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    nodes = [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["read"]),
        helper.make_node("Cast", ["read"], ["logits"], to=1),
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence"])
    model = helper.make_model(
        helper.make_graph(nodes, "graph", ends, [output]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, tmp_path / "own.onnx")
    write_hub_graph(tmp_path / "own.onnx", tmp_path / "hub.onnx", task_with("text-generation", 0), Closing(9, 4))
    session = onnxruntime.InferenceSession(str(tmp_path / "hub.onnx"), providers=["CPUExecutionProvider"])

    def run(rows: list[list[int]]) -> list[list[float]]:
        ids = np.array(rows)
        result: list[list[float]] = session.run(
            None, {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)}
        )[0].tolist()
        return result

    assert run([[1, 2, 3, 4], [1, 2, 9, 0], [1, 2, 3, 9]]) == [[1, 2, 3, 9], [1, 2, 9, 0], [1, 2, 3, 9]]
    assert run([[1, 2, 3]]) == [[1, 2, 3]]
    assert run([[1, 2, 3, 4, 5]]) == [[1, 2, 3, 4, 5]]
