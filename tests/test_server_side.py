"""How the server's tests are run elsewhere: on which Python, with which versions, and what is skipped there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy.image.lock import PYTHONS
from tests.server_side import locked_requirements, lowest_requirements, main, newest_python
from tests.without_training import _skip_where_missing


def put_python(folder: Path, *versions: str) -> None:
    """Commands that look like interpreters."""
    for version in versions:
        (folder / f"python{version}").write_text("#!/bin/sh\n")
        (folder / f"python{version}").chmod(0o755)


def test_the_newest_python_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are found and supported; one that is not supported does not count."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "version_info", (3, 11, 2))
    assert newest_python() is None
    put_python(tmp_path, "3.12", "3.13", "3.99")
    assert newest_python() == str(tmp_path / "python3.13")


def test_without_a_newer_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run says that it is skipped, and is no failure."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([]) == 0
    assert "skipped" in capsys.readouterr().out


def test_the_versions() -> None:
    """The locked ones are those of a server and its extras; the lowest are the ranges' bounds. Neither has torch."""
    locked, lowest = locked_requirements(), lowest_requirements()
    for name in ("onnxruntime==", "grpcio==", "pyarrow==", "opentelemetry-sdk==", "pytest=="):
        assert [line for line in locked if line.startswith(name)]
        assert [line for line in lowest if line.startswith(name)]
    assert not [line for line in [*locked, *lowest] if line.startswith(("torch", "transformers"))]
    assert PYTHONS[-1] == "3.14"


@pytest.mark.parametrize("name", ["torch", "transformers.models"])
def test_what_trains_is_skipped(name: str) -> None:
    """The reason names the package."""
    with pytest.raises(pytest.skip.Exception, match=f"needs {name.partition('.')[0]}"):
        _skip_where_missing(ModuleNotFoundError(name=name))


@pytest.mark.parametrize("name", ["onnxruntime", "starlette.routing", "serving.gone", "tests.gone"])
def test_what_a_server_needs_is_no_reason_to_skip(name: str) -> None:
    """A broken environment, or a module of ours that is gone, fails."""
    _skip_where_missing(ModuleNotFoundError(name=name))
