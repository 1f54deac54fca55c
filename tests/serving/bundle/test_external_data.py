"""External data: no tensor is read from a file that the manifest does not hash, wherever the graph names it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest

from export.sign import sign_with_key
from serving.bundle.bundle import Bundle, GraphFile
from serving.bundle.external_data import (
    CHILDREN,
    ExternalTensor,
    check_external_tensors,
    data_files,
    find_external_tensors,
)
from serving.errors import BundleError
from serving.inference.predictor import Predictor
from serving.inference.session import create_session
from tests.bundles import forge, manifest_of, seal
from tests.external_data import PLACES, external, with_outside_weight, with_tensor
from tests.keys import make_keys
from tests.test_cli import assert_refused, tuneship

REFUSAL = r"model\.onnx keeps '.+' in the file 'weights\.bin', which manifest\.json does not name for it"


@pytest.fixture
def outside(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sealed bundle with a weight in ``weights.bin`` of the working directory, where onnxruntime looks for it."""
    graph, content = with_outside_weight((tiny_bundle / "model.onnx").read_bytes(), "weights.bin")
    (tmp_path / "weights.bin").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return forge(tiny_bundle, tmp_path / "bundle", files={"model.onnx": graph})


def test_refused_when_opened(outside: Path) -> None:
    """A graph with a weight outside of the bundle is refused with the weight, the file and what to do."""
    with pytest.raises(BundleError, match=rf"{REFUSAL}.*Export the bundle again"):
        Bundle.open(outside)


def test_refused_when_signed(outside: Path, tmp_path: Path) -> None:
    """It cannot be signed; a signature made by other means does not help it, nor does a server start."""
    keys = make_keys(tmp_path / "keys")
    with pytest.raises(BundleError, match=REFUSAL):
        sign_with_key(outside, keys.private)
    with pytest.raises(BundleError, match=REFUSAL):
        Predictor.open(outside, trusted_key=keys.public)


@pytest.mark.slow
def test_refused_by_verify(outside: Path) -> None:
    """``tuneship verify`` says so, without a traceback."""
    assert_refused(tuneship("verify", str(outside)), "weights.bin", "manifest.json does not name")


def test_refused_in_a_fallback(tiny_fallback_bundle: Path, tmp_path: Path) -> None:
    """A graph that is not the first is looked at too."""
    graph, _ = with_outside_weight((tiny_fallback_bundle / "model.fp32.onnx").read_bytes(), "weights.bin")
    forged = forge(tiny_fallback_bundle, tmp_path / "bundle", files={"model.fp32.onnx": graph})
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx keeps '.+' in the file 'weights\.bin'"):
        Bundle.open(forged)


def test_refused_in_a_decoder(tiny_bundle: Path, tmp_path: Path) -> None:
    """The second graph of an encoder-decoder model is looked at too."""
    forged = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    manifest = manifest_of(forged)
    (forged / "decoder.onnx").write_bytes(with_tensor((forged / "model.onnx").read_bytes(), external()))
    seal(forged, manifest.model_copy(update={"graph": manifest.graph.model_copy(update={"decoder": "decoder.onnx"})}))
    with pytest.raises(BundleError, match=r"decoder\.onnx keeps 'weight' in the file 'weights\.bin'"):
        Bundle.open(forged)


@pytest.mark.parametrize("place", PLACES)
def test_refused_everywhere(tiny_bundle: Path, place: str) -> None:
    """No session is made of a graph with external data, wherever ONNX allows a tensor."""
    graph = with_tensor((tiny_bundle / "model.onnx").read_bytes(), external(), place)
    with pytest.raises(BundleError, match=REFUSAL):
        GraphFile("model.onnx", graph)


@pytest.mark.parametrize(
    "location", ["/etc/hostname", "../weights.bin", "model.onnx", "", ".", "*/_ORT_MEM_ADDR_/*", "a\0b"]
)
def test_refused_wherever_it_leads(tiny_bundle: Path, location: str) -> None:
    """Absolute and relative paths, the graph itself, and onnxruntime's mark for an address in memory."""
    graph = with_tensor((tiny_bundle / "model.onnx").read_bytes(), external(location=location))
    with pytest.raises(BundleError, match=r"which manifest\.json does not name"):
        GraphFile("model.onnx", graph)


def test_half_a_mark(tiny_bundle: Path) -> None:
    """A tensor that has only one of the two marks of external data is refused: protobuf merges parts of a message."""
    located, placed = external(), external()
    located.ClearField("data_location")
    placed.ClearField("external_data")
    for tensor in (located, placed):
        graph = with_tensor((tiny_bundle / "model.onnx").read_bytes(), tensor, "in_constant")
        with pytest.raises(BundleError, match=r"keeps 'weight' in the file"):
            GraphFile("model.onnx", graph)


def test_nothing_to_read_from(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a tensor overlooked, onnxruntime would still not find its file in the working directory."""
    graph = (outside / "model.onnx").read_bytes()
    assert onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])  # as it does by default
    monkeypatch.setattr("serving.bundle.bundle.check_external_tensors", lambda graph, name, data: None)
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded by onnxruntime"):
        create_session(GraphFile("model.onnx", graph), 1)


def test_where_tensors_may_be() -> None:
    """The messages that are searched are all those of ONNX in which a tensor can be."""

    def reaches(message: Any, seen: frozenset[str] = frozenset()) -> bool:
        parts = [each.message_type for each in message.fields if each.message_type]
        return message.name == "TensorProto" or any(
            reaches(part, seen | {message.name}) for part in parts if part.name not in seen
        )

    def collect(message: Any, found: dict[str, dict[int, str]]) -> dict[str, dict[int, str]]:
        parts = {each.number: each.message_type for each in message.fields if each.message_type}
        if message.name not in found and message.name != "TensorProto":
            found[message.name] = {number: part.name for number, part in parts.items() if reaches(part)}
            for number in found[message.name]:
                collect(parts[number], found)
        return found

    assert collect(onnx.ModelProto.DESCRIPTOR, {}) == CHILDREN


def test_nothing_external(tiny_bundle: Path, tiny_int8_bundle: Path, tiny_dynamic_bundle: Path) -> None:
    """The graphs that are exported have none."""
    for bundle in (tiny_bundle, tiny_int8_bundle, tiny_dynamic_bundle):
        assert list(find_external_tensors((bundle / "model.onnx").read_bytes())) == []


@pytest.mark.parametrize(
    "content",
    [b"junk", b"\x3b", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\xff" * 20, b"\x3a\x05\x0a"],
)
def test_malformed(content: bytes) -> None:
    """What is not a protobuf message is a message, not a traceback."""
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded by onnxruntime"):
        GraphFile("model.onnx", content)


def model(*tensors: onnx.TensorProto, place: str = "in_initializer") -> bytes:
    """A graph of nothing but these tensors."""
    graph = onnx.ModelProto(ir_version=10).SerializeToString()
    for tensor in tensors:
        graph = with_tensor(graph, tensor, place)
    return graph


@pytest.mark.parametrize(
    ("entries", "accepted"),
    [
        ({"offset": 84, "length": 16}, True),
        ({"offset": 0, "length": 100}, True),
        ({"offset": 100, "length": 0}, True),
        ({"offset": 85, "length": 16}, False),
        ({"offset": 101, "length": 0}, False),
        ({"offset": -1, "length": 16}, False),
        ({"offset": "", "length": 16}, False),
        ({"offset": 0, "length": "16 "}, False),
        ({"offset": "٠", "length": 16}, False),
        ({"offset": "0" * 19, "length": 16}, True),
        ({"offset": "0" * 20, "length": 16}, False),
        ({"checksum": "x"}, False),
    ],
)
def test_a_weight_is_inside_its_file(entries: dict[str, object], accepted: bool) -> None:
    """Offset and length are digits, and end at the file's end at the latest; the message has them and the size."""
    graph, data = model(external("b", size=16, **entries)), {"weights.bin": 100}
    if accepted:
        check_external_tensors(graph, "m.onnx", data)
        return
    given = {"offset": 0, "length": 16} | entries
    expected = (
        f"m.onnx keeps 'b' in the file 'weights.bin' at offset {str(given['offset'])!r} with length "
        f"{str(given['length'])!r}; the file has 100 bytes. Export the bundle again."
    )
    with pytest.raises(BundleError, match=re.escape(expected)):
        check_external_tensors(graph, "m.onnx", data)


@pytest.mark.parametrize("key", ["offset", "length"])
def test_a_weight_says_where_it_is(key: str) -> None:
    """Without an offset or a length, onnxruntime would read the rest of the file, or a whole one."""
    tensor = external()
    del tensor.external_data[[entry.key for entry in tensor.external_data].index(key)]
    with pytest.raises(BundleError, match=rf"{key} ''"):
        check_external_tensors(model(tensor), "m.onnx", {"weights.bin": 100})


def test_only_a_weight_is_read_from_memory() -> None:
    """A tensor elsewhere in the graph is refused even in a file that is named; every weight is looked at."""
    data = {"weights.bin": 100}
    with pytest.raises(BundleError, match=r"keeps 'weight' in the file 'weights\.bin', which manifest\.json does not"):
        check_external_tensors(model(external(), place="in_constant"), "m.onnx", data)
    with pytest.raises(BundleError, match=r"keeps 'c' in the file 'other', which"):
        check_external_tensors(model(external("a"), external("b"), external("c", "other")), "m.onnx", data)


def test_the_files_of_a_graph() -> None:
    """Each once, in the graph's order; a name that is missing or no UTF-8 is no obstacle."""
    graph = model(external("a", "y"), external("b", "x"), external("c", "y"))
    assert data_files(graph, "m.onnx") == ["y", "x"]
    nameless = external("ab")
    nameless.ClearField("name")
    (found,) = find_external_tensors(model(nameless))
    entries = [("location", "weights.bin"), ("offset", "0"), ("length", "16")]
    assert found == ExternalTensor("", entries, weight=True)
    (found,) = find_external_tensors(model(external("ab")).replace(b"ab", b"a\xff"))
    assert found == ExternalTensor("a\ufffd", entries, weight=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x07", "there is no field 0"),
        (b"\x80\x80\x80\x80\x10", "there is no field 536870912"),
        (b"\x3b", "there is no wire type 3"),
        (b"\x09" + bytes(7), "it ends within a field"),
        (b"\x0d" + bytes(3), "it ends within a field"),
        (b"\x0a\x05abcd", "it ends within a field"),
        (b"\x08", "it ends within a number"),
        (b"\x08" + b"\xff" * 10, "it ends within a number"),
        (b"\x09" + bytes(8), ""),
        (b"\x0d" + bytes(4), ""),
        (b"\x0a\x05abcde", ""),
        (b"\x08" + b"\xff" * 9 + b"\x01", ""),
        (b"\xf8\xff\xff\xff\x0f\x00", ""),
    ],
)
def test_the_wire_format(content: bytes, message: str) -> None:
    """Fields of every kind, up to the last byte; one byte less is malformed."""
    if not message:
        assert list(find_external_tensors(content)) == []
        return
    with pytest.raises(
        BundleError, match=f"^m.onnx cannot be loaded by onnxruntime: it is not an ONNX file: {message}$"
    ):
        data_files(content, "m.onnx")


def nested(times: int) -> bytes:
    """A model whose graph has a branch, which has a branch, and so on."""
    graph = onnx.GraphProto(name="leaf").SerializeToString()
    for _ in range(times):
        graph = _message(1, _message(5, _message(6, graph)))
    return _message(7, graph)


def test_as_deep_as_protobuf_goes() -> None:
    """A hundred messages in each other are searched."""
    assert list(find_external_tensors(nested(33))) == []
    with pytest.raises(ValueError, match="messages are nested too deep"):
        list(find_external_tensors(nested(34)))


def test_nested_too_deep() -> None:
    """Graphs within graphs without end are refused before Python's stack ends."""
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded by onnxruntime"):
        GraphFile("model.onnx", nested(2000))


def test_not_as_another_format(tiny_bundle: Path) -> None:
    """onnxruntime's own format, whose tensors nobody has searched, is not read."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tiny_bundle.parent / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(tiny_bundle / "model.onnx"), options, providers=["CPUExecutionProvider"])
    content = (tiny_bundle.parent / "model.ort").read_bytes()
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded by onnxruntime"):
        create_session(GraphFile("model.onnx", content), 1)


def _message(number: int, content: bytes) -> bytes:
    """A field of a protobuf message with another message in it."""
    size, digits = len(content), bytearray()
    while size > 127:
        digits.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *digits, size]) + content
