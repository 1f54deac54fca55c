"""Test rows that training or validation has seen, word for word or nearly so, and the score without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trainer.data.near_duplicates import NearDuplicates, plain, sketch
from trainer.data.rows import Rows, texts_of
from trainer.fit.evaluate import Evaluation
from trainer.setup.splits import Splits
from trainer.tasks.row_reader import RowReader

MOST_ROWS = 100_000
"""Of more rows only equal texts are looked for."""
FEWEST_ROWS = 10
_DETAILS = ("confusion_matrix", "per_label", "calibration")


def measure_without_leaks(evaluation: Evaluation, splits: Splits, reader: RowReader) -> dict[str, Any]:
    """What the record says of them; ``test`` is None where too few rows are left to measure."""
    equal_only = reader.shares_passages or len(splits.train) + len(splits.test) > MOST_ROWS
    leaked = find_leaks([splits.train, splits.validation], splits.test, equal_only=equal_only)
    kept = [at for at in range(len(splits.test)) if at not in leaked]
    metrics = _measure(evaluation, kept) if leaked and len(kept) >= FEWEST_ROWS else None
    equal = sum(similarity == 1.0 for similarity in leaked.values())
    return {"rows": len(leaked), "equal": equal, "equal_only": equal_only, "test": metrics}


def find_leaks(seen: Sequence[Rows], held_out: Rows, *, equal_only: bool) -> dict[int, float]:
    """The places of the held-out rows that are nearly equal to a row that was seen, with how similar they are."""
    texts = (_text(inputs) for rows in seen for inputs in rows.inputs)
    if equal_only:  # such as questions about one context, which share most of their characters
        held = [plain(_text(inputs)) for inputs in held_out.inputs]
        shared = set(held).intersection(map(plain, texts))
        return {at: 1.0 for at, text in enumerate(held) if text in shared}
    index = NearDuplicates()
    for text in texts:
        index.add(sketch(text))
    matches = ((at, index.find(sketch(_text(inputs)))) for at, inputs in enumerate(held_out.inputs))
    return {at: match.similarity for at, match in matches if match}


def _text(inputs: Any) -> str:
    return "\n".join(texts_of(inputs))


def _measure(evaluation: Evaluation, kept: Sequence[int]) -> dict[str, Any]:
    rows, answers = evaluation.rows.take(kept), [evaluation.answers[at] for at in kept]
    metrics = replace(evaluation, rows=rows, answers=answers, forecasts={}).metrics()
    return {name: value for name, value in metrics.items() if name not in _DETAILS}
