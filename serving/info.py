"""What a server tells of itself at ``/info``, and ``tuneship verify`` of a bundle: the manifest's essence."""

from __future__ import annotations

from typing import Any

from serving.bundle import Bundle


def describe(bundle: Bundle) -> dict[str, Any]:
    """Model, labels, limits, the bundle's hash and the verdict of its proof, as plain JSON."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "task": manifest.task,
        "model": manifest.model,
        "labels": manifest.labels,
        "settings": manifest.settings,
        "limits": {**manifest.limits.model_dump(), "max_length": manifest.tokenizer.max_length},
        "variant": manifest.graph.variant,
        "bundle_sha256": manifest.digest,
        "created": manifest.created,
        "parity": manifest.verdict.model_dump(),
        "proven_on": manifest.proven_on,
        "versions": manifest.versions,
    }
