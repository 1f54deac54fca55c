"""What annotation tools export, as the plain table that the trainer makes of it: Label Studio, Argilla."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from trainer.data.annotations import Annotation, without_argilla, without_label_studio
from trainer.data.problems import RowProblems
from trainer.data.table import Table

TEXT, LABEL = "text", "label"
_RESPONSES = ".responses"


def flatten(table: Table) -> tuple[Table, str]:
    """The table, and the tool that wrote it, if one is known by its form."""
    scratch = replace(table, problems=RowProblems())  # the trainer tells them, by the recipe
    if kind := _kind_of_tasks(table):
        flat = without_label_studio(scratch, TEXT, LABEL, kind, labelled=None)
        names = {key for data in table.columns["data"] if isinstance(data, dict) for key in data}
        return _without(flat, set() if TEXT in names else {TEXT}), "Label Studio"
    if questions := [name.removesuffix(_RESPONSES) for name in table.columns if name.endswith(_RESPONSES)]:
        flat = without_argilla(scratch, TEXT, questions[0], labelled=None)
        return _without(flat, {name for name in flat.columns if "." in name}), "Argilla"
    if {"fields", "responses"} <= table.columns.keys():
        return without_argilla(scratch, TEXT, LABEL, labelled=None), "Argilla"
    return table, ""


def _without(table: Table, names: set[str]) -> Table:
    return replace(table, columns={name: values for name, values in table.columns.items() if name not in names})


def _kind_of_tasks(table: Table) -> Annotation | None:
    """Of Label Studio's tasks what most annotations are; None for another table."""
    tasks = table.columns.get("data", [])
    if not tasks or not all(isinstance(data, dict) for data in tasks):
        return None
    kinds = Counter(kind for value in _values(table) if (kind := _kind_of(value)))
    return kinds.most_common(1)[0][0] if kinds else None


def _values(table: Table) -> Iterator[Mapping[str, Any]]:
    for name in ("annotations", "completions"):
        for listed in table.columns.get(name, []):
            for each in listed if isinstance(listed, list) else []:
                for result in (each.get("result") or []) if isinstance(each, dict) else []:
                    if isinstance(result, dict) and isinstance(result.get("value"), dict):
                        yield result["value"]


def _kind_of(value: Mapping[str, Any]) -> Annotation | None:
    if "start" in value and "end" in value:
        return "spans"
    if "choices" in value:
        return "choices"
    if "rating" in value or "number" in value:
        return "number"
    return "text" if "text" in value else None
