"""The automatic choice of a variant on banking77 and SST-2: its speed beside fp32's, and whether its answers hold."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bench.figures import Asked, Figure
from bench.process import ROOT
from bench.subject import WORK
from serving.settings.settings import available_cpus
from trainer.run.run import Run

RECIPES = ("banking77", "sst2")
ASKED_SPEED, ASKED_EQUAL, ASKED_CHANGED = Asked("≥", 2.0), Asked("≥", 99.0), Asked("≤", 0.0)


def measure_variants(run: Path | None, console: Console) -> list[Figure]:
    """A run, or without one each recipe trained (or found trained), exported by ``--variant auto``, its table shown.

    Raises:
        InputError: the run is not finished, or the data is not there.
        ProofFailed: not even fp32 answers as its checkpoint does.
    """
    if run:
        return _measure(run.resolve().name, Run.open(run), console)
    return [figure for recipe in RECIPES for figure in _measure(recipe, _trained(recipe, console), console)]


def _trained(recipe: str, console: Console) -> Run:
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    return train(load_recipe(ROOT / "recipes" / f"{recipe}.yaml"), WORK / "tasks" / recipe / "run", console=console)


def _measure(name: str, run: Run, console: Console) -> list[Figure]:
    from export.console import variants_table
    from export.exporter import export_run
    from export.selection.search import select_best

    with console.status(f"{name}: finding the fastest variant…") as status:
        on_step = status.update if console.is_terminal else console.print
        result = export_run(run, WORK / "auto" / name, "auto", threads=available_cpus(), on_step=on_step)
    best, parity = select_best(result.candidates), result.parity
    console.print(variants_table(result.candidates, best.variant.name))
    assert best.pace
    assert best.size
    low, high = best.pace.spread
    changed = parity.invariance.neighbours.changed + parity.invariance.padding.changed
    equal = 100 * parity.answers_equal / parity.compared
    name = f"{name}, {best.variant.name}"
    return [
        Figure(f"{name}, throughput ÷ fp32, one core", best.pace.ratio, "×", ASKED_SPEED, (low, best.pace.ratio, high)),
        Figure(
            f"{name}, equal answers", equal, "%", ASKED_EQUAL, note=f"{parity.answers_equal:,} of {parity.compared:,}"
        ),
        Figure(f"{name}, answers changed by neighbours or padding", float(changed), "", ASKED_CHANGED),
        Figure(f"{name}, its graph", best.size / 1e6, "MB"),
    ]
