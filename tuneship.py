"""The command line: one verb for each step from labelled texts to a service.

Each command imports what it needs itself, so that serving never loads torch.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

if sys.platform == "win32":  # before the imports: they lock files and wait for signals as POSIX has it
    sys.exit("error  Tuneship needs Linux or macOS. On Windows, install and run it inside WSL: wsl --install")

import typer
from typer import Option

from commands import bundles, checks, deploy, inspection, onboarding, privacy, projects, search, serving, training
from commands.processes import require_one_process
from commands.terminal import ask_for, run
from commands.verbs import Group, Json, Quiet, add_verbs
from commands.versions import show_versions

ROAD = {
    "Start": (onboarding.doctor, onboarding.init, projects.new, checks.check, search.baseline),
    "Make a run": (training.train, search.tune, training.import_, training.replay, privacy.privacy),
    "Make a bundle, and prove it": (bundles.export, serving.verify, bundles.compare, bundles.card),
    "Look at runs and bundles": (inspection.show, inspection.diff),
    "Serve it": (serving.serve, serving.predict, serving.explain),
    "Ship it": (bundles.sign, bundles.push, bundles.pull),
}
"""The verbs below their headings in the help, in the order of the work."""

app = typer.Typer(
    help="Fine-tune a text model, prove that its ONNX export answers the same, and serve it.",
    cls=Group,
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
add_verbs(app, ROAD)
app.add_typer(deploy.app, name="deploy", rich_help_panel="Ship it")


@app.callback()
def start(
    context: typer.Context,
    version: Annotated[bool, Option("--version", help="Print the version; with --json, of packages too.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    ask_for(as_json, quiet)
    if version:
        show_versions()
        raise typer.Exit
    if context.invoked_subcommand is None:
        context.fail("Missing command.")
    require_one_process(context.invoked_subcommand)


def main() -> None:
    """The entry point of the ``tuneship`` command."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Torch's threads spin while they wait: with the default, two trainings on one machine would slow each other down.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    run(app)


if __name__ == "__main__":
    main()
