"""Runs a graph that is still being made."""

from __future__ import annotations

from onnx import ModelProto

from serving.runtime import onnxruntime


def session_of(model: ModelProto) -> onnxruntime.InferenceSession:
    """A session on one thread, whatever the machine: what is seen decides what is written."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
