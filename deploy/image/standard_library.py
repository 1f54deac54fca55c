"""Run in the image's build: compiles Python's own modules, which its published images hold as sources alone.

A server that may not write beside them would compile them at every start.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode, compile

NOT_SERVED = {"test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data"}
PACKAGES = {"site-packages", "dist-packages"}


def main(root: Path) -> None:
    """Write what is missing to the same paths below another root."""
    for source in modules(Path(sysconfig.get_path("stdlib"))):
        compiled = Path(cache_from_source(str(source)))
        if not compiled.exists():
            target = root / compiled.relative_to("/")
            compile(
                str(source),
                str(target),
                str(source),
                doraise=True,
                invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            )


def modules(library: Path) -> Iterator[Path]:
    for source in sorted(library.rglob("*.py")):
        if not {*NOT_SERVED, *PACKAGES} & set(source.relative_to(library).parts):
            yield source


if __name__ == "__main__":
    main(Path(sys.argv[1]))
