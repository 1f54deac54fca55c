"""ONNX files. The tensors of a graph above protobuf's limit are in a data file beside it, ``model.onnx.data``.

A graph with a data file is loaded without its tensors; each is read when it is needed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

PROTOBUF_LIMIT = 2**31 - 1
"""Most bytes of an ONNX file."""

SMALLEST, ALIGNMENT = 1024, 4096
"""Bytes: smaller tensors stay in the ONNX file; ONNX recommends that a tensor begins at a page."""

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def data_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.data")


def load_graph(path: Path) -> ModelProto:
    """Without the tensors of the data file."""
    return onnx.load(str(path), load_external_data=False)


def read_tensor(tensor: TensorProto, folder: Path | None) -> Array:
    """``folder`` has the graph's data file, if there is one."""
    if not is_external(tensor):
        inline: Array = numpy_helper.to_array(tensor)
        return inline
    assert folder
    path, offset, size = place(tensor, folder)
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    values: Array = np.fromfile(path, kind, size // kind.itemsize, offset=offset)
    return values.reshape(tuple(tensor.dims))


def save_graph(model: ModelProto, target: Path, source: Path, data: str | None = None) -> None:
    """A changed form of the graph ``source``: with a data file, named ``data``, if that has one.

    The model's external tensors are in files of the source's folder; all large ones are moved into the new data file.
    """
    if data_file(source).exists():
        move_tensors(model, target.with_name(data) if data else data_file(target), source.parent)
    target.write_bytes(model.SerializeToString())


def move_tensors(model: ModelProto, target: Path, folder: Path) -> None:
    """Out of the model and of files in ``folder`` into one file."""
    with target.open("wb") as stream:
        for tensor in model.graph.initializer:
            if is_external(tensor) or len(tensor.raw_data) >= SMALLEST:
                stream.write(bytes(-stream.tell() % ALIGNMENT))
                start = stream.tell()
                _write(tensor, stream, folder)
                point(tensor, target.name, start, stream.tell() - start)


def copy_graph(source: Path, target: Path) -> None:
    """With its data file, whose name is in the graph."""
    if not data_file(source).exists():
        shutil.copyfile(source, target)
        return
    shutil.copyfile(data_file(source), data_file(target))  # the onnx package refuses a file with hard links
    model = load_graph(source)
    for tensor in filter(is_external, model.graph.initializer):
        _, offset, size = place(tensor, source.parent)
        point(tensor, data_file(target).name, offset, size)
    target.write_bytes(model.SerializeToString())


def fold_transposes(model: ModelProto, folder: Path) -> None:
    """Write weights transposed that nothing reads otherwise: a session that does it holds both forms.

    External tensors get files of their own in ``folder``.
    """
    if _has_graphs(model):
        return
    weights = {each.name: each for each in model.graph.initializer}
    uses = Counter(name for node in model.graph.node for name in node.input)
    swaps = [node for node in model.graph.node if node.op_type == "Transpose" and _swaps(node)]
    swapped = Counter(node.input[0] for node in swaps)
    folded = {
        node.output[0]: name for node in swaps if (name := node.input[0]) in weights and uses[name] == swapped[name]
    }
    for name in {*folded.values()}:
        _replace(weights[name], np.ascontiguousarray(read_tensor(weights[name], folder).T), folder)
    nodes = [node for node in model.graph.node if node.output[0] not in folded]
    for node in nodes:
        node.input[:] = [folded.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _has_graphs(model: ModelProto) -> bool:
    """A graph within the graph could read a weight too."""
    return any(each.HasField("g") or each.graphs for node in model.graph.node for each in node.attribute)


def _swaps(node: NodeProto) -> bool:
    """The axes of a matrix."""
    return [list(each.ints) for each in node.attribute] == [[1, 0]]


def _replace(tensor: TensorProto, values: Array, folder: Path) -> None:
    if is_external(tensor):
        path, _, size = place(tensor, folder)
        values.tofile(path.with_name(f"{path.name}.transposed"))
        path.unlink()
        point(tensor, f"{path.name}.transposed", 0, size)
    else:
        tensor.raw_data = values.tobytes()
    tensor.dims[:] = values.shape


def is_external(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def place(tensor: TensorProto, folder: Path) -> tuple[Path, int, int]:
    """File, offset and length."""
    entries = {each.key: each.value for each in tensor.external_data}
    path, offset = folder / entries["location"], int(entries.get("offset", 0))
    return path, offset, int(entries.get("length", path.stat().st_size - offset))


def point(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("external_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _write(tensor: TensorProto, stream: BinaryIO, folder: Path) -> None:
    if is_external(tensor):
        copy_bytes(*place(tensor, folder), stream)
    else:
        stream.write(tensor.raw_data)


def copy_bytes(path: Path, offset: int, size: int, target: BinaryIO) -> None:
    """A part of a file, in pieces."""
    with path.open("rb") as source:
        source.seek(offset)
        while size > 0:
            part = source.read(min(size, 2**24))
            assert part, "the data file is shorter than its graph says"
            size -= len(part)
            target.write(part)
