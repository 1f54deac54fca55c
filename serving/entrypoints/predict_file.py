"""`tuneship predict`: JSON Lines in, JSON Lines out, in order, in constant memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.errors import InputError
from serving.files import replace_file
from serving.inference.predictor import Predictor
from serving.protocols.json_body import name_encoding

if TYPE_CHECKING:
    from rich.console import Console

ROWS_PER_CHUNK = 256
ANSWERED = frozenset({"outputs", "truncated", "error"})
"""The keys that an answer adds."""


@dataclass
class Tally:
    """Every row that is read is answered or refused."""

    answered: int = 0
    refused: int = 0
    first_refusal: str = ""

    def refuse(self, reason: str) -> None:
        self.refused += 1
        self.first_refusal = self.first_refusal or reason


@dataclass(frozen=True)
class _Row:
    content: dict[str, Any]
    refusal: str = ""


def predict_file(
    predictor: Predictor, source: Path, target: Path, on_progress: Callable[[int], None] = lambda _: None
) -> Tally:
    """Answer every line ``{"inputs": "…"}`` of a file; blank lines are skipped.

    A line of the target has its source line's keys and ``outputs`` (and ``truncated``), or ``error`` with the row;
    such keys of the source are replaced. The target is replaced at the end. ``on_progress`` gets the bytes read since
    its last call.

    Raises InputError if the source is missing or empty, or the target is no regular file or the source; OSError where
    the target cannot be written.
    """
    _check_paths(source, target)
    tally = Tally()
    with replace_file(target) as out, source.open("rb") as lines:
        for chunk in _read_chunks(lines, on_progress):
            out.writelines(_answer_chunk(predictor, chunk, tally))
    return tally


def _check_paths(source: Path, target: Path) -> None:
    if not source.is_file():
        raise InputError(f'there is no file {source}; --input takes JSON lines such as {{"inputs": "a text"}}')
    if source.stat().st_size == 0:
        raise InputError(f'{source} is empty; it needs a line such as {{"inputs": "a text"}}')
    _check_encoding(source)
    if (target.exists() and not target.is_file()) or not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: --output takes a regular file in a folder that exists")
    if target.exists() and target.samefile(source):
        raise InputError(f"writing {target} would overwrite the --input {source}; choose another --output")


def _check_encoding(source: Path) -> None:
    """Whole files of another kind would be refused line by line."""
    with source.open("rb") as file:
        beginning = file.read(4)
    if encoding := name_encoding(beginning):
        remedy = f"iconv -f {encoding} -t UTF-8 {source}"
        raise InputError(f"{source} is {encoding}; --input takes UTF-8. Convert it: {remedy}")
    if beginning.startswith(b"\x1f\x8b"):
        raise InputError(f"{source} is compressed; --input takes JSON lines. Unpack it: gunzip")


def _read_chunks(lines: Iterable[bytes], on_progress: Callable[[int], None]) -> Iterator[list[tuple[int, bytes]]]:
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    while chunk := list(islice(numbered, ROWS_PER_CHUNK)):
        yield chunk
        on_progress(sum(len(line) for _, line in chunk))


def _answer_chunk(predictor: Predictor, chunk: list[tuple[int, bytes]], tally: Tally) -> Iterator[bytes]:
    rows = [_parse_row(predictor, number, line) for number, line in chunk]
    answers = iter(predictor.predict_encoded([row.content["inputs"] for row in rows if not row.refusal]))
    for row in rows:
        if row.refusal:
            tally.refuse(row.refusal)
            yield _format_line({"inputs": None, **row.content, "error": row.refusal})
        else:
            tally.answered += 1
            encoded, answer = next(answers)
            truncated = {"truncated": True} if encoded.truncated else {}
            yield _format_line({**row.content, "outputs": answer, **truncated})


def _parse_row(predictor: Predictor, number: int, line: bytes) -> _Row:
    try:
        content = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_parse_finite)
    except (ValueError, RecursionError) as error:
        return _Row({}, f"row {number}: not a line of JSON in UTF-8: {error}")
    if isinstance(content, dict):  # the lines of an earlier answer are asked again
        content = {key: value for key, value in content.items() if key not in ANSWERED}
    if not isinstance(content, dict) or "inputs" not in content:
        keys = content if isinstance(content, dict) else {}
        return _Row(keys, f'row {number}: no `inputs`; a row is an object such as {{"inputs": "a text"}}')
    try:
        predictor.check(content["inputs"])
    except InputError as error:
        return _Row(_shorten_inputs(content), f"row {number}: {error}")
    return _Row(content)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _parse_finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _shorten_inputs(content: dict[str, Any]) -> dict[str, Any]:
    inputs = content["inputs"]
    return {**content, "inputs": inputs[:1000] + "…"} if isinstance(inputs, str) and len(inputs) > 1000 else content


def _format_line(content: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot encode: keep it escaped
        text = json.dumps(content, allow_nan=False).encode()
    return text + b"\n"


@contextmanager
def progress_bar(path: Path, console: Console) -> Iterator[Callable[[int], None]]:
    """Yields the function to call with the bytes read."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn  # slow to import

    total = path.stat().st_size if path.is_file() else None
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda amount: progress.advance(task, amount)
