"""The speed and the answers of the variant that ``--variant auto`` selects."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from bench.figures import Figure
from bench.subject import WORK
from deploy.measurement.process import ROOT
from serving.settings.settings import available_cpus
from trainer.run.run import Run

RECIPES = ("banking77", "sst2")


def measure_variants(run: Path | None, console: Console) -> list[Figure]:
    """Raises InputError, or ProofFailed if fp32 fails too."""
    if run:
        return _measure(run.resolve().name, Run.open(run), console)
    return [figure for recipe in RECIPES for figure in _measure(recipe, _train(recipe, console), console)]


def _train(recipe: str, console: Console) -> Run:
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    return train(load_recipe(ROOT / "recipes" / f"{recipe}.yaml"), WORK / "tasks" / recipe / "run", console=console)


def _measure(name: str, run: Run, console: Console) -> list[Figure]:
    from export.console import variants_table
    from export.exporter import export_run
    from export.selection.candidate import select_best
    from serving.observability.progress_bars import show_progress

    start, cpu = time.monotonic(), time.process_time()
    with show_progress(console):
        result = export_run(run, WORK / "auto" / name, "auto", threads=available_cpus())
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    best, parity = select_best(result.candidates), result.parity
    console.print(variants_table(result.candidates, best.variant.name))
    assert best.pace
    assert best.size
    low, high = best.pace.interval
    changed = parity.invariance.neighbours.changed + parity.invariance.padding.changed
    equal = 100 * (parity.agreement if parity.agreement is not None else float("nan"))
    name = f"{name}, {best.variant.name}"
    return [
        Figure(f"{name}, throughput ÷ fp32, one core", best.pace.ratio, "×", samples=(low, best.pace.ratio, high)),
        Figure(f"{name}, equal answers", equal, "%", note=f"{parity.answers_equal:,} of {parity.compared:,}"),
        Figure(f"{name}, answers changed by neighbours or padding", float(changed), "", correct=0.0),
        Figure(f"{name}, its graph", best.size / 1e6, "MB"),
        Figure(f"{name}, the export", seconds, "s", note=f"{cpu:.0f} s of CPU time"),
    ]
