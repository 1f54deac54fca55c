"""The onnxruntime peer's graph: the same checkpoint as dynamic int8."""

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
def _silence() -> Iterator[None]:
    """The tool recommends preparing the graph even after that has been done."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def quantize_to_int8(subject: Subject) -> Path:
    """A folder with ``model.onnx``, ``tokenizer.json`` and ``facts.json``, written anew."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    bundle = Bundle.open(subject.bundles["fp32"])
    spec = bundle.manifest.tokenizer
    FOLDER.mkdir(parents=True, exist_ok=True)
    prepared = FOLDER / "prepared.onnx"
    quant_pre_process(bundle.root / bundle.manifest.graph.file, prepared, skip_symbolic_shape=True)
    with _silence():
        quantize_dynamic(prepared, FOLDER / "model.onnx", per_channel=True, weight_type=QuantType.QInt8)
    shutil.copyfile(bundle.root / spec.file, FOLDER / "tokenizer.json")
    facts = {"labels": bundle.manifest.labels, "max_length": spec.max_length, "pad_token_id": spec.pad_token_id}
    (FOLDER / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    return FOLDER.absolute()
