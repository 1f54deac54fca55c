"""One extension: where it comes from, the hash of its source, and the object itself."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from serving.errors import InputError
from serving.extensions.kinds import Kind
from serving.extensions.source import hash_source

LOCAL = "tuneship.toml"


@dataclass(frozen=True)
class Extension:
    """Attributes:
    target: ``package.module:name``.
    distribution, version: of the package that registers it; LOCAL, and an empty version, for one of that file.
    folder: of that file, where its module may lie.
    """

    kind: Kind
    name: str
    target: str
    distribution: str
    version: str = ""
    folder: Path | None = None

    @property
    def key(self) -> str:
        return f"{self.kind}.{self.name}"

    def __str__(self) -> str:
        return f"{self.key} of {' '.join(filter(None, (self.distribution, self.version)))} ({self.target})"

    @cached_property
    def sha256(self) -> str:
        """Of the source files of the top-level module or package; raises InputError where there are none."""
        self._find_beside()
        try:
            return hash_source(self.target.partition(":")[0])
        except Exception as error:  # a package above the module may run code of its own
            raise self.failure("has no source that can be read", error) from error

    @cached_property
    def value(self) -> Any:
        """The object, imported; raises InputError."""
        self._find_beside()
        module, _, path = self.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for name in path.split("."):
                found = getattr(found, name)
        except Exception as error:  # code of the user's own may raise anything
            raise self.failure("cannot be imported", error) from error
        return found

    def to_record(self) -> dict[str, str]:
        """For lock and manifest; raises InputError."""
        return {"distribution": self.distribution, "version": self.version, "sha256": self.sha256}

    def failure(self, problem: str, error: BaseException | None = None) -> InputError:
        """An error that names the extension, and what its code raised."""
        reason = "" if error is None else f": {type(error).__name__}: {error}"
        return InputError(f"{self}: {problem}{reason}", field=self.key)

    def _find_beside(self) -> None:
        """Modules beside the file are found, behind everything that is installed."""
        if self.folder is not None and str(self.folder) not in sys.path:
            sys.path.append(str(self.folder))
            importlib.invalidate_caches()
