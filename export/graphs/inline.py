"""One file from a graph and its data file, a piece at a time: the onnx package would hold it three times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnx import TensorProto

from export.graphs.graph_file import copy_bytes, data_file, is_external, load_graph, place

GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9
"""Numbers of protobuf's fields: in a model, a graph and a tensor."""

Place = tuple[Path, int, int]


def inline_tensors(path: Path, max_bytes: int) -> None:
    """Move the data file's tensors into the graph, unless it would have more than ``max_bytes``."""
    data = data_file(path)
    if not data.exists() or path.stat().st_size + data.stat().st_size > max_bytes:
        return
    model = load_graph(path)
    tensors = [_take_out(each, path.parent) for each in model.graph.initializer]
    del model.graph.initializer[:]
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    with (whole := path.with_name(f"{path.name}.whole")).open("wb") as stream:
        stream.write(model.SerializeToString())
        sizes = [_size(*each) for each in tensors]
        stream.write(_prefix(GRAPH, len(graph) + sum(len(_prefix(INITIALIZER, size)) + size for size in sizes)))
        stream.write(graph)
        for (header, source), size in zip(tensors, sizes, strict=True):
            stream.write(_prefix(INITIALIZER, size))
            stream.write(header)
            if source:
                copy_bytes(*source, stream)
    whole.replace(path)
    data.unlink()


def _take_out(tensor: TensorProto, folder: Path) -> tuple[bytes, Place | None]:
    """The tensor without its external values, with the start of their field, and where they are."""
    if not is_external(tensor):
        return tensor.SerializeToString(), None
    source = place(tensor, folder)
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    return tensor.SerializeToString() + _prefix(RAW_DATA, source[2]), source


def _size(header: bytes, source: Place | None) -> int:
    return len(header) + (source[2] if source else 0)


def _prefix(field: int, size: int) -> bytes:
    """Of a field of bytes: its number and wire type, and their number."""
    return bytes([field << 3 | 2, *_varint(size)])


def _varint(number: int) -> Iterator[int]:
    while number > 127:
        yield number & 127 | 128
        number >>= 7
    yield number
