"""Run in the image's build: copies Python, the libraries it needs and no other program to a folder, a root to be.

`python -m deploy.image.rootfs /rootfs /out/opt/packages`: what the second folder's libraries need is copied too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

LEFT_OUT = (
    *("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data", "config-*", "*.a"),
    *("site-packages", "dist-packages", "sitecustomize.py", "__pycache__"),
)
"""Of the standard library's folder."""
DATA = (
    *(
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/openssl.cnf",
        "/usr/lib/ssl/cert.pem",
        "/usr/lib/ssl/openssl.cnf",
    ),
    *("/etc/nsswitch.conf", "/etc/mime.types", "/etc/os-release", "/etc/ld.so.conf"),
)
MERGED = ("bin", "lib", "lib64", "sbin")
"""Links into /usr; the loader's own path leads through one."""


def main(root: Path, packages: Path) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    make_folders(root)
    copied = [
        *map(Path, DATA),
        *Path("/etc/ld.so.conf.d").glob("*.conf"),
        Path(sys.executable),
        Path(sys.executable).resolve(),
    ]
    copied += needed_libraries([*copied[-1:], *library.rglob("*.so"), *packages.rglob("*.so*")], packages)
    for path in copied:
        copy(path, root)
    shutil.copytree(
        library, root / library.relative_to("/"), ignore=shutil.ignore_patterns(*LEFT_OUT), dirs_exist_ok=True
    )
    subprocess.run(["ldconfig", "-X", "-r", str(root)], check=True)
    write_debian_packages([*copied, *library.rglob("*.py")], root / "var" / "lib" / "dpkg" / "status.d")


def make_folders(root: Path) -> None:
    for name in MERGED:
        if (link := Path("/") / name).is_symlink():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(link.readlink())
    (root / "tmp").mkdir(parents=True)


def needed_libraries(libraries: Iterable[Path], packages: Path) -> list[Path]:
    """What the loader finds for them outside the packages, itself included: https://man7.org/linux/man-pages/man1/ldd.1.html."""
    found: set[Path] = set()
    for library in libraries:
        listing = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=False).stdout
        found |= {Path(path) for path in re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", listing, re.MULTILINE)}
    return sorted(path for path in found if not path.resolve().is_relative_to(packages.resolve()))


def copy(path: Path, root: Path) -> None:
    """The file under its name; a link to a neighbour with that neighbour. A base may lack some files."""
    place = root / (path.parent.resolve() / path.name).relative_to("/")
    if not path.exists() or place.exists():
        return
    beside = path.is_symlink() and path.readlink().parent == Path()
    if beside:
        copy(path.with_name(path.readlink().name), root)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, place, follow_symlinks=not beside)


def write_debian_packages(copied: Iterable[Path], folder: Path) -> None:
    """A file of dpkg's status for each package that a copied file is of, where scanners look for it."""
    folder.mkdir(parents=True)
    for name in sorted(owners(copied)):
        status = subprocess.run(["dpkg-query", "--status", name], capture_output=True, text=True, check=True).stdout
        (folder / name).write_text(status)


def owners(copied: Iterable[Path]) -> set[str]:
    """dpkg knows a file of a merged /usr by either of its names."""
    real = {str(path.resolve()) for path in copied if path.exists()}
    names = [*real, *(name.removeprefix("/usr") for name in real if name.startswith("/usr/lib"))]
    listing = subprocess.run(["dpkg-query", "--search", *names], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"^([a-z0-9.+-]+)(?::\w+)?: /", listing, re.MULTILINE))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
