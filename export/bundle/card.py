"""The bundle's README.md: a model card in the Hugging Face format, made from the bundle's other files alone.

Every figure is from the manifest, ``parity.json`` or ``variants.json``, so that the card can be made again from a
bundle and compared with the one inside, to the byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from export.bundle.card_sections import sections
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import CARD, MANIFEST, Manifest
from serving.errors import BundleError

PARITY, SEARCH = "parity.json", "variants.json"


def write_card(manifest: Manifest, folder: Path) -> None:
    """Write the card into a bundle's folder, where its other files lie already.

    The manifest is read as it will lie there: its canonical form sorts what a dictionary keeps in another order.
    """
    manifest = Manifest.model_validate_json(manifest.to_bytes())
    (folder / CARD).write_text(card_of(manifest, folder), encoding="utf-8")


def card_of(manifest: Manifest, folder: Path) -> str:
    """The card that the files in ``folder`` make."""
    parity, search = _content(folder / PARITY), _content(folder / SEARCH)
    return f"---\n{_metadata(manifest, parity)}\n---\n\n{sections(manifest, parity, search)}"


def check_card(bundle: Bundle) -> str:
    """The card of an opened bundle, made anew; raises BundleError where the one inside is another."""
    made = card_of(bundle.manifest, bundle.root)
    if bundle.read(CARD).decode("utf-8") != made:
        raise BundleError(
            f"{bundle.root}: {CARD} is not what {MANIFEST} and {PARITY} make: it was written by hand or by another "
            "version. Export the bundle again."
        )
    return made


def _metadata(manifest: Manifest, parity: dict[str, Any]) -> str:
    """Hugging Face's model card metadata, with the score as served as ``model-index``."""
    said = manifest.card
    data = ModelCardData(
        model_name=manifest.name,
        language=said.get("language"),
        license=said.get("license"),
        library_name="onnx",
        pipeline_tag=_PIPELINE.get(manifest.task, manifest.task),
        base_model=_base(manifest),
        datasets=[said["dataset"]] if "/" in said.get("dataset", "") else None,
        tags=["tuneship", "onnx", manifest.graph.variant, manifest.task],
        eval_results=[_result(manifest, parity)],
    )
    return str(data.to_yaml())


_PIPELINE = {"multi-label-classification": "text-classification", "regression": "text-classification"}
"""Hugging Face's own name of a task, where it is another."""


def _result(manifest: Manifest, parity: dict[str, Any]) -> EvalResult:
    test = manifest.data.get("splits", {}).get("test", {})
    name = manifest.card.get("dataset") or Path(str(test.get("source", "held-out rows"))).name
    return EvalResult(
        task_type=_PIPELINE.get(manifest.task, manifest.task),
        dataset_type=name if "/" in name else "private",
        dataset_name=name,
        dataset_split="test",
        metric_type=parity["metric"],
        metric_value=round(parity["score"], 6),
        metric_name=f"{parity['metric']}, as served",
    )


def _base(manifest: Manifest) -> str | None:
    """The hub's name of the base model; a folder is nobody else's to find."""
    name = str(manifest.model.get("id", ""))
    return name if name.count("/") == 1 and not name.startswith(".") else None


def _content(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
