"""The tensors that an ONNX file keeps in other files: onnxruntime would read them from wherever they lie.

This reads protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), since the onnx package is not on
a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from serving.errors import BundleError, quote

CHILDREN = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto", 22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
}  # fmt: skip
"""By message, the fields that can contain a tensor."""

NAME, EXTERNAL_DATA, DATA_LOCATION = 8, 13, 14
KEY, VALUE = 1, 2

DEEPEST = 100
"""protobuf's own limit of messages in messages."""

WEIGHT = (7, 5)
"""Leads to a tensor of the graph's own ``initializer``."""

Path = tuple[int, ...]
Field = tuple[int, "int | memoryview"]


@dataclass(frozen=True)
class ExternalTensor:
    """``entries`` are key and value as in the file; ``weight``: it is one of the graph's own initializers."""

    name: str
    entries: list[tuple[str, str]]
    weight: bool

    @property
    def location(self) -> str:
        return dict(self.entries).get("location", "")


def check_external_tensors(graph: bytes, name: str, data: Mapping[str, int]) -> None:
    """Raise BundleError for a tensor that is not within files of ``data``, or a malformed graph.

    Args:
        graph: the content of the file ``name``.
        data: the accepted files, by name their size in bytes.
    """
    for each in _find_or_refuse(graph, name):
        _check(each, name, data)


def data_files(graph: bytes, name: str) -> list[str]:
    """The files that tensors are in, unchecked; raises BundleError for a malformed graph."""
    return list(dict.fromkeys(each.location for each in _find_or_refuse(graph, name)))


def _find_or_refuse(graph: bytes, name: str) -> Iterator[ExternalTensor]:
    try:
        yield from find_external_tensors(graph)
    except ValueError as error:
        raise BundleError(f"{name} cannot be loaded by onnxruntime: it is not an ONNX file: {error}") from error


def _check(tensor: ExternalTensor, name: str, data: Mapping[str, int]) -> None:
    where = f"{name} keeps {quote(tensor.name)} in the file {quote(tensor.location)}"
    if tensor.location not in data or not tensor.weight:  # onnxruntime takes only weights from memory
        raise BundleError(
            f"{where}, which manifest.json does not name for it: neither hashes nor a signature cover it. "
            "Export the bundle again."
        )
    entries, size = dict(tensor.entries), data[tensor.location]
    numbers = [entries.get(key, "") for key in ("offset", "length")]
    whole = all(each.isascii() and each.isdigit() and len(each) < 20 for each in numbers)
    if len(tensor.entries) != 3 or not whole or sum(map(int, numbers)) > size:
        raise BundleError(
            f"{where} at offset {quote(numbers[0])} with length {quote(numbers[1])}; the file has {size:,} bytes. "
            "Export the bundle again."
        )


def find_external_tensors(graph: bytes) -> Iterator[ExternalTensor]:
    """Of the whole file: graphs, branches, functions, sparse and training tensors.

    Raises ValueError for a malformed file.
    """
    for path, fields in _find_tensors("ModelProto", memoryview(graph), ()):
        entries = [dict(_fields(each)) for at, each in fields if at == EXTERNAL_DATA and isinstance(each, memoryview)]
        # Either mark suffices: protobuf merges the parts of a message that is written in several.
        if entries or any(number == DATA_LOCATION and value != 0 for number, value in fields):
            texts = [(_text(each.get(KEY)), _text(each.get(VALUE))) for each in entries]
            yield ExternalTensor(_text(dict(fields).get(NAME)), texts, path == WEIGHT)


def _find_tensors(message: str, content: memoryview, path: Path) -> Iterator[tuple[Path, list[Field]]]:
    """The field numbers that lead to each tensor, and its fields."""
    if len(path) > DEEPEST:
        raise ValueError("messages are nested too deep")
    if message == "TensorProto":
        yield path, list(_fields(content))
        return
    children = CHILDREN[message]
    for number, value in _fields(content):
        if number in children and isinstance(value, memoryview):
            yield from _find_tensors(children[number], value, (*path, number))


def _fields(content: memoryview) -> Iterator[Field]:
    """Number and value of each field; fixed-size values, which ONNX's external data has none of, as 0."""
    at = 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        if not 8 <= tag < 2**32:
            raise ValueError(f"there is no field {tag >> 3}")
        value: int | memoryview = 0
        match tag & 7:
            case 0:
                value, at = _read_varint(content, at)
            case 1:
                at += 8
            case 2:
                size, at = _read_varint(content, at)
                value, at = content[at : at + size], at + size
            case 5:
                at += 4
            case other:
                raise ValueError(f"there is no wire type {other}")
        if at > len(content):
            raise ValueError("it ends within a field")
        yield tag >> 3, value


def _read_varint(content: memoryview, at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            break
        byte, at = content[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("it ends within a number")


def _text(value: int | memoryview | None) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, memoryview) else ""
