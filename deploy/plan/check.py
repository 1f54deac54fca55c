"""A bundle is verified before it is planned with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from serving.bundle.bundle import Bundle
from serving.bundle.signature import describe_signature
from serving.entrypoints.verify import Finding, check_files, check_here
from serving.errors import BundleError
from serving.settings.settings import available_cpus, required_date, required_key


def check_bundle(root: Path, key: Path | None) -> tuple[Bundle, str]:
    """The bundle and what is known of its signature, in words.

    Raises BundleError where a file, the required signature or every variant's golden answers fail; InputError.
    """
    bundle, key = Bundle.open(root), key or required_key()
    _require_sound(check_files(bundle, key, required_date()))
    _require_sound(check_here(bundle, available_cpus()))
    return bundle, describe_signature(bundle, key)


def _require_sound(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.verdict == "fails":
            raise BundleError(finding.text)
