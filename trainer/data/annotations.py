"""Tables as annotation tools export them: the tasks of Label Studio, the records of Argilla, Prodigy's decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from serving.errors import quote
from trainer.data.problems import UNUSABLE, Unusable
from trainer.data.table import Table

Annotation = Literal["spans", "choices", "number", "text"]
"""What of a task's annotation a training learns."""

_RESULTS = ("annotations", "completions")
_DECISIONS = {"accept", "reject", "ignore", "None"}


def without_label_studio(table: Table, text: str, label: str, kind: Annotation, labelled: bool | None) -> Table:
    """Label Studio's tasks as columns of their data, of texts and of answers by these names; any other table as it is.

    ``text`` names the text among a task's data, where there are several. A task without an annotation is a problem,
    unless rows need not be ``labelled``; where it is None, unless no task has one.
    """
    tasks = table.columns.get("data", [])
    if text in table.columns or not tasks or not all(isinstance(data, (dict, Unusable)) for data in tasks):
        return table
    names = dict.fromkeys(key for data in tasks if data is not UNUSABLE for key in data)
    columns = {name: [data if data is UNUSABLE else data.get(name) for data in tasks] for name in names}
    columns[text] = [data if data is UNUSABLE else _text_of_task(data, text) for data in tasks]
    results = next((table.columns[name] for name in _RESULTS if name in table.columns), [None] * len(tasks))
    if labelled or (labelled is None and any(each for each in results if each is not UNUSABLE)):
        columns[label] = [_answer_of_task(table, row, listed, kind) for row, listed in enumerate(results, 1)]
    return replace(table, columns=columns)


def without_argilla(table: Table, text: str, label: str, labelled: bool | None) -> Table:
    """Argilla's records as columns of their fields, of texts and of answers by these names; any other as it is.

    Records are as `without_label_studio` has tasks: nested, or flat with ``NAME.responses``.
    """
    if f"{label}.responses" in table.columns and label not in table.columns:
        columns, listed = dict(table.columns), [{label: _wrapped(each)} for each in table.columns[f"{label}.responses"]]
    elif {"fields", "responses"} <= table.columns.keys() and text not in table.columns:
        columns, listed = {**table.columns, **_fields(table, text)}, table.columns["responses"]
    else:
        return table
    if labelled or (labelled is None and any(listed)):
        columns[label] = [_answer_of_record(table, row, each, label) for row, each in enumerate(listed, 1)]
    return replace(table, columns=columns)


def _fields(table: Table, text: str) -> dict[str, list[Any]]:
    records = [each if isinstance(each, dict) else {} for each in table.columns["fields"]]
    names = dict.fromkeys(key for record in records for key in record)
    texts = {text: [_text_of_task(record, text) for record in records]}
    return {name: [record.get(name) for record in records] for name in names} | texts


def _wrapped(values: Any) -> list[dict[str, Any]]:
    return [{"value": value} for value in values] if isinstance(values, list) else []


def _answer_of_record(table: Table, row: int, responses: Any, label: str) -> Any:
    """That of the question named as the label, or of the only one."""
    questions = responses if isinstance(responses, dict) else {}
    given = questions.get(label) or (next(iter(questions.values())) if len(questions) == 1 else [])
    found = [each["value"] for each in given or [] if isinstance(each, dict) and each.get("value") is not None]
    if not found:
        table.problems.add(row, "has no response; annotate the record, or leave it out")
    elif any(_plain(each) != _plain(found[0]) for each in found[1:]):
        table.problems.add(row, f"has {len(found)} responses that differ; keep one of them")
    else:
        return found[0]
    return UNUSABLE


def without_rejected(table: Table) -> None:
    """Prodigy keeps what the annotator rejected or ignored; adds to the table's problems."""
    if not {"_input_hash", "_task_hash", "spans"} & table.columns.keys() or "answer" not in table.columns:
        return
    if not set(map(str, table.columns["answer"])) <= _DECISIONS:
        return
    for row, answer in enumerate(table.columns["answer"], 1):
        if answer not in ("accept", None):
            table.problems.add(row, f"answer is {quote(answer)}; only rows whose annotation was accepted are used")


def _text_of_task(data: Mapping[str, Any], name: str) -> Any:
    return data.get(name) or next((value for value in data.values() if isinstance(value, str)), None)


def _answer_of_task(table: Table, row: int, annotations: Any, kind: Annotation) -> Any:
    """That of a task's only annotation, or of several that are equal."""
    if annotations is UNUSABLE:
        return UNUSABLE
    kept = [each for each in annotations or [] if isinstance(each, dict) and not each.get("was_cancelled")]
    found = [_ANSWERS[kind](each.get("result") or []) for each in kept]
    if not found:
        table.problems.add(row, "has no annotation; annotate the task, or leave it out")
    elif any(_plain(each) != _plain(found[0]) for each in found[1:]):
        table.problems.add(row, f"has {len(found)} annotations that differ; keep one of them")
    elif kind == "spans" and any("startOffset" in value for value in found[0]):
        table.problems.add(row, "has entities in hypertext; only entities in plain text are read")
    else:
        return found[0]
    return UNUSABLE


def _plain(answer: Any) -> list[str]:
    return sorted(map(str, answer)) if isinstance(answer, list) else [str(answer)]


def _values(result: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for each in result:
        if isinstance(each, dict) and isinstance(each.get("value"), dict):
            yield each["value"]


def _spans(result: Sequence[Any]) -> list[dict[str, Any]]:
    """Relations, choices and the like have no place in the text."""
    return [
        {
            **{key: value[key] for key in value if key in ("start", "end", "text", "startOffset")},
            "label": value.get("labels") or value.get("hypertextlabels"),
        }
        for value in _values(result)
        if "start" in value and "end" in value
    ]


def _choices(result: Sequence[Any]) -> list[Any]:
    return [choice for value in _values(result) for choice in value.get("choices") or []]


def _number(result: Sequence[Any]) -> Any:
    found = [value[name] for value in _values(result) for name in ("number", "rating") if name in value]
    return found[0] if len(found) == 1 else None


def _text(result: Sequence[Any]) -> Any:
    found = [value["text"] for value in _values(result) if "text" in value and "start" not in value]
    texts = found[0] if len(found) == 1 else None
    return "\n".join(map(str, texts)) if isinstance(texts, list) else texts


_ANSWERS = {"spans": _spans, "choices": _choices, "number": _number, "text": _text}
