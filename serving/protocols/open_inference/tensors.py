"""Tensors with their elements in the JSON, or in binary behind it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from pydantic import Field

from serving.errors import InputError, InputTooLarge, quote
from serving.tasks.base import Datatype
from serving.tasks.strict_model import FailFastList, StrictModel

NUMBERS: dict[Datatype, str] = {"FP32": "<f4", "INT64": "<i8"}
LENGTH = struct.Struct("<I")
"""Precedes each text of a binary tensor: its number of bytes."""

BINARY_SIZE = "binary_data_size"


class TensorHead(StrictModel):
    """``data`` is flat or nested, or None where ``binary_data_size`` bytes follow the JSON."""

    name: str
    shape: FailFastList[int] = Field(min_length=1, max_length=8)
    datatype: str
    parameters: dict[str, Any] = Field(default={})
    data: list[Any] | None = None


@dataclass(frozen=True)
class Tensor:
    """``data`` is flat, in row-major order."""

    name: str
    datatype: Datatype
    shape: list[int]
    data: list[Any]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": self.shape, "data": self.data}

    def to_binary(self) -> tuple[dict[str, Any], bytes]:
        """The head as JSON, and the elements: little-endian numbers, or texts behind their lengths."""
        if self.datatype == "BYTES":
            data = join_texts(text.encode() for text in self.data)
        else:
            data = np.asarray(self.data, dtype=NUMBERS[self.datatype]).tobytes()
        head = {"name": self.name, "datatype": self.datatype, "shape": self.shape}
        return {**head, "parameters": {BINARY_SIZE: len(data)}}, data


def join_texts(texts: Iterable[bytes]) -> bytes:
    return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))


def read_texts(heads: Sequence[TensorHead], binary: bytes, limit: int) -> dict[str, list[str]]:
    """The texts of each tensor by name.

    Raises InputTooLarge if a shape declares more than ``limit`` texts, else InputError.
    """
    texts: dict[str, list[str]] = {}
    start = 0
    for index, head in enumerate(heads):
        field = f"inputs[{index}]"
        if head.datatype != "BYTES":
            message = f"{field}.datatype is {quote(head.datatype)}; texts are BYTES"
            raise InputError(message, field=f"{field}.datatype")
        _check_shape(head, field, limit)
        size = _binary_size(head, field)
        elements = _json_elements(head, field) if size is None else _split(binary[start : start + size], size, field)
        start += size or 0
        texts[head.name] = _take_rows(elements, head, field)
    if start != len(binary):
        raise InputError(f"{len(binary) - start:,} bytes follow the JSON and belong to no tensor", field="inputs")
    return texts


def _binary_size(head: TensorHead, field: str) -> int | None:
    size, path = head.parameters.get(BINARY_SIZE), f"{field}.parameters.{BINARY_SIZE}"
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InputError(f"{path} must be a number of bytes, found {quote(size)}", field=path)
    if head.data is not None:
        raise InputError(f"{field} has both data and parameters.{BINARY_SIZE}; give one of them", field=field)
    return size


def _json_elements(head: TensorHead, field: str) -> Iterator[Any]:
    if head.data is None:
        raise InputError(f"{field}.data is missing", field=f"{field}.data")
    return _flatten(head.data, len(head.shape))


def _flatten(data: Any, depth: int) -> Iterator[Any]:
    """Depth-first, at most ``depth`` lists deep."""
    if isinstance(data, list) and depth > 0:
        for each in data:
            yield from _flatten(each, depth - 1)
    else:
        yield data


def _split(data: bytes, size: int, field: str) -> Iterator[str]:
    if len(data) < size:
        raise InputError(f"{field} declares {quote(size)} bytes, and {len(data)} follow the JSON", field=field)
    start = 0
    while start < size:
        end = start + LENGTH.size
        stop = end + (LENGTH.unpack_from(data, start)[0] if end <= size else size)
        if stop > size:
            raise InputError(f"{field}: a text is cut off at byte {start:,} of its binary data", field=field)
        yield _decode(data[end:stop], field)
        start = stop


def _decode(data: bytes, field: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{field}: a text is not UTF-8, see its byte {error.start}", field=field) from error


def _check_shape(head: TensorHead, field: str, limit: int) -> None:
    rows, *further = head.shape
    if rows < 0 or any(size != 1 for size in further):
        message = f"{field}.shape is {quote(head.shape)}; give [n] or [n, 1] for n texts"
        raise InputError(message, field=f"{field}.shape")
    if rows > limit:
        raise InputTooLarge(f"`{field}` holds {quote(rows)} texts; a request may hold {limit}", field=field)


def _take_rows(elements: Iterable[Any], head: TensorHead, field: str) -> list[Any]:
    """Reads at most one element more than the shape declares."""
    rows = head.shape[0]
    taken = list(islice(elements, rows + 1))
    if len(taken) > rows:
        raise InputError(f"{field}.shape is {head.shape} and the tensor has more elements", field=f"{field}.shape")
    if len(taken) < rows:
        message = f"{field}.shape is {head.shape} and the tensor has {len(taken)} elements; give [{len(taken)}]"
        raise InputError(message, field=f"{field}.shape")
    return taken
