"""What many tests read and none changes, made once a test run, however many processes the run has."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder ``name`` that all processes of this test run share; read it, never write into it.

    Whoever asks first has ``make`` fill it, under a lock on which the others wait; where ``make`` fails, the next to
    ask begins anew. All shared folders lie side by side, so a copy beside them has the same relative paths to others.
    """
    folder = _shared(factory) / name
    made = folder.with_name(f"{name}.made")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def _shared(factory: pytest.TempPathFactory) -> Path:
    """Of this run, in which a worker of pytest-xdist has a temporary folder; or TUNESHIP_TEST_SHARED, of several."""
    own = factory.getbasetemp()
    run = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    shared = Path(os.environ.get("TUNESHIP_TEST_SHARED") or run)
    shared.mkdir(parents=True, exist_ok=True)
    return shared
