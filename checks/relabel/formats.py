"""Rows to label again: CSV, and the import formats of Label Studio, doccano and Argilla, which training reads too.

The given label stands where the tool has annotations, the suggested one where it has predictions, so that a row that
nobody touches keeps its label.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from checks.findings.wrong_labels import Suggestion
from serving.errors import InputError
from serving.files import replace_file

AGENT: Final = "tuneship check"


def choose_format(path: Path, kind: str | None) -> str:
    """The one that is asked for, or as the file's name ends; raises InputError, also where its folder is missing."""
    if not path.parent.is_dir():
        raise InputError(f"--output {path}: there is no folder {path.parent}; make it first", field="--output")
    kind = kind or _BY_SUFFIX.get(path.suffix.lower(), "")
    if kind in FORMATS:
        return kind
    raise InputError(
        f"--output {path.name}: give --output-format, one of {', '.join(FORMATS)}"
        " (.csv is csv, .json label-studio, .jsonl doccano)",
        field="--output-format",
    )


def write_relabel(path: Path, suggestions: Sequence[Suggestion], kind: str) -> None:
    with replace_file(path) as file:
        file.write(FORMATS[kind](suggestions).encode("utf-8"))


def _texts(suggestion: Suggestion) -> dict[str, str]:
    inputs = suggestion.row.inputs
    return {"text": inputs} if isinstance(inputs, str) else dict(inputs)


def _about(suggestion: Suggestion) -> dict[str, Any]:
    row = suggestion.row
    return {"split": row.split, "file": row.file, "row": row.number}


def _csv(suggestions: Sequence[Suggestion]) -> str:
    """``label`` is the given one: correct it there."""
    names = ["text", *(["text_pair"] if suggestions and "text_pair" in _texts(suggestions[0]) else [])]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([*names, "label", "suggested", "confidence", "split", "file", "row"])
    for each in suggestions:
        texts = _texts(each)
        labels = _flat(each.row.target), _flat(each.suggested)
        writer.writerow([*(texts[name] for name in names), *labels, f"{each.confidence:.4f}", *_about(each).values()])
    return file.getvalue()


def _flat(label: Any) -> Any:
    return json.dumps(label, ensure_ascii=False) if isinstance(label, list) else label


def _label_studio(suggestions: Sequence[Suggestion]) -> str:
    return json.dumps([_task(each) for each in suggestions], ensure_ascii=False, indent=1) + "\n"


def _task(suggestion: Suggestion) -> dict[str, Any]:
    predicted = {"model_version": AGENT, "score": suggestion.confidence, "result": [_result(suggestion.suggested)]}
    return {
        "data": _texts(suggestion) | _about(suggestion),
        "annotations": [{"result": [_result(suggestion.row.target)]}],
        "predictions": [predicted],
    }


def _result(label: Any) -> dict[str, Any]:
    if isinstance(label, float):
        return {"from_name": "label", "to_name": "text", "type": "number", "value": {"number": label}}
    value = {"choices": label if isinstance(label, list) else [label]}
    return {"from_name": "label", "to_name": "text", "type": "choices", "value": value}


def _doccano(suggestions: Sequence[Suggestion]) -> str:
    return _lines(
        {
            **_texts(each),
            "label": each.row.target if isinstance(each.row.target, (list, float)) else [each.row.target],
            "suggested": each.suggested,
            "confidence": each.confidence,
            **_about(each),
        }
        for each in suggestions
    )


def _argilla(suggestions: Sequence[Suggestion]) -> str:
    records = [
        {
            "id": f"{each.row.split}-{each.row.file}-{each.row.number}",
            "fields": _texts(each),
            "metadata": {**_about(each), "given": _flat(each.row.target)},
            "suggestions": {"label": {"value": each.suggested, "score": each.confidence, "agent": AGENT}},
            "responses": {},
            "vectors": {},
            "_server_id": None,
        }
        for each in suggestions
    ]
    return json.dumps(records, ensure_ascii=False, indent=1) + "\n"


def _lines(rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


FORMATS: dict[str, Callable[[Sequence[Suggestion]], str]] = {
    "csv": _csv,
    "label-studio": _label_studio,
    "doccano": _doccano,
    "argilla": _argilla,
}
_BY_SUFFIX = {".csv": "csv", ".json": "label-studio", ".jsonl": "doccano"}
