"""docs/bundle.md, made from the manifest's own types; `make docs` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from serving.bundle.manifest import GoldenRow, Manifest

INTRODUCTION = """\
# The bundle

A bundle is a folder without subfolders. Nothing in it is code, and every name in its manifest comes from a fixed
registry.

| file | what it holds |
| --- | --- |
| `manifest.json` | what the bundle is, see below; the sha256 and size of every other file, and its own digest, which \
is the bundle's identity |
| `model.onnx` | the graph that answers; of an encoder-decoder model `encoder.onnx` and `decoder.onnx` |
| `model.NAME.onnx` | a fallback's graph, by its variant's name |
| `tokenizer.json` | the tokenizer, as the tokenizers library reads it; padding and truncation are in the manifest |
| `golden.jsonl` | recorded answers, a row each, see below; every server replays them before its first request; \
`golden.NAME.jsonl` for a fallback |
| `parity.json` | every figure of the proof; `parity.NAME.json` for a fallback |
| `variants.json`, `variants.svg` | with `--variant auto`: each variant tried, its figures, on test rows \
where it was proven and else on validation rows, and why it is not served; \
with `int8`: how it was calibrated, and which layers are float32 |
| `reference.json` | what is usual: facts of the test set's answers, which a server's drift is measured against |
| `README.md` | the model card |
| `bom.cdx.json` | a CycloneDX 1.6 ML-BOM, made from the manifest |
| `model.sig` | the signature, where there is one; the only file that the manifest does not name, because it signs \
the manifest too |

## What is checked when

| when | what | where not |
| --- | --- | --- |
| a bundle is opened | the manifest is in canonical form and has its digest; every file has its size and sha256; no \
other file, no link, no path that leads out | nothing is loaded |
| a signature is required | `model.sig` holds for the key, and covers every file | nothing is loaded |
| a file is used | the bytes that were read have the sha256 | it is not used |
| a server starts | token ids, answers and logits of the golden rows are the recorded ones on this machine | the next \
fallback is tried, a warning told; where none holds, the server ends |

A variant that names something of the CPU in `depends_on`, and finds itself on a machine that differs in it from
`proven_on`, is tried after those that do not: a few golden answers cannot stand in for the test set it was proven on.

## manifest.json

Sorted keys, two spaces, UTF-8, a newline at the end; any other form is refused. An unknown key is refused.
"""


def bundle_reference() -> str:
    """The reference in Markdown: a table for the manifest, one for each of its parts, one for a golden row."""
    parts = dict(_parts(Manifest, ""))
    tables = [f"## {name}\n\n{_about(part)}\n\n{_table(part, name)}" for name, part in parts.items()]
    golden = f"## A row of golden.jsonl\n\n{_about(GoldenRow)}\n\n{_table(GoldenRow, '')}"
    return "\n".join([INTRODUCTION, _table(Manifest, ""), *tables, golden])


def _parts(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """The typed parts below a model with their dotted names; what a list or a map holds is a part too."""
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield f"{prefix}{name}", kind
                if prefix == "" and kind.__name__ != "Alternative":  # its parts have tables already
                    yield from _parts(kind, f"{name}.")


def _about(part: type[BaseModel]) -> str:
    return " ".join((part.__doc__ or "").split())


def _table(part: type[BaseModel], prefix: str) -> str:
    rows = [
        f"| `{prefix}{'.' if prefix else ''}{name}` | {_kind(field)} | {field.description or ''} |"
        for name, field in part.model_fields.items()
    ]
    return "\n".join(["| key | kind | |", "| --- | --- | --- |", *rows]) + "\n"


def _kind(field: FieldInfo) -> str:
    """The field's type, as the code writes it, without the modules' names."""
    kind = field.annotation
    shown = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
    for module in ("typing.", "serving.bundle.manifest.", "serving.bundle.cpu."):
        shown = shown.replace(module, "")
    return f"`{shown}`".replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(bundle_reference())
