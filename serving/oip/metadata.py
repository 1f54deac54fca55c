"""What the protocol tells of the server and of a model."""

from __future__ import annotations

from typing import Any

from serving.bundle import Manifest
from serving.oip.inference import WHOLE, input_names, output_datatypes, version_of
from serving.tasks.base import Task
from serving.version import VERSION

EXTENSIONS = ["binary_tensor_data"]


def server_metadata() -> dict[str, Any]:
    """``GET /v2``."""
    return {"name": "tuneship", "version": VERSION, "extensions": EXTENSIONS}


def model_metadata(task: Task, manifest: Manifest, name: str) -> dict[str, Any]:
    """``GET /v2/models/{name}``: a text a row in each input; ``-1`` is any number of rows, or of parts of an answer."""
    return {
        "name": name,
        "versions": [version_of(manifest)],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": each, "datatype": "BYTES", "shape": [-1]} for each in input_names(task)],
        "outputs": [
            {"name": each, "datatype": datatype, "shape": [-1] if each == WHOLE else [-1, -1]}
            for each, datatype in output_datatypes(task).items()
        ],
    }
