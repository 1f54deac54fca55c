"""The bundle's README.md: a model card in the Hugging Face format.

Every figure is from the manifest, ``parity.json`` or ``variants.json``, so the card can be rendered again from a bundle
and compared byte by byte. The text is in ``card.md.jinja``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from export.bundle.files import PARITY, SEARCH
from export.proof.display import change_unit, format_change
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import CARD, MANIFEST, Manifest
from serving.errors import BundleError
from serving.tasks import TASKS
from trainer.metrics.display import format_score, metric_title

Record = dict[str, Any]

SPLITS = ("train", "validation", "test")
PIPELINE_TAGS = {"multi-label-classification": "text-classification", "regression": "text-classification"}
"""Hugging Face's name of a task, if it differs."""


def write_card(manifest: Manifest, folder: Path) -> None:
    """Write the card into a bundle's folder, which has the other files already.

    The manifest is read back from its canonical form first, which sorts its keys.
    """
    manifest = Manifest.model_validate_json(manifest.to_bytes())
    (folder / CARD).write_text(render_card(manifest, folder), encoding="utf-8")


def check_card(bundle: Bundle) -> str:
    """Render the card of an opened bundle; raises BundleError if the bundle contains another one."""
    card = render_card(bundle.manifest, bundle.root)
    if bundle.read(CARD).decode("utf-8") != card:
        raise BundleError(
            f"{bundle.root}: {CARD} is not what {MANIFEST} and {PARITY} make: it was edited by hand or written by "
            "another version. Export the bundle again."
        )
    return card


def render_card(manifest: Manifest, folder: Path) -> str:
    """The card from the manifest and the files in ``folder``."""
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
        "thousands": lambda number: f"{number:,.0f}",
        "metric_title": metric_title,
        "score": lambda score: format_score(metric, score),
        "change": lambda change: format_change(metric, change)[0],
    }
    return environment.get_template("card.md.jinja").render(
        metadata=_metadata(manifest, parity),
        manifest=manifest,
        parity=parity,
        search=search,
        metric=metric,
        unit=change_unit(metric),
        example=_example_request(manifest),
        splits=_sort_splits(manifest.data.get("splits", {})),
        recipe=sorted(_flatten(manifest.training.get("recipe", {}))),
        uses_windows=TASKS[manifest.task].uses_windows,
    )


def _metadata(manifest: Manifest, parity: Record) -> str:
    """Hugging Face's metadata; ``model-index`` has the score as served."""
    card, base = manifest.card, str(manifest.model.get("id", ""))
    data = ModelCardData(
        model_name=manifest.name,
        language=card.get("language"),
        license=card.get("license"),
        library_name="onnx",
        pipeline_tag=PIPELINE_TAGS.get(manifest.task, manifest.task),
        base_model=base if base.count("/") == 1 and not base.startswith(".") else None,  # a hub id, not a folder
        datasets=[card["dataset"]] if "/" in card.get("dataset", "") else None,
        tags=["tuneship", "onnx", manifest.graph.variant, manifest.task],
        eval_results=[_evaluation_result(manifest, parity)],
    )
    return str(data.to_yaml())


def _evaluation_result(manifest: Manifest, parity: Record) -> EvalResult:
    test = manifest.data.get("splits", {}).get("test", {})
    name = manifest.card.get("dataset") or Path(str(test.get("source", "held-out rows"))).name
    return EvalResult(
        task_type=PIPELINE_TAGS.get(manifest.task, manifest.task),
        dataset_type=name if "/" in name else "private",
        dataset_name=name,
        dataset_split="test",
        metric_type=parity["metric"],
        metric_value=round(parity["score"], 6),
        metric_name=f"{parity['metric']}, as served",
    )


def _example_request(manifest: Manifest) -> str:
    """A request in the task's own shape, as JSON."""
    kind = TASKS[manifest.task]
    task = kind(manifest.labels, kind.settings_type.model_validate(manifest.settings), manifest.limits)
    keys = task.input_schema().get("properties", {})
    return json.dumps({"inputs": {key: f"a {key.replace('_', ' ')}" for key in keys} if keys else "a text"})


def _sort_splits(splits: Mapping[str, Record]) -> list[tuple[str, Record]]:
    """Training rows first, named test sets last."""
    hashed = [(name, split) for name, split in splits.items() if "sha256" in split]
    return sorted(hashed, key=lambda pair: (SPLITS.index(pair[0]) if pair[0] in SPLITS else len(SPLITS), pair[0]))


def _flatten(values: Record, prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _escape_cell(text: str) -> str:
    """Text that fits a cell of a Markdown table."""
    return " ".join(str(text).replace("|", "\\|").split())


def _read_json(path: Path) -> Record:
    content: Record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content
