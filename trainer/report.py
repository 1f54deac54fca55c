"""report.md and its figures, made from run.json and the resolved recipe alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainer.figures import MOST_LABELS, confusion_figure, learning_curve
from trainer.run import Run, write_atomically

_TEXT_SHOWN = 120


def write_report(run: Run, record: dict[str, Any]) -> None:
    """Draw the figures and write the report; ``record`` is what run.json holds or is about to hold."""
    run.figures.mkdir(exist_ok=True)
    learning_curve(record, run.figures / "learning-curve.png")
    confusion_figure(record, run.figures / "confusion-matrix.png")
    parts = [
        _headline(record),
        _warnings(record["warnings"]),
        _learning(record),
        _errors(record),
        _labels(record),
        _data(record),
        _recipe(run),
        _reproduce(record),
    ]
    write_atomically(run.report, "\n\n".join(part for part in parts if part) + "\n")


def _headline(record: dict[str, Any]) -> str:
    rows = [_figures(name, figures) for name, figures in record["metrics"].items()]
    test = record["metrics"]["test"]
    heading = f"# {record['task']}: {test['accuracy']:.1%} of {test['rows']} test rows right"
    return "\n\n".join(
        [
            heading,
            f"Base model {_code(record['model']['id'])}, {len(record['labels'])} labels.",
            _table(["set", "rows", "accuracy", "95 % interval", "macro-F1"], rows),
            "The interval is Wilson's for a share. Validation alone chose the checkpoint, so its figure is"
            " a little flattered; the test rows were used once, in fp32, on the weights as saved.",
        ]
    )


def _figures(name: str, figures: dict[str, Any]) -> list[str]:
    low, high = figures["accuracy_interval_95"]
    return [
        name,
        str(figures["rows"]),
        f"{figures['accuracy']:.2%}",
        f"{low:.2%} – {high:.2%}",
        f"{figures['macro_f1']:.4f}",
    ]


def _warnings(warnings: Sequence[str]) -> str:
    return "## Warnings\n\n" + "\n".join(f"- {_inline(warning)}" for warning in warnings) if warnings else ""


def _learning(record: dict[str, Any]) -> str:
    settings = record["recipe"]["training"]
    metric = settings["metric_for_best_model"].replace("_", " ")
    return (
        "## Learning\n\n![Losses and validation figures over epochs](figures/learning-curve.png)\n\n"
        f"Kept: step {record['best_step']}, the best validation {metric}."
    )


def _errors(record: dict[str, Any]) -> str:
    shown = f" The {MOST_LABELS} labels with the most mistakes are shown." * (len(record["labels"]) > MOST_LABELS)
    matrix = [
        "## Mistakes",
        "![Confusion matrix of the test rows](figures/confusion-matrix.png)",
        "A row is what was expected, a column what was answered; colours are shares of a row, mistakes"
        f" in red, by the share's square root.{shown}",
    ]
    listed = _worst(record["errors"]) if record["errors"]["worst"] else ["No test row was answered wrongly."]
    return "\n\n".join([*matrix, *listed])


def _worst(errors: dict[str, Any]) -> list[str]:
    pairs = [[_code(p["expected"]), _code(p["answered"]), str(p["count"])] for p in errors["confused_pairs"]]
    worst = [
        [f"{e['confidence']:.3f}", _code(e["expected"]), _code(e["answered"]), _inline(_cut(e["text"])), str(e["row"])]
        for e in errors["worst"]
    ]
    return [
        "### Most confused",
        _table(["expected", "answered", "times"], pairs),
        "### Wrong with the highest confidence",
        _table(["confidence", "expected", "answered", "text", "row"], worst),
        "Rows are counted from 1, without a header. Look here for wrong labels in the data first.",
    ]


def _labels(record: dict[str, Any]) -> str:
    """A table of all labels, the weakest first."""
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
    return "\n\n".join(
        [
            "## Data",
            _table(["set", "from", "rows", "sha256 of its rows"], sets),
            "<details><summary>Rows of each label</summary>",
            _table(["label", *splits], counts),
            "</details>",
        ]
    )


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
            "```\ntuneship train recipe.yaml --output again\n```",
            "The same rows, versions and processor give the same weights. "
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
