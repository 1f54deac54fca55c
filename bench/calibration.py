"""How far scores are probabilities on the test rows, before and after calibration, as fp32 and int8 serve them.

    python -m bench.calibration runs/sst2 runs/banking77

Graphs are converted again and scores calibrated on the validation rows, as an export does for int8; so are those of a
checkpoint that was saved without calibration. The intervals are of resampled rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.figures import STYLE

VARIANTS = ("fp32", "int8")
ACCEPTED, HALF = 0.02, 0.5


def main(runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Finished runs, with their data.")]) -> None:
    """Print a table; exit with status 1 if an answer changes, or an error above 0.02 is not halved."""
    table = Table(title="calibration on the test rows (95 %)", **STYLE)
    for heading in ("run, variant", "calibration error", "NLL", "Brier score", "answers changed", "held"):
        table.add_column(heading)
    held = True
    for name, variant, figures, changed in (row for run in runs for row in measure_run(run)):
        before, after = figures["before"], figures["after"]
        good = not changed and after["ece"] <= max(ACCEPTED, HALF * before["ece"])
        held = held and good
        cells = [f"{before[each]:.4f} → {_format(after, each)}" for each in ("ece", "nll", "brier")]
        table.add_row(f"{name}, {variant}", *cells, f"{changed:,}", "yes" if good else "no")
    Console(width=160).print(table)
    raise typer.Exit(0 if held else 1)


def measure_run(folder: Path) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    """Name, variant, figures before and after calibration, and the answers that calibration changes."""
    from export.proof.answers.served_answers import compute_served_answers
    from export.proof.checks.reliability import measure_reliability
    from export.proof.recalibrate import recalibrate
    from export.variants.registry import variant_named
    from export.workspace import Workspace
    from trainer.run.run import Run

    run = Run.open(folder)
    with tempfile.TemporaryDirectory() as built_in, Workspace.open(run, threads=1) as workspace:
        for name in VARIANTS:
            target = Path(built_in) / name
            target.mkdir()
            built = workspace.build(variant_named(name, False), target)
            rows = workspace.reference.training_task, workspace.validation_rows
            settings = recalibrate(workspace.create_predictor(built), *rows)[0].model_dump(mode="json")
            built = replace(built, manifest=built.manifest.model_copy(update={"settings": settings}))
            served = compute_served_answers(workspace.reference, workspace.create_predictor(built))
            task, training_task = served.predictor.task, served.reference.training_task
            plain, pairs = training_task.uncalibrated(task), list(zip(served.encoded, served.results, strict=True))
            changed = sum(plain.decision(plain.decode(*each)) != task.decision(task.decode(*each)) for each in pairs)
            yield run.root.name, name, measure_reliability(served), changed


def _format(figures: dict[str, Any], name: str) -> str:
    low, high = figures[f"{name}_interval_95"]
    return f"{figures[name]:.4f} ({low:.4f} – {high:.4f})"


if __name__ == "__main__":
    typer.run(main)
