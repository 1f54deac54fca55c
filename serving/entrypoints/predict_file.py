"""Batch scoring: JSON lines in, JSON lines out, in order, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from serving.errors import InputError
from serving.inference.predictor import Predictor

ROWS_PER_CHUNK = 256


@dataclass
class Tally:
    """What became of the rows: every row read is either answered or refused."""

    answered: int = 0
    refused: int = 0
    first_refusal: str = ""

    def refuse(self, reason: str) -> None:
        """Count a row that cannot be answered."""
        self.refused += 1
        self.first_refusal = self.first_refusal or reason


@dataclass(frozen=True)
class _Row:
    content: dict[str, Any]
    refusal: str = ""


def predict_file(
    predictor: Predictor, source: Path, target: Path, on_progress: Callable[[int], None] = lambda _: None
) -> Tally:
    """Answer every line ``{"inputs": "…"}`` of a file.

    Each line that is not blank gives one line, in order: the line's own keys and ``outputs``, and ``truncated`` where
    the end of its text was not read; or, where it cannot be answered, ``error`` that names the row and the reason. The
    target appears only when all is done.

    Args:
        on_progress: told the bytes read since it was last called.

    Raises:
        InputError: the source is missing or empty, or the target is a folder or the source itself.
    """
    _check_paths(source, target)
    part = _part(target)
    tally = Tally()
    try:
        with source.open("rb") as lines, part.open("w", encoding="utf-8") as out:
            for chunk in _chunks(lines, on_progress):
                out.writelines(_answer(predictor, chunk, tally))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return tally


def _check_paths(source: Path, target: Path) -> None:
    if not source.is_file():
        raise InputError(f'there is no file {source}; --input takes JSON lines such as {{"inputs": "a text"}}')
    if source.stat().st_size == 0:
        raise InputError(f'{source} is empty; it needs a line such as {{"inputs": "a text"}}')
    if target.is_dir() or not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: --output takes a file in a folder that exists")
    for path in (target, _part(target)):
        if path.exists() and path.samefile(source):
            raise InputError(f"writing {target} would overwrite the --input {source}; choose another --output")


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _chunks(lines: Iterable[bytes], on_progress: Callable[[int], None]) -> Iterator[list[tuple[int, bytes]]]:
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    while chunk := list(islice(numbered, ROWS_PER_CHUNK)):
        yield chunk
        on_progress(sum(len(line) for _, line in chunk))


def _answer(predictor: Predictor, chunk: list[tuple[int, bytes]], tally: Tally) -> Iterator[str]:
    rows = [_read(predictor, number, line) for number, line in chunk]
    answers = iter(predictor.predict_encoded([row.content["inputs"] for row in rows if not row.refusal]))
    for row in rows:
        if row.refusal:
            tally.refuse(row.refusal)
            yield _line({"inputs": None, **row.content, "error": row.refusal})
        else:
            tally.answered += 1
            encoded, answer = next(answers)
            yield _line({**row.content, "outputs": answer, **({"truncated": True} if encoded.truncated else {})})


def _read(predictor: Predictor, number: int, line: bytes) -> _Row:
    try:
        content = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        return _Row({}, f"row {number}: not a line of JSON in UTF-8: {error}")
    if not isinstance(content, dict) or "inputs" not in content:
        own_keys = content if isinstance(content, dict) else {}
        return _Row(own_keys, f'row {number}: no `inputs`; a row is an object such as {{"inputs": "a text"}}')
    try:
        predictor.check(content["inputs"])
    except InputError as error:
        return _Row(_echo(content), f"row {number}: {error}")
    return _Row(content)


def _echo(content: dict[str, Any]) -> dict[str, Any]:
    """The row as it came, but for a text so long that it would fill the answers."""
    inputs = content["inputs"]
    short = not isinstance(inputs, str) or len(inputs) <= 1000
    return {**content, "inputs": inputs if short else inputs[:1000] + "…"}


def _line(content: dict[str, Any]) -> str:
    # Escaped wherever UTF-8 has no form for it, so that a lone surrogate is handed back as it came.
    try:
        text = json.dumps(content, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(content)
    return text + "\n"


@contextmanager
def reading(path: Path, console: Console) -> Iterator[Callable[[int], None]]:
    """Shows how much of a file is read; gives the function to tell the bytes to."""
    total = path.stat().st_size if path.is_file() else None
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda amount: progress.advance(task, amount)
