"""report.md and its figures, made from run.json and the resolved recipe alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trainer.metrics.display import figures_table, format_score, headline, metric_title
from trainer.run.figures import MOST_LABELS, confusion_figure, learning_curve
from trainer.run.run import Run, write_atomically

_TEXT_SHOWN = 120


def write_report(run: Run, record: dict[str, Any]) -> None:
    """Draw the figures and write the report; ``record`` is what run.json holds or is about to hold."""
    run.figures.mkdir(exist_ok=True)
    if record["history"]:
        learning_curve(record, run.figures / "learning-curve.png")
    if "confusion_matrix" in record["metrics"]["test"]:
        confusion_figure(record, run.figures / "confusion-matrix.png")
    parts = [
        _headline(record),
        _warnings(record["warnings"]),
        _training_task(record),
        _errors(record),
        _labels(record),
        _data(record),
        _recipe(run),
        _reproduce(record),
    ]
    write_atomically(run.report, "\n\n".join(part for part in parts if part) + "\n")


def _headline(record: dict[str, Any]) -> str:
    test, metric = record["metrics"]["test"], headline(record)
    labels = f", {len(record['labels'])} labels" if len(record["labels"]) > 1 else ""
    return "\n\n".join(
        [
            f"# {record['task']}: {metric_title(metric)} {format_score(metric, test[metric])} "
            f"on {test['rows']} test rows",
            f"Base model {_code(record['model']['id'])}{labels}.",
            _table(*figures_table(record)),
            "Intervals are Wilson's for a share of rows, Fisher's for Pearson's correlation. Validation alone chose the"
            " checkpoint and whatever was tuned, so its figures are a little flattered; the test rows were used once,"
            " in fp32, on the weights as saved.",
            *_tuned(record),
        ]
    )


def _tuned(record: dict[str, Any]) -> list[str]:
    return (
        [f"Tuned on validation, and served so: {_code(json.dumps(record['settings']))}"] if record["settings"] else []
    )


def _warnings(warnings: Sequence[str]) -> str:
    return "## Warnings\n\n" + "\n".join(f"- {_inline(warning)}" for warning in warnings) if warnings else ""


def _training_task(record: dict[str, Any]) -> str:
    if not record["history"]:
        return ""
    return (
        "## Learning\n\n![Losses and validation figures over epochs](figures/learning-curve.png)\n\n"
        f"Kept: {_kept(record)}{_interpolated(record)}."
    )


def _kept(record: dict[str, Any]) -> str:
    """Which weights were kept, and why."""
    soup = record.get("soup")
    if not soup:
        return _kept_of_one(record)
    seeds = [*soup["seeds"]]
    alone = ", ".join(f"seed {seed}: {member['loss']:.4f}" for seed, member in soup["seeds"].items())
    mean = f"the mean of the weights of {len(seeds)} trainings, seeds {seeds[0]} to {seeds[-1]}"
    mean += f" (validation loss {soup['validation']['loss']:.4f}; {alone})"
    curve = f"the curves are those of seed {soup['best_seed']}"
    return f"{mean}; {curve}" if soup["kept"] else f"{_kept_of_one(record)}, of seed {soup['best_seed']}; not {mean}"


def _kept_of_one(record: dict[str, Any]) -> str:
    averaged, metric = record.get("averaged"), record["metric"]
    mean = ""
    if averaged:
        first, last = averaged["epochs"][0], averaged["epochs"][-1]
        mean = f"the mean of the weights at the ends of epochs {first} to {last}"
        mean += f" (validation {metric_title(metric)} {format_score(metric, averaged['validation'][metric])})"
    if averaged and averaged["kept"]:
        return mean
    best = record["recipe"]["training"].get("load_best_model_at_end", True)
    step = f"step {record['best_step']}, {f'the best validation {metric_title(metric)}' if best else 'the last'}"
    return f"{step}; not {mean}" if averaged else step


def _interpolated(record: dict[str, Any]) -> str:
    """How far the kept weights went back towards the base model's, and what validation found on the way."""
    found, metric = record.get("interpolated"), record["metric"]
    if not found:
        return ""
    scores = ", ".join(f"{fraction}: {format_score(metric, score)}" for fraction, score in found["validation"].items())
    losses = ", ".join(f"{fraction}: {loss:.4f}" for fraction, loss in found["losses"].items())
    return (
        f"; the backbone at {found['fraction']} of the way from the base model's weights to these"
        f" (validation {metric_title(metric)} at {scores}; loss at {losses})"
    )


def _errors(record: dict[str, Any]) -> str:
    listed = _worst(record["errors"]) if record["errors"]["worst"] else ["No test row was answered wrongly."]
    return "\n\n".join(["## Mistakes", *_matrix(record), *listed])


def _matrix(record: dict[str, Any]) -> list[str]:
    if "confusion_matrix" not in record["metrics"]["test"]:
        return []
    cut = f" The {MOST_LABELS} labels with the most mistakes are shown." * (len(record["labels"]) > MOST_LABELS)
    return [
        "![Confusion matrix of the test rows](figures/confusion-matrix.png)",
        "A row is what was expected, a column what was answered; colours are shares of a row, mistakes"
        f" in red, by the share's square root.{cut}",
    ]


def _worst(errors: dict[str, Any]) -> list[str]:
    pairs = [[_code(p["expected"]), _code(p["answered"]), str(p["count"])] for p in errors["confused_pairs"]]
    worst = [
        [f"{e['confidence']:.3f}", _code(e["expected"]), _code(e["answered"]), _inline(_cut(e["text"])), str(e["row"])]
        for e in errors["worst"]
    ]
    most_confused = ["### Most confused", _table(["expected", "answered", "times"], pairs)] if pairs else []
    return [
        *most_confused,
        "### Worst mistakes",
        _table(["confidence", "expected", "answered", "text", "row"], worst),
        "Rows are counted from 1, without a header. Look here for wrong labels in the data first.",
    ]


def _labels(record: dict[str, Any]) -> str:
    """A table of all labels, the weakest first."""
    if "per_label" not in record["metrics"]["test"]:
        return ""
    figures = sorted(record["metrics"]["test"]["per_label"].items(), key=lambda item: (item[1]["f1"], item[0]))
    rows = [
        [_code(name), f"{f['precision']:.3f}", f"{f['recall']:.3f}", f"{f['f1']:.3f}", str(f["support"])]
        for name, f in figures
    ]
    return "## Labels, weakest first\n\n" + _table(["label", "precision", "recall", "F1", "test rows"], rows)


def _data(record: dict[str, Any]) -> str:
    splits = record["data"]["splits"]
    sets = [
        [name, _code(facts["source"]), str(facts["rows"]), _code(facts["sha256"][:16])]
        for name, facts in splits.items()
    ]
    counts = [
        [_code(label), *(str(facts["labels"].get(label, 0)) for facts in splits.values())] for label in record["labels"]
    ]
    tally = ["<details><summary>Rows of each label</summary>", _table(["label", *splits], counts), "</details>"]
    some = tally if splits["train"]["labels"] else []
    return "\n\n".join(["## Data", _table(["set", "from", "rows", "sha256 of its rows"], sets), *some])


def _recipe(run: Run) -> str:
    return "## Recipe\n\n```yaml\n" + run.recipe.read_text(encoding="utf-8") + "```"


def _reproduce(record: dict[str, Any]) -> str:
    machine = record["hardware"]
    where = machine["accelerator"] or f"{machine['cpu']}, {machine['threads']} threads"
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    seconds = ", ".join(f"{stage} {spent:.0f} s" for stage, spent in record["seconds"].items())
    return "\n\n".join(
        [
            "## Reproduce",
            "In this folder, with the data where the recipe names it:",
            "```\ntuneship replay .\n```",
            "The same rows, versions, processor and threads give the same weights; what differs is named. "
            + _inline(
                f"Trained on {where} with {versions}. Time: {seconds}. Base weights sha256 {record['model']['sha256']}."
            ),
        ]
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """A name as code; a backtick inside would end it."""
    return "`" + " ".join(text.replace("`", "'").split()).replace("|", "\\|") + "`"


def _inline(text: str) -> str:
    """Any text as one line of Markdown that means nothing but itself."""
    escaped = "".join(f"\\{mark}" if mark in "\\`*_[]<>|#~" else mark for mark in text)
    return " ".join(escaped.split())


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT_SHOWN else flat[: _TEXT_SHOWN - 1] + "…"
