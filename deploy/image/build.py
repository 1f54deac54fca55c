"""Build the image of a bundle from these files: the checkout's, or those that pip has installed.

`tuneship deploy image` and `make image` call it. Labels say what is in the image; so does a bill of materials.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving import VERSION
from serving.bundle.manifest import MANIFEST, Manifest
from serving.errors import InputError, UserError

HOME = Path(__file__).resolve().parents[2]
"""The folder that has `tuneship.py`: a checkout or site-packages."""

PARTS = ("tuneship.py", "batch", "commands", "serving", "stores", "deploy/image")
"""Of it, what the image is built from."""

DOCKERFILE = "deploy/image/Dockerfile"


class BuildFailed(UserError):
    """Docker has told why."""


@dataclass(frozen=True)
class Image:
    """``number`` is Docker's id, ``size`` are bytes, unpacked."""

    tag: str
    number: str
    size: int
    bill: Path


def build_image(bundle: Path, tag: str, bill: Path, options: Sequence[str] = (), wheels: Sequence[Path] = ()) -> Image:
    """``options`` are further ones of ``docker build``, ``wheels`` of extensions. Raises InputError, or BuildFailed."""
    create_image_bom = _require_bill()
    with tempfile.TemporaryDirectory(prefix="tuneship-image-") as folder:
        lay_context(bundle, Path(folder), wheels)
        build(Path(folder), tag, create_labels(bundle), options)
    image = inspect(tag)
    bill.write_bytes(create_image_bom(image, read_contents(tag), bundle))
    return Image(tag, image["Id"], image["Size"], bill)


def _require_bill() -> Any:
    """What writes the bill; raises InputError before anything is built."""
    try:
        from deploy.image.bom import create_image_bom
    except ImportError as error:
        package = (error.name or "a package").partition(".")[0]
        raise InputError(
            f"the image's bill of materials needs {package}, of the extra train: pip install 'tuneship[train]'"
        ) from error
    return create_image_bom


def lay_context(bundle: Path, folder: Path, wheels: Sequence[Path] = ()) -> None:
    """Copy what the Dockerfile copies; nothing else reaches the engine. Raises InputError for what is no wheel."""
    (folder / "wheels").mkdir(parents=True)
    for wheel in wheels:
        if wheel.suffix != ".whl" or not wheel.is_file():
            raise InputError(f"--wheel {wheel}: is no wheel; make one by pip wheel --no-deps PACKAGE", field="--wheel")
        shutil.copyfile(wheel, folder / "wheels" / wheel.name)
    for part in PARTS:
        source, target = HOME / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    shutil.copytree(bundle, folder / "bundle")


def create_labels(bundle: Path) -> dict[str, str]:
    """OCI's annotations and the bundle's digest. They are the commit's, not the build's, so that two builds agree.

    https://reproducible-builds.org/specs/source-date-epoch/
    """
    manifest = Manifest.from_bytes((bundle / MANIFEST).read_bytes())
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")
    time = datetime.fromtimestamp(int(seconds), UTC) if seconds else manifest.time
    known = {"org.opencontainers.image.revision": revision(), "org.opencontainers.image.source": source()}
    return {
        "org.opencontainers.image.version": VERSION,
        "org.opencontainers.image.created": time.isoformat(),
        "dev.tuneship.bundle.name": manifest.name,
        "dev.tuneship.bundle.digest": f"sha256:{manifest.digest}",
        **{name: value for name, value in known.items() if value},
    }


def revision() -> str:
    """The commit, with `-dirty` where the files differ from it; empty outside a checkout."""
    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD") + ("-dirty" if changed else "")


def source() -> str:
    """Where `origin` is on the web, without credentials; empty if it is a folder or missing."""
    return web_address(git("remote", "get-url", "origin"))


def web_address(remote: str) -> str:
    found = re.fullmatch(r"(?:(?:https|ssh)://)?(?:[^@/]+@)?([^/:@]+\.[^/:@]+)(?::\d+)?[:/](.+?)(?:\.git)?/?", remote)
    return f"https://{found[1]}/{found[2]}" if found else ""


def git(*arguments: str) -> str:
    """What git answers; empty outside a checkout of Tuneship, also where site-packages lie in a user's repository."""
    if not (HOME / ".git").exists() or shutil.which("git") is None:
        return ""
    answer = subprocess.run(["git", *arguments], cwd=HOME, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def build(context: Path, tag: str, labels: Mapping[str, str], options: Sequence[str] = ()) -> None:
    """Raises BuildFailed; what Docker tells is shown."""
    texts = [f"--label={name}={value}" for name, value in labels.items()]
    docker("build", *texts, "--tag", tag, "--file", str(context / DOCKERFILE), *options, str(context), shown=True)


def inspect(tag: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("image", "inspect", tag))
    return found[0]


def read_contents(tag: str) -> dict[str, Any]:
    script = Path(__file__).with_name("contents.py").read_text()
    contents: dict[str, Any] = json.loads(
        docker("run", "--rm", "--interactive", "--entrypoint", "python", tag, "-", input=script)
    )
    return contents


def docker(*arguments: str, input: str = "", shown: bool = False) -> str:
    """What it prints, unless it is shown. Raises BuildFailed."""
    output = None if shown else subprocess.PIPE
    try:
        return subprocess.run(["docker", *arguments], input=input, stdout=output, text=True, check=True).stdout or ""
    except FileNotFoundError as error:
        raise BuildFailed("there is no docker command: install Docker, or a program that takes its commands") from error
    except subprocess.CalledProcessError as error:
        raise BuildFailed(f"docker {arguments[0]} failed with status {error.returncode}; it says why above") from error
