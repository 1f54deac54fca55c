"""Tensors: texts are read from JSON or binary; texts and numbers are written."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.errors import InputError, InputTooLarge
from serving.protocols.open_inference.tensors import Tensor, TensorHead
from serving.protocols.open_inference.tensors import read_texts as read_texts_at_most


def head(name: str = "text", shape: list[int] | None = None, **more: Any) -> TensorHead:
    return TensorHead.model_validate({"name": name, "shape": shape or [2], "datatype": "BYTES", **more})


def read_texts(heads: list[TensorHead], binary: bytes, limit: int = 1000) -> dict[str, list[str]]:
    return read_texts_at_most(heads, binary, limit)


def packed(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


@pytest.mark.parametrize(("shape", "data"), [([2], ["a", "b"]), ([2, 1], ["a", "b"]), ([2, 1], [["a"], ["b"]])])
def test_json(shape: list[int], data: list[Any]) -> None:
    """Elements may be flat or nested as in the shape; further dimensions have size 1."""
    assert read_texts([head(shape=shape, data=data)], b"") == {"text": ["a", "b"]}


@pytest.mark.slow
@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_binary_there_and_back(first: list[str], second: list[str]) -> None:
    """Several binary tensors written one after another are read back unchanged."""
    tensors = [Tensor("text", "BYTES", [len(first)], first), Tensor("text_pair", "BYTES", [len(second)], second)]
    written = [tensor.to_binary() for tensor in tensors]
    heads = [TensorHead.model_validate(about) for about, _ in written]
    assert read_texts(heads, b"".join(data for _, data in written)) == {"text": first, "text_pair": second}


def test_numbers() -> None:
    """Numbers are little-endian, 4 bytes a float and 8 an integer, in row-major order."""
    about, data = Tensor("score", "FP32", [2, 2], [0.5, 1.5, -2.0, 3.0]).to_binary()
    assert about["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(data, "<f4").tolist() == [0.5, 1.5, -2.0, 3.0]
    assert np.frombuffer(Tensor("start", "INT64", [1], [2**40]).to_binary()[1], "<i8").tolist() == [2**40]


@pytest.mark.parametrize(
    ("tensor", "binary", "message"),
    [
        (head(datatype="FP32", data=[1.0, 2.0]), b"", r"inputs\[0\]\.datatype is 'FP32'; texts are BYTES"),
        (head(), b"", r"inputs\[0\]\.data is missing"),
        (head(shape=[3], data=["a", "b"]), b"", r"shape is \[3\] and the tensor has 2 elements; give \[2\]"),
        (head(shape=[1, 2], data=["a", "b"]), b"", r"shape is \[1, 2\]; give \[n\] or \[n, 1\] for n texts"),
        (head(shape=[-1, -2], data=["a", "b"]), b"", r"shape is \[-1, -2\]"),
        (head(shape=[1], data=["a"] * 10**6), b"", r"shape is \[1\] and the tensor has more elements"),
        (head(shape=[2, 2**60], data=["a", "b"]), b"", r"shape is \[2, 1152921504606846976\]; give \[n\] or \[n, 1\]"),
        (head(shape=[-(10**4000)], data=["a"]), b"", r"shape is \[-1\d+\.\.\.0+\]; give"),
        (head(data=["a", "b"], parameters={"binary_data_size": 5}), packed(b"a"), r"both data and .*binary_data_size"),
        (head(data=["a", "b"]), b"xyz", r"3 bytes follow the JSON and belong to no tensor"),
        (head(parameters={"binary_data_size": 9}), packed(b"a"), r"declares 9 bytes, and 5 follow"),
        (head(parameters={"binary_data_size": 3}), b"abc", r"a text is cut off at byte 0"),
        (head(parameters={"binary_data_size": 5}), packed(b"ab")[:5], r"a text is cut off at byte 0"),
        (head(parameters={"binary_data_size": -1}), b"", r"must be a number of bytes, found -1"),
        (head(parameters={"binary_data_size": True}), b"", r"must be a number of bytes, found True"),
        (head(shape=[1], parameters={"binary_data_size": 5}), packed(b"\xff"), r"a text is not UTF-8, see its byte 0"),
    ],
)  # fmt: skip
def test_refused(tensor: TensorHead, binary: bytes, message: str) -> None:
    """A tensor that contradicts its head is an error that names it."""
    with pytest.raises(InputError, match=message) as caught:
        read_texts([tensor], binary)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("shape", [[1] * 9, [999_999_999_999_999_999] * 10_000])
def test_rank(shape: list[int]) -> None:
    """A tensor of texts has one to eight dimensions."""
    with pytest.raises(ValidationError, match="at most 8 items"):
        head(shape=shape, data=["hi"])


@pytest.mark.parametrize(
    ("tensor", "binary"),
    [
        (head(shape=[4], data=["a"] * 4), b""),
        (head(shape=[4, 1], data=["a"] * 4), b""),
        (head(shape=[4], parameters={"binary_data_size": 20}), packed(*[b"a"] * 4)),
    ],
)
def test_too_many_texts(tensor: TensorHead, binary: bytes) -> None:
    """Too many texts are refused before they are read."""
    with pytest.raises(InputTooLarge, match=r"`inputs\[0\]` holds 4 texts; a request may hold 3"):
        read_texts([tensor], binary, limit=3)
