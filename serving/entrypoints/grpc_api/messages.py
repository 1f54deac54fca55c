"""The messages of the Open Inference Protocol over gRPC, made of its fields when this is imported: no generated code.

Format: https://github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto. A field is
written as there; a message within another is named ``Outer.Inner``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

PARAMETERS = "map<string, InferParameter> parameters"

FIELDS: dict[str, list[str]] = {
    "ServerLiveRequest": [],
    "ServerLiveResponse": ["bool live = 1"],
    "ServerReadyRequest": [],
    "ServerReadyResponse": ["bool ready = 1"],
    "ModelReadyRequest": ["string name = 1", "string version = 2"],
    "ModelReadyResponse": ["bool ready = 1"],
    "ServerMetadataRequest": [],
    "ServerMetadataResponse": ["string name = 1", "string version = 2", "repeated string extensions = 3"],
    "ModelMetadataRequest": ["string name = 1", "string version = 2"],
    "ModelMetadataResponse": [
        "string name = 1",
        "repeated string versions = 2",
        "string platform = 3",
        "repeated ModelMetadataResponse.TensorMetadata inputs = 4",
        "repeated ModelMetadataResponse.TensorMetadata outputs = 5",
    ],
    "ModelMetadataResponse.TensorMetadata": ["string name = 1", "string datatype = 2", "repeated int64 shape = 3"],
    "ModelInferRequest": [
        "string model_name = 1",
        "string model_version = 2",
        "string id = 3",
        f"{PARAMETERS} = 4",
        "repeated ModelInferRequest.InferInputTensor inputs = 5",
        "repeated ModelInferRequest.InferRequestedOutputTensor outputs = 6",
        "repeated bytes raw_input_contents = 7",
    ],
    "ModelInferRequest.InferInputTensor": [
        "string name = 1",
        "string datatype = 2",
        "repeated int64 shape = 3",
        f"{PARAMETERS} = 4",
        "InferTensorContents contents = 5",
    ],
    "ModelInferRequest.InferRequestedOutputTensor": ["string name = 1", f"{PARAMETERS} = 2"],
    "ModelInferResponse": [
        "string model_name = 1",
        "string model_version = 2",
        "string id = 3",
        f"{PARAMETERS} = 4",
        "repeated ModelInferResponse.InferOutputTensor outputs = 5",
        "repeated bytes raw_output_contents = 6",
    ],
    "ModelInferResponse.InferOutputTensor": [
        "string name = 1",
        "string datatype = 2",
        "repeated int64 shape = 3",
        f"{PARAMETERS} = 4",
        "InferTensorContents contents = 5",
    ],
    "InferParameter": [
        "oneof bool bool_param = 1",
        "oneof int64 int64_param = 2",
        "oneof string string_param = 3",
        "oneof double double_param = 4",
        "oneof uint64 uint64_param = 5",
    ],
    "InferTensorContents": [
        "repeated bool bool_contents = 1",
        "repeated int32 int_contents = 2",
        "repeated int64 int64_contents = 3",
        "repeated uint32 uint_contents = 4",
        "repeated uint64 uint64_contents = 5",
        "repeated float fp32_contents = 6",
        "repeated double fp64_contents = 7",
        "repeated bytes bytes_contents = 8",
    ],
}

CHOICE = "parameter_choice"
"""The one ``oneof`` there is."""

METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
"""Each takes its own ``…Request`` and gives its own ``…Response``."""


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="open_inference_grpc.proto", package=PACKAGE, syntax="proto3")
    made: dict[str, DescriptorProto] = {}
    for name, fields in FIELDS.items():
        outer, _, inner = name.rpartition(".")
        made[name] = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=name)
        for field in fields:
            _add(made[name], name, field)
    return file


def _add(message: DescriptorProto, path: str, field: str) -> None:
    """One field, such as ``repeated string versions = 2``."""
    declared, _, number = field.rpartition(" = ")
    kind, _, name = declared.rpartition(" ")
    added = message.field.add(name=name, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
    label, _, kind = kind.rpartition(" ") if not kind.startswith("map<") else ("map", "", kind)
    if label in ("repeated", "map"):
        added.label = FieldDescriptorProto.LABEL_REPEATED
    if label == "oneof":
        added.oneof_index = 0
        if not message.oneof_decl:
            message.oneof_decl.add(name=CHOICE)
    _type(added, _entry(message, path, kind) if label == "map" else kind)


def _entry(message: DescriptorProto, path: str, kind: str) -> str:
    """A map is on the wire, and in a descriptor, a list of messages of key and value."""
    key, value = kind.removeprefix("map<").removesuffix(">").split(", ")
    entry = message.nested_type.add(name="ParametersEntry")
    entry.options.map_entry = True
    _add(entry, "", f"{key} key = 1")
    _add(entry, "", f"{value} value = 2")
    return f"{path}.{entry.name}"


def _type(field: FieldDescriptorProto, kind: str) -> None:
    scalar = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}", None)
    if scalar is None:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = scalar


# A pool of its own: another library in this process may know messages of the same names.
_pool = DescriptorPool()
_pool.Add(_file())


def message(name: str) -> type[Any]:
    """The class of a message, such as ``ModelInferRequest``."""
    found: type[Any] = GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
    return found
