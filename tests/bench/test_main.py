"""The benchmark command: its options, its results file, its exit status."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import bench.__main__ as command
from bench.figures import Figure
from bench.subject import prepare
from deploy.measurement.process import MeasurementError
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from trainer.run.run import Run

run_command = CliRunner().invoke


@pytest.fixture
def bundles(tiny_bundle: Path, tiny_int8_bundle: Path, tmp_path: Path) -> Path:
    """A folder with both variants under the names the command looks for."""
    folder = tmp_path / "bundles"
    folder.mkdir()
    (folder / "fp32").symlink_to(tiny_bundle)
    (folder / "int8").symlink_to(tiny_int8_bundle)
    return folder


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of measured processes go to the test's own folder."""
    monkeypatch.setattr(command, "WORK", tmp_path / "work")


def _figures(output: Path) -> dict[str, dict[str, object]]:
    return {figure["name"]: figure for figure in json.loads(output.read_text())["figures"]}


def test_all_is_every_section() -> None:
    """`all` measures each section once; a section's name only that section."""
    everything = command.sections_of(command.Section.all)
    assert [str(section) for section in everything] == [
        "tasks",
        "checks",
        "variants",
        "distil",
        "privacy",
        "accuracy",
        "size",
        "startup",
        "coldstart",
        "image",
        "batching",
        "serving",
        "lengths",
        "latency",
        "capacity",
        "overload",
        "memory",
        "scale",
        "training",
        "streaming",
        "batch",
    ]
    assert command.sections_of(command.Section.coldstart) == [command.Section.coldstart]


def test_an_unknown_section() -> None:
    """A wrong section exits with 2 and lists the right ones."""
    result = run_command(command.app, ["speed"])
    assert result.exit_code == 2
    assert "accuracy" in result.output


def test_no_docker_is_a_skipped_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Docker the image's figures are skipped with the reason, and the exit status is 0."""
    monkeypatch.setenv("PATH", str(tmp_path))
    output = tmp_path / "deep" / "bench.json"
    result = run_command(command.app, ["image", "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert "there is no docker command" in " ".join(result.output.split())
    assert {figure["is_error"] for figure in _figures(output).values()} == {False}


def test_a_wrong_result_exits_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that shows an error is named with its note, and the results are written too."""
    wrong = Figure("our answers wrong or missing", 2.0, "", correct=0.0, note="status 500")
    monkeypatch.setattr(command, "measure_image", lambda *_: [wrong])
    output = tmp_path / "bench.json"
    result = run_command(command.app, ["image", "--output", str(output)])
    assert result.exit_code == 1
    assert "status 500" in result.output
    assert _figures(output)["our answers wrong or missing"]["is_error"] is True


def test_a_failed_measurement_exits_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed measurement is a figure of its own, and the results are written too."""

    def fail(*_: object) -> list[Figure]:
        raise MeasurementError("docker run ended with status 125; the last lines:\n  no such image")

    monkeypatch.setattr(command, "measure_image", fail)
    output = tmp_path / "bench.json"
    result = run_command(command.app, ["image", "--output", str(output)])
    assert result.exit_code == 1
    assert "no such image" in result.output
    assert _figures(output)["image"]["failed"] is True


@pytest.mark.slow
def test_accuracy_and_size(tiny_run: Run, bundles: Path, tmp_path: Path) -> None:
    """Both are measured on the bundles, and agree with the proof's record."""
    found = {}
    for section in ("accuracy", "size"):
        output = tmp_path / f"{section}.json"
        run_command(command.app, [section, "--run", str(tiny_run.root), "--bundles", str(bundles), "-o", str(output)])
        found |= _figures(output)
    accuracy = tiny_run.read_record()["metrics"]["test"]["accuracy"]
    assert found["test accuracy, trained"]["value"] == pytest.approx(100 * accuracy)
    assert found["test accuracy, served fp32"]["value"] == pytest.approx(100 * accuracy)
    assert found["fp32: differs from its proof by"]["value"] == 0
    assert found["int8: differs from its proof by"]["value"] == 0
    assert 0 < found["bundle, int8"]["value"] < found["bundle, fp32"]["value"]  # type: ignore[operator]
    assert json.loads(output.read_text())["about"]["bundles"]["int8"] == Bundle.open(bundles / "int8").digest


@pytest.mark.slow
def test_cold_starts(tiny_run: Run, bundles: Path, tmp_path: Path) -> None:
    """The time until the first right answer is measured, by Lambda's real runtime loop and by the peers."""
    output = tmp_path / "bench.json"
    words = ["coldstart", "--run", str(tiny_run.root), "--bundles", str(bundles), "--repeats", "1", "-o", str(output)]
    result = run_command(command.app, words)
    figures = _figures(output)
    assert not any(figure["failed"] for figure in figures.values()), result.output
    ours = figures["Lambda handler: first answer in"]["value"]
    for peer in ("transformers + torch in Lambda's runtime", "BentoML + transformers", "BentoML + onnxruntime, int8"):
        assert figures[f"{peer}, of the Lambda handler's"]["value"] == figures[peer]["value"] / ours  # type: ignore[operator]


def test_a_bundle_of_another_run(tiny_run: Run, bundles: Path, tmp_path: Path) -> None:
    """Bundles of another run are refused."""
    other = Run(shutil.copytree(tiny_run.root, tmp_path / "other"))
    (other.checkpoint / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(InputError, match="was not exported from"):
        prepare(other.root, bundles, Console(stderr=True))


def test_a_run_of_another_task(tiny_run: Run, tmp_path: Path) -> None:
    """A run that is no text classification with metric accuracy is refused before any work."""
    other = Run(shutil.copytree(tiny_run.root, tmp_path / "other"))
    for found in ({"task": "regression", "metric": "pearson"}, {"metric": "macro_f1"}):
        other.write_record(tiny_run.read_record() | found)
        with pytest.raises(InputError, match="needs a run of text-classification with metric accuracy"):
            prepare(other.root, None, Console(stderr=True))


@pytest.mark.slow
def test_a_users_mistake_is_one_line(tmp_path: Path) -> None:
    """A missing run is an error message and exit status 1, without a traceback."""
    words = [sys.executable, "-m", "bench", "size", "--run", str(tmp_path / "nowhere")]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "there is no such run folder" in result.stderr
    assert "Traceback" not in result.stderr
