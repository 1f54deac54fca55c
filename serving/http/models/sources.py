"""Where served models come from: bundle folders, each with the name it is served under."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from serving.bundle.bundle import read_manifest
from serving.bundle.manifest import MANIFEST, Device
from serving.errors import BundleError, InputError
from serving.http.models.loading import begin
from serving.settings.limits import DEFAULT
from serving.settings.settings import ServerSettings

if TYPE_CHECKING:  # BentoML's parent process must not load onnxruntime
    from serving.inference.predictor import Predictor


LATE = 5.0
"""Seconds that a load has beyond its limit, to end by itself and say why."""


class Source(Protocol):
    """Gives a model's versions."""

    @property
    def name(self) -> str:
        """The served name; empty: the bundle's."""

    def open(self) -> Predictor:
        """The current version, verified and warm; raises BundleError."""

    def state(self) -> Hashable:
        """Changes when `open` may give another version."""


Locate = Callable[[], Path]
"""Gives the folder of the version that a place has now; raises UserError."""

Reach = Callable[[str], Locate | None]
"""For what names a place other than this machine's folders, how it is located; None for a path."""


@dataclass
class BundleFolder:
    """A deployment replaces its files, or the link that it is; with ``locate``, what the place has changes."""

    root: Path
    name: str = ""
    threads: int = 1
    trusted_key: Path | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    created_after: datetime | None = None
    load_seconds: float = DEFAULT.load_seconds
    locate: Locate | None = None
    device: Device = "auto"
    _opened: tuple[Predictor, Hashable] | None = field(default=None, repr=False)

    def preload(self) -> Predictor:
        """Open what the next `open` returns; raises BundleError."""
        state = self._stat()
        self._opened = self._open(), state
        return self._opened[0]

    def open(self) -> Predictor:
        """The preloaded version, else the current one; raises BundleError."""
        preloaded, self._opened = self._opened, None
        return preloaded[0] if preloaded else self._open()

    def state(self) -> Hashable:
        """From before the version was opened."""
        return self._opened[1] if self._opened else self._stat()

    def _stat(self) -> Hashable:
        """Any way to deploy changes a file's name, size, time or inode."""
        self.root = self.locate() if self.locate else self.root
        try:
            files = sorted(path for path in _pin(self.root).rglob("*") if path.is_file())
            stats = [(str(path), path.stat()) for path in files]
            return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)
        except OSError:  # the folder is being replaced
            return None

    def _open(self) -> Predictor:
        """On a thread that can be left behind, so that a signal is heeded meanwhile."""
        loading = begin(self._load, "load")
        try:
            return loading.result(self.load_seconds + LATE)
        except TimeoutError as error:
            if loading.done():
                raise
            raise BundleError(
                f"{self.root} was not loaded within {self.load_seconds:g} s. Export the bundle again, or give a slow "
                "machine more time by TUNESHIP_LOAD_SECONDS."
            ) from error

    def _load(self) -> Predictor:
        from serving.inference.predictor import Predictor

        # Resolved once: a link that changes meanwhile must not mix the files of two versions.
        predictor = Predictor.open(
            _pin(self.root),
            threads=self.threads,
            trusted_key=self.trusted_key,
            created_after=self.created_after,
            seconds=self.load_seconds,
            device=self.device,
        )
        predictor.set_limits(self.limits)
        return predictor


def _pin(root: Path) -> Path:
    """The folder that a link leads to now. Through /proc/PID/root, a sidecar's, no resolved path leads there."""
    resolved = root.resolve()
    return resolved if resolved.exists() and resolved.samefile(root) else root


@dataclass(frozen=True)
class PredictorSource:
    """A function's predictor, its only version."""

    open: Callable[[], Predictor]
    name: str = ""

    def state(self) -> Hashable:
        """Constant."""
        return None


def find_bundles(
    specs: Sequence[str],
    *,
    threads: int = 1,
    trusted_key: Path | None = None,
    limits: Mapping[str, int] = MappingProxyType({}),
    created_after: datetime | None = None,
    load_seconds: float = DEFAULT.load_seconds,
    reach: Reach = lambda _: None,
    device: Device = "auto",
) -> list[BundleFolder]:
    """The bundles of ``[NAME=]PATH``, the default first; a folder of bundles stands for all of them.

    Raises InputError for an invalid or repeated name, BundleError where there is no bundle, and as ``reach`` does.
    """
    named_folders = [folder for spec in specs for folder in _find_folders(spec, reach)]
    for root, name, _ in named_folders:
        if not _is_valid_name(name):
            raise InputError(f"{root} cannot be served as {name!r}. Give it a name of letters and digits: NAME=PATH")
    bundles = [
        BundleFolder(root, name, threads, trusted_key, limits, created_after, load_seconds, locate, device)
        for root, name, locate in named_folders
    ]
    names = [bundle.name for bundle in bundles]
    if twice := next((name for name in names if names.count(name) > 1), None):
        paths = " and ".join(str(bundle.root) for bundle in bundles if bundle.name == twice)
        raise InputError(f"{paths} are both named {twice!r}. Name one of them: NAME=PATH")
    return bundles


def find_served_bundles(
    settings: ServerSettings, specs: Sequence[str] = (), *, threads: int | None = None, reach: Reach = lambda _: None
) -> list[BundleFolder]:
    """As the settings ask; ``specs`` stand for their bundle, ``threads`` for their threads. Raises as the above."""
    return find_bundles(
        specs or [str(settings.bundle)], threads=threads or settings.threads, limits=settings.limits,
        trusted_key=settings.trusted_key, created_after=settings.created_after,
        load_seconds=settings.server_limits.load_seconds, reach=reach, device=settings.device,
    )  # fmt: skip


def _find_folders(spec: str, reach: Reach) -> Iterator[tuple[Path, str, Locate | None]]:
    name, place = _split_spec(spec, reach)
    if locate := reach(place):
        folder = locate()
        yield folder, name or read_manifest(folder).name, locate
        return
    root = Path(place)
    inside = sorted(path.parent for path in root.glob(f"[!.]*/{MANIFEST}"))
    if inside and not (root / MANIFEST).is_file() and not name:
        yield from ((folder, folder.name, None) for folder in inside)
    else:
        yield root, name or read_manifest(root).name, None


def _split_spec(spec: str, reach: Reach) -> tuple[str, str]:
    name, sign, place = spec.partition("=")
    if not sign or reach(spec) or Path(spec).exists():
        return "", spec
    if not name or "/" in name:
        raise InputError(f"{spec}: a name is at least one character and holds no slash; give NAME=PATH")
    return name, place


def _is_valid_name(name: str) -> bool:
    """Whether a URL path can hold it unchanged, and a reader sees all of it."""
    return name.isprintable() and name.strip() == name and name.strip(".") != "" and "/" not in name
