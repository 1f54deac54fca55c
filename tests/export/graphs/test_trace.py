"""The tracer's graphs: weights are kept apart while it works, and are in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.onnx._internal.torchscript_exporter import utils

from export.graphs.trace import trace
from export.graphs.weights_apart import weights_apart
from serving.bundle.bundle import GraphFile
from serving.inference.session import create_session


class Tied(nn.Module):
    """A weight that is read twice, one that nothing reads, and one without values."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(40, 40), nn.Linear(40, 40)
        self.second.weight = self.first.weight
        self.unused = nn.Linear(40, 40)
        self.nothing = nn.Parameter(torch.zeros(0, 40))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.cat([self.second(self.first(values)), self.nothing])
        return result


def test_the_graph_answers_as_the_module(tmp_path: Path) -> None:
    """Its only inputs are the module's, and a shared weight is written once."""
    module, path = Tied(), tmp_path / "model.onnx"
    sample = torch.rand(3, 40)
    axes = {"values": {0: "rows"}, "results": {0: "rows"}}
    trace(module, (sample,), path, inputs=["values"], outputs=["results"], axes=axes)
    graph = onnx.load(str(path)).graph
    assert [each.name for each in graph.input] == ["values"]
    assert sum(numpy_helper.to_array(each).size == 1600 for each in graph.initializer) == 1
    session = create_session(GraphFile(path.name, b"", path=path), 1)
    answers = session.run(None, {"values": sample.numpy()})[0]
    np.testing.assert_allclose(answers, module(sample).detach().numpy(), atol=1e-6)


def test_the_tracer_is_left_as_it_was() -> None:
    """Also after a failure."""
    before = utils._model_to_graph
    with pytest.raises(RuntimeError), weights_apart():
        raise RuntimeError
    assert utils._model_to_graph is before
