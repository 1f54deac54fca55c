"""report.md, report.html and their figures, from run.json and recipe.yaml alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2

from serving.errors import shorten
from trainer.metrics.display import (
    calibration_note,
    calibration_table,
    figures_table,
    format_score,
    leaks_note,
    main_metric,
    metric_title,
)
from trainer.run.report.cost import cost_note, cost_table
from trainer.run.report.figures import MOST_LABELS, confusion_figure, learning_curve, reliability_figure
from trainer.run.report.import_facts import import_facts
from trainer.run.report.marks import mark_words
from trainer.run.report.page import render_page
from trainer.run.report.privacy import describe_score, membership_lines, membership_table, privacy_lines
from trainer.run.report.tables import labels_table, measure_title, slices_table
from trainer.run.run import Run, write_atomically

_TEXT_CHARACTERS = 120


def write_report(run: Run, record: dict[str, Any]) -> None:
    run.figures.mkdir(exist_ok=True)
    if record["history"]:
        learning_curve(record, run.figures / "learning-curve.png")
    if "confusion_matrix" in record["metrics"]["test"]:
        confusion_figure(record, run.figures / "confusion-matrix.png")
    if calibration := record["metrics"]["test"].get("calibration"):
        reliability_figure(calibration, run.figures / "calibration.png")
    recipe = run.recipe.read_text(encoding="utf-8")
    template = _template("imported.md.j2" if "imported" in record else "report.md.j2")
    text = template.render(record=record, recipe=recipe, summary=_summary(record))
    write_atomically(run.report, text)
    write_atomically(run.page, render_page(text, run.root))


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "code": _code,
        "inline": _inline,
        "json": json.dumps,
        "marked_text": _marked_text,
        "shorten": _shorten,
    }
    environment.globals |= {
        "calibration_note": calibration_note,
        "labels_table": partial(labels_table, code=_code),
        "measure_title": measure_title,
        "privacy_lines": _describe_privacy,
        "slices_table": slices_table,
        "calibration_table": calibration_table,
        "cost_note": cost_note,
        "cost_table": cost_table,
        "figures_table": figures_table,
        "format_score": format_score,
        "import_facts": import_facts,
        "leaks_note": leaks_note,
        "main_metric": main_metric,
        "membership_lines": membership_lines,
        "membership_table": membership_table,
        "metric_title": metric_title,
        "most_labels": MOST_LABELS,
        "student": _describe_student,
        "table": _table,
    }
    return environment.get_template(name)


def _summary(record: dict[str, Any]) -> str:
    machine = record["hardware"]
    device = machine["accelerator"] or f"{machine['cpu']}, {machine['threads']} threads"
    device += f", in {record['processes']} processes" if record.get("processes", 1) > 1 else ""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    seconds = ", ".join(f"{stage} {spent:.0f} s" for stage, spent in record["seconds"].items())
    done = "Imported" if "imported" in record else "Trained"
    return f"{done} on {device} with {versions}. Time: {seconds}. Base weights sha256 {record['model']['sha256']}."


def _describe_privacy(record: dict[str, Any]) -> list[str]:
    name, test = main_metric(record), record["metrics"]["test"]
    return privacy_lines(record.get("privacy"), describe_score(name, test))


def _describe_student(record: dict[str, Any]) -> str:
    distil, names = record["recipe"]["distil"], [each["id"] for each in record["model"]["teachers"]]
    layers = distil.get("layers") or "all"
    kept = f"layers {', '.join(map(str, layers))}" if isinstance(layers, list) else f"{layers} of the layers"
    form = "a vector for each token" if distil["student"] == "static" else f"{kept} of its base model"
    learned = f"answers at temperature {distil['temperature']:g}, labels with a weight of {distil['label_weight']:g}"
    return f"A student of {', '.join(names)}: {form}; {learned}. It is measured against {record['teacher']['id']}."


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shorten(text: str) -> str:
    return shorten(" ".join(text.split()), _TEXT_CHARACTERS)


def _marked_text(mistake: Mapping[str, Any]) -> str:
    return mark_words(_shorten(mistake["text"]), mistake.get("words", []), _escape)


def _code(text: str) -> str:
    """A backtick inside would end it."""
    return "`" + " ".join(text.replace("`", "'").split()).replace("|", "\\|") + "`"


def _inline(text: str) -> str:
    return " ".join(_escape(text).split())


def _escape(text: str) -> str:
    return "".join(f"\\{mark}" if mark in "\\`*_[]<>|#~&" else mark for mark in text)
