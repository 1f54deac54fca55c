"""A bundle that reads longer texts than the one it is made from: same graph, same tokenizer, another limit.

Only for measuring speed: what the answers to such texts are worth was never proven.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST, SIGNATURE


def longer(source: Path, max_length: int, target: Path) -> Path:
    """The bundle that ``target`` then holds, made anew; it truncates at ``max_length`` tokens."""
    manifest = Bundle.open(source).manifest
    spec = manifest.tokenizer.model_copy(update={"max_length": max_length})
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(SIGNATURE))
    changed = manifest.model_copy(update={"tokenizer": spec}).sealed()
    (target / MANIFEST).write_bytes(changed.to_bytes())
    return target.absolute()
