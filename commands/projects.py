"""Nothing → project."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Argument, Option

from commands.completion import tasks
from commands.terminal import err, out, tell
from commands.verbs import verb
from stores.locate import local


@verb("tuneship new support", "tuneship new models/support --task text-classification")
def new(
    name: Annotated[Path, Argument(metavar="NAME", parser=local, help="Folder to make; its name is the project's.")],
    task: Annotated[
        str, Option(metavar="TASK", autocompletion=tasks, help="Task of the template.")
    ] = "text-classification",
) -> None:
    """Make a project: data, a recipe, and CI that ships it.

    Pull requests are trained, proven and compared with production; main is signed, pushed and deployed.
    """
    from templates.new import create_project
    from templates.own_wheel import HOME

    folder = name.absolute()
    wheel = create_project(folder, task)
    if wheel is None:
        err.print(
            "[yellow]![/] this Tuneship runs from a checkout; put its wheel into the project, by pip wheel --no-deps"
            f" --wheel-dir {escape(shlex.quote(str(name / 'wheels')))} {escape(shlex.quote(str(HOME)))}",
            soft_wrap=True,
            highlight=False,
        )
    tell({"folder": str(folder), "task": task})
    out.print(f"made  {escape(str(name))}; what to do next: {escape(str(name / 'README.md'))}", soft_wrap=True)
