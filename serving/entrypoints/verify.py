"""The checks of `tuneship verify`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from serving.bundle.bundle import Bundle
from serving.bundle.cpu import describe_machine
from serving.bundle.signature import require_recent, require_signature
from serving.entrypoints.golden_check import check_golden, select_variant
from serving.entrypoints.remote_client import RemoteServer
from serving.errors import BundleError
from serving.inference.device import require_device
from serving.inference.predictor import Predictor
from serving.inference.variant_choice import require_proven_cpu


@dataclass(frozen=True)
class Finding:
    """After one that fails, do not use the bundle or server."""

    verdict: Literal["holds", "warns", "fails"]
    text: str


def check_files(bundle: Bundle, key: Path | None, created_after: datetime | None = None) -> Iterator[Finding]:
    """Raises BundleError, InputError."""
    yield Finding("holds", f"{len(bundle.manifest.files)} files and the manifest are unaltered")
    for warning in bundle.manifest.data_warnings:
        yield Finding("warns", f"training data: {warning}")
    if run := bundle.manifest.serves_for:
        scores = f"{run.metric} {run.run_score:.4g} → {run.score:.4g}"
        yield Finding("holds", f"{bundle.manifest.name}, a student, serves for the run {run.run}: {scores}")
    if key:
        require_signature(bundle, key)
        yield Finding("holds", f"every file was signed with {key}")
    if created_after:
        require_recent(bundle, created_after)
        yield Finding("holds", f"exported at {bundle.manifest.created}, not before {created_after.isoformat()}")


def check_here(bundle: Bundle, threads: int) -> Iterator[Finding]:
    """Each variant's golden answers on this machine; raises BundleError if none serves here."""
    variants = [bundle, *bundle.alternatives]
    failures: list[str] = []
    for variant in variants:
        name, golden = variant.manifest.graph.variant, variant.manifest.golden
        try:
            require_device(variant, "auto")
            require_proven_cpu(variant, describe_machine())
            difference = Predictor(variant, threads=threads).replay_golden()
        except BundleError as error:
            failures.append(str(error))
            if len(failures) == len(variants):
                raise BundleError("; ".join(failures)) from error
            yield Finding("warns", f"the {name} variant does not serve here: {error}")
        else:
            change = f"largest logit change {difference:.2g} (≤ {golden.tolerance:.2g})"
            yield Finding("holds", f"{golden.rows} golden answers hold here, {name}; {change}")


def check_server(bundle: Bundle, server: RemoteServer) -> Iterator[Finding]:
    """Whether a server serves this bundle and its golden answers; raises RemoteServerError."""
    info = server.info()
    digest, variant = info["bundle_sha256"], info["variant"]
    if digest == bundle.digest:
        yield Finding("holds", f"{server.url} serves this bundle ({variant}), sha256 {digest}")
    else:
        yield Finding("fails", f"{server.url} serves another bundle: {info.get('name')} ({variant}), sha256 {digest}")
    for warning in info.get("warnings", []):
        yield Finding("warns", warning)
    served = select_variant(bundle, variant)
    reports = check_golden(served, f"POST {server.url}/predict", server.predict)
    if name := info.get("served_as"):
        reports += check_golden(served, f"Open Inference Protocol, model {name}", partial(server.infer, name))
    for report in reports:
        if report.passed:
            yield Finding("holds", f"{report.rows} golden answers match: {report.channel}")
        else:
            count = f"{len(report.differences)} of {report.rows} golden answers differ"
            yield Finding("fails", f"{count}: {report.channel}")
            yield from (Finding("fails", str(each)) for each in report.differences)
