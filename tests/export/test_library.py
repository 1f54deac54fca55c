"""An export in a program: the bundle with its proof, or why there is none."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from export import export, rehearse
from export.exporter import ProofFailed
from export.rehearsal import rehearse as own
from serving import Predictor
from serving.errors import InputError
from trainer.run.run import Run


@pytest.fixture(autouse=True)
def few_strings() -> object:
    """A short proof."""
    with mock.patch("export.proof.answers.hard_strings.STRINGS", 300):
        yield


@pytest.mark.slow
def test_a_bundle_with_its_proof(tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a run's folder: the result tells the proof, and what it names answers."""
    exported = export(str(tiny_run.root), str(tmp_path / "bundle"), threads=1, quiet=True)
    assert exported.parity.passed
    assert (exported.bundle, exported.served) == (tmp_path / "bundle", "fp32")
    with Predictor.open(exported.bundle) as predictor:
        assert predictor.manifest.digest == exported.digest
        assert predictor.predict("where is my parcel?")[0]["label"] == "track"
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_progress_goes_to_stderr(tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program's own output stays its own."""
    export(tiny_run, tmp_path / "bundle", threads=1)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "writing the bundle" in shown.err


@pytest.mark.slow
def test_a_failed_proof_is_an_error(tiny_run: Run, tmp_path: Path) -> None:
    """A budget that the test set cannot show raises ProofFailed with the gates' figures; no bundle is written."""
    with pytest.raises(ProofFailed, match="no bundle was written"):
        export(tiny_run, tmp_path / "bundle", variant="int8", max_metric_drop=0.0, threads=1, quiet=True)
    assert not (tmp_path / "bundle").exists()


def test_mistakes(tiny_run: Run, tmp_path: Path) -> None:
    """Wrong names are told before any work."""
    with pytest.raises(InputError, match="there is no variant 'int9'"):
        export(tiny_run, tmp_path / "bundle", variant="int9")
    with pytest.raises(InputError, match="there is no such run folder"):
        export(tmp_path / "missing", tmp_path / "bundle")
    assert rehearse is own
