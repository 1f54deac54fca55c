"""`make image`: builds the image with labels that say what is in it, and writes its bill of materials beside.

python -m deploy.image.build bundles/support tuneship:latest [options of docker build]
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.image.bom import create_image_bom
from serving import VERSION
from serving.bundle.manifest import MANIFEST, Manifest

CHECKOUT = Path(__file__).resolve().parents[2]
BILL = Path("image.cdx.json")


def main(bundle: Path, tag: str, options: Sequence[str]) -> None:
    build(CHECKOUT, tag, create_labels(bundle), options)
    image = inspect(tag)
    BILL.write_bytes(create_image_bom(image, read_contents(tag), bundle))
    sys.stdout.write(f"{tag} {image['Id']}, {image['Size'] / 1e6:.0f} MB; its bill of materials: {BILL}\n")


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
    """What git answers; empty outside a checkout."""
    answer = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def build(context: Path, tag: str, labels: Mapping[str, str], options: Sequence[str] = ()) -> None:
    texts = [f"--label={name}={value}" for name, value in labels.items()]
    subprocess.run(["docker", "build", *texts, "--tag", tag, *options, str(context)], check=True)


def inspect(tag: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("image", "inspect", tag))
    return found[0]


def read_contents(tag: str) -> dict[str, Any]:
    script = Path(__file__).with_name("contents.py").read_text()
    contents: dict[str, Any] = json.loads(
        docker("run", "--rm", "--interactive", "--entrypoint", "python", tag, "-", input=script)
    )
    return contents


def docker(*arguments: str, input: str = "") -> str:
    answer = subprocess.run(["docker", *arguments], input=input, stdout=subprocess.PIPE, text=True, check=True)
    return answer.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
