"""What `tuneship verify` finds out, line by line: on this machine, or of a server anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from serving.bundle.bundle import Bundle
from serving.bundle.signature import require_signature
from serving.entrypoints.golden_check import check_golden, variant_of
from serving.entrypoints.remote_client import RemoteServer
from serving.errors import BundleError
from serving.inference.predictor import Predictor


@dataclass(frozen=True)
class Finding:
    """One thing that was checked, and what came of it; after one that fails the bundle or server is not to be used."""

    verdict: Literal["holds", "warns", "fails"]
    text: str


def files(bundle: Bundle, key: Path | None) -> Iterator[Finding]:
    """The files of an opened bundle, and who signed them; raises BundleError, InputError."""
    yield Finding("holds", f"{len(bundle.manifest.files)} files and the manifest are as they were written")
    if key:
        require_signature(bundle, key)
        yield Finding("holds", f"every file was signed with {key}")


def here(bundle: Bundle, threads: int) -> Iterator[Finding]:
    """Each variant's golden answers on this machine; raises BundleError where none of them would serve."""
    variants = [bundle, *bundle.alternatives]
    failed: list[str] = []
    for each in variants:
        name, golden = each.manifest.graph.variant, each.manifest.golden
        try:
            difference = Predictor(each, threads=threads).replay_golden()
        except BundleError as error:
            failed.append(str(error))
            if len(failed) == len(variants):
                raise BundleError("; ".join(failed)) from error
            yield Finding("warns", f"the {name} variant does not serve here: {error}")
        else:
            change = f"largest logit change {difference:.2g} (≤ {golden.tolerance:.2g})"
            yield Finding("holds", f"{golden.rows} golden answers hold here, {name}; {change}")


def there(bundle: Bundle, server: RemoteServer) -> Iterator[Finding]:
    """Which bundle a server serves, and whether it answers as recorded; raises InputError where it cannot be asked."""
    info = server.info()
    digest, variant = info["bundle_sha256"], info["variant"]
    if digest == bundle.digest:
        yield Finding("holds", f"{server.url} serves this bundle ({variant}), sha256 {digest}")
    else:
        yield Finding("fails", f"{server.url} serves another bundle: {info.get('name')} ({variant}), sha256 {digest}")
    for line in info.get("warnings", []):
        yield Finding("warns", line)
    reports = check_golden(variant_of(bundle, variant), f"POST {server.url}/predict", server.ask)
    if name := info.get("served_as"):
        infer = partial(server.infer, name)
        reports += check_golden(variant_of(bundle, variant), f"Open Inference Protocol, model {name}", infer)
    for report in reports:
        if report.passed:
            yield Finding("holds", f"{report.rows} golden answers match: {report.channel}")
        else:
            different = f"{len(report.differences)} of {report.rows} golden answers differ"
            yield Finding("fails", f"{different}: {report.channel}")
            yield from (Finding("fails", str(each)) for each in report.differences)
