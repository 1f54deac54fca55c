"""Toy data of every task, small enough for one to three seconds of training: its files, and its recipe.

Each is learned well past guessing, and only from the inputs that it is about: of a pair, the second text decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from tests.tiny import drop_idle, toy_rows, write_csv

PEOPLE = ("Ada", "Grace", "Linus", "Zoë", "王芳", "Ömer")
PLACES = ("Oslo", "Kyoto", "北京", "São Paulo", "Graz", "Tel Aviv")
VERBS = ("flew to", "lives in", "wrote from", "will leave", "grew up in")
NOISE = "the parcel was shipped and the order is paid back 🎉 " * 6

THINGS = ("parcel", "lamp", "order", "subscription", "purchase", "thing")
WINDOWS = {"long_text": "windows", "max_length": 24, "stride": 6, "max_windows": 12}
SPLIT = {"test": 0.25, "validation": 0.2}


def text_classification(folder: Path) -> dict[str, Any]:
    """One of three labels."""
    write_csv(folder / "rows.csv", toy_rows())
    return {"train": "rows.csv", **SPLIT}


def two_labels(folder: Path) -> dict[str, Any]:
    """One of two labels, which has a threshold."""
    write_csv(folder / "rows.csv", [row for row in toy_rows() if row[1] != "track"])
    return {"train": "rows.csv", **SPLIT}


def long_texts(folder: Path) -> dict[str, Any]:
    """One of three labels, which the end tells; of most texts it is behind what one window holds."""
    rows = [(f"{NOISE[start : start + 48 * (at % 6)]}{text}", label) for start in (0, 17, 31)
            for at, (text, label) in enumerate(toy_rows())]  # fmt: skip
    write_csv(folder / "rows.csv", rows)
    return {"train": "rows.csv", **SPLIT, **WINDOWS}


def long_texts_of_several_labels(folder: Path) -> dict[str, Any]:
    """The label of the beginning and that of the end."""
    both = [(f"{a}, {NOISE[:200]} {b}", "|".join(sorted({x, y}))) for a, x, b, y in _pairs()[::4]]
    write_csv(folder / "rows.csv", both)
    return {"train": "rows.csv", **SPLIT, "label_separator": "|", **WINDOWS, "window_aggregation": "max"}


def long_texts_with_numbers(folder: Path) -> dict[str, Any]:
    """How often a text asks for money, of windows that each have a part of them."""
    texts = [
        (" ".join(["where is it?", *["refund it!"] * count, NOISE[:space]]), count)
        for count, space in product(range(12), range(40, 160, 20))
    ]
    write_csv(folder / "rows.csv", [(text, str(count)) for text, count in texts])
    return {"train": "rows.csv", **SPLIT, **WINDOWS}


def text_pairs(folder: Path) -> dict[str, Any]:
    """The label of the second of two texts."""
    write_csv(folder / "rows.csv", [(a, b, y) for a, _, b, y in _pairs()[::2]], ("text", "other", "label"))
    return {"train": "rows.csv", **SPLIT, "text_pair": "other"}


def multi_label(folder: Path) -> dict[str, Any]:
    """The label of each half of a text, or none."""
    both = [(f"{a}, {b}", "|".join(sorted({x, y}))) for a, x, b, y in _pairs()[::4]]
    write_csv(folder / "rows.csv", [*both, *((f"hello there {text[-6:]}", "") for text, _ in toy_rows()[::6])])
    return {"train": "rows.csv", **SPLIT, "label_separator": "|"}


def regression(folder: Path) -> dict[str, Any]:
    """How many words a text has, in an odd unit."""
    write_csv(folder / "rows.csv", [(text, f"{1000 + 10 * len(text.split())}") for text, _ in toy_rows()])
    return {"train": "rows.csv", **SPLIT}


def similarity(folder: Path) -> dict[str, Any]:
    """Two texts and whether their labels agree."""
    scored = [(a, b, "5" if x == y else "1.5") for a, x, b, y in _pairs()[::2]]
    write_csv(folder / "rows.csv", scored, ("text", "other", "score"))
    return {"train": "rows.csv", **SPLIT, "text_pair": "other", "label": "score"}


def answered(folder: Path) -> dict[str, Any]:
    """Texts and what a shop notes of them: 18 notes of four texts each; every third text has a wrong note beside it."""
    notes = [f"{label} the {THINGS[at % 6]}" for at, (_, label) in enumerate(toy_rows())]
    rows = [
        (text, note, "" if at % 3 else notes[(at + 31) % len(notes)], notes[(at + 7) % len(notes)])
        for at, ((text, _), note) in enumerate(zip(toy_rows(), notes, strict=True))
    ]
    write_csv(folder / "rows.csv", rows, ("text", "note", "wrong", "other"))
    return {"train": "rows.csv", **SPLIT, "text_pair": "note", "negative": "wrong"}


def ranked(folder: Path) -> dict[str, Any]:
    """The same texts and notes, each beside three wrong ones that never are right, and one of another text."""
    notes = [f"{label} the {THINGS[at % 6]}" for at, (_, label) in enumerate(toy_rows())]
    wrong = [[f"order {number} {at % 6}" for number in ("seven", "17", "my")] for at in range(len(notes))]
    rows = [(text, note, *others, "") for (text, _), note, others in zip(toy_rows(), notes, wrong, strict=True)]
    write_csv(folder / "rows.csv", rows, ("text", "note", "wrong", "worse", "worst", "other"))
    negative = ["wrong", "worse", "worst"]
    return {"train": "rows.csv", **SPLIT, "text_pair": "note", "negative": negative, "sampled_negatives": 1}


def entities(folder: Path) -> dict[str, Any]:
    """People and places in CoNLL columns."""
    sentences = [
        [*_tagged(person, "PER"), *((word, "O") for word in verb.split()), *_tagged(place, "LOC"), (".", "O")]
        for person, verb, place in product(PEOPLE, VERBS, PLACES)
    ]
    text = "\n\n".join("\n".join(f"{token}\t{tag}" for token, tag in sentence) for sentence in sentences)
    (folder / "rows.conll").write_text(text + "\n", encoding="utf-8")
    return {"train": "rows.conll", **SPLIT}


def answers(folder: Path) -> dict[str, Any]:
    """Where somebody is, in SQuAD's JSON; some contexts are longer than a window, some articles have two questions."""
    return _squad(folder, [_article(*each) for each in _travels()])


def answers_or_none(folder: Path) -> dict[str, Any]:
    """The same, but half of the articles name no place."""
    return _squad(folder, [_article(*each, place_told=each[-1] % 4 < 2) for each in _travels()])


def rewritings(folder: Path) -> dict[str, Any]:
    """A text to its label."""
    write_csv(folder / "rows.csv", toy_rows())
    return {"train": "rows.csv", **SPLIT, "max_new_tokens": 8}


def completions(folder: Path) -> dict[str, Any]:
    """A prompt to its label, with a space before it as a continued text has."""
    write_csv(folder / "rows.csv", [(text, f" {label}") for text, label in toy_rows()], ("prompt", "completion"))
    return {"train": "rows.csv", **SPLIT, "max_length": 64, "max_new_tokens": 8}


TOYS: dict[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "text-classification": ("text-classification", text_classification),
    "text pairs": ("text-classification", text_pairs),
    "multi-label-classification": ("multi-label-classification", multi_label),
    "regression": ("regression", regression),
    "token-classification": ("token-classification", entities),
    "question-answering": ("question-answering", answers),
    "answers or none": ("question-answering", answers_or_none),
    "feature-extraction": ("feature-extraction", similarity),
}
"""What there is: a name to the task and what writes its files and gives the recipe's ``data``."""

GENERATING_TOYS: dict[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "text2text-generation": ("text2text-generation", rewritings),
    "text-generation": ("text-generation", completions),
}
"""The same for models that generate."""


MORE_TOYS: dict[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "long texts": ("text-classification", long_texts),
    "long texts of several labels": ("multi-label-classification", long_texts_of_several_labels),
    "long texts with numbers": ("regression", long_texts_with_numbers),
    "two labels": ("text-classification", two_labels),
    "smoothed labels": ("text-classification", text_pairs),
    "scored pairs": ("regression", similarity),
    "pairs without scores": ("feature-extraction", answered),
    "ranked pairs": ("regression", ranked),
}
"""What few tests need."""

SECTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "pairs without scores": {"model_head": {"loss": "multiple-negatives-ranking"}},
    "ranked pairs": {"model_head": {"loss": "binary-cross-entropy"}},
    "smoothed labels": {"training": {"label_smoothing_factor": 0.3}},  # so its scores are too low: calibration pays
}
"""What a toy's recipe has beside its data."""


def write_toy(folder: Path, backbone: Path, toy: str, **sections: Any) -> Path:
    """A toy's files and its recipe in ``folder``; ``sections`` add to or replace its keys."""
    task, write = (TOYS | GENERATING_TOYS | MORE_TOYS)[toy]
    training = {
        "learning_rate": 5.0e-3,
        "head_learning_rate": 2.0e-2,
        "num_train_epochs": 12 if task in ("question-answering", "token-classification") or "long" in toy else 6,
        "per_device_train_batch_size": 8,
        "bf16": False,
    }
    recipe: dict[str, Any] = {"task": task, "model": str(backbone), "data": write(folder), "training": training}
    recipe["export"] = {"max_metric_drop": 0.5}  # no smaller drop can be shown on so few test rows
    for name, values in [*SECTIONS.get(toy, {}).items(), *sections.items()]:
        recipe[name] = {**recipe.get(name, {}), **values}
    drop_idle(recipe, sections)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _pairs() -> list[tuple[str, str, str, str]]:
    """288 pairs of texts, each text followed by its label."""
    rows = toy_rows()
    return [(*row, *rows[(at * 7 + shift) % len(rows)]) for shift in (3, 16, 38, 55) for at, row in enumerate(rows)]


def _tagged(name: str, kind: str) -> list[tuple[str, str]]:
    return [(word, f"{'I' if at else 'B'}-{kind}") for at, word in enumerate(name.split())]


def _travels() -> list[tuple[str, str, str, int]]:
    """Who does what where, numbered: 90 in all."""
    every = list(product(PEOPLE, VERBS, PLACES))[::2]
    return [(*each, number) for number, each in enumerate(every)]


def _squad(folder: Path, articles: list[dict[str, Any]]) -> dict[str, Any]:
    content = {"version": "2.0", "data": articles}
    (folder / "rows.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return {"train": "rows.json", **SPLIT, "max_length": 40, "stride": 8}


def _article(person: str, verb: str, place: str, number: int, place_told: bool = True) -> dict[str, Any]:
    said = f"{person} {verb} {place if place_told else f'order {number}'}. "
    context = f"{NOISE[: 240 if number % 4 == 3 else 60]}{said}{NOISE[:40]}"
    found = [{"text": place, "answer_start": context.index(place)}] if place_told else []
    questions = [f"where is {person}?", f"where is {person} today?"][: 2 if number % 4 == 0 else 1]
    asked = [
        {"id": f"{number}.{at}", "question": question, "answers": found, "is_impossible": not found}
        for at, question in enumerate(questions)
    ]
    return {"title": f"{person} {number}", "paragraphs": [{"context": context, "qas": asked}]}
