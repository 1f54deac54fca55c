"""A run or a bundle, and what differs between two of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.markup import escape
from typer import Argument, Option

from commands.arguments import Threads, TrustedKey
from commands.terminal import out, tell
from commands.verbs import verb
from stores.locate import local

if TYPE_CHECKING:
    from inspection.chance import Verdict
    from inspection.subject import Subject

Place = Annotated[str, Argument(metavar="RUN|BUNDLE", help="The folder of a run or a bundle, or a bundle's target.")]
First = Annotated[str, Argument(metavar="A", help="A run or a bundle.")]
Second = Annotated[str, Argument(metavar="B", help="Another one.")]


@verb("tuneship show runs/support", "tuneship show bundles/support", "tuneship show hf:team/intents --json")
def show(subject: Place, key: TrustedKey = None) -> None:
    """Show what a run or a bundle is.

    Where it comes from, its scores with their intervals, its proof, size, digest and signature, and how to serve it.
    """
    from inspection.display import render
    from inspection.subject import open_subject

    found = open_subject(subject, key)
    tell(found.to_json())
    console = out.console
    wrapped = console.width if console.is_terminal else None
    out.print(render(found, wrapped), soft_wrap=True, highlight=False)


@verb(
    "tuneship diff runs/old runs/new",
    "tuneship diff bundles/old bundles/new --rows runs/new",
    "tuneship diff runs/support bundles/support --quick",
    stopped="nothing was written",
)
def diff(
    before: First,
    after: Second,
    rows: Annotated[
        Path | None, Option("--rows", metavar="RUN", parser=local, help="The run with the test rows of two bundles.")
    ] = None,
    quick: Annotated[bool, Option("--quick", help="Compare records only; answer no test rows.")] = False,
    threads: Threads = None,
) -> None:
    """Show what differs between two runs or bundles.

    Recipe, data, versions, labels, graphs and scores. Both answer the test rows, if these are the same, which tells
    whether the scores differ by more than chance. Differences are no failure: the exit status is 0.
    """
    from inspection.diff import compare
    from inspection.subject import open_subject

    sides = open_subject(before), open_subject(after)
    sections = compare(*sides)
    tell({"a": sides[0].name, "b": sides[1].name, "scores": [each.score for each in sides]})
    tell({"sections": {section.name: section.to_json() for section in sections}})
    for letter, side in zip("AB", sides, strict=True):
        out.print(f"{letter}  {side.kind} {escape(side.name)}", soft_wrap=True, highlight=False)
    for section in sections:
        mark = "[green]✓[/]" if section.equal else "[yellow]≠[/]"
        note = f" ({section.note})" if section.note else ""
        out.print(f"{mark} {section.name}{escape(note)}{': equal' if section.equal else ''}", highlight=False)
        for line in section.lines:
            out.print(f"    {escape(line)}", soft_wrap=True, highlight=False)
    _compare_scores(*sides, rows, quick, threads)


def _compare_scores(before: Subject, after: Subject, rows: Path | None, quick: bool, threads: int | None) -> None:
    from inspection.display import format_figure

    out.print("  scores")
    for letter, side in zip("AB", (before, after), strict=True):
        if side.score:
            out.print(f"    {letter}  {format_figure(side.score)}", highlight=False)
    from inspection.comparable import why_not_tested

    reason = "--quick was given" if quick else why_not_tested(before, after, rows)
    tell({"test": None, "not_tested": reason})
    if reason:
        out.print(f"    not tested: {escape(reason)}", soft_wrap=True, highlight=False)
        return
    from commands.progress import show_progress
    from inspection.chance import test_scores  # imports torch
    from serving.observability.progress import begin_step
    from serving.settings.settings import available_cpus

    with show_progress():
        begin_step("answering the test rows with both…")
        verdict = test_scores(before, after, rows, threads or available_cpus())
    tell({"test": verdict.to_json(), "not_tested": ""})
    _show_verdict(verdict)


def _show_verdict(verdict: Verdict) -> None:
    from inspection.display import format_interval
    from trainer.metrics.display import metric_title

    change = verdict.change
    told = format_interval(change.metric, change.low, change.high)
    what = "more than chance" if verdict.beyond_chance else "no more than chance can explain"
    out.print(f"    A → B  {metric_title(change.metric)} changes by {told} (95 %)", highlight=False)
    out.print(f"    {what}", highlight=False)
    if verdict.lost is not None:
        out.print(f"    rows lost / won: {verdict.lost:,} / {verdict.won:,}", highlight=False)
