"""What a server tells of itself at ``/info``: the manifest's essence, and what of it answers on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from serving.bundle import Manifest
from serving.dialects import tei_info
from serving.explaining.limits import LIMITS
from serving.machine import describe_machine
from serving.predictor import Predictor
from serving.traffic import Traffic


def limits_of(manifest: Manifest, traffic: Traffic) -> dict[str, float]:
    """All that a request is held to: the bundle's limits, the tokens of a window, an explanation's, the server's."""
    return {**manifest.limits.model_dump(), "max_length": manifest.tokenizer.max_length, **LIMITS, **traffic.limits}


def describe(predictor: Predictor, traffic: Traffic) -> dict[str, Any]:
    """Model, labels, limits, the bundle's hash, the served variant and the verdict of its proof, as plain JSON.

    Among them are the names that text-embeddings-inference gives such things."""
    manifest, choice = predictor.manifest, predictor.choice
    return {
        **tei_info.describe(predictor, traffic),
        "name": manifest.name,
        "task": manifest.task,
        "model": manifest.model,
        "labels": manifest.labels,
        "settings": manifest.settings,
        "limits": limits_of(manifest, traffic),
        "variant": manifest.graph.variant,
        "variant_preferred": choice.preferred,
        "variants_passed_over": [asdict(each) for each in choice.passed_over],
        "warnings": choice.warnings,
        "bundle_sha256": manifest.digest,
        "created": manifest.created,
        "parity": manifest.verdict.model_dump(),
        "proven_on": manifest.proven_on,
        "machine": describe_machine(),
        "versions": manifest.versions,
    }
