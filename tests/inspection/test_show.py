"""`tuneship show`: a run or a bundle in a few lines, and as a record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inspection.display import render
from inspection.subject import open_subject
from serving.bundle.bundle import Bundle
from serving.errors import BundleError, InputError
from serving.files import replace_file
from tests.keys import make_keys
from tests.test_cli import assert_refused, tuneship_here
from trainer.run.run import Run


def test_a_bundle(tiny_fallback_bundle: Path) -> None:
    """Its data, score with interval, proof, variants, size, digest, signature and how to serve it."""
    found = open_subject(str(tiny_fallback_bundle))
    manifest = Bundle.open(tiny_fallback_bundle).manifest
    assert (found.kind, found.task, found.labels) == ("bundle", manifest.task, manifest.labels)
    assert found.digest == manifest.digest
    assert found.score is not None
    assert found.score["value"] == manifest.verdict.score
    low, high = found.score["interval"]
    assert low <= found.score["value"] <= high
    assert [each["variant"] for each in found.facts["variants"]] == ["int8", "fp32"]
    assert found.facts["proof"]["gates_held"] > 5
    shown = str(render(found))
    serve = f"tuneship serve {tiny_fallback_bundle}"
    for words in ("int8", "then fp32", manifest.digest, "not signed", "gates held", serve):
        assert words in shown


def test_a_run(tiny_run: Run) -> None:
    """The test score and its interval, the lock's digest, and the table of figures."""
    result = tuneship_here("show", tiny_run.root)
    record = tiny_run.read_record()
    assert result.returncode == 0, result.stderr
    assert "95 %" in result.stdout
    assert f"tuneship export {tiny_run.root} --output BUNDLE" in result.stdout
    assert "validation" in result.stdout
    found = json.loads(tuneship_here("show", tiny_run.root, "--json").stdout)
    assert found["score"]["value"] == record["metrics"]["test"][found["score"]["metric"]]
    assert found["base_model"]["sha256"] == record["model"]["sha256"]


def test_a_line_is_a_field_where_nobody_looks(tiny_bundle: Path) -> None:
    """In a pipe no value is wrapped; in a terminal all fit its width."""
    found = open_subject(str(tiny_bundle))
    plain, narrow = str(render(found)), str(render(found, 60))
    names = [line.split("  ")[0] for line in plain.splitlines()]
    assert names == [line.split("  ")[0] for line in narrow.splitlines() if not line.startswith(" ")]
    assert not [line for line in narrow.splitlines() if len(line) > 60 and " " in line[12:].strip()]


def test_a_run_that_is_not_finished(tiny_run: Run, tmp_path: Path) -> None:
    """It is shown, without a score."""
    run = Run(Path(shutil.copytree(tiny_run.root, tmp_path / "run")))
    record = run.read_record() | {"status": "running"}
    with replace_file(run.record) as file:
        file.write(json.dumps(record).encode())
    result = tuneship_here("show", run.root)
    assert result.returncode == 0, result.stderr
    assert "not finished: repeat its train command to go on" in result.stdout
    assert "score" not in result.stdout


def test_a_checked_signature(tiny_bundle: Path, tmp_path: Path) -> None:
    """With a key it is verified; another key is refused."""
    bundle, keys = shutil.copytree(tiny_bundle, tmp_path / "bundle"), make_keys(tmp_path / "keys")
    assert tuneship_here("sign", bundle, "--key", keys.private).returncode == 0
    assert open_subject(str(bundle)).facts["signature"].startswith("signed; not verified")
    assert open_subject(str(bundle), keys.public).facts["signature"] == "verified with public.pem"
    with pytest.raises(BundleError, match="private key that belongs to"):
        open_subject(str(bundle), make_keys(tmp_path / "others").public)


def test_an_altered_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    """It is not shown as if it were whole."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    (bundle / "tokenizer.json").write_text("{}")
    assert_refused(tuneship_here("show", bundle), "tokenizer.json was altered")


def test_something_else(tmp_path: Path) -> None:
    """What is neither, and what is not there."""
    with pytest.raises(InputError, match="neither a run"):
        open_subject(str(tmp_path))
    (tmp_path / "support").mkdir()
    with pytest.raises(InputError, match=r"there is no such folder.*did you mean .*support\?"):
        open_subject(str(tmp_path / "suport"))
