"""What is wrong with the rows, before they are trained on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from typer import Argument, Option

from commands.arguments import Overrides
from commands.terminal import err, out


def check(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A YAML file.")],
    json_: Annotated[bool, Option("--json", help="Print every finding, with all its rows, as JSON.")] = False,
    fail_on: Annotated[
        str | None, Option(metavar="NAME[,…]", help="Exit with 1 if these find something: leaks, conflicts, …")
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="Write the rows to label again. [default: do not]")
    ] = None,
    output_format: Annotated[
        str | None,
        Option(metavar="csv|label-studio|doccano|argilla", help="Of that file. [default: as its name ends]"),
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

    kind = choose_format(output, output_format) if output else ""  # before minutes of work
    checked = check_recipe(settings, err.status)
    if json_:
        sys.stdout.write(json.dumps(checked.to_json(), ensure_ascii=False, indent=1) + "\n")
    else:
        show(out, checked)
    if output:
        write_relabel(output, checked.suggestions, kind)
        err.print(f"{len(checked.suggestions):,} rows to label again  →  {escape(str(output))}", soft_wrap=True)
    if failed := checked.failed(names):
        err.print(f"[red]failed[/]  {', '.join(failed)}", soft_wrap=True, highlight=False)
        raise typer.Exit(1)
