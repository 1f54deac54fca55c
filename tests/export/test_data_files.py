"""Bundles whose graphs have data files: each is hashed, signed, listed and read as every other file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from export.bundle.own import OwnBundle
from export.sign import sign_with_key
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST
from serving.errors import BundleError
from serving.inference.predictor import Predictor
from tests.bundles import forge, manifest_of, seal
from tests.keys import make_keys
from tests.serving.processes import get, serving
from tests.test_cli import assert_refused, tuneship
from trainer.run.run import Run

DATA = "model.onnx.data"
DATA_FILES = (DATA, "model.fp32.onnx.data")


@pytest.fixture
def bundle(tiny_split_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(tiny_split_bundle, tmp_path / "bundle")


def flip(path: Path) -> None:
    """Alter one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_manifest_names_them(tiny_split_bundle: Path, tiny_fallback_bundle: Path) -> None:
    """A graph and its fallback have a file of tensors each; beside these the bundle is the one without."""
    opened = Bundle.open(tiny_split_bundle)
    assert [each.manifest.graph.data for each in (opened, *opened.alternatives)] == [[DATA], [DATA_FILES[1]]]
    assert opened.manifest.files.keys() - Bundle.open(tiny_fallback_bundle).manifest.files.keys() == set(DATA_FILES)
    assert sum(opened.manifest.files[name].size for name in DATA_FILES) > 100_000


def test_each_variant_answers_as_with_one_file(tiny_split_bundle: Path, tiny_fallback_bundle: Path) -> None:
    """Recorded answers are those of the bundle without data files, and are reproduced."""
    split, whole = Bundle.open(tiny_split_bundle), Bundle.open(tiny_fallback_bundle)
    for ours, theirs in zip((split, *split.alternatives), (whole, *whole.alternatives), strict=True):
        assert [row.logits for row in ours.golden] == [row.logits for row in theirs.golden]
        assert Predictor(ours).replay_golden() == 0.0


def test_the_exporter_reads_its_own_files(tiny_split_bundle: Path, tiny_fallback_bundle: Path) -> None:
    """Loaded from the files, in one or two, graphs answer as those that are loaded from checked bytes."""
    for folder in (tiny_split_bundle, tiny_fallback_bundle):
        own = OwnBundle.open(folder)
        for each in (own, *own.alternatives):
            assert each.read_graph(each.manifest.graph.file).content == b""
            assert Predictor(each).replay_golden() == 0.0


def test_the_onnx_package_reads_it(tiny_split_bundle: Path) -> None:
    """Other tools find the tensors by the names in the graphs."""
    for name in ("model.onnx", "model.fp32.onnx"):
        onnx.checker.check_model(str(tiny_split_bundle / name))


def test_the_bill_of_materials_lists_them(tiny_split_bundle: Path) -> None:
    """With their hashes."""
    bill = json.loads((tiny_split_bundle / "bom.cdx.json").read_bytes())
    listed = {each["name"]: each["hashes"][0]["content"] for each in bill["metadata"]["component"]["components"]}
    files = manifest_of(tiny_split_bundle).files
    assert {name: listed[name] for name in DATA_FILES} == {name: files[name].sha256 for name in DATA_FILES}


@pytest.mark.slow
def test_it_is_served(tiny_split_bundle: Path, tmp_path: Path) -> None:
    """A server answers with them, in a folder that has none of them."""
    with serving(tiny_split_bundle, folder=tmp_path) as server:
        status, body = get(f"{server.url}/info")
    assert (status, json.loads(body)["variant"]) == (200, "int8")


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA_FILES)
def test_an_altered_one_is_refused(bundle: Path, name: str) -> None:
    """When the bundle is opened, and by the command."""
    flip(bundle / name)
    with pytest.raises(BundleError, match=rf"{name} was altered"):
        Bundle.open(bundle)
    assert_refused(tuneship("verify", bundle), name, "was altered")


def test_one_that_is_altered_later_is_refused(bundle: Path) -> None:
    """After the check, before the session is made: the bytes that were hashed are those that run."""
    opened = Bundle.open(bundle)
    flip(bundle / DATA)
    with pytest.raises(BundleError, match=rf"{DATA} was altered"):
        Predictor(opened)


def test_one_that_is_altered_while_it_serves_changes_nothing(bundle: Path) -> None:
    """The session has the bytes in memory, not the file."""
    predictor = Predictor(Bundle.open(bundle))
    (bundle / DATA).write_bytes(bytes((bundle / DATA).stat().st_size))
    (bundle / DATA).unlink()
    assert predictor.replay_golden() == 0.0


def test_the_signature_covers_them(bundle: Path, tmp_path: Path) -> None:
    """A data file that was altered and hashed anew is not the one that was signed."""
    keys = make_keys(tmp_path / "keys")
    sign_with_key(bundle, keys.private)
    assert Predictor.open(bundle, trusted_key=keys.public)
    flip(bundle / DATA)
    seal(bundle, manifest_of(bundle))
    with pytest.raises(BundleError, match=r"is not the file that was signed"):
        Predictor.open(bundle, trusted_key=keys.public)


def test_the_recorded_answers_cover_them(bundle: Path) -> None:
    """Other weights, hashed anew, are found by the first recorded answer."""
    (bundle / DATA).write_bytes(bytes((bundle / DATA).stat().st_size))
    seal(bundle, manifest_of(bundle))
    with pytest.raises(BundleError, match=r"golden\.jsonl, row 1"):
        Predictor(Bundle.open(bundle)).replay_golden()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, f"{DATA} is missing"),
        (lambda path: path.rename(path.with_name("other")), f"{DATA} is missing"),
        (lambda path: (path.unlink(), path.mkdir()), f"{DATA} is missing"),
        (lambda path: (path.unlink(), path.symlink_to(path.with_name("model.fp32.onnx.data"))), "is not a plain file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), f"{DATA} was altered"),
    ],
)
def test_one_that_is_no_longer_there(bundle: Path, damage: Callable[[Path], object], message: str) -> None:
    """Missing, renamed, a folder, a link, or shorter."""
    damage(bundle / DATA)
    with pytest.raises(BundleError, match=message):
        Bundle.open(bundle)


def test_a_shorter_file_that_is_sealed(tiny_split_bundle: Path, tmp_path: Path) -> None:
    """A tensor past the end of its file is refused."""
    content = (tiny_split_bundle / DATA).read_bytes()
    forged = forge(tiny_split_bundle, tmp_path / "forged", files={DATA: content[:-8]})
    with pytest.raises(BundleError, match=rf"in the file '{DATA}' at offset '\d+' with length '\d+'; the file has"):
        Bundle.open(forged)


@pytest.mark.parametrize("data", [[], ["model.fp32.onnx.data"], ["absent"], ["../bundle/model.onnx.data"]])
def test_the_manifest_names_another(tiny_split_bundle: Path, tmp_path: Path, data: list[str]) -> None:
    """A graph may read only what the manifest names for it."""
    forged = forge(tiny_split_bundle, tmp_path / "forged", graph={"data": data})
    with pytest.raises(BundleError, match=r"which manifest\.json does not name for it|is not a plain file"):
        Bundle.open(forged)


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "-4096"},
        {"offset": "0x0"},
        {"offset": "9" * 30},
        {"length": "1e3"},
        {"length": ""},
        {"location": f"./{DATA}"},
        {"location": f"{DATA}/"},
        {"location": MANIFEST},
        {"checksum": "0"},
    ],
)
def test_other_places(tiny_split_bundle: Path, tmp_path: Path, entries: dict[str, str]) -> None:
    """Numbers that are none, other spellings of the file's name, files for another use, unknown keys."""
    model = onnx.load(str(tiny_split_bundle / "model.onnx"), load_external_data=False)
    tensor = next(each for each in model.graph.initializer if each.external_data)
    merged = {each.key: each.value for each in tensor.external_data} | entries
    tensor.ClearField("external_data")
    for key, value in merged.items():
        tensor.external_data.add(key=key, value=value)
    forged = forge(tiny_split_bundle, tmp_path / "forged", files={"model.onnx": model.SerializeToString()})
    with pytest.raises(BundleError, match=r"model\.onnx keeps '.+' in the file"):
        Bundle.open(forged)


@pytest.mark.slow
def test_a_pair_of_graphs(task_run: Callable[[str], Run], tmp_path: Path) -> None:
    """Encoder and decoder have a data file each."""
    from export.exporter import export_run

    bundle = export_run(task_run("text2text-generation"), tmp_path / "bundle", max_bytes=0).bundle
    opened = Bundle.open(bundle)
    assert opened.manifest.graph.data == ["encoder.onnx.data", "decoder.onnx.data"]
    assert list(opened.read_graph("encoder.onnx").data) == ["encoder.onnx.data"]
    flip(bundle / "decoder.onnx.data")
    with pytest.raises(BundleError, match=r"decoder\.onnx\.data was altered"):
        Bundle.open(bundle)
