"""The graph of the onnxruntime peer: dynamic int8 of the same checkpoint, by onnxruntime's own tool."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.subject import WORK, Subject
from serving.bundle import Bundle

FOLDER = WORK / "peers" / "int8-dynamic"


def dynamic_int8(subject: Subject) -> Path:
    """A folder with ``model.onnx``, ``tokenizer.json`` and ``facts.json``, made anew from the fp32 graph in seconds."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    bundle = Bundle.open(subject.bundles["fp32"])
    spec = bundle.manifest.tokenizer
    FOLDER.mkdir(parents=True, exist_ok=True)
    graph = bundle.root / bundle.manifest.graph.file
    quantize_dynamic(graph, FOLDER / "model.onnx", per_channel=True, weight_type=QuantType.QInt8)
    shutil.copyfile(bundle.root / spec.file, FOLDER / "tokenizer.json")
    facts = {"labels": bundle.manifest.labels, "max_length": spec.max_length, "pad_token_id": spec.pad_token_id}
    (FOLDER / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    return FOLDER.absolute()
