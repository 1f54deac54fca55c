"""The inputs of linear layers on training rows: a sample of tokens, since all take many times the model's memory.

The sample too may be larger than the model, so that it is in files until a layer's turn comes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper

from export.variants.calibration import Feeds, create_single_thread_session
from export.variants.linear_layers import Array, Group
from serving.inference.session import onnxruntime

MAX_TOKENS = 2048


def observe_activations(
    model: ModelProto, groups: Sequence[Group], feeds: Feeds, folder: Path | None = None
) -> Iterator[tuple[Group, Array]]:
    """Each group's input, [tokens, channels]: at most MAX_TOKENS, with each channel's largest value.

    The rows run twice, first to choose the tokens. ``folder`` has the data file, if there is one.
    """
    with tempfile.TemporaryDirectory(dir=folder) as work:
        samples = _write_samples(model, [group.input for group in groups], feeds, folder, Path(work))
        for group in groups:
            yield group, samples[group.input].read()


def _write_samples(
    model: ModelProto, names: Sequence[str], feeds: Feeds, folder: Path | None, work: Path
) -> dict[str, _Sample]:
    session = create_single_thread_session(_with_outputs(model, names), folder)
    choices = {name: _Choice() for name in names}
    for name, rows in _run(session, names, feeds):
        choices[name].add(rows)
    samples = {name: _Sample(choices[name].tokens(), work / str(number)) for number, name in enumerate(names)}
    for name, rows in _run(session, names, feeds):
        samples[name].add(rows)
    return samples


def _with_outputs(model: ModelProto, names: Sequence[str]) -> ModelProto:
    observed = ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    return observed


def _run(session: onnxruntime.InferenceSession, names: Sequence[str], feeds: Feeds) -> Iterator[tuple[str, Array]]:
    for feed in feeds:
        for name, values in zip(names, session.run(names, feed), strict=True):
            yield name, values.reshape(-1, values.shape[-1])


class _Choice:
    """Of tokens, as their activations pass: those with a channel's largest value, then others by chance."""

    def __init__(self) -> None:
        self._count = 0
        self._largest = np.zeros(0, dtype=np.float32)
        self._places = np.zeros(0, dtype=np.int64)

    def add(self, rows: Array) -> None:
        sizes = np.abs(rows)
        places = sizes.argmax(axis=0)
        largest = sizes[places, np.arange(rows.shape[1])]
        if not self._count:
            self._largest, self._places = largest, places
        larger = largest > self._largest
        self._places[larger] = places[larger] + self._count
        self._largest[larger] = largest[larger]
        self._count += len(rows)

    def tokens(self) -> npt.NDArray[np.int64]:
        """In order."""
        if self._count <= MAX_TOKENS:
            return np.arange(self._count)
        extreme = np.unique(self._places)[: MAX_TOKENS // 2]
        others = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(self._count), extreme))
        return np.sort(np.concatenate([extreme, others[: MAX_TOKENS - len(extreme)]]))


class _Sample:
    def __init__(self, tokens: npt.NDArray[np.int64], path: Path) -> None:
        self._tokens, self._path = tokens, path
        self._count = self._channels = 0

    def add(self, rows: Array) -> None:
        start, end = np.searchsorted(self._tokens, [self._count, self._count + len(rows)])
        with self._path.open("ab") as stream:
            rows[self._tokens[start:end] - self._count].tofile(stream)
        self._count, self._channels = self._count + len(rows), rows.shape[1]

    def read(self) -> Array:
        return np.fromfile(self._path, np.float32).reshape(-1, self._channels)
