"""Generates docs/bundle.md from the manifest's types."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

from serving.bundle.manifest import GoldenRow, Manifest

INTRODUCTION = """\
# The bundle

A bundle is a folder without subfolders. It contains no code, and every name in its manifest comes from a fixed
registry.

| file | content |
| --- | --- |
| `manifest.json` | what the bundle is, see below; the sha256 and size of every other file; its own digest, which \
identifies the bundle |
| `model.onnx` | the graph; an encoder-decoder model has `encoder.onnx` and `decoder.onnx` |
| `model.onnx.data` | the tensors of a graph above 2 GB, which one ONNX file cannot hold; each such graph has its own |
| `model.NAME.onnx` | the graph of a fallback, the variant NAME |
| `tokenizer.json` | the tokenizer in the tokenizers library's format; padding and truncation are in the manifest |
| `golden.jsonl` | recorded answers, one on each line, see below; every server replays them before its first request; \
`golden.NAME.jsonl` for a fallback |
| `parity.json` | every figure of the proof; `parity.NAME.json` for a fallback |
| `variants.json`, `variants.svg` | with `--variant auto`: the figures of each variant (on test rows if it was proven, \
else on validation rows) and why it is not served; \
with `int8`: how it was calibrated, and which layers are float32 |
| `calibration.svg` | the reliability diagram of the served scores on the test rows, for tasks that answer \
probabilities |
| `reference.json` | counts of labels and lengths on the test set; a server measures drift against them |
| `README.md` | the model card |
| `bom.cdx.json` | a CycloneDX 1.6 ML-BOM, made from the manifest |
| `model.sig` | the signature, if there is one; not named in the manifest, because it signs that too |

## What is checked when

| when | what is checked | on failure |
| --- | --- | --- |
| a bundle is opened | the manifest is in canonical form and has its digest; every file has its size and sha256; there \
is no other file, no link, pipe or device, no path that leads outside, and no graph with a tensor outside \
of the files that `graph.data` names | nothing is loaded |
| a signature is required | `model.sig` is valid for the key, and covers every file | nothing is loaded |
| a file is used | the bytes read have the sha256; onnxruntime gets graphs and tensors as these bytes, and reads no \
file | the file is not used |
| a server starts | this machine reproduces the token ids, answers and logits of the golden rows | the server logs a \
warning and tries the next fallback; after the last one it exits |

Golden answers are few and cannot replace the test set of the proof. So a variant does not serve if `depends_on` names a
CPU property in which the machine differs from `proven_on`.

## manifest.json

Sorted keys, two spaces, UTF-8, a newline at the end; any other form is rejected. So is an unknown key.
"""


def bundle_reference() -> str:
    parts = dict(_typed_parts(Manifest))
    tables = [f"## {name}\n\n{_summary(part)}\n\n{_table(part, f'{name}.')}" for name, part in parts.items()]
    golden = f"## A row of golden.jsonl\n\n{_summary(GoldenRow)}\n\n{_table(GoldenRow)}"
    return "\n".join([INTRODUCTION, _table(Manifest), *tables, golden])


def _typed_parts(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """By dotted name, also in lists and maps."""
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield f"{prefix}{name}", kind
                if prefix == "" and kind.__name__ != "Alternative":  # its parts have tables already
                    yield from _typed_parts(kind, f"{name}.")


def _summary(part: type[BaseModel]) -> str:
    return " ".join((part.__doc__ or "").split())


def _table(part: type[BaseModel], prefix: str = "") -> str:
    rows = [
        f"| `{prefix}{name}` | {_type_name(get_type_hints(part)[name])} | {field.description or ''} |"
        for name, field in part.model_fields.items()
    ]
    return "\n".join(["| key | type | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def _type_name(kind: Any) -> str:
    """Without module names."""
    name = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
    for module in ("typing.", "serving.bundle.manifest.", "serving.bundle.cpu."):
        name = name.replace(module, "")
    name = re.sub(r"Optional\[(\w+)\]", r"\1 | None", name)
    return f"`{name}`".replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(bundle_reference())
