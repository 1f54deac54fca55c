"""``python -m tests.faults [--long]``: run all faults, and write what was tried into docs/reliability.md.

``--long`` tries each fault far more often.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.page import table, wrapped, write_part
from serving.bundle.cpu import describe_machine
from tests.paths import ROOT

HEADINGS = ("tried", "how often", "answers compared", "wrong", "seen")


def main(
    long: Annotated[bool, typer.Option(help="As often as it takes.")] = False,
    select: Annotated[str, typer.Option(help="pytest's -k.")] = "",
) -> None:
    """Exit with pytest's status; the page is written only where all passed."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        results.touch()
        variables = {"FAULTS_RESULTS": str(results), **({"TUNESHIP_TEST_LONG": "1"} if long else {})}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/faults", *(["-k", select] if select else [])]
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=False).returncode
        if not status:
            rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
            write_part("faults", to_markdown(rows, long))
    raise typer.Exit(status)


def to_markdown(rows: Sequence[dict[str, Any]], long: bool) -> list[str]:
    compared, wrong = (sum(row[name] for row in rows) for name in ("compared", "wrong"))
    head = (
        f"{compared:,} answers compared while the faults below went on, {wrong} wrong, on {date.today():%Y-%m-%d},"
        f" {describe_machine()['cpu']}, the {'long' if long else 'short'} form."
    )
    return [*wrapped(head), "", *table(HEADINGS, [_cells(row) for row in _joined(rows)])]


def _joined(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row for each fault, whatever the number of its tests."""
    for fault in dict.fromkeys(row["fault"] for row in rows):
        same = [row for row in rows if row["fault"] == fault]
        yield {**same[0], **{name: sum(row[name] for row in same) for name in ("tried", "compared", "wrong")}}


def _cells(row: dict[str, Any]) -> list[str]:
    compared = (f"{row['compared']:,}", str(row["wrong"])) if row["compared"] else ("", "")
    return [row["fault"], f"{row['tried']:,} {row['unit']}", *compared, row["seen"]]


if __name__ == "__main__":
    typer.run(main)
