"""The messages of ``open_inference.proto``, from its compiled form ``open_inference.binpb``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "inference"

# A pool of its own: other libraries, such as Triton's client, register messages of the same names in the default pool.
_pool = DescriptorPool()
(_file,) = FileDescriptorSet.FromString(Path(__file__).with_name("open_inference.binpb").read_bytes()).file
_pool.Add(_file)

SERVICE = _pool.FindServiceByName(f"{PACKAGE}.GRPCInferenceService")
"""Its methods each take ``…Request`` and return ``…Response``."""


def message(name: str) -> type[Any]:
    """The class of a message, such as ``ModelInferRequest``."""
    cls: type[Any] = GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
    return cls
