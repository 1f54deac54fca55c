"""Files of texts: two workers on Ray against one process, and the memory of few and of many rows.

    python -m bench batch
    python -m bench.batch --bundle bundles/support --rows 8000 --quick --write

Rates are taken between a command's first part and its last, so that neither its start nor Ray's counts. The CPU time of
all of a command's processes in between tells what the machine's other work would hide.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.cores import Cores
from bench.figures import Figure, format_figure
from bench.page import table, wrapped, write_part
from bench.subject import WORK
from deploy.measurement.process import ROOT, Child, MeasurementError, spawned

ROUNDS, ROWS, PARTS = 3, 24_000, 60
LINEAR = 0.9
"""Of twice one process' rate, that two workers are to reach."""
MEMORY_ROWS = (500_000, 5_000_000)
QUICK_ROWS = (50_000, 500_000)
MOST_GROWTH = 1.1
LIMIT = 3000.0
PAGE = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Pace:
    """Between the first part and the last: rows a second, and rows a second of CPU time."""

    wall: float
    cpu: float
    peak: int


def measure_batch(bundle: Path, texts: Sequence[str], logs: Path, *, quick: bool = False) -> list[Figure]:
    """``quick``: a tenth of the rows whose memory is compared."""
    return [*measure_pace(bundle, texts, logs), *measure_memory(logs, QUICK_ROWS if quick else MEMORY_ROWS)]


def measure_pace(
    bundle: Path, texts: Sequence[str], logs: Path, rows: int = ROWS, rounds: int = ROUNDS
) -> list[Figure]:
    """One process with a thread on one CPU, then two workers with a thread each on two, in turns."""
    cores = Cores.choose()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "in.jsonl", [texts[number % len(texts)] for number in range(rows)])
        ours = ["--rows-per-part", str(rows // PARTS), "--threads", "1"]
        alone, pair = [], []
        for number in range(rounds):
            alone.append(_run(bundle, folder, f"alone-{number}", ours, logs, cores.server))
            workers = [*ours, "--engine", "ray", "--workers", "2"]
            pair.append(_run(bundle, folder, f"ray-{number}", workers, logs, cores.server | cores.load))
            _require_equal(folder / f"alone-{number}", folder / f"ray-{number}")
    return list(_figures(alone, pair))


def _figures(alone: Sequence[Pace], pair: Sequence[Pace]) -> Iterator[Figure]:
    wall = [two.wall / (2 * one.wall) for one, two in zip(alone, pair, strict=True)]
    cpu = [two.cpu / one.cpu for one, two in zip(alone, pair, strict=True)]
    yield Figure("batch: rows a second of two workers on Ray, to twice those of one process", statistics.median(wall),
                 "×", samples=tuple(wall), failed=statistics.median(wall) < LINEAR)  # fmt: skip
    yield Figure("the same by CPU time of all processes", statistics.median(cpu), "×", samples=tuple(cpu))
    yield Figure("batch: one process with one thread", statistics.median(one.wall for one in alone), "rows/s")


def _require_equal(one: Path, other: Path) -> None:
    """Raises MeasurementError unless both have each row's answer, in order."""
    contents = [b"".join(path.read_bytes() for path in sorted(each.glob("part-*"))) for each in (one, other)]
    if contents[0] != contents[1]:
        raise MeasurementError(f"batch: the parts of {one.name} and of {other.name} differ")


def write_rows(path: Path, texts: Sequence[str]) -> None:
    lines = (json.dumps({"id": number, "inputs": text}) + "\n" for number, text in enumerate(texts))
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)


def _run(bundle: Path, folder: Path, name: str, options: Sequence[str], logs: Path, cpus: set[int]) -> Pace:
    output = folder / name
    command = [
        sys.executable, "-m", "tuneship", "predict", str(bundle.resolve()), "--input", str(folder / "in.jsonl"),
        "--output", f"{output}/", *options,
    ]  # fmt: skip
    with spawned(f"batch {name}", command, log=logs / f"batch-{name}.log", cpus=cpus) as child:
        begun, first, cpu = _wait_for(child, output, 1)
        ended, last, cpu_then = _wait_for(child, output, PARTS - 2)  # while all processes are there
        peak = child.peak_memory()
        child.process.wait(LIMIT)
    rows = json.loads((output / "_manifest.json").read_text())["job"]["rows_per_part"] * (last - first)
    return Pace(rows / (ended - begun), rows / (cpu_then - cpu), peak)


def _wait_for(child: Child, output: Path, parts: int) -> tuple[float, int, float]:
    """The time, the parts that are there and the CPU seconds of all processes, when there are so many."""
    while (found := sum(1 for _ in output.glob("part-*"))) < parts:
        if time.monotonic() - child.started > LIMIT:
            raise MeasurementError(child.explain(f"has {found} of {PARTS} parts after {LIMIT:.0f} s"))
        child.require_alive()
        time.sleep(0.05)
    return time.monotonic(), found, child.cpu_seconds()


def measure_memory(logs: Path, counts: Sequence[int]) -> list[Figure]:
    """Of one process that answers Parquet in Parquet with a tiny model, for the first and the last number of rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = _tiny_bundle(folder)
        few, many = (_peak(bundle, folder, count, logs) for count in counts)
    return [
        Figure(f"batch, {counts[0]:,} rows: memory at the peak", few / 1e6, "MB"),
        Figure(f"batch, {counts[1]:,} rows: memory at the peak", many / 1e6, "MB"),
        Figure("the second to the first", many / few, "×", failed=many > MOST_GROWTH * few),
    ]


def _tiny_bundle(folder: Path) -> Path:
    from tests.bundles import trained_bundle
    from tests.tiny import make_backbone

    (toy := folder / "tiny").mkdir()
    return trained_bundle("text-classification", make_backbone(folder / "model"), toy)


def _peak(bundle: Path, folder: Path, rows: int, logs: Path) -> int:
    """Bytes of the process that answers so many short texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    source, target = folder / f"{rows}.parquet", folder / f"{rows}-out.parquet"
    with pq.ParquetWriter(source, pa.schema([("id", pa.int64()), ("text", pa.string())])) as writer:
        for start in range(0, rows, 50_000):
            ids = [*range(start, min(start + 50_000, rows))]
            writer.write_table(pa.table({"id": ids, "text": [f"where is order {each}" for each in ids]}))
    command = [sys.executable, "-m", "tuneship", "predict", str(bundle), "-i", str(source), "-o", str(target)]
    peak, end = 0, time.monotonic() + LIMIT
    with spawned(f"batch {rows:,}", command, log=logs / f"batch-{rows}.log") as child:
        while child.process.poll() is None and time.monotonic() < end:
            peak = max(peak, child.peak_memory())
            time.sleep(0.2)
        if child.process.poll() != 0 or pq.ParquetFile(target).metadata.num_rows != rows:
            raise MeasurementError(child.explain("has not answered every row"))
    source.unlink()
    target.unlink()
    return peak


def write_figures(figures: Sequence[Figure], note: str) -> None:
    """Into docs/benchmarks.md, between its marks."""
    rows = [(figure.name, format_figure(figure)) for figure in figures]
    write_part("batch", [*wrapped(note), "", *table(("figure", "measured"), rows)], PAGE)


def main(
    bundle: Annotated[Path, typer.Option(metavar="BUNDLE", help="What answers while the pace is measured.")],
    rows: Annotated[int, typer.Option(min=PARTS, help="Rows of each round.")] = ROWS,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds.")] = ROUNDS,
    quick: Annotated[bool, typer.Option("--quick", help="Compare the memory of a tenth of the rows.")] = False,
    pace_only: Annotated[bool, typer.Option("--pace-only", help="Leave the memory out.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the figures into docs/benchmarks.md.")] = False,
) -> None:
    """Measure on the bundle's own golden texts."""
    lines = (bundle / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    figures = measure_pace(bundle, [json.loads(line)["inputs"] for line in lines], WORK / "logs", rows, rounds)
    if not pace_only:
        figures += measure_memory(WORK / "logs", QUICK_ROWS if quick else MEMORY_ROWS)
    for figure in figures:
        Console().print(f"{figure.name}: {format_figure(figure)}", highlight=False)
    if write:
        write_figures(figures, f"`python -m bench.batch`, {rounds} rounds of {rows:,} rows, a bundle of {bundle.name}:")


if __name__ == "__main__":
    typer.run(main)
