"""The extensions of examples/: one of each kind, from training to serving, by tuneship.toml and as a package."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from rich.console import Console
from starlette.testclient import TestClient

from export import export
from serving import Predictor
from serving.errors import BundleError, InputError
from serving.http.app import create_app
from serving.inference.predictor import Predictor as InferencePredictor
from tests.extending import EXAMPLES
from tests.serving.processes import environment, python
from tests.tiny import toy_rows
from trainer import fine_tune
from trainer.replay import replay
from trainer.run.lock import read_lock
from trainer.run.run import Run

MODULES = EXAMPLES / "shop_extensions"
MOST_LINES = 40
SIGNED = "where is my parcel?\n> refund my parcel\n-- \nrefund refund refund"
KINDS = {"metrics.f2", "losses.poly1", "heads.two-layers", "readers.sqlite", "preprocessors.without-signature"}
KINDS |= {"postprocessors.other-if-unsure"}


def write_messages(path: Path) -> None:
    """The toy's rows, signed, in an SQLite file; the label that nobody is sure of is ``other``."""
    rows = [(f"{text}\n-- \nrefund and cancel", "other" if label == "track" else label) for text, label in toy_rows()]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE messages (text, label)")
        connection.executemany("INSERT INTO messages VALUES (?, ?)", rows)


def recipe_of(backbone: Path) -> dict[str, Any]:
    """With an extension wherever one can be."""
    return {
        "task": "text-classification",
        "model": backbone,
        "model_head": {"loss": "poly1", "head": "two-layers"},
        "data": {
            "train": "messages.sqlite", "test": 0.25, "validation": 0.2,
            "preprocess": ["without-signature"], "postprocess": ["other-if-unsure"],
        },
        "training": {
            "learning_rate": 5.0e-3, "head_learning_rate": 2.0e-2, "num_train_epochs": 12,
            "per_device_train_batch_size": 8, "bf16": False, "metric_for_best_model": "f2",
        },
        "export": {"max_metric_drop": 0.9, "max_ece_change": 0.5, "min_agreement": 0.5},
    }  # fmt: skip


@pytest.fixture(scope="module")
def shop(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with the examples, a run that uses them all, and its bundle of the variant ``sparse``."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    write_messages(folder / "messages.sqlite")
    with pytest.MonkeyPatch.context() as patch, mock.patch("export.proof.answers.hard_strings.STRINGS", 200):
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        run = fine_tune(recipe_of(tiny_backbone), folder / "run", quiet=True)
        export(run, folder / "bundle", variant="sparse", threads=1, quiet=True)
        yield folder


def in_process(folder: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A Python process in ``folder``, with this checkout on its path."""
    command = python("-c", script)
    return subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("path", sorted(MODULES.glob("*.py")), ids=lambda path: path.stem)
def test_each_is_short(path: Path) -> None:
    """What one kind needs fits on a screen."""
    assert len(path.read_text().splitlines()) < MOST_LINES


@pytest.mark.slow
def test_all_kinds_at_once(shop: Path) -> None:
    """The run is scored by the metric, and lock and manifest have each extension with its hash."""
    run = Run.open(shop / "run")
    assert run.metrics["f2"] > 0.5
    assert len(run.metrics["f2_interval_95"]) == 2
    report = run.report.read_text()
    assert "that of f2 is of resampled rows" in report
    assert "`losses.poly1` of tuneship.toml" in report
    locked = read_lock(run).extensions
    assert locked.keys() == KINDS
    manifest = json.loads((shop / "bundle" / "manifest.json").read_text())
    assert manifest["extensions"].keys() == {*KINDS, "variants.sparse"}
    assert {record["sha256"] for record in manifest["extensions"].values()} == {locked["metrics.f2"]["sha256"]}
    assert manifest["graph"]["variant"] == "sparse"
    assert manifest["verdict"]["metric"] == "f2"
    assert "| `variants.sparse` | tuneship.toml |" in (shop / "bundle" / "README.md").read_text()
    assert json.loads((shop / "bundle" / "variants.json").read_text())
    golden = [json.loads(line)["inputs"] for line in (shop / "bundle" / "golden.jsonl").read_text().splitlines()]
    assert any("-- " in text for text in golden)  # as callers send them: preprocessing is a part of the proof


@pytest.mark.slow
def test_the_served_answers(shop: Path) -> None:
    """Preprocessing takes off what would mislead the model; postprocessing answers ``other`` where no label is sure."""
    with Predictor.open(shop / "bundle", threads=1) as predictor:
        signed, plain = predictor.predict([SIGNED, "where is my parcel?"])
        assert signed == [pytest.approx(each) for each in plain]
        assert signed[0]["label"] == "other"
        for answer in predictor.predict([text for text, _ in toy_rows()]):
            assert answer[0]["label"] == "other" or answer[0]["score"] >= 0.5
        assert len(predictor.predict(SIGNED, top_k=1)) == 1
        with pytest.raises(InputError, match=r"preprocessors\.without-signature leaves '' of the text"):
            predictor.predict("\n-- \nonly a signature")


@pytest.mark.slow
def test_over_http(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers the same; a refused text is 422, and code that fails on an answer is the server's own 500."""
    with TestClient(
        create_app(lambda: InferencePredictor.open(shop / "bundle")), raise_server_exceptions=False
    ) as client:
        answered = client.post("/predict", json={"inputs": SIGNED, "parameters": {"top_k": 1}})
        assert answered.json()[0][0]["label"] == "other"
        refused = client.post("/predict", json={"inputs": "\n-- \nonly a signature"})
        assert (refused.status_code, refused.json()["error_type"]) == (422, "validation")
        assert client.post("/explain", json={"inputs": SIGNED}).status_code == 422
        monkeypatch.setattr("shop_extensions.unsure.LEAST", "no number")
        failed = client.post("/predict", json={"inputs": SIGNED})
        assert failed.status_code == 500
        assert "unsure" not in failed.text


@pytest.mark.slow
def test_a_replay(shop: Path) -> None:
    """It repeats the run with the same code, bit by bit; where the code has changed it says so, and trains nothing."""
    again = replay(shop / "run", console=Console(quiet=True))
    assert {check.name for check in again.checks if check.differences} <= {"machine"}
    assert "extensions" in {check.name for check in again.checks}
    assert again.equal
    other = shutil.copytree(shop, shop.with_name("changed"))  # beside it: a run's paths are relative
    (other / "shop_extensions" / "poly1.py").write_text("def poly1(logits, labels): return (logits * 0).sum(dim=1)")
    script = (
        "from pathlib import Path\n"
        "from trainer.replay import replay\n"
        "found = replay(Path('run'))\n"
        "print(found.trained, [check.differences[0] for check in found.checks if check.name == 'extensions'])\n"
    )
    result = in_process(other, script)
    assert result.stdout.startswith("False ['losses.poly1.sha256: "), result.stderr


@pytest.mark.slow
def test_an_installed_package(shop: Path, tmp_path: Path) -> None:
    """The same code as a wheel has the same hash: the bundle serves where the package is installed, and there alone."""
    site = tmp_path / "site"
    source = shutil.copytree(EXAMPLES, tmp_path / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*command, str(site), str(source)], check=True, timeout=120, capture_output=True)
    verify = f"import tuneship, sys; sys.argv = ['tuneship', 'verify', {str(shop / 'bundle')!r}]; tuneship.main()"
    paths = environment().get("PYTHONPATH", "")
    found = in_process(tmp_path, verify, PYTHONPATH=f"{site}:{paths}")
    assert found.returncode == 0, found.stderr
    assert "golden answers hold here" in found.stdout
    missing = in_process(tmp_path, verify)
    told = " ".join(missing.stderr.split())
    assert missing.returncode == 1
    assert "Traceback" not in told
    assert "postprocessors.other-if-unsure of tuneship.toml is needed here. " in told
    assert "no installed package registers it" in told
    with (site / "shop_extensions" / "unsure.py").open("a") as file:
        file.write("# altered\n")
    altered = in_process(tmp_path, verify, PYTHONPATH=f"{site}:{paths}")
    assert altered.returncode == 1
    assert "its source has the sha256" in " ".join(altered.stderr.split())


@pytest.mark.slow
def test_a_changed_metric_is_no_longer_the_runs(shop: Path, tmp_path: Path) -> None:
    """An export holds the run to what it was trained with, and says what has changed."""
    other = shutil.copytree(shop, tmp_path / "other")
    with (other / "shop_extensions" / "f2.py").open("a") as file:
        file.write("\n")
    script = (
        "from export import export\n"
        "from serving.errors import InputError\n"
        "try: export('run', 'again', quiet=True)\n"
        "except InputError as error: print(error)\n"
    )
    result = in_process(other, script)
    assert "is not as it was trained: extensions.metrics.f2.sha256" in result.stdout, result.stderr


@pytest.mark.slow
def test_the_server_tells_at_its_start(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle whose code is not there does not open, however it is opened."""
    from serving.tasks import processing

    monkeypatch.setattr(processing, "load_step", processing.load_step.__wrapped__)
    monkeypatch.chdir(tmp_path)
    for golden_check in (True, False):
        with pytest.raises(BundleError, match=r"manifest\.json: .*is needed here.*docs/extensions\.md"):
            Predictor.open(shop / "bundle", golden_check=golden_check)
