"""The forms of files, by their names' ends: JSON lines, CSV, Parquet."""

from __future__ import annotations

import importlib
from types import ModuleType

from batch.files import name_of

ENDS = {
    ".jsonl": "json_lines", ".ndjson": "json_lines", ".csv": "delimited", ".tsv": "delimited", ".parquet": "parquet",
}  # fmt: skip
PACKED = ".gz"
MODULES = {"jsonl": "json_lines", "csv": "delimited", "parquet": "parquet"}
FORMS = tuple(MODULES)


def form_of(place: str) -> str | None:
    """What a file's name says of its form; None if it says nothing."""
    name = name_of(place).lower().removesuffix(PACKED)
    end = next((end for end in ENDS if name.endswith(end)), None)
    return next(form for form, module in MODULES.items() if module == ENDS[end]) if end else None


def load(form: str) -> ModuleType:
    """The module that reads and writes a form."""
    return importlib.import_module(f"batch.forms.{MODULES[form]}")
