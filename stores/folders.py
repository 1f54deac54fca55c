"""A folder that appears whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.bundle.manifest import MANIFEST
from serving.errors import InputError


def check_output(output: Path, replaced: str = "bundle", mark: str = MANIFEST) -> None:
    """Raises InputError unless ``output`` is free, empty, or a ``replaced``, which has the file ``mark``.

    Nothing is replaced if both are empty.
    """
    if output.is_dir() and (not any(output.iterdir()) or (mark and (output / mark).is_file())):
        return
    if output.exists() or output.is_symlink():
        other = f" and is not a {replaced}" if replaced else ""
        raise InputError(f"{output} exists{other}. Choose another --output, or empty it first.", field="--output")


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """A folder on ``output``'s file system; its parent is removed at the end."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{output}: {error.filename} is a file; choose another --output", field="--output") from None
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as parent:
        folder = Path(parent) / "bundle"
        folder.mkdir()
        yield folder


def replace_folder(output: Path, folder: Path) -> None:
    """An older one is removed last, and put back where the new one cannot take its place."""
    old = folder.parent / "old"
    if output.exists():
        output.rename(old)
    try:
        folder.rename(output)
    except OSError:
        if old.exists():
            old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
