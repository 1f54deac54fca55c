"""What is wrong with the rows, before they are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Option

from commands.arguments import Overrides, Recipe, choice
from commands.terminal import err, fail, out, tell
from commands.verbs import verb


@verb(
    "tuneship check recipe.yaml",
    "tuneship check recipe.yaml --output again.csv",
    "tuneship check recipe.yaml --fail-on leaks,conflicts --json",
    stopped="nothing was changed",
)
def check(
    recipe: Recipe,
    fail_on: Annotated[
        str | None, Option(metavar="NAME[,…]", help="Exit with 1 if these find something: leaks, conflicts, …")
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="Write the rows to label again. [default: do not]")
    ] = None,
    output_format: Annotated[
        str | None,
        choice("csv", "label-studio", "doccano", "argilla", help="Of that file. [default: as its name ends]"),
    ] = None,
    set_: Overrides = None,
) -> None:
    """Look for wrong labels, leaks and duplicates in the rows.

    Finds personal data, broken texts and more, too. Trains nothing and changes no row. The file of --output
    has the suggested label beside the given one.
    """
    from checks.names import parse_names
    from trainer.recipe.recipe import load_recipe

    names = parse_names(fail_on or "")
    settings = load_recipe(recipe, set_ or [])
    from checks.check import check_recipe  # imports torch
    from checks.display import show
    from checks.relabel.formats import choose_format, write_relabel
    from commands.progress import show_progress

    kind = choose_format(output, output_format) if output else ""  # before minutes of work
    with show_progress():
        checked = check_recipe(settings)
    tell(checked.to_json())
    show(out.console, checked)
    if output:
        write_relabel(output, checked.suggestions, kind)
        err.print(f"{len(checked.suggestions):,} rows to label again  →  {escape(str(output))}", soft_wrap=True)
    if failed := checked.failed(names):
        fail(", ".join(failed))
