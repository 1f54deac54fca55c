"""A run or a bundle in a few lines of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from export.proof.display import change_unit, format_change
from inspection.subject import Subject
from serving.errors import shorten
from trainer.metrics.display import figures_table, format_score, metric_title

_SPLITS = ("train", "validation", "test")
_MOST_LABELS = 200
"""Characters."""
_INDENT = 12


def render(subject: Subject, width: int | None = None) -> RenderableType:
    """Names and values; values are wrapped to a terminal's ``width``, and elsewhere are a line each, for grep."""
    rows = _bundle_rows(subject) if subject.kind == "bundle" else _run_rows(subject)
    text = Text("\n").join(_line(name, value, width) for name, value in rows)
    if subject.kind == "run" and "metrics" in subject.facts and subject.score:
        return Group(text, "", _scores_table(subject))
    return text


def _line(name: str, value: str, width: int | None) -> Text:
    parts = textwrap.wrap(value, width - _INDENT, break_on_hyphens=False) if width else [value]
    return Text.assemble((f"{name:{_INDENT}}", "bold"), f"\n{'':{_INDENT}}".join(parts))


def _bundle_rows(subject: Subject) -> Iterator[tuple[str, str]]:
    facts = subject.facts
    yield "bundle", subject.name
    yield from _common_rows(subject)
    if facts["serves_for"]:
        yield "serves for", f"the run {facts['serves_for']['run']}, its teacher"
    yield "proof", _proof(facts["proof"])
    yield "variants", ", then ".join(map(_variant, facts["variants"]))
    yield from _warnings(facts["warnings"])
    yield "size", f"{subject.size / 1e6:.1f} MB in {len(facts['files'])} files, all as the manifest says"
    yield "sha256", subject.digest
    yield "signature", facts["signature"]
    versions = {name: subject.versions.get(name, "?") for name in ("tuneship", "onnxruntime", "torch")}
    yield "exported", f"{facts['created']} by {', '.join(f'{name} {each}' for name, each in versions.items())}"
    yield "check", f"tuneship verify {subject.name}"
    yield "serve", f"tuneship serve {subject.name} --port 3000"


def _run_rows(subject: Subject) -> Iterator[tuple[str, str]]:
    facts = subject.facts
    finished = facts["status"] == "finished"
    yield "run", subject.name if finished else f"{subject.name}, not finished: repeat its train command to go on"
    yield from _common_rows(subject)
    if finished:
        hardware = facts["hardware"]
        where = f"{hardware.get('accelerator') or hardware.get('cpu', 'a CPU')}, {hardware.get('threads')} threads"
        yield "training", f"{sum(facts['seconds'].values()):,.0f} s in all on {where}"
        if size := facts.get("size"):
            yield "parameters", f"{size['parameters']:,}"
        yield from _warnings(facts["warnings"])
    yield "size", f"{subject.size / 1e6:.1f} MB"
    yield "lock.json", subject.digest or "none"
    if finished:
        yield "report", facts["report"]
        yield "export", f"tuneship export {subject.name} --output BUNDLE"


def _common_rows(subject: Subject) -> Iterator[tuple[str, str]]:
    yield "task", subject.task
    if subject.labels:
        yield "labels", f"{len(subject.labels)}: {shorten(', '.join(subject.labels), _MOST_LABELS)}"
    yield "base model", f"{subject.model.get('id', '?')}, sha256 {str(subject.model.get('sha256'))[:16]}"
    yield "data", " · ".join(_splits(subject.data))
    if subject.score:
        how = ", as served" if subject.kind == "bundle" else ""
        yield "score", f"{format_figure(subject.score)} on {subject.score['rows']:,} test rows{how}"
    elif subject.kind == "bundle" or subject.facts["status"] == "finished":
        yield "score", "not measured: the test rows have no labels"


def format_figure(score: dict[str, Any]) -> str:
    """With its interval."""
    metric, interval = score["metric"], score["interval"]
    told = f" (95 %: {' – '.join(format_score(metric, end) for end in interval)})" if interval else ""
    return f"{metric_title(metric)} {format_score(metric, score['value'])}{told}"


def _splits(data: dict[str, Any]) -> Iterator[str]:
    splits = data.get("splits", {})
    for name in sorted(splits, key=lambda name: (_SPLITS.index(name) if name in _SPLITS else len(_SPLITS), name)):
        yield f"{name} {splits[name]['rows']:,}"
    files = [str(file["name"]) for file in data.get("files", {}).values() if file.get("name")]
    if files:
        yield f"from {', '.join(dict.fromkeys(files))}"


def _proof(proof: dict[str, Any]) -> str:
    text = f"{'passed' if proof['passed'] else 'failed'}: {proof['gates_held']} gates held"
    if proof["answers_equal"] is not None:
        text += f"; {proof['answers_equal']:,} of {proof['compared']:,} answers equal"
    text += f"; largest logit difference {proof['max_abs_logit_difference']:.2g}"
    return f"{text}; {proof['golden_rows']} golden answers; on {proof['machine']['cpu']}"


def _variant(variant: dict[str, Any]) -> str:
    where = "" if variant["provider"] == "cpu" else f" on {variant['provider']}"
    needs = f", needs {' and '.join(variant['needs'])}" if variant["needs"] else ""
    return f"{variant['variant']}{where} ({variant['bytes'] / 1e6:.1f} MB{needs})"


def _warnings(warnings: list[str]) -> Iterator[tuple[str, str]]:
    for at, warning in enumerate(warnings):
        yield "warnings" if at == 0 else "", warning


def _scores_table(subject: Subject) -> Table:
    headings, rows = figures_table({"metric": subject.facts["metric"], "metrics": subject.facts["metrics"]})
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def format_interval(metric: str, low: float, high: float) -> str:
    """Of a change."""
    ends = format_change(metric, low, high)
    return f"{ends[0]} to {ends[1]}{change_unit(metric)}"
