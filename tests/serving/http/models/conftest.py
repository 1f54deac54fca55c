"""Fixtures of the tests of models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.serving.http.models.versions import relabelled


@pytest.fixture
def versions(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A folder with v1 and v2 of a bundle, and ``current``, a link to v1."""
    shutil.copytree(tiny_bundle, tmp_path / "v1")
    relabelled(tiny_bundle, tmp_path / "v2")
    (tmp_path / "current").symlink_to("v1")
    return tmp_path
