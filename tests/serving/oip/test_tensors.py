"""Tensors: texts in, as JSON or as binary; texts and numbers out."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InputError
from serving.oip.tensors import Tensor, TensorHead, texts_of


def head(name: str = "text", shape: list[int] | None = None, **more: Any) -> TensorHead:
    return TensorHead.model_validate({"name": name, "shape": shape or [2], "datatype": "BYTES", **more})


def packed(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


@pytest.mark.parametrize(("shape", "data"), [([2], ["a", "b"]), ([2, 1], ["a", "b"]), ([2, 1], [["a"], ["b"]])])
def test_json(shape: list[int], data: list[Any]) -> None:
    """Elements may come flat or nested as the shape says; further dimensions have size 1."""
    assert texts_of([head(shape=shape, data=data)], b"") == {"text": ["a", "b"]}


@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_binary_there_and_back(first: list[str], second: list[str]) -> None:
    """What an answer's binary tensors hold is what a request's are read as, one tensor behind the other."""
    tensors = [Tensor("text", "BYTES", [len(first)], first), Tensor("text_pair", "BYTES", [len(second)], second)]
    written = [tensor.binary() for tensor in tensors]
    heads = [TensorHead.model_validate(about) for about, _ in written]
    assert texts_of(heads, b"".join(data for _, data in written)) == {"text": first, "text_pair": second}


def test_numbers() -> None:
    """Numbers are little-endian, 4 bytes a float and 8 an integer, in row-major order."""
    about, data = Tensor("score", "FP32", [2, 2], [0.5, 1.5, -2.0, 3.0]).binary()
    assert about["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(data, "<f4").tolist() == [0.5, 1.5, -2.0, 3.0]
    assert np.frombuffer(Tensor("start", "INT64", [1], [2**40]).binary()[1], "<i8").tolist() == [2**40]


@pytest.mark.parametrize(
    ("tensor", "binary", "message"),
    [
        (head(datatype="FP32", data=[1.0, 2.0]), b"", r"inputs\[0\]\.datatype is 'FP32'; texts are BYTES"),
        (head(), b"", r"inputs\[0\]\.data is missing"),
        (head(shape=[3], data=["a", "b"]), b"", r"shape is \[3\] and the tensor has 2 elements; give \[2\]"),
        (head(shape=[1, 2], data=["a", "b"]), b"", r"shape is \[1, 2\]"),
        (head(shape=[-1, -2], data=["a", "b"]), b"", r"shape is \[-1, -2\]"),
        (head(data=["a", "b"]), b"xyz", r"3 bytes follow the JSON and belong to no tensor"),
        (head(parameters={"binary_data_size": 9}), packed(b"a"), r"tells of 9 bytes; 5 follow"),
        (head(parameters={"binary_data_size": 3}), b"abc", r"a text is cut off at byte 0"),
        (head(parameters={"binary_data_size": 5}), packed(b"ab")[:5], r"a text is cut off at byte 0"),
        (head(parameters={"binary_data_size": -1}), b"", r"must be a number of bytes, found -1"),
        (head(parameters={"binary_data_size": True}), b"", r"must be a number of bytes, found True"),
        (head(parameters={"binary_data_size": 5}, data=["a"]), packed(b"a"), r"has both data and binary_data_size"),
        (head(shape=[10**4000], data=["a"]), b"", r"^.{1,200}$"),
        (head(shape=[1], parameters={"binary_data_size": 5}), packed(b"\xff"), r"a text is not UTF-8, see its byte 0"),
    ],
)  # fmt: skip
def test_refused(tensor: TensorHead, binary: bytes, message: str) -> None:
    """A tensor that is not what it tells of itself is refused, and named."""
    with pytest.raises(InputError, match=message):
        texts_of([tensor], binary)


@pytest.mark.parametrize("shape", [[1] * 9, [10**18] * 200_000, ["a"] * 200_000])
def test_many_dimensions(shape: list[Any]) -> None:
    """A shape that no tensor of texts has is refused at its length, without a look at the rest."""
    with pytest.raises(ValueError, match="shape") as caught:
        head(shape=shape, data=["a"])
    assert len(str(caught.value)) < 500


def test_twice() -> None:
    """Of two tensors of one name neither is dropped silently."""
    with pytest.raises(InputError, match="two of the inputs are named 'text'; give each once"):
        texts_of([head(shape=[1], data=["a"]), head(shape=[1], data=["b"])], b"")
