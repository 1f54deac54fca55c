"""The manifest, as an export fills it."""

from __future__ import annotations

import importlib.metadata
from datetime import UTC, datetime
from typing import Any

from export.bundle.files import GOLDEN, TOKENIZER
from export.proof.answers.reference import ReferenceModel
from export.proof.prove import Parity
from serving.bundle.cpu import describe_machine
from serving.bundle.manifest import (
    FileEntry,
    GoldenSpec,
    GraphSpec,
    Limits,
    Manifest,
    Reliability,
    TokenizerSpec,
    Verdict,
)
from serving.extensions.extension import Extension
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import weight_hashes
from trainer.run.run import Run

UNPROVEN = Verdict(
    passed=False, rows=0, token_ids_equal=False, answers_equal=0, max_abs_logit_difference=0.0,
    metric="", score=0.0, reference_score=0.0,
)  # fmt: skip


def draft_manifest(
    run: Run, model: ReferenceModel, graph: GraphSpec, files: dict[str, FileEntry], extension: Extension | None = None
) -> Manifest:
    """A manifest before the proof: enough to load the graph, not to serve it; ``extension`` is the variant's."""
    record = run.read_record()
    tokenizer = model.checkpoint_tokenizer
    return Manifest(
        schema_version=4,
        name=run.root.resolve().name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=record["task"],
        labels=model.task.labels,
        settings=model.task.settings.model_dump(mode="json"),
        tokenizer=TokenizerSpec(
            file=TOKENIZER,
            max_length=model.max_length,
            pad_token_id=tokenizer.pad_token_id,
            pad_token_type_id=tokenizer.pad_token_type_id,
            padding_side=tokenizer.padding_side,
        ),
        graph=graph,
        golden=GoldenSpec(file=GOLDEN, rows=1, tolerance=1.0),
        limits=Limits(),
        verdict=UNPROVEN,
        model=record["model"] | {"checkpoint": weight_hashes(run)},
        data=_describe_data(record),
        training=_describe_training(record),
        data_warnings=[] if "privacy" in record else record["warnings"],
        extensions=record.get("extensions", {}) | ({extension.key: extension.to_record()} if extension else {}),
        card=load_recipe(run.recipe).card.model_dump(mode="json", exclude_none=True),
        versions=record["versions"] | package_versions(),
        proven_on=describe_machine(),
        files=files,
    )


def _describe_data(record: dict[str, Any]) -> dict[str, Any]:
    """Of a private training's rows, their number and source alone: counts, hashes and warnings have no noise."""
    data: dict[str, Any] = record["data"]
    if "privacy" not in record:
        return data
    train = data["splits"]["train"]
    return {
        "files": {role: file for role, file in data.get("files", {}).items() if not role.startswith("train")},
        "splits": {**data["splits"], "train": {"source": train["source"], "rows": train["rows"], "sha256": None}},
    }


def _describe_training(record: dict[str, Any]) -> dict[str, Any]:
    """No paths, and no rows."""
    recipe, test = record["recipe"], record["metrics"]["test"]
    shown = {name: recipe[name] for name in ("model_head", "training", "few_shot", "privacy") if name in recipe}
    if few_shot := shown.get("few_shot"):
        shown["few_shot"] = {key: value for key, value in few_shot.items() if key != "rows"}
    imported = {"imported": record["imported"]} if "imported" in record else {}
    return {
        **imported,
        "recipe": shown,
        **{name: record[name] for name in ("privacy", "membership") if name in record},
        "best_step": record["best_step"],
        "seconds": record["seconds"],
        "hardware": record["hardware"],
        "test": {
            name: value for name, value in test.items() if name not in ("confusion_matrix", "per_label", "calibration")
        },
    }


def to_verdict(parity: Parity) -> Verdict:
    return Verdict(
        passed=parity.passed,
        rows=parity.compared,
        token_ids_equal=parity.token_ids_equal == parity.compared,
        **{
            name: getattr(parity, name)
            for name in ("answers_equal", "max_abs_logit_difference", "metric", "score", "reference_score")
        },
        reliability=_to_reliability(parity.reliability),
    )


def _to_reliability(measured: dict[str, Any]) -> Reliability | None:
    if not measured:
        return None
    before, after = measured["before"], measured["after"]
    return Reliability(calibration_error=after["ece"], uncalibrated_error=before["ece"], bins=after["bins"])


def package_versions() -> dict[str, str]:
    """Of packages that affect the answers."""
    names = ("tuneship", "onnxruntime", "tokenizers", "torch", "onnx")
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    """onnxruntime's package for GPUs has a name of its own."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version(f"{name}-gpu")
