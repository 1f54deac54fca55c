"""What to train, before it is trained."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from typer import Argument, Option

from commands.arguments import Overrides
from commands.terminal import err, out
from stores.locate import local


def tune(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A YAML file.")],
    output: Annotated[Path, Option("--output", "-o", metavar="STUDY", parser=local, help="Folder for the study.")],
    minutes: Annotated[float, Option(min=0.1, metavar="N", help="When the command must have ended.")] = 30,
    trials: Annotated[int | None, Option(min=1, metavar="N", help="End after so many. [default: no limit]")] = None,
    storage: Annotated[
        str | None, Option(metavar="URL", help="Database for many machines at once. [default: STUDY/study.db]")
    ] = None,
    pruner: Annotated[str, Option(metavar="median|hyperband|none", help="What ends bad trials early.")] = "median",
    learning_curve: Annotated[bool, Option(help="Train the best on parts of the rows too.")] = True,
    train: Annotated[
        Path | None,
        Option("--train", metavar="RUN", parser=local, help="Then train the best recipe. [default: do not]"),
    ] = None,
    set_: Overrides = None,
) -> None:
    """Look for a better recipe within some minutes.

    Writes STUDY/best.yaml, which train takes, and STUDY/report.md. To go on, repeat the command.
    """
    from trainer.recipe.recipe import load_recipe

    begun = time.monotonic()
    settings = load_recipe(recipe, set_ or [])
    from export.rehearsal import rehearse  # imports torch; a mistake in the recipe shows before
    from search.tuning.budget import Budget
    from search.tuning.tune import BEST, REPORT
    from search.tuning.tune import tune as run_search
    from trainer.train import train as run_training

    try:
        budget = Budget(minutes, trials, learning_curve, begun)
        run_search(settings, output, budget, storage=storage, pruner=pruner, console=out, check=rehearse)
    except KeyboardInterrupt:
        err.print(
            f"\nstopped; {escape(str(output))} has the trials so far: repeat the command to go on", soft_wrap=True
        )
        raise typer.Exit(130) from None
    out.print(f"report  {escape(str(output / REPORT))}", soft_wrap=True)
    out.print(f"recipe  {escape(str(output / BEST))}", soft_wrap=True)
    if train:
        run = run_training(load_recipe(output / BEST), train, check=rehearse)
        out.print(f"report  {escape(str(run.report))}", soft_wrap=True)


def baseline(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A YAML file.")],
    rungs: Annotated[
        str | None, Option(metavar="NAME,NAME…", help="What is measured. [default: all; see docs/training.md]")
    ] = None,
    minutes: Annotated[float, Option(min=0, metavar="N", help="For what is fine-tuned.")] = 10,
    examples: Annotated[
        list[int] | None, Option(min=0, metavar="N", help="Examples per label. Repeatable. [default: 0 5 10]")
    ] = None,
    repeats: Annotated[int, Option(min=1, metavar="N", help="Random samples of the examples.")] = 3,
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
    set_: Overrides = None,
) -> None:
    """Measure what cheaper models reach, beside fine-tuning.

    From a constant answer, TF-IDF and a frozen encoder to training all weights, on the validation rows.
    """
    from search.ladder.ladder import RUNGS, climb
    from search.ladder.verdict import ladder_table, notes, verdict
    from trainer.recipe.recipe import load_recipe

    settings = load_recipe(recipe, set_ or [])
    names = [name.strip() for name in rungs.split(",")] if rungs else RUNGS
    with err.status("reading…") as status:
        found = climb(settings, Path.cwd(), names, minutes=minutes, examples=examples or (0, 5, 10), repeats=repeats,
                      begin=lambda what: status.update(f"{what}…"))  # fmt: skip
    words = verdict(found)
    if as_json:
        out.print_json(data={"rungs": [rung.to_record() for rung in found], "verdict": words})
        return
    out.print(ladder_table(found))
    for line in (*notes(found), words):
        if line:
            out.print(line, highlight=False, markup=False)
