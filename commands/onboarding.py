"""The first minutes: data → recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from commands.completion import tasks
from commands.terminal import fail, out, tell
from commands.verbs import verb
from serving.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from onboarding.init.propose import Proposal

_LABEL_HELP = "Column of the answer. Repeatable: a column for each label."


@verb(
    "tuneship init messages.csv",
    "tuneship init messages.csv --label intent --test later.csv -o intents.yaml",
    stopped="nothing was written",
)
def init(
    data: Annotated[str, Argument(metavar="DATA", help="A data file, a folder of them, or a URL.")],
    output: Annotated[Path, Option("--output", "-o", metavar="RECIPE", help="The recipe to write.")] = Path(
        "recipe.yaml"
    ),
    test: Annotated[
        str | None, Option(metavar="FILE|FRACTION", help="Test rows. [default: found, or held out]")
    ] = None,
    task: Annotated[
        str | None, Option(metavar="TASK", autocompletion=tasks, help="What to learn. [default: inferred]")
    ] = None,
    text: Annotated[str | None, Option(metavar="COLUMN", help="Column of the text.")] = None,
    text_pair: Annotated[str | None, Option(metavar="COLUMN", help="Column of a pair's second text.")] = None,
    label: Annotated[list[str] | None, Option(metavar="COLUMN", help=_LABEL_HELP)] = None,
    model: Annotated[str | None, Option(metavar="MODEL", help="Base model: a hub id or a folder.")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the recipe that is there.")] = False,
) -> None:
    """Look at data and write a recipe for it, with its reasons.

    Infers task, columns, language, lengths and a split whose score can be trusted, says why and what else it
    could be, and runs the checks that a training begins with.
    """
    from commands.progress import show_progress
    from onboarding.init.display import show
    from onboarding.init.propose import propose
    from onboarding.init.roles import Asked
    from serving.observability.progress import begin_step

    _check(output, task, overwrite)
    asked = Asked(task, text, text_pair, tuple(label or ()), model, test)
    with show_progress():
        begin_step(f"looking at {data}…")
        proposal = propose(data, asked, output)
    _write(output, proposal)
    tell(proposal.to_json(output))
    show(out.console, proposal, output)
    if proposal.rehearsal.problem:
        tell({"failed": proposal.rehearsal.problem})
        raise typer.Exit(1)


def _check(output: Path, task: str | None, overwrite: bool) -> None:
    """Raise InputError before a look at the data."""
    from typing import get_args

    from trainer.recipe.recipe import TaskName

    if task is not None and task not in (known := get_args(TaskName)):
        accepted = f"{', '.join(known)}{did_you_mean(task, known)}"
        raise InputError(f"--task {task!r} is no task; accepted are: {accepted}", field="--task")
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists; replace it by --overwrite, or name another by --output", field="--output")
    if not output.absolute().parent.is_dir():
        raise InputError(f"{output.parent}: there is no such folder; make it first", field="--output")


def _write(output: Path, proposal: Proposal) -> None:
    from serving.files import replace_file

    with replace_file(output) as file:
        file.write(proposal.draft.to_yaml().encode("utf-8"))


@verb(
    "tuneship doctor",
    "tuneship doctor recipe.yaml",
    "tuneship doctor bundles/support --network",
)
def doctor(
    subject: Annotated[
        Path | None, Argument(metavar="BUNDLE|RECIPE", help="What is to be served, or trained. [default: anything]")
    ] = None,
    network: Annotated[bool, Option("--network", help="Ask the hub, one HEAD request, and compare the clock.")] = False,
) -> None:
    """Look at this machine: what it lacks to train, export and serve.

    Looks at Python, packages, processor, memory, disks, GPU, caches, clock and locale, and says what to do about
    what is wrong. Exits with 1 if something must be mended first.
    """
    from onboarding.doctor.diagnose import diagnose
    from onboarding.doctor.display import show

    findings = list(diagnose(subject, network=network))
    tell({"findings": [finding.to_json() for finding in findings]})
    show(out.console, findings)
    if errors := [finding for finding in findings if finding.state == "error"]:
        fail(f"{len(errors)} of {len(findings)} checks")
