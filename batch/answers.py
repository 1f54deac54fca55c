"""Rows to answers: each is answered, or refused with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batch.rows import Chunk, Row, get_inputs
from serving.errors import InputError
from serving.inference.predictor import Predictor

MOST_CHARACTERS = 1000
"""Of a refused input, that its row keeps."""


@dataclass
class Tally:
    """Every row that is read is answered or refused."""

    answered: int = 0
    refused: int = 0
    first_refusal: str = ""

    @property
    def rows(self) -> int:
        return self.answered + self.refused

    def add(self, other: Tally) -> None:
        """Of rows that come later."""
        self.answered += other.answered
        self.refused += other.refused
        self.first_refusal = self.first_refusal or other.first_refusal


@dataclass(frozen=True)
class Answers:
    """Of a chunk, whose rows may have been shortened; an entry has ``outputs`` (and ``truncated``), or ``error``."""

    chunk: Chunk
    entries: list[dict[str, Any]]
    tally: Tally


def answer_chunk(predictor: Predictor, chunk: Chunk, names: Sequence[str], file: str = "") -> Answers:
    """``names`` are the columns of the input, ``file`` what refusals call the source, if there are several."""
    checked = [_check(predictor, row, names) for row in chunk.rows]
    answers = iter(predictor.predict_encoded([inputs for inputs, refusal in checked if not refusal]))
    entries: list[dict[str, Any]] = []
    tally = Tally()
    for row, (_, refusal) in zip(chunk.rows, checked, strict=True):
        if refusal:
            entries.append({"error": f"{file}row {row.number}: {refusal}"})
            tally.add(Tally(0, 1, entries[-1]["error"]))
        else:
            encoded, answer = next(answers)
            entries.append({"outputs": answer, **({"truncated": True} if encoded.truncated else {})})
            tally.add(Tally(1))
    refused = [_shorten(row, names) if refusal else row for row, (_, refusal) in zip(chunk.rows, checked, strict=True)]
    return Answers(Chunk(refused, chunk.table), entries, tally)


def _check(predictor: Predictor, row: Row, names: Sequence[str]) -> tuple[Any, str]:
    """A row's input, or why it is refused."""
    if row.refusal:
        return None, row.refusal
    try:
        inputs = get_inputs(row.content, names, predictor.task.input_keys)
    except KeyError as error:
        return None, f'no `{error.args[0]}`; a row is an object such as {{"{error.args[0]}": "a text"}}'
    try:
        predictor.check(inputs)
    except InputError as error:
        return None, str(error)
    return inputs, ""


def _shorten(row: Row, names: Sequence[str]) -> Row:
    """A refused row without an input tells so; a long one is not kept whole."""
    content = {**dict.fromkeys(set(names) - row.content.keys()), **row.content}
    for name in names:
        if isinstance(text := content[name], str) and len(text) > MOST_CHARACTERS:
            content[name] = text[:MOST_CHARACTERS] + "…"
    return Row(row.number, content, row.refusal)
