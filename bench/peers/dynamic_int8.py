"""The graph of the onnxruntime peer: dynamic int8 of the same checkpoint, by onnxruntime's own tool."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.subject import WORK, Subject
from serving.bundle.bundle import Bundle

FOLDER = WORK / "peers" / "int8-dynamic"


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The tool recommends its own preparation, even where that has been done."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def dynamic_int8(subject: Subject) -> Path:
    """A folder with ``model.onnx``, ``tokenizer.json`` and ``facts.json``, made anew from the fp32 graph in seconds."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    bundle = Bundle.open(subject.bundles["fp32"])
    spec = bundle.manifest.tokenizer
    FOLDER.mkdir(parents=True, exist_ok=True)
    prepared = FOLDER / "prepared.onnx"
    quant_pre_process(bundle.root / bundle.manifest.graph.file, prepared, skip_symbolic_shape=True)
    with _silent():
        quantize_dynamic(prepared, FOLDER / "model.onnx", per_channel=True, weight_type=QuantType.QInt8)
    shutil.copyfile(bundle.root / spec.file, FOLDER / "tokenizer.json")
    facts = {"labels": bundle.manifest.labels, "max_length": spec.max_length, "pad_token_id": spec.pad_token_id}
    (FOLDER / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    return FOLDER.absolute()
