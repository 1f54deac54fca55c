"""From a folder to a place: only a bundle that holds, and never half of it to see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST, SIGNATURE
from serving.errors import BundleError
from stores.errors import Missing, StoreError
from stores.pull import read_manifest
from stores.store import Store, open_store
from stores.targets import Target

HARMLESS = (".gitattributes",)
"""Files that a place makes by itself."""


@dataclass(frozen=True)
class Present:
    """What a target has: the digest and files of a bundle, and the bytes of every file by name."""

    digest: str | None
    named: frozenset[str]
    sizes: Mapping[str, int]


def push(folder: Path, target: Target, *, overwrite: bool = False) -> str:
    """Upload a bundle, unless it is there already; returns its digest.

    Raises BundleError for one that does not hold, StoreError where the target has another one or something else.
    """
    bundle = Bundle.open(folder.resolve())
    if target.digest not in (None, bundle.digest):
        raise StoreError(f"{folder}: has sha256 {bundle.digest}, and the target asks for {target.digest}")
    store = open_store(target)
    present = _look(store, target)
    sizes = _sizes(bundle)
    if present.digest == bundle.digest and sizes.items() <= present.sizes.items():
        return bundle.digest
    if not overwrite:
        _refuse_other(present, bundle, store, target)
    names = [*sorted(sizes.keys() - {MANIFEST}), MANIFEST]
    store.write(bundle.root, names, sorted((present.named & present.sizes.keys()) - sizes.keys()))
    return bundle.digest


def _sizes(bundle: Bundle) -> dict[str, int]:
    names = [*bundle.manifest.files, MANIFEST, *([SIGNATURE] if (bundle.root / SIGNATURE).is_file() else [])]
    return {name: (bundle.root / name).stat().st_size for name in names}


def _look(store: Store, target: Target) -> Present:
    try:
        snapshot = store.snapshot()
        sizes = snapshot.sizes()
    except Missing:
        return Present(None, frozenset(), {})
    if MANIFEST not in sizes:
        return Present(None, frozenset(), sizes)
    try:
        manifest = read_manifest(snapshot, target)[1]
    except BundleError:
        return Present("", frozenset(), sizes)
    return Present(manifest.digest, frozenset([*manifest.files, SIGNATURE]), sizes)


def _refuse_other(present: Present, bundle: Bundle, store: Store, target: Target) -> None:
    """An interrupted push of this bundle is no other one."""
    if present.digest not in (None, bundle.digest) and not store.versioned:
        what = f"the bundle sha256 {present.digest}" if present.digest else f"a {MANIFEST} that is no bundle's"
        raise StoreError(f"{target}: has {what} already; give another target, or --overwrite to replace it")
    others = present.sizes.keys() - _sizes(bundle).keys() - {*HARMLESS}
    if present.digest is None and others:
        raise StoreError(
            f"{target}: holds something else than a bundle ({', '.join(sorted(others)[:3])}); give another target, or"
            " --overwrite to put the bundle beside it"
        )
