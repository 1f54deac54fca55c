"""Whether the disk has room for what will be written."""

from __future__ import annotations

import shutil
from pathlib import Path

from serving.errors import InputError


def require_disk(folder: Path, needed: int, what: str) -> None:
    """Raise InputError where the disk of ``folder``, which need not exist yet, has fewer bytes free."""
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InputError(
            f"{folder}: {what} about {_size(needed)}, and its disk has {_size(free)} free; make room there, or give"
            " another --output",
            field="--output",
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
