"""The automatic choice of a variant on banking77 and SST-2: its speed beside fp32's, and whether its answers hold."""

from __future__ import annotations

from rich.console import Console

from bench.figures import Asked, Figure
from bench.process import ROOT
from bench.subject import WORK
from serving.settings import available_cpus

RECIPES = ("banking77", "sst2")
ASKED_SPEED, ASKED_EQUAL, ASKED_CHANGED = Asked("≥", 2.0), Asked("≥", 99.0), Asked("≤", 0.0)


def measure_variants(console: Console) -> list[Figure]:
    """Each recipe trained (or found trained), exported by ``--variant auto``, its table shown; the choice's figures.

    Raises:
        InputError: the data is not there.
        ProofFailed: not even fp32 answers as its checkpoint does.
    """
    return [figure for recipe in RECIPES for figure in _measure(recipe, console)]


def _measure(recipe: str, console: Console) -> list[Figure]:
    from export.pack import export_run
    from export.variants.search import best_of
    from export.variants.table import variants_table
    from trainer.recipe import load_recipe
    from trainer.train import train

    folder = WORK / "tasks" / recipe
    run = train(load_recipe(ROOT / "recipes" / f"{recipe}.yaml"), folder / "run", console=console)
    with console.status(f"{recipe}: finding the fastest variant…") as status:
        result = export_run(run, folder / "auto", "auto", threads=available_cpus(), tell=status.update)
    best, parity = best_of(result.candidates), result.parity
    console.print(variants_table(result.candidates, best.variant.name))
    assert best.pace
    assert best.size
    low, high = best.pace.spread
    changed = parity.invariance.neighbours.changed + parity.invariance.padding.changed
    equal = 100 * parity.answers_equal / parity.compared
    name = f"{recipe}, {best.variant.name}"
    return [
        Figure(f"{name}, throughput ÷ fp32, one core", best.pace.ratio, "×", ASKED_SPEED, (low, best.pace.ratio, high)),
        Figure(
            f"{name}, equal answers", equal, "%", ASKED_EQUAL, note=f"{parity.answers_equal:,} of {parity.compared:,}"
        ),
        Figure(f"{name}, answers changed by neighbours or padding", float(changed), "", ASKED_CHANGED),
        Figure(f"{name}, its graph", best.size / 1e6, "MB"),
    ]
