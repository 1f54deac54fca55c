"""The messages of ``open_inference.proto`` and ``health.proto``, from their compiled forms (``.binpb``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE, HEALTH_PACKAGE = "inference", "grpc.health.v1"

# A pool of its own: other libraries, such as Triton's client, register messages of the same names in the default pool.
_pool = DescriptorPool()
for _name in ("open_inference.binpb", "health.binpb"):
    (_file,) = FileDescriptorSet.FromString(Path(__file__).with_name(_name).read_bytes()).file
    _pool.Add(_file)

SERVICE = _pool.FindServiceByName(f"{PACKAGE}.GRPCInferenceService")
"""Its methods each take ``…Request`` and return ``…Response``."""

HEALTH_SERVICE = _pool.FindServiceByName(f"{HEALTH_PACKAGE}.Health")


def message(name: str, package: str = PACKAGE) -> type[Any]:
    """The class of a message, such as ``ModelInferRequest``."""
    cls: type[Any] = GetMessageClass(_pool.FindMessageTypeByName(f"{package}.{name}"))
    return cls
