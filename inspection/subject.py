"""A run or a bundle, opened to be looked at; both give the same records, so that they can be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from serving.bundle.bundle import Bundle, sha256_of
from serving.bundle.manifest import MANIFEST
from serving.bundle.signature import describe_signature
from serving.errors import InputError
from serving.files import nearest_path
from stores.locate import locate
from stores.targets import is_target, scrub
from trainer.metrics.display import main_metric
from trainer.recipe.recipe import RECORD
from trainer.run.run import FINISHED, Run

PARITY, SEARCH = "parity.json", "variants.json"
Record = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """What a run or a bundle records.

    Attributes:
        name: as the user gave it.
        score: of the test rows by the main metric: ``metric``, ``value``, ``interval``, ``rows``; None without labels.
        facts: what only runs, or only bundles, have.
    """

    kind: Literal["run", "bundle"]
    name: str
    root: Path
    task: str
    labels: list[str]
    model: Record
    recipe: Record
    data: Record
    versions: Record
    score: Record | None
    size: int
    digest: str
    facts: Record

    def to_json(self) -> Record:
        common = {
            "kind": self.kind,
            "path": self.name,
            "task": self.task,
            "labels": self.labels,
            "base_model": {key: self.model.get(key) for key in ("id", "source", "revision", "sha256")},
            "data": self.data,
            "score": self.score,
            "bytes": self.size,
            "sha256": self.digest,
            "versions": self.versions,
            "recipe": self.recipe,
        }
        return common | self.facts


def open_subject(text: str, key: Path | None = None) -> Subject:
    """A folder or a target; ``key`` checks a bundle's signature. Raises InputError, BundleError, StoreError."""
    root = locate(text)
    name = scrub(text) if is_target(text) else str(root)
    if (root / MANIFEST).is_file():
        return of_bundle(Bundle.open(root), name, key)
    if (root / RECORD).is_file():
        return of_run(Run(root), name)
    if not root.exists():
        raise InputError(f"{name}: there is no such folder; give a run (see train) or a bundle{nearest_path(root)}")
    raise InputError(f"{name}: is neither a run, which has {RECORD}, nor a bundle, which has {MANIFEST}")


def of_run(run: Run, name: str) -> Subject:
    """Raises InputError."""
    record = run.read_record()
    finished = record["status"] == FINISHED
    files = [path for path in run.root.rglob("*") if path.is_file() and not path.is_symlink()]
    return Subject(
        kind="run",
        name=name,
        root=run.root,
        task=record["task"],
        labels=record["labels"],
        model=record["model"],
        recipe=record["recipe"],
        data=record["data"],
        versions=record.get("versions", {}),
        score=_run_score(record) if finished else None,
        size=sum(path.stat().st_size for path in files),
        digest=sha256_of(run.lock) if run.lock.is_file() else "",
        facts=_run_facts(record, run),
    )


def _run_score(record: Record) -> Record | None:
    test = record["metrics"]["test"]
    try:
        metric = main_metric(record)
    except StopIteration:  # unlabelled rows have no metric
        return None
    return {
        "metric": metric, "value": test[metric], "interval": test.get(f"{metric}_interval_95"), "rows": test["rows"],
    }  # fmt: skip


def _run_facts(record: Record, run: Run) -> Record:
    names = ("metric", "metrics", "seconds", "hardware", "size", "warnings", "privacy", "membership", "imported")
    facts = {name: record[name] for name in names if name in record}
    return {"status": record["status"], "report": str(run.report), **facts}


def of_bundle(bundle: Bundle, name: str, key: Path | None = None) -> Subject:
    """Raises BundleError where the signature is not the key's."""
    manifest, parity = bundle.manifest, _read_json(bundle, PARITY)
    return Subject(
        kind="bundle",
        name=name,
        root=bundle.root,
        task=manifest.task,
        labels=manifest.labels,
        model=manifest.model,
        recipe=manifest.training.get("recipe", {}),
        data=manifest.data,
        versions=dict(manifest.versions),
        score=_bundle_score(parity),
        size=sum(entry.size for entry in manifest.files.values()),
        digest=bundle.digest,
        facts={
            "name": manifest.name,
            "created": manifest.created,
            "signature": describe_signature(bundle, key),
            "variants": [_describe_variant(bundle, each) for each in (bundle, *bundle.alternatives)],
            "proof": _describe_proof(bundle, parity),
            "files": {file: entry.model_dump() for file, entry in manifest.files.items()},
            "serves_for": manifest.serves_for.model_dump() if manifest.serves_for else None,
            "warnings": list(manifest.data_warnings),
        },
    )


def _read_json(bundle: Bundle, name: str) -> Record:
    """A file of the export, or nothing where an older one did not write it."""
    if name not in bundle.manifest.files:
        return {}
    content: Record = json.loads(bundle.read(name))
    return content


def _bundle_score(parity: Mapping[str, Any]) -> Record | None:
    change = parity.get("change")
    if not change:
        return None
    return {
        "metric": change["metric"], "value": change["served"], "interval": change["served_interval"],
        "rows": change["rows"],
    }  # fmt: skip


def _describe_variant(bundle: Bundle, variant: Bundle) -> Record:
    graph = variant.manifest.graph
    files = {name: bundle.manifest.files[name] for name in (*graph.files, *graph.data)}
    return {
        "variant": graph.variant,
        "provider": graph.provider,
        "bytes": sum(entry.size for entry in files.values()),
        "graphs": {name: entry.sha256 for name, entry in files.items()},
        "opset": graph.opset,
        "row_independent": graph.row_independent,
        "needs": list(graph.depends_on),
    }


def _describe_proof(bundle: Bundle, parity: Mapping[str, Any]) -> Record:
    verdict, gates = bundle.manifest.verdict, parity.get("gates", [])
    return {
        "passed": verdict.passed,
        "compared": verdict.rows,
        "answers_equal": verdict.answers_equal,
        "max_abs_logit_difference": verdict.max_abs_logit_difference,
        "gates_held": sum(gate["passed"] is True for gate in gates),
        "gates_not_applicable": sum(gate["passed"] is None for gate in gates),
        "trained": verdict.reference_score,
        "change_interval": [parity["change"]["low"], parity["change"]["high"]] if parity.get("change") else None,
        "golden_rows": bundle.manifest.golden.rows,
        "machine": dict(bundle.manifest.proven_on),
    }
