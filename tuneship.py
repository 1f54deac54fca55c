"""The command line: one verb for each step from labelled texts to a service.

Each command imports what it needs itself, so that serving never loads torch.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":  # before the imports: they lock files and wait for signals as POSIX has it
    sys.exit("error  Tuneship needs Linux or macOS. On Windows, install and run it inside WSL: wsl --install")

import typer

from commands import bundles, checks, deploy, onboarding, privacy, projects, search, serving, training
from commands.processes import require_one_process
from commands.terminal import readable_errors

app = typer.Typer(
    help="Fine-tune a text model, prove that its ONNX export answers the same, and serve it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    onboarding.init,
    onboarding.doctor,
    projects.new,
    checks.check,
    training.train,
    training.replay,
    privacy.privacy,
    search.baseline,
    search.tune,
    training.import_,
    bundles.export,
    bundles.compare,
    bundles.sign,
    bundles.card,
    serving.verify,
    serving.predict,
    serving.explain,
    serving.serve,
    bundles.push,
    bundles.pull,
):
    app.command(verb.__name__.rstrip("_"))(verb)

app.add_typer(deploy.app, name="deploy")


@app.callback()
def start(context: typer.Context) -> None:
    require_one_process(context.invoked_subcommand)


def main() -> None:
    """The entry point of the ``tuneship`` command."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Torch's threads spin while they wait: with the default, two trainings on one machine would slow each other down.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    with readable_errors():
        app(standalone_mode=True)


if __name__ == "__main__":
    main()
