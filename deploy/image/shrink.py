"""Removes from a folder of installed packages what a server never uses."""

from __future__ import annotations

import base64
import csv
import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.image.symbols import drop_symbols

CUTS: Mapping[str, tuple[str, ...]] = {
    "onnxruntime's library for C programs; the Python module contains it": ("onnxruntime/capi/libonnxruntime.so.*",),
    "onnxruntime's model tools, which are for the export": (
        "onnxruntime/transformers",
        "onnxruntime/quantization",
        "onnxruntime/tools",
        "onnxruntime/datasets",
    ),
    "hf_xet, the hub's faster transfer; hf: places are read over HTTP": ("hf_xet", "hf_xet-*.dist-info"),
    "tests": ("**/tests", "**/test", "numpy/testing", "numpy/conftest.py"),
    "numpy's build tools": ("numpy/f2py", "numpy/distutils", "**/*.a"),
    "C sources, headers and type stubs": ("**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.cpp", "**/*.h"),
}
SYMBOLS = "symbol tables and debug sections of extension modules"


def shrink(folder: Path) -> dict[str, int]:
    """Make every cut; the bytes that each saved."""
    saved = {
        cut: remove(path for pattern in patterns for path in folder.glob(pattern)) for cut, patterns in CUTS.items()
    }
    saved[SYMBOLS] = sum(drop_symbols(path) for path in sorted(folder.rglob("*.so*")) if path.is_file())
    for record in folder.glob("*.dist-info/RECORD"):
        update_record(record)
    return saved


def remove(paths: Iterable[Path]) -> int:
    size = 0
    for path in sorted(set(paths)):
        if not path.exists():  # its folder went before it
            continue
        size += sum(each.stat().st_size for each in [path, *path.rglob("*")] if each.is_file())
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return size


def update_record(record: Path) -> None:
    """Let a package's list of files tell what is there: https://packaging.python.org/en/latest/specifications/recording-installed-packages/."""
    folder = record.parent.parent
    with record.open(newline="") as file:
        rows = [row for row in csv.reader(file) if (folder / row[0]).exists()]
    with record.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(_entry(folder, row) for row in rows)


def _entry(folder: Path, row: list[str]) -> list[str]:
    name, hash_, _ = row
    if not hash_:  # the list's own entry
        return row
    content = (folder / name).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return [name, f"sha256={digest}", str(len(content))]
