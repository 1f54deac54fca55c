"""A Lambda function without an image: ``python -m deploy.lambda_zip BUNDLE FOLDER`` writes layer.zip and function.zip.

The layer has the packages, the function our code and the bundle. Equal inputs give equal files.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from deploy.image.lock import FOLDER, read_hashes, read_pins
from deploy.image.shrink import shrink
from serving.errors import InputError, UserError

ROOT = Path(__file__).resolve().parents[1]
LOCK = FOLDER / "requirements-cpu.txt"

PACKAGES = (
    "annotated-types", "anyio", "awslambdaric", "idna", "numpy", "onnxruntime", "orjson", "prometheus-client",
    "pydantic", "pydantic-core", "simplejson", "snapshot-restore-py", "starlette", "tokenizers", "typing-extensions",
    "typing-inspection",
)  # fmt: skip
"""What the handler imports; tests start it with these alone."""

MOST_BYTES = 250 * 2**20
"""Of layers and function, unzipped: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
"""What Amazon Linux 2023 takes, which AWS's runtimes have from Python 3.12 on."""

EPOCH = (1980, 1, 1, 0, 0, 0)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.lambda_zip", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="of the runtime (default: 3.12)")
    parser.add_argument("--architecture", default="x86_64", choices=["x86_64", "arm64"])
    options = parser.parse_args(arguments)
    try:
        sizes = build(options.bundle, options.folder, python=options.python, architecture=options.architecture)
    except UserError as error:
        sys.exit(f"error  {error}")
    for name, size in sizes.items():
        sys.stdout.write(f"{size / 2**20:6.1f} MB unzipped: {options.folder / name}\n")


def build(bundle: Path, folder: Path, *, python: str, architecture: str = "x86_64") -> dict[str, int]:
    """Unzipped sizes by file. Raises InputError where Lambda would refuse them, or pip finds no wheel."""
    if not (bundle / "manifest.json").is_file():
        raise InputError(f"{bundle} is not a bundle: it has no manifest.json")
    with tempfile.TemporaryDirectory() as scratch:
        layer, function = Path(scratch) / "layer", Path(scratch) / "function"
        install(layer / "python", python, architecture)
        copy_function(bundle, function)
        trees = {"layer.zip": layer, "function.zip": function}
        sizes = {name: sum(path.stat().st_size for path in files_of(tree)) for name, tree in trees.items()}
        require_fit(sizes)
        folder.mkdir(parents=True, exist_ok=True)
        for name, tree in trees.items():
            write_zip(tree, folder / name)
    return sizes


def install(folder: Path, python: str, architecture: str) -> None:
    """Wheels alone, those of the server's lock."""
    machine = {"x86_64": "x86_64", "arm64": "aarch64"}[architecture]
    platforms = [word for each in PLATFORMS for word in ("--platform", f"{each}_{machine}")]
    target = ("--target", str(folder), "--python-version", python, "--implementation", "cp", *platforms)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as requirements:
        requirements.write(locked_packages())
        requirements.flush()
        command = [*command, *target, "--require-hashes", "--requirement", requirements.name]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise InputError(f"pip: {found.stderr.strip()[-2000:]}")
    shrink(folder)


def locked_packages() -> str:
    """The handler's packages with their hashes, whatever system this is."""
    hashes = read_hashes(LOCK)
    return "\n".join(" ".join([pin, *hashes[pin]]) for name, pin in read_pins(LOCK).items() if name in PACKAGES)


def copy_function(bundle: Path, folder: Path) -> None:
    shutil.copytree(ROOT / "serving", folder / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(bundle, folder / "bundle")


def files_of(tree: Path) -> list[Path]:
    return sorted(path for path in tree.rglob("*") if path.is_file())


def require_fit(sizes: dict[str, int]) -> None:
    """Raises InputError."""
    if (total := sum(sizes.values())) > MOST_BYTES:
        told = ", ".join(f"{name} {size / 2**20:.1f} MB" for name, size in sizes.items())
        raise InputError(
            f"unzipped they have {total / 2**20:.1f} MB ({told}), and Lambda takes {MOST_BYTES / 2**20:.0f} MB;"
            " use the image (tuneship deploy image), or a smaller variant (--variant int8)"
        )


def write_zip(tree: Path, path: Path) -> None:
    """Sorted, without times or owners."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files_of(tree):
            entry = zipfile.ZipInfo(file.relative_to(tree).as_posix(), EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, file.read_bytes())


if __name__ == "__main__":
    main()
