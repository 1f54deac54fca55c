"""Tensors as the protocol writes them: their elements in JSON, or behind the JSON in binary."""

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
"""In front of each text of a binary tensor: how many bytes it has."""


BINARY_SIZE = "binary_data_size"


class TensorHead(StrictModel):
    """A tensor of a request: ``data`` is flat or nested, or absent where ``binary_data_size`` bytes stand for it."""

    name: str
    shape: FailFastList[int] = Field(min_length=1, max_length=8)
    datatype: str
    parameters: dict[str, Any] = Field(default={})
    data: list[Any] | None = None


@dataclass(frozen=True)
class Tensor:
    """A tensor of an answer; ``data`` is flat, in row-major order."""

    name: str
    datatype: Datatype
    shape: list[int]
    data: list[Any]

    def content(self) -> dict[str, Any]:
        """The tensor in JSON."""
        return {"name": self.name, "datatype": self.datatype, "shape": self.shape, "data": self.data}

    def binary(self) -> tuple[dict[str, Any], bytes]:
        """The tensor's head in JSON and its elements in binary: little-endian; texts behind their length in bytes."""
        data = self._elements()
        head = {"name": self.name, "datatype": self.datatype, "shape": self.shape}
        return {**head, "parameters": {BINARY_SIZE: len(data)}}, data

    def _elements(self) -> bytes:
        if self.datatype != "BYTES":
            return np.asarray(self.data, dtype=NUMBERS[self.datatype]).tobytes()
        texts = [text.encode() for text in self.data]
        return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))


def texts_of(heads: Sequence[TensorHead], binary: bytes, most: int) -> dict[str, list[str]]:
    """The texts of each tensor of a request, by its name; ``most`` is how many a tensor may hold.

    Raises:
        InputTooLarge: a tensor tells of more than ``most`` texts; they are not read.
        InputError: a tensor is not of texts, its shape is not its data's, or ``binary`` is not what the heads tell of.
    """
    found: dict[str, list[str]] = {}
    start = 0
    for place, head in enumerate(heads):
        field = f"inputs[{place}]"
        if head.datatype != "BYTES":
            told = quote(head.datatype)
            raise InputError(f"{field}.datatype is {told}; texts are BYTES", field=f"{field}.datatype")
        _require_column(head, field, most)
        size = _binary_size(head, field)
        texts = _flat(head, field) if size is None else _split(binary[start : start + size], size, field)
        start += size or 0
        found[head.name] = _counted(texts, head, field)
    if start != len(binary):
        raise InputError(f"{len(binary) - start:,} bytes follow the JSON and belong to no tensor", field="inputs")
    return found


def _binary_size(head: TensorHead, field: str) -> int | None:
    size, where = head.parameters.get(BINARY_SIZE), f"{field}.parameters.{BINARY_SIZE}"
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InputError(f"{where} must be a number of bytes, found {quote(size)}", field=where)
    if head.data is not None:
        raise InputError(f"{field} has both data and parameters.{BINARY_SIZE}; give one of them", field=field)
    return size


def _flat(head: TensorHead, field: str) -> Iterator[Any]:
    if head.data is None:
        raise InputError(f"{field}.data is missing", field=f"{field}.data")
    return _elements(head.data, len(head.shape))


def _elements(data: Any, depth: int) -> Iterator[Any]:
    """The elements of nested lists, at most ``depth`` lists deep, in order."""
    if isinstance(data, list) and depth > 0:
        for each in data:
            yield from _elements(each, depth - 1)
    else:
        yield data


def _split(data: bytes, size: int, field: str) -> Iterator[str]:
    if len(data) < size:
        raise InputError(f"{field} tells of {quote(size)} bytes; {len(data)} follow", field=field)
    start = 0
    while start < size:
        end = start + LENGTH.size
        stop = end + (LENGTH.unpack_from(data, start)[0] if end <= size else size)
        if stop > size:
            raise InputError(f"{field}: a text is cut off at byte {start:,} of its binary data", field=field)
        yield _decoded(data[end:stop], field)
        start = stop


def _decoded(data: bytes, field: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{field}: a text is not UTF-8, see its byte {error.start}", field=field) from error


def _require_column(head: TensorHead, field: str, most: int) -> None:
    """Raise where the shape is not one text a row, or tells of more than ``most``."""
    rows, *further = head.shape
    if rows < 0 or any(size != 1 for size in further):
        raise InputError(
            f"{field}.shape is {quote(head.shape)}; give [n], a text each, or [n, 1]", field=f"{field}.shape"
        )
    if rows > most:
        raise InputTooLarge(f"`{field}` holds {quote(rows)} texts; a request may hold {most}", field=field)


def _counted(texts: Iterable[Any], head: TensorHead, field: str) -> list[Any]:
    """As many texts as the shape tells of, and no more are read; else InputError."""
    rows = head.shape[0]
    found = list(islice(texts, rows + 1))
    if len(found) > rows:
        raise InputError(f"{field}.shape is {head.shape} and the tensor has more elements", field=f"{field}.shape")
    if len(found) < rows:
        raise InputError(
            f"{field}.shape is {head.shape} and the tensor has {len(found)} elements; give [{len(found)}], a text each",
            field=f"{field}.shape",
        )
    return found
