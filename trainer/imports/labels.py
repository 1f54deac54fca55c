"""The labels of a checkpoint: from its config.json or a file, met with those of the rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped, unused-ignore]

from serving.errors import InputError
from serving.files import nearest_path
from trainer.data.table import text_of

_SHOWN = 10
_MOST_CHARACTERS = 2**20
_SEPARATORS = ("|", ",", ";", "/", " ")
PERMUTED = 0.2
"""So much higher accuracy under another order of the labels is told."""


def read_labels(path: Path) -> list[str]:
    """One a line; raises InputError."""
    if not path.is_file():
        meant = nearest_path(path)
        raise InputError(f"--labels {path}: there is no such file; give one with a label a line{meant}", field="labels")
    labels = [line.strip() for line in text_of(path)[:_MOST_CHARACTERS].splitlines() if line.strip()]
    _require_distinct(labels, f"--labels {path}")
    if not labels:
        raise InputError(f"--labels {path}: is empty; give a label a line", field="labels")
    return labels


def config_labels(config: dict[str, Any], count: int, model: str) -> tuple[list[str], list[str]]:
    """The names in a raw config.json, and what is assumed about them; raises InputError."""
    named = config.get("id2label")
    remedy = "give --labels FILE, with a label a line in the order of the logits"
    if not isinstance(named, dict) or not named:
        return _numbered(count), [f"labels: config.json names none; --labels FILE names {_list(_numbered(count))}"]
    names = {str(key): str(value) for key, value in named.items()}
    if set(names) != {str(number) for number in range(count)}:
        raise InputError(
            f"{model}: id2label of config.json has {_list(names)}, for {count} logits; {remedy}", field="labels"
        )
    labels = [names[str(number)] for number in range(count)]
    _require_distinct(labels, f"{model}: id2label of config.json")
    assumed = []
    if count > 1 and all(re.fullmatch(r"LABEL_\d+", label) for label in labels):
        assumed.append(f"labels: config.json has {_list(labels)}; --labels FILE gives them names")
    other = config.get("label2id")
    if isinstance(other, dict) and any(other.get(label) != at for at, label in enumerate(labels) if label in other):
        assumed.append("labels: by id2label of config.json; its label2id says another order")
    return labels, assumed


def meet_rows(labels: Sequence[str], found: Iterable[str], rows: str) -> bool:
    """Whether the rows' labels are numbers that stand for ``labels``; raises InputError where they are neither."""
    unknown = sorted(set(found) - set(labels))
    if not unknown:
        return False
    if all(label.isdecimal() and int(label) < len(labels) for label in found):
        return True
    for separator in _SEPARATORS:
        if all(part.strip() in labels for label in unknown for part in label.split(separator)):
            raise InputError(
                f"{rows}: the labels {_list(unknown)} are several in one; give --task multi-label-classification"
                f" --set data.label_separator='\"{separator}\"'",
                field="data.label_separator",
            )
    folded = {label.casefold() for label in labels}
    why = " (they differ in case alone)" if all(label.casefold() in folded for label in unknown) else ""
    raise InputError(
        f"{rows}: the labels {_list(unknown)} are none of the model's: {_list(labels)}{why}; give --labels FILE with a"
        " label a line, named as in the rows, in the order of the model's logits",
        field="labels",
    )


def describe_order(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """A warning where another order of the labels would fit the rows far better; ``matrix`` is [expected, answered]."""
    counts = np.array(matrix)
    rows, columns = linear_sum_assignment(-counts)
    gain = (counts[rows, columns].sum() - counts.trace()) / max(counts.sum(), 1)
    if gain < PERMUTED:
        return ""
    moved = [
        f"{labels[b]!r} is answered to rows of {labels[a]!r}" for a, b in zip(rows, columns, strict=True) if a != b
    ]
    return (
        f"labels: their order looks wrong: {'; '.join(moved[:3])}; another order would be right on"
        f" {100 * gain:.0f} points more rows: see --labels"
    )


def _numbered(count: int) -> list[str]:
    return [f"LABEL_{number}" for number in range(count)]


def _require_distinct(labels: Sequence[str], where: str) -> None:
    if twice := [label for at, label in enumerate(labels) if label in labels[:at]]:
        raise InputError(f"{where}: {twice[0]!r} occurs twice; name each label once", field="labels")


def _list(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
