"""The first minutes: data → recipe."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from typer import Argument, Option

from commands.terminal import err, out
from serving.errors import InputError

if TYPE_CHECKING:
    from onboarding.init.propose import Proposal

_LABEL_HELP = "Column of the answer. Repeatable: a column for each label."


def init(
    data: Annotated[str, Argument(metavar="DATA", help="A data file, a folder of them, or a URL.")],
    output: Annotated[Path, Option("--output", "-o", metavar="RECIPE", help="The recipe to write.")] = Path(
        "recipe.yaml"
    ),
    test: Annotated[
        str | None, Option(metavar="FILE|FRACTION", help="Test rows. [default: found, or held out]")
    ] = None,
    task: Annotated[str | None, Option(metavar="TASK", help="What to learn. [default: inferred]")] = None,
    text: Annotated[str | None, Option(metavar="COLUMN", help="Column of the text.")] = None,
    text_pair: Annotated[str | None, Option(metavar="COLUMN", help="Column of a pair's second text.")] = None,
    label: Annotated[list[str] | None, Option(metavar="COLUMN", help=_LABEL_HELP)] = None,
    model: Annotated[str | None, Option(metavar="MODEL", help="Base model: a hub id or a folder.")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the recipe that is there.")] = False,
    json_: Annotated[bool, Option("--json", help="Print every choice and its reason as JSON.")] = False,
) -> None:
    """Look at data and write a recipe for it, with its reasons.

    Infers task, columns, language, lengths and a split whose score can be trusted, says why and what else it
    could be, and runs the checks that a training begins with.
    """
    from onboarding.init.propose import propose
    from onboarding.init.roles import Asked

    _check(output, task, overwrite)
    asked = Asked(task, text, text_pair, tuple(label or ()), model, test)
    with err.status(f"looking at {escape(data)}…"):
        proposal = propose(data, asked, output)
    _write(output, proposal)
    if json_:
        sys.stdout.write(json.dumps(proposal.to_json(output), ensure_ascii=False, indent=1) + "\n")
    else:
        from onboarding.init.display import show

        show(out, proposal, output)
    if proposal.rehearsal.problem:
        raise typer.Exit(1)


def _check(output: Path, task: str | None, overwrite: bool) -> None:
    """Raise InputError before a look at the data."""
    from typing import get_args

    from trainer.recipe.recipe import TaskName

    if task is not None and task not in get_args(TaskName):
        raise InputError(f"--task {task!r} is no task; accepted are: {', '.join(get_args(TaskName))}", field="--task")
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists; replace it by --overwrite, or name another by --output", field="--output")
    if not output.absolute().parent.is_dir():
        raise InputError(f"{output.parent}: there is no such folder; make it first", field="--output")


def _write(output: Path, proposal: Proposal) -> None:
    from serving.files import replace_file

    with replace_file(output) as file:
        file.write(proposal.draft.to_yaml().encode("utf-8"))


def doctor(
    subject: Annotated[
        Path | None, Argument(metavar="BUNDLE|RECIPE", help="What is to be served, or trained. [default: anything]")
    ] = None,
    network: Annotated[bool, Option("--network", help="Ask the hub, one HEAD request, and compare the clock.")] = False,
    json_: Annotated[bool, Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at this machine: can it train, export and serve?

    Looks at Python, packages, processor, memory, disks, GPU, caches, clock and locale, and says what to do about
    what is wrong. Exits with 1 if something must be mended first.
    """
    from onboarding.doctor.diagnose import diagnose

    findings = list(diagnose(subject, network=network))
    if json_:
        record = {"findings": [finding.to_json() for finding in findings]}
        sys.stdout.write(json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    else:
        from onboarding.doctor.display import show

        show(out, findings)
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(1)
