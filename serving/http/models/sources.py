"""Where served models come from: bundles' folders, by the name that each is served under."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from serving.bundle.bundle import read_manifest
from serving.bundle.manifest import MANIFEST
from serving.errors import InputError

if TYPE_CHECKING:
    from serving.inference.predictor import Predictor


class Source(Protocol):
    """What gives the present version of a model."""

    @property
    def name(self) -> str:
        """What the model is served as; empty: as its bundle is named."""

    def open(self) -> Predictor:
        """The present version, verified and warm; raises BundleError where it is not to be trusted."""

    def state(self) -> Hashable:
        """That of the version `open` gives: changes when there may be another."""


@dataclass
class BundleFolder:
    """A bundle's folder, or a link to one: deployments put a new version there, or turn the link."""

    root: Path
    name: str = ""
    threads: int = 1
    trusted_key: Path | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    _opened: tuple[Predictor, Hashable] | None = field(default=None, repr=False)

    def preload(self) -> Predictor:
        """Open it now, for the next `open` to give; raises BundleError."""
        state = self._look()
        self._opened = self._open(), state
        return self._opened[0]

    def open(self) -> Predictor:
        """The version that was preloaded, else the one that lies there now; raises BundleError."""
        opened, self._opened = self._opened, None
        return opened[0] if opened else self._open()

    def state(self) -> Hashable:
        """What the files looked like before the version was opened that `open` would give."""
        return self._opened[1] if self._opened else self._look()

    def _look(self) -> Hashable:
        """Name, size, time and inode of every file: cheap to ask for, and new with every way to deploy."""
        try:
            files = sorted(path for path in self.root.resolve().rglob("*") if path.is_file())
            return tuple((str(path), *_stamp(path)) for path in files)
        except OSError:  # in the midst of being replaced
            return None

    def _open(self) -> Predictor:
        from serving.inference.predictor import Predictor

        # Resolved once, so that a link turned meanwhile does not mix the files of two versions.
        predictor = Predictor.open(self.root.resolve(), threads=self.threads, trusted_key=self.trusted_key)
        predictor.lower_limits(self.limits)
        return predictor


@dataclass(frozen=True)
class PredictorSource:
    """A predictor from a function, for those who bring their own; it has one version."""

    open: Callable[[], Predictor]
    name: str = ""

    def state(self) -> Hashable:
        """Never changes."""
        return None


def find_bundles(
    specs: Sequence[str],
    *,
    threads: int = 1,
    trusted_key: Path | None = None,
    limits: Mapping[str, int] = MappingProxyType({}),
) -> list[BundleFolder]:
    """The bundles that ``[NAME=]PATH`` mean; a path may also be a folder of bundles, each named by its own folder.

    Args:
        specs: what to serve, the default first.
        threads: CPU threads of each model.
        trusted_key: as `Predictor.open` takes it.
        limits: as `Predictor.lower_limits` takes them.

    Raises:
        InputError: two bundles have one name, or a name is none.
        BundleError: there is no bundle.
    """
    places = [place for spec in specs for place in _places(spec)]
    for root, name in places:
        if not _is_name(name):
            raise InputError(f"{root} cannot be served as {name!r}. Give it a name of letters and digits: NAME=PATH")
    found = [BundleFolder(root, name, threads, trusted_key, limits) for root, name in places]
    names = [folder.name for folder in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        paths = " and ".join(str(folder.root) for folder in found if folder.name == twice)
        raise InputError(f"{paths} are both named {twice!r}. Name one of them: NAME=PATH")
    return found


def _places(spec: str) -> Iterator[tuple[Path, str]]:
    name, root = _split(spec)
    inside = sorted(path.parent for path in root.glob(f"[!.]*/{MANIFEST}"))
    if inside and not (root / MANIFEST).is_file() and not name:
        yield from ((folder, folder.name) for folder in inside)
    else:
        yield root, name or read_manifest(root).name


def _split(spec: str) -> tuple[str, Path]:
    name, sign, path = spec.partition("=")
    if not sign or Path(spec).exists():
        return "", Path(spec)
    if not name or "/" in name:
        raise InputError(f"{spec}: a name is at least one character and holds no slash; give NAME=PATH")
    return name, Path(path)


def _is_name(name: str) -> bool:
    """Whether a path can hold it as it is: ``..`` would lead elsewhere, and nobody sees a space at an end."""
    return name.isprintable() and name.strip() == name and name.strip(".") != "" and "/" not in name


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino
