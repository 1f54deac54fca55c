"""README.md, a Hugging Face model card.

It is rendered from the bundle's files alone, by ``card.md.jinja``, so it can be checked byte by byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from export.bundle.files import PARITY, RELIABILITY, SEARCH
from export.proof.display import change_unit, format_change
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import CARD, MANIFEST, Manifest
from serving.errors import BundleError
from serving.tasks import TASKS, task_of
from trainer.metrics.display import CALIBRATION, NAMES, format_score, metric_title
from trainer.run.report.privacy import describe_score, membership_lines, membership_table, privacy_lines

Record = dict[str, Any]

TEMPLATE = "card.md.jinja"

SPLITS = ("train", "validation", "test")
PIPELINE_TAGS = {"multi-label-classification": "text-classification", "regression": "text-classification"}
"""Hugging Face's name of a task, if it differs."""


def write_card(manifest: Manifest, folder: Path) -> None:
    """The manifest's canonical form sorts its keys."""
    manifest = Manifest.model_validate_json(manifest.to_bytes())
    (folder / CARD).write_text(render_card(manifest, folder), encoding="utf-8")


def check_card(bundle: Bundle) -> str:
    """Raises BundleError if the bundle's card is not the rendered one, or its files lack what a card shows."""
    try:
        card = render_card(bundle.manifest, bundle.root)
    except (TemplateError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise BundleError(
            f"{bundle.root}: {PARITY}, {SEARCH} or {MANIFEST} are not those of an export: {error}. Export the bundle"
            " again."
        ) from error
    if bundle.read(CARD) != card.encode("utf-8"):
        raise BundleError(
            f"{bundle.root}: {CARD} is not what {MANIFEST} and {PARITY} make: it was edited by hand or written by "
            "another version. Export the bundle again."
        )
    return card


def render_card(manifest: Manifest, folder: Path, template: str = TEMPLATE, **more: Any) -> str:
    """``more``: variables of another template than a bundle's, and ``library`` and ``tags`` of its metadata."""
    parity, search = _read_json(folder / PARITY), _read_json(folder / SEARCH)
    metric = parity["metric"]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # Markdown; `cell` escapes what would break a table
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": _escape_cell,
        "plain": _escape_text,
        "thousands": lambda number: f"{number:,.0f}",
        "metric_title": metric_title,
        "score": lambda score: format_score(metric, score),
        "change": lambda change: format_change(metric, change)[0],
    }
    return environment.get_template(template).render(
        metadata=_metadata(manifest, parity, more.pop("library", "onnx"), more.pop("tags", [])),
        manifest=manifest,
        parity=parity,
        search=search,
        metric=metric,
        unit=change_unit(metric),
        example=_example_request(manifest),
        splits=_sort_splits(manifest.data.get("splits", {})),
        recipe=sorted(_flatten(manifest.training.get("recipe", {}))),
        calibration_figures=CALIBRATION,
        reliability=RELIABILITY,
        **_describe_privacy(manifest.training),
        windows=manifest.settings.get("windows"),
        uses_windows=task_of(manifest).uses_windows,
        **more,
    )


def _describe_privacy(training: Mapping[str, Any]) -> Record:
    """Paragraphs and figures; none of a run that was neither private nor attacked."""
    membership = training.get("membership") or {}
    lines = [*_describe_guarantee(training), *(membership_lines(membership) if membership else [])]
    table = membership_table(membership) if membership.get("attacks") else None
    return {"privacy": lines, "membership": membership, "membership_table": table}


def _describe_guarantee(training: Mapping[str, Any]) -> list[str]:
    test = training.get("test", {})
    metric = next((name for name in NAMES if name in test), None)
    return privacy_lines(
        training.get("privacy"), describe_score(metric, test) if metric else "its test rows are unlabelled"
    )


def _metadata(manifest: Manifest, parity: Record, library: str, tags: Sequence[str]) -> str:
    card, base = manifest.card, str(manifest.model.get("id", ""))
    test, tag = manifest.data.get("splits", {}).get("test", {}), PIPELINE_TAGS.get(manifest.task, manifest.task)
    dataset = card.get("dataset") or Path(str(test.get("source", "held-out rows"))).name
    results = [] if parity["score"] is None else [_eval_result(parity, tag, dataset)]
    data = ModelCardData(
        model_name=manifest.name,
        language=card.get("language"),
        license=card.get("license"),
        library_name=library,
        pipeline_tag=tag,
        base_model=base if base.count("/") == 1 and not base.startswith(".") else None,  # a hub id, not a folder
        datasets=[card["dataset"]] if "/" in card.get("dataset", "") else None,
        tags=["tuneship", "onnx", manifest.graph.variant, manifest.task, *tags],
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _eval_result(parity: Record, tag: str, dataset: str) -> EvalResult:
    return EvalResult(
        task_type=tag,
        dataset_type=dataset if "/" in dataset else "private",
        dataset_name=dataset,
        dataset_split="test",
        metric_type=parity["metric"],
        metric_value=round(parity["score"], 6),
        metric_name=f"{parity['metric']}, as served",
    )


def _example_request(manifest: Manifest) -> str:
    kind = TASKS[manifest.task]
    task = kind(manifest.labels, kind.settings_type.model_validate(manifest.settings), manifest.limits)
    keys = task.input_schema().get("properties", {})
    return json.dumps({"inputs": {key: f"a {key.replace('_', ' ')}" for key in keys} if keys else "a text"})


def _sort_splits(splits: Mapping[str, Record]) -> list[tuple[str, Record]]:
    hashed = [(name, split) for name, split in splits.items() if "sha256" in split]
    return sorted(hashed, key=lambda pair: (SPLITS.index(pair[0]) if pair[0] in SPLITS else len(SPLITS), pair[0]))


def _flatten(values: Record, prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _escape_cell(text: str) -> str:
    """For a Markdown table."""
    return " ".join(str(text).replace("|", "\\|").split())


def _escape_text(text: str) -> str:
    """For a line of Markdown: no markup, and an underline only within a word."""
    line = " ".join(str(text).split())
    line = re.sub(r"[\\`*\[\]<>|&~]|(?<![^\W_])_|_(?![^\W_])|^[-+#=](?=\s|$)", r"\\\g<0>", line)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", line)


def _read_json(path: Path) -> Record:
    content: Record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content
