"""A bundle appears whole and proven, or not at all."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import load_file, save_file
from starlette.testclient import TestClient
from transformers import AutoModel
from typer.testing import CliRunner

import export.workspace
from export.exporter import ProofFailed, export_run
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from stores.folders import check_output
from tests import tiny
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import weight_hashes
from trainer.run.run import Run
from trainer.train import train
from tuneship import app


@pytest.fixture
def own_run(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy of the tiny run that a test may change."""
    return Run(shutil.copytree(tiny_run.root, tmp_path / "run"))


@pytest.fixture
def leaky_bundle(tiny_backbone: Path, tmp_path: Path) -> Path:
    """Of a run whose test texts are among the training texts."""
    path = tiny.write_recipe(tmp_path, tiny_backbone, data={"test": "test.csv"}, training={"num_train_epochs": 1})
    tiny.write_csv(tmp_path / "test.csv", tiny.toy_rows()[::4])
    run = train(load_recipe(path), tmp_path / "run", console=Console(file=io.StringIO()))
    return export_run(run, tmp_path / "bundle").bundle


def test_the_bundle_has_the_files_of_its_contract(tiny_bundle: Path) -> None:
    """Exactly the files of the contract, all named in the manifest."""
    names = {path.name for path in tiny_bundle.iterdir()}
    assert names == {
        "manifest.json", "model.onnx", "tokenizer.json", "golden.jsonl", "parity.json", "reference.json", "README.md",
        "bom.cdx.json", "calibration.svg",
    }  # fmt: skip
    assert set(Bundle.open(tiny_bundle).manifest.files) == names - {"manifest.json"}


def test_the_manifest_names_its_sources(tiny_bundle: Path, tiny_run: Run) -> None:
    """The manifest names the run's weights by hash, the data's fingerprint, versions and the machine."""
    manifest = Bundle.open(tiny_bundle).manifest
    assert manifest.model["checkpoint"] == weight_hashes(tiny_run)
    assert manifest.data == tiny_run.read_record()["data"]
    assert {"torch", "onnxruntime", "tokenizers"} <= manifest.versions.keys()
    assert manifest.proven_on["architecture"]
    assert manifest.verdict.passed


def test_parity_json_has_every_figure(tiny_bundle: Path) -> None:
    """parity.json agrees with the manifest's verdict and lists the gates with measured and accepted values."""
    record = json.loads((tiny_bundle / "parity.json").read_text())
    verdict = Bundle.open(tiny_bundle).manifest.verdict
    assert record["passed"] is True
    assert record["max_abs_logit_difference"] == verdict.max_abs_logit_difference
    assert all(gate["passed"] and gate["accepted"] for gate in record["gates"])


def test_the_card_shows_the_proofs_figures(tiny_bundle: Path) -> None:
    """README.md is a model card whose accuracy is the proof's."""
    card = (tiny_bundle / "README.md").read_text()
    accuracy = json.loads((tiny_bundle / "parity.json").read_text())["score"]
    assert card.startswith("---\nlibrary_name: onnx\npipeline_tag: text-classification")
    assert f"| test accuracy, as served | {accuracy:.2%} |" in card


def test_the_checkpoints_backbone_loads_with_automodel(tiny_run: Run) -> None:
    """The checkpoint is safetensors and JSON, and transformers loads its backbone without missing weights."""
    suffixes = {path.suffix for path in tiny_run.checkpoint.iterdir()}
    assert suffixes <= {".safetensors", ".json", ".txt"}
    _, info = AutoModel.from_pretrained(tiny_run.checkpoint, output_loading_info=True)
    assert not info["missing_keys"]


def test_int8_is_smaller(tiny_bundle: Path, tiny_int8_bundle: Path, tiny_dynamic_bundle: Path) -> None:
    """Both int8 graphs are smaller than fp32; the manifest says that dynamic int8 runs rows alone."""
    for bundle, independent in ((tiny_int8_bundle, True), (tiny_dynamic_bundle, False)):
        assert (bundle / "model.onnx").stat().st_size < (tiny_bundle / "model.onnx").stat().st_size
        assert Bundle.open(bundle).manifest.graph.row_independent is independent


@pytest.mark.slow
def test_a_failed_proof_writes_a_report_and_keeps_the_older_bundle(
    own_run: Run, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message and the report say why; the older bundle is unchanged."""
    older = Path(shutil.copytree(tiny_bundle, tmp_path / "out" / "bundle"))
    monkeypatch.setattr("export.proof.gates.MAX_LOGIT_DIFFERENCE", 1e-12)
    with pytest.raises(ProofFailed, match=r"(?s)no bundle was written.*largest logit difference: measured"):
        export_run(own_run, older)
    assert list((tmp_path / "out").iterdir()) == [older]
    assert Bundle.open(older).digest == Bundle.open(tiny_bundle).digest
    assert json.loads((own_run.root / "failed-parity-fp32.json").read_text())["worst_rows"]


@pytest.mark.slow
def test_weights_changed_behind_the_reference_fail(
    own_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the checkpoint changes between the conversion and the proof, the proof notices."""
    convert = export.workspace.write_graphs

    def convert_then_change(*arguments: object) -> object:
        graphs = convert(*arguments)  # type: ignore[arg-type]
        head = load_file(own_run.checkpoint / "head.safetensors")
        save_file({name: tensor * 1.5 for name, tensor in head.items()}, own_run.checkpoint / "head.safetensors")
        return graphs

    monkeypatch.setattr(export.workspace, "write_graphs", convert_then_change)
    with pytest.raises(ProofFailed, match="largest logit difference"):
        export_run(own_run, tmp_path / "bundle")


def test_a_run_is_held_to_its_lock(own_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows taken out of the test set are found before anything is converted."""
    lines = own_run.evaluation.read_text().splitlines(keepends=True)
    own_run.evaluation.write_text("".join(lines[2:]))
    monkeypatch.setattr(export.workspace, "write_graphs", None)
    with pytest.raises(InputError, match=r"evaluation\.jsonl\.rows: 18 in the lock, 16 in the folder"):
        export_run(own_run, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_trainings_warnings_travel(leaky_bundle: Path) -> None:
    """A test set that was seen in training is told by manifest, card, /info and verify."""
    [warning] = [each for each in Bundle.open(leaky_bundle).manifest.data_warnings if "in the training set too" in each]
    assert warning == "14 of 18 test texts are in the training set too"
    assert f"- {warning}\n" in (leaky_bundle / "README.md").read_text()
    predictor = Predictor.open(leaky_bundle)
    with TestClient(create_app(lambda: predictor)) as client:
        assert warning in client.get("/info").json()["data_warnings"]
    result = CliRunner().invoke(app, ["verify", str(leaky_bundle)])
    assert f"! training data: {warning}" in result.output


@pytest.mark.slow
def test_an_older_bundle_is_replaced(tiny_run: Run, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """Exporting onto a bundle replaces it as a whole."""
    target = Path(shutil.copytree(tiny_int8_bundle, tmp_path / "bundle"))
    export_run(tiny_run, target)
    assert Predictor.open(target).manifest.graph.variant == "fp32"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_something_else_at_the_target_is_left_alone(kind: str, tmp_path: Path) -> None:
    """A file, or a folder with something else, is rejected before any work and not touched."""
    target = tmp_path / "mine"
    if kind == "folder":
        target.mkdir()
        (target / "thesis.txt").write_text("years of work")
    else:
        target.write_text("years of work")
    with pytest.raises(InputError, match="is not a bundle"):
        check_output(target)


def test_an_unknown_variant_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    """The message lists the accepted variants."""
    with pytest.raises(InputError, match=r"no variant 'fp4'; accepted are: fp32, int8"):
        export_run(tiny_run, tmp_path / "bundle", "fp4")


@pytest.mark.slow
def test_the_librarys_own_head_is_exported_too(tiny_backbone: Path, tmp_path: Path) -> None:
    """With CLS pooling, the library's own classifier is exported and proven like ours."""
    recipe = load_recipe(tiny.write_recipe(tmp_path, tiny_backbone, model_head={"pooling": "cls"}))
    run = train(recipe, tmp_path / "run", console=Console(file=io.StringIO()))
    assert not (run.checkpoint / "head.safetensors").exists()
    assert export_run(run, tmp_path / "bundle").parity.passed
