"""Tuneship's wheel, written again from the installed files: a project keeps it, as its CI has no checkout."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from serving import VERSION

NAME = f"tuneship-{VERSION}-py3-none-any.whl"
HOME = Path(__file__).resolve().parent.parent
"""A checkout or site-packages."""

EPOCH = (1980, 1, 1, 0, 0, 0)
OF_THIS_INSTALLATION = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
"""Files of its metadata that pip has added."""


def write_wheel(folder: Path) -> Path | None:
    """None where Tuneship runs from a checkout, which is no wheel's content."""
    files = installed_files()
    if files is None:
        return None
    path = folder / NAME
    record = f"tuneship-{VERSION}.dist-info/RECORD"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted((files | {record: record_of(files, record)}).items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, content)
    return path


def installed_files() -> dict[str, bytes] | None:
    """The wheel's content by path, if these modules are what pip has installed from one."""
    try:
        package = distribution("tuneship")
    except PackageNotFoundError:
        return None
    listed = {str(path): path.locate() for path in package.files or ()}
    ours = listed.get("templates/own_wheel.py")
    if ours is None or package.version != VERSION or not Path(str(ours)).samefile(__file__):
        return None
    return {name: Path(str(path)).read_bytes() for name, path in listed.items() if _is_content(package, name)}


def _is_content(package: Distribution, name: str) -> bool:
    """The command's script and compiled files are made by pip."""
    metadata = f"tuneship-{package.version}.dist-info/"
    made = name.startswith(metadata) and name.removeprefix(metadata) in OF_THIS_INSTALLATION
    return not made and not name.startswith("..") and "__pycache__" not in name


def record_of(files: Mapping[str, bytes], own: str) -> bytes:
    """https://packaging.python.org/en/latest/specifications/recording-installed-packages/."""
    rows = [(name, f"sha256={_digest(content)}", str(len(content))) for name, content in sorted(files.items())]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([*rows, (own, "", "")])
    return text.getvalue().encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
