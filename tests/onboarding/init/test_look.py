"""What is inferred of files in the forms that people bring: task, columns, options of reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onboarding.init.look import look
from onboarding.init.roles import Asked
from serving.errors import InputError
from tests.onboarding.init.writing import LABELS, TEXTS, csv, jsonl, toy

Make = Callable[[Path], Path]
NUMBERED = range(len(TEXTS))
PAIRS = list(zip(TEXTS, LABELS, strict=True))


def seen(path: Path, **asked: Any) -> tuple[str, dict[str, Any]]:
    """The task, and the recipe's keys for columns."""
    roles = look(str(path), Asked(**asked)).roles
    return roles.task, {**roles.data, **roles.head}


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    (folder / name).write_text(text, encoding=encoding)
    return folder / name


def label_studio(folder: Path, value: Callable[[str, str], dict[str, Any]]) -> Path:
    """Tasks, each with one annotation."""
    tasks = [
        {"data": {"review": text}, "annotations": [{"result": [{"value": value(text, label)}]}]}
        for text, label in zip(TEXTS, LABELS, strict=True)
    ]
    return write(folder, "tasks.json", json.dumps(tasks))


FORMS: dict[str, tuple[Make, str, dict[str, Any]]] = {
    "one label": (toy, "text-classification", {"text": "text", "label": "intent"}),
    "named otherwise": (
        lambda f: csv(f, row_id=[f"r{n}" for n in NUMBERED], Body=TEXTS, queue=LABELS),
        "text-classification",
        {"text": "Body", "label": "queue"},
    ),
    "title and body": (
        lambda f: csv(f, title=[text[:9] for text in TEXTS], body=[f"{text} {text}" for text in TEXTS], label=LABELS),
        "text-classification",
        {"text": "body", "label": "label"},
    ),
    "codes": (
        lambda f: csv(f, text=TEXTS, label=["0101" if n % 2 else "0200" for n in NUMBERED]),
        "text-classification",
        {"text": "text", "label": "label"},
    ),
    "lists": (
        lambda f: jsonl(f, [{"text": t, "topics": [y, "all"][: n % 3]} for n, (t, y) in enumerate(PAIRS)]),
        "multi-label-classification",
        {"text": "text", "label": "topics"},
    ),
    "lists as text": (
        lambda f: csv(f, text=TEXTS, labels=[f"['{y}', 'all']" if n % 2 else "[]" for n, y in enumerate(LABELS)]),
        "multi-label-classification",
        {"text": "text", "label": "labels"},
    ),
    "separated": (
        lambda f: csv(f, text=TEXTS, tags=[f"{y};urgent" if n % 2 else y for n, y in enumerate(LABELS)]),
        "multi-label-classification",
        {"text": "text", "label": "tags", "label_separator": ";"},
    ),
    "a column a label": (
        lambda f: csv(f, id=NUMBERED, text=TEXTS, **{y: [int(x == y) for x in LABELS] for y in set(LABELS)}),
        "multi-label-classification",
        {"text": "text", "label": tuple(dict.fromkeys(set(LABELS)))},
    ),
    "vectors": (
        lambda f: jsonl(f, [{"text": t, "labels": [n % 2, 1, 0]} for n, t in enumerate(TEXTS)]),
        "multi-label-classification",
        {"text": "text", "label": "labels", "label_names": ["label_0", "label_1", "label_2"]},
    ),
    "spaCy's categories": (
        lambda f: jsonl(f, [{"text": t, "cats": {"A": n % 2, "B": 1 - n % 2}} for n, t in enumerate(TEXTS)]),
        "multi-label-classification",
        {"text": "text", "label": "cats"},
    ),
    "numbers": (
        lambda f: csv(f, text=TEXTS, price=[f"{n * 1.5:.2f}" for n in NUMBERED]),
        "regression",
        {"text": "text", "label": "price"},
    ),
    "stars": (
        lambda f: csv(f, review=TEXTS, stars=[n % 5 + 1 for n in NUMBERED]),
        "text-classification",
        {"text": "review", "label": "stars"},
    ),
    "pairs with a label": (
        lambda f: csv(f, premise=TEXTS, hypothesis=TEXTS[::-1], label=LABELS),
        "text-classification",
        {"text": "premise", "text_pair": "hypothesis", "label": "label"},
    ),
    "pairs with a score": (
        lambda f: csv(f, sentence1=TEXTS, sentence2=TEXTS[::-1], score=[f"{n / 10}" for n in NUMBERED]),
        "feature-extraction",
        {"text": "sentence1", "text_pair": "sentence2", "label": "score"},
    ),
    "pairs alone": (
        lambda f: csv(f, query=TEXTS, passage=TEXTS[::-1]),
        "feature-extraction",
        {"text": "query", "text_pair": "passage", "loss": "multiple-negatives-ranking"},
    ),
    "triplets": (
        lambda f: csv(f, anchor=TEXTS, positive=TEXTS[::-1], negative=[f"not {text}" for text in TEXTS]),
        "feature-extraction",
        {"text": "anchor", "text_pair": "positive", "negative": "negative", "loss": "multiple-negatives-ranking"},
    ),
    "spans": (
        lambda f: jsonl(f, [{"id": n, "text": t, "label": [[0, 2, "X"]]} for n, t in enumerate(TEXTS)]),
        "token-classification",
        {"text": "text", "label": "label"},
    ),
    "spaCy's pairs": (
        lambda f: jsonl(f, [[t, {"entities": [[0, 2, "X"]]}] for t in TEXTS]),
        "token-classification",
        {"text": "text", "label": "entities"},
    ),
    "Prodigy": (
        lambda f: jsonl(f, [{"text": t, "spans": [{"start": 0, "end": 2, "label": "X"}], "answer": "accept"}
                            for t in TEXTS]),
        "token-classification",
        {"text": "text", "label": "spans"},
    ),
    "lists of tags": (
        lambda f: jsonl(f, [{"tokens": t.split(), "ner_tags": ["B-X", *["O"] * (len(t.split()) - 1)]} for t in TEXTS]),
        "token-classification",
        {"text": "tokens", "label": "ner_tags"},
    ),
    "a token a row": (
        lambda f: csv(f, **{"Sentence #": [n // 3 for n in range(60)], "Word": ["Ada", "lives", "here"] * 20,
                            "Tag": ["B-PER", "O", "O"] * 20}),
        "token-classification",
        {"text": "Word", "label": "Tag"},
    ),
    "CoNLL": (
        lambda f: write(f, "rows.conll", "Ada\tB-PER\nlives\tO\n\n" * 20),
        "token-classification",
        {},
    ),
    "questions": (
        lambda f: jsonl(f, [{"question": f"{t}?", "context": t, "answers": [{"text": t[:4], "answer_start": 0}]}
                            for t in TEXTS]),
        "question-answering",
        {},
    ),
    "prompts": (
        lambda f: jsonl(f, [{"prompt": t, "completion": y} for t, y in zip(TEXTS, LABELS, strict=True)]),
        "text-generation",
        {},
    ),
    "instructions": (
        lambda f: jsonl(f, [{"instruction": t, "input": "", "output": f"{t}, {y} it"}
                            for t, y in zip(TEXTS, LABELS, strict=True)]),
        "text-generation",
        {"text": "instruction", "label": "output"},
    ),
    "conversations": (
        lambda f: jsonl(f, [{"messages": [{"role": "user", "content": t}, {"role": "assistant", "content": "yes"}]}
                            for t in TEXTS]),
        "text-generation",
        {},
    ),
    "summaries": (
        lambda f: csv(f, article=[f"{t} {t}" for t in TEXTS], highlights=TEXTS),
        "text2text-generation",
        {"text": "article", "label": "highlights"},
    ),
    "Label Studio's choices": (
        lambda f: label_studio(f, lambda text, label: {"choices": [label]}),
        "text-classification",
        {"text": "review", "label": "label"},
    ),
    "Label Studio's spans": (
        lambda f: label_studio(f, lambda text, label: {"start": 0, "end": 2, "labels": ["X"]}),
        "token-classification",
        {"text": "review", "label": "label"},
    ),
    "Label Studio's ratings": (
        lambda f: label_studio(f, lambda text, label: {"number": len(text) * 1.5}),
        "regression",
        {"text": "review", "label": "label"},
    ),
    "Argilla": (
        lambda f: jsonl(f, [{"text": t, "intent.responses": [y], "intent.suggestion": "x"}
                            for t, y in zip(TEXTS, LABELS, strict=True)]),
        "text-classification",
        {"text": "text", "label": "intent"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_task_and_columns(tmp_path: Path, form: str) -> None:
    """A form tells its task, its texts and its answers."""
    make, task, keys = FORMS[form]
    assert seen(make(tmp_path)) == (task, keys)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"label": ("stars",)}, ("text-classification", {"text": "body", "label": "stars"})),
        ({"task": "regression"}, ("regression", {"text": "body", "label": "stars"})),
        ({"text": "title"}, ("text-classification", {"text": "title", "label": "intent"})),
        ({"text_pair": "title"}, ("text-classification", {"text": "body", "text_pair": "title", "label": "intent"})),
        ({"label": ("a", "b")}, ("multi-label-classification", {"text": "body", "label": ("a", "b")})),
        ({"task": "multi-label-classification"}, ("multi-label-classification", {"text": "body", "label": ("a", "b")})),
        (
            {"task": "text-generation", "text": "title", "label": ("body",)},
            ("text-generation", {"text": "title", "label": "body"}),
        ),
    ],
)
def test_what_the_user_says(tmp_path: Path, asked: dict[str, Any], expected: Any) -> None:
    """Options choose another task and other columns of the same table."""
    columns: dict[str, Any] = {
        "title": [f"{text[:8]} {n}" for n, text in enumerate(TEXTS)],
        "body": [f"{text} and more of it" for text in TEXTS],
        "stars": [n % 5 + 1 for n in NUMBERED],
        "a": [n % 2 for n in NUMBERED],
        "b": [n // 2 % 2 for n in NUMBERED],
        "intent": LABELS,
    }
    assert seen(csv(tmp_path, **columns), **asked) == expected


def test_alternatives(tmp_path: Path) -> None:
    """Of two texts and two answers the others are told, with the options that choose them."""
    path = csv(
        tmp_path,
        title=[t[:12] for t in TEXTS],
        body=[t * 2 for t in TEXTS],
        label=LABELS,
        stars=[n % 5 for n in NUMBERED],
    )
    roles = look(str(path), Asked()).roles
    assert "--text title" in roles.alternatives["text"]
    assert any(each.startswith("--label stars") for each in roles.alternatives["label"])
    assert any("--label stars --task regression" in each for each in roles.alternatives["label"])


@pytest.mark.parametrize(
    ("name", "content", "encoding", "options"),
    [
        ("rows.csv", "text;label\n", "utf-8", {}),
        ("rows.csv", "text,label\n", "cp1252", {"encoding": "cp1252"}),
        ("rows.csv", "text,label\n", "utf-16-le", {"encoding": "utf-16-le"}),
        ("rows.csv", "", "utf-8", {"column_names": ("text", "label")}),
        ("rows.tsv", "", "utf-8", {"column_names": ("text", "label")}),
    ],
)
def test_how_a_file_is_read(tmp_path: Path, name: str, content: str, encoding: str, options: dict[str, Any]) -> None:
    """Encoding, separator and a missing header are found out, by the trainer's own readers."""
    mark = ";" if ";" in content else "\t" if name.endswith("tsv") else ","
    lines = [f"{text.replace(',', '')} é{mark}{label}\n" for text, label in zip(TEXTS, LABELS, strict=True)]
    found = look(str(write(tmp_path, name, content + "".join(lines), encoding)), Asked())
    assert {key: value for key, value in found.reading.options._asdict().items() if value is not None} == options
    assert (found.roles.data["text"], found.roles.data["label"]) == ("text", "label")
    assert len(found.table) == len(TEXTS)
    assert all(f"data.{key}" in found.reading.reasons for key in options)


def test_rows_inside_an_object(tmp_path: Path) -> None:
    """The place of the rows is found, and others are told."""
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    path = write(tmp_path, "rows.json", json.dumps({"version": 1, "result": {"rows": rows, "users": [{"id": 1}]}}))
    found = look(str(path), Asked())
    assert found.reading.options.field == "result.rows"
    assert "result.users" in found.reading.reasons["data.field"]


def test_names_of_numbers(tmp_path: Path) -> None:
    """Class numbers get the names of a file beside the data, if it has one for each."""
    path = csv(tmp_path, text=TEXTS, label=[n % 3 for n in NUMBERED])
    assert "label_names" not in seen(path)[1]
    write(tmp_path, "labels.txt", "one\ntwo\n")
    assert "label_names" not in seen(path)[1]
    write(tmp_path, "labels.txt", "one\ntwo\nthree\n")
    assert seen(path)[1]["label_names"] == str(tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("columns", "asked", "expected"),
    [
        ({"text": TEXTS}, {}, r"no column looks like an answer to learn\. Its columns:\n  text +texts +'please cancel"),
        ({"label": LABELS}, {}, "no column holds texts"),
        (
            {"text": TEXTS, "label": LABELS},
            {"label": ("lable",)},
            r"no column 'lable' \(--label\); .*did you mean 'label'",
        ),
        ({"text": TEXTS, "label": LABELS}, {"task": "question-answering"}, "no column looks like an answer"),
    ],
)
def test_nothing_fits(tmp_path: Path, columns: dict[str, Any], asked: dict[str, Any], expected: str) -> None:
    """The columns are shown with samples, and what to pass."""
    with pytest.raises(InputError, match=expected):
        look(str(csv(tmp_path, **columns)), Asked(**asked))


def test_fields_of_objects(tmp_path: Path) -> None:
    """Fields inside objects are columns by their dotted names, as the trainer reads them."""
    rows = [{"row_idx": n, "row": {"text": text, "meta": {"label": label}}} for n, (text, label) in enumerate(PAIRS)]
    assert seen(jsonl(tmp_path, rows)) == ("text-classification", {"text": "row.text", "label": "row.meta.label"})
