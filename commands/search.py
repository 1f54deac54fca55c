"""What to train, before it is trained."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Option

from commands.arguments import Overrides, Recipe, choice
from commands.terminal import err, log, out, tell
from commands.verbs import verb
from stores.locate import local


@verb(
    "tuneship tune recipe.yaml --output studies/support --minutes 60",
    "tuneship tune recipe.yaml -o studies/support --train runs/best",
    stopped="the study has the trials so far: repeat the command to go on",
)
def tune(
    recipe: Recipe,
    output: Annotated[Path, Option("--output", "-o", metavar="STUDY", parser=local, help="Folder for the study.")],
    minutes: Annotated[float, Option(min=0.1, metavar="N", help="When the command must have ended.")] = 30,
    trials: Annotated[int | None, Option(min=1, metavar="N", help="End after so many. [default: no limit]")] = None,
    storage: Annotated[
        str | None, Option(metavar="URL", help="Database for many machines at once. [default: STUDY/study.db]")
    ] = None,
    pruner: Annotated[str, choice("median", "hyperband", "none", help="What ends bad trials early.")] = "median",
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
    from commands.progress import show_progress
    from export.rehearsal import rehearse  # imports torch; a mistake in the recipe shows before
    from search.tuning.budget import Budget
    from search.tuning.tune import BEST, REPORT
    from search.tuning.tune import tune as run_search
    from trainer.fit.stopping import StopOnSignal
    from trainer.train import train as run_training

    budget = Budget(minutes, trials, learning_curve, begun)
    with show_progress():
        found = run_search(
            settings, output, budget, storage=storage, pruner=pruner, console=log.console, check=rehearse
        )
    tell({"study": str(output), "report": str(output / REPORT), "recipe": str(output / BEST), **found.to_record()})
    out.print(f"report  {escape(str(output / REPORT))}", soft_wrap=True)
    out.print(f"recipe  {escape(str(output / BEST))}", soft_wrap=True)
    if train:
        with show_progress(), StopOnSignal(err.console).handle() as stop:
            best = load_recipe(output / BEST)
            run = run_training(best, train, console=log.console, check=rehearse, callbacks=[stop])
        tell({"run": str(run.root)})
        out.print(f"report  {escape(str(run.report))}", soft_wrap=True)


@verb(
    "tuneship baseline recipe.yaml",
    "tuneship baseline recipe.yaml --rungs tf-idf,frozen,full --minutes 5",
    stopped="nothing was written",
)
def baseline(
    recipe: Recipe,
    rungs: Annotated[
        str | None,
        Option(metavar="NAME,NAME…", help="What is measured. [default: all of the task; see docs/training.md]"),
    ] = None,
    minutes: Annotated[float, Option(min=0, metavar="N", help="For what is fine-tuned.")] = 10,
    examples: Annotated[
        list[int] | None, Option(min=0, metavar="N", help="Examples per label. Repeatable. [default: 0 5 10]")
    ] = None,
    repeats: Annotated[int, Option(min=1, metavar="N", help="Random samples of the examples.")] = 3,
    set_: Overrides = None,
) -> None:
    """Measure what cheaper models reach, beside fine-tuning.

    From a constant answer, TF-IDF and a frozen encoder to training all weights, on the validation rows.
    """
    from commands.progress import show_progress
    from search.ladder.ladder import climb
    from search.ladder.verdict import ladder_table, notes, verdict
    from trainer.recipe.recipe import load_recipe

    settings = load_recipe(recipe, set_ or [])
    wanted = [name.strip() for name in rungs.split(",")] if rungs else None
    with show_progress():
        found = climb(settings, Path.cwd(), wanted, minutes=minutes, examples=examples or (0, 5, 10), repeats=repeats)
    words = verdict(found)
    tell({"rungs": [rung.to_record() for rung in found], "verdict": words})
    out.print(ladder_table(found))
    for line in (*notes(found), words):
        if line:
            out.print(line, highlight=False, markup=False)
