"""The bundle: whatever differs from what the export wrote is found before anything of it is used."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST, Alternative, FileEntry
from serving.errors import BundleError
from serving.inference.predictor import Predictor
from tests.bundles import forge, manifest_of, seal

FILES = (
    MANIFEST, "model.onnx", "tokenizer.json", "golden.jsonl", "parity.json", "reference.json", "README.md",
    "bom.cdx.json", "calibration.svg",
)  # fmt: skip


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the fp32 bundle that a test may damage."""
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Replace a file's bytes by what ``change`` makes of them."""
    path.write_bytes(change(path.read_bytes()))


def test_opens(tiny_bundle: Path) -> None:
    """What the export wrote is opened, and every file but the manifest is named in it."""
    bundle = Bundle.open(tiny_bundle)
    assert {MANIFEST, *bundle.manifest.files} == set(FILES) == {path.name for path in tiny_bundle.iterdir()}
    assert len(bundle.golden) == bundle.manifest.golden.rows
    assert len(bundle.digest) == 64


def test_moved(bundle: Path, tmp_path: Path) -> None:
    """A bundle may be copied, moved and reached through a link: its identity stays."""
    (tmp_path / "link").symlink_to(bundle, target_is_directory=True)
    assert Bundle.open(tmp_path / "link").digest == Bundle.open(bundle).digest


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("name", FILES)
def test_flipped_byte(bundle: Path, name: str, place: str) -> None:
    """One flipped bit at the start, in the middle or at the end of any file is found, and the file is named."""
    path = bundle / name
    content = bytearray(path.read_bytes())
    content[{"first": 0, "middle": len(content) // 2, "last": -1}[place]] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=name):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("change", [lambda data: data + b"\n", lambda data: data[:-1], lambda data: b""])
def test_other_size(bundle: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """A file that grew, shrank or was emptied is found."""
    rewrite(bundle / name, change)
    with pytest.raises(BundleError, match=rf"{name} was altered.*Export the bundle again or copy it anew"):
        Bundle.open(bundle)


@pytest.mark.slow
def test_every_byte_of_the_manifest(bundle: Path) -> None:
    """No byte of the manifest can change unnoticed."""
    path = bundle / MANIFEST
    content = path.read_bytes()
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(BundleError, match=MANIFEST):
            Bundle.open(bundle)


@pytest.mark.parametrize("name", FILES[1:])
def test_missing(bundle: Path, name: str) -> None:
    """A missing file is named, with what to do."""
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=rf"{name} is missing\. Export the bundle again or copy it whole"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "model.onnx.data", "deep/er/file"])
def test_extra(bundle: Path, name: str) -> None:
    """A file that the manifest does not name is refused, wherever it lies."""
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_text("x")
    with pytest.raises(BundleError, match=f"{name} is not named in {MANIFEST}"):
        Bundle.open(bundle)


@pytest.mark.parametrize("kind", ["file", "folder", "dangling"])
def test_extra_link(bundle: Path, tmp_path: Path, kind: str) -> None:
    """A link that the manifest does not name is refused, whatever it leads to."""
    target = tmp_path / "target"
    if kind == "file":
        target.write_text("x")
    elif kind == "folder":
        target.mkdir()
    (bundle / "link").symlink_to(target)
    with pytest.raises(BundleError, match=f"link is not named in {MANIFEST}"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", FILES[1:])
def test_link(bundle: Path, tmp_path: Path, name: str) -> None:
    """A link in a file's place is refused even where it leads to the right bytes."""
    (bundle / name).rename(tmp_path / name)
    (bundle / name).symlink_to(tmp_path / name)
    with pytest.raises(BundleError, match=f"{name} is not a plain file inside the bundle"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", FILES)
def test_pipe(bundle: Path, name: str) -> None:
    """A pipe in a file's place is refused and never waited for, the manifest's too."""
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(BundleError, match=f"{name}"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "README.md", "parity.json"])
def test_sizes_are_compared_before_reading(bundle: Path, name: str) -> None:
    """A file of a terabyte in another's place is refused at once; its bytes would fill the memory."""
    os.truncate(bundle / name, 2**40)
    with pytest.raises(BundleError, match=f"{name} was altered"):
        Bundle.open(bundle)


def test_a_manifest_of_huge_files(bundle: Path) -> None:
    """A graph larger than any can be is refused, even where the manifest tells of it."""
    os.truncate(bundle / "model.onnx", 2**40)
    manifest = manifest_of(bundle)
    huge = manifest.files["model.onnx"].model_copy(update={"size": 2**40})
    files = {**manifest.files, "model.onnx": huge}
    (bundle / MANIFEST).write_bytes(manifest.model_copy(update={"files": files}).seal().to_bytes())
    with pytest.raises(BundleError, match="more than a file of its kind can have"):
        Bundle.open(bundle)


def test_a_file_of_tensors_may_be_larger_than_a_graph(tiny_split_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protobuf's limit is that of a graph."""
    sizes = {name: each.size for name, each in manifest_of(tiny_split_bundle).files.items()}
    monkeypatch.setattr("serving.bundle.bundle.MOST_BYTES_AT_ONCE", sizes["model.onnx.data"] - 1)
    assert (
        len(Bundle.open(tiny_split_bundle).read_graph("model.onnx").data["model.onnx.data"]) == sizes["model.onnx.data"]
    )


def test_link_inside(bundle: Path) -> None:
    """A link is refused even where it leads to another file of the bundle."""
    (bundle / "README.md").unlink()
    (bundle / "README.md").symlink_to("parity.json")
    with pytest.raises(BundleError, match=r"README\.md is not a plain file inside the bundle"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["../outside", "sub/../../outside", "/etc/hostname"])
def test_escape(bundle: Path, tmp_path: Path, name: str) -> None:
    """A manifest that names a file outside the bundle is refused, even where that file is the one it tells of."""
    (tmp_path / "outside").write_bytes(b"")
    entry = FileEntry(sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", size=0)
    manifest = manifest_of(bundle)
    escaping = manifest.model_copy(update={"files": {**manifest.files, name: entry}}).seal()
    (bundle / MANIFEST).write_bytes(escaping.to_bytes())
    with pytest.raises(BundleError, match=f"{name} is not a plain file inside the bundle"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "../bundle/model.onnx", MANIFEST, "absent"])
def test_read(tiny_bundle: Path, name: str) -> None:
    """Only files that the manifest names can be read, under the names it gives them."""
    bundle = Bundle.open(tiny_bundle)
    if name == "model.onnx":
        assert bundle.read(name) == (tiny_bundle / name).read_bytes()
        return
    with pytest.raises(BundleError, match="is not a plain file inside the bundle"):
        bundle.read(name)


def test_altered_after_opening(bundle: Path) -> None:
    """A file that is swapped between the check and its use is found when it is read."""
    opened = Bundle.open(bundle)
    rewrite(bundle / "model.onnx", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        Predictor(opened)


def test_alternatives(bundle: Path) -> None:
    """A bundle opened with a fallback first is the same bundle with that one's graph and recorded answers."""
    manifest = manifest_of(bundle)
    other = Alternative(
        graph=manifest.graph.model_copy(update={"variant": "other"}),
        golden=manifest.golden.model_copy(update={"tolerance": 0.5}),
        verdict=manifest.verdict,
        settings=manifest.settings,
    )
    seal(bundle, manifest.model_copy(update={"fallbacks": [other]}))
    opened = Bundle.open(bundle)
    (found,) = opened.alternatives
    assert (found.manifest.graph.variant, found.manifest.golden.tolerance) == ("other", 0.5)
    assert (found.digest, found.root) == (opened.digest, opened.root)


@pytest.mark.parametrize("version", [0, 3, "4", None])
def test_schema_version(bundle: Path, version: object) -> None:
    """A manifest of another schema is refused with both versions named."""
    content = json.loads((bundle / MANIFEST).read_bytes()) | {"schema_version": version}
    (bundle / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(BundleError, match=rf"schema version {version!r}; this Tuneship reads 4"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"\xff\xfe{}", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "has schema version None"),
        (b"null", "has schema version None"),
        (b"{}", "has schema version None"),
        (b'{"schema_version": 4}', r"name: Field required"),
    ],
)  # fmt: skip
def test_malformed_manifest(bundle: Path, content: bytes, message: str) -> None:
    """A manifest that is not JSON, or lacks what it must have, is a message that names it."""
    (bundle / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{MANIFEST}.*{message}"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"labels": [1]}, r"labels\.0: Input should be a valid string"),
        ({"settings": None}, "settings: Input should be a valid dictionary"),
        ({"files": {"model.onnx": {"sha256": "x", "size": 1}}}, r"files\.model\.onnx\.sha256"),
        ({"task": None}, "task: Input should be a valid string"),
    ],
)
def test_wrong_field(bundle: Path, change: dict[str, object], message: str) -> None:
    """A field that is unknown or of the wrong kind is named."""
    content = json.loads((bundle / MANIFEST).read_bytes()) | change
    (bundle / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(BundleError, match=message):
        Bundle.open(bundle)


@pytest.mark.parametrize("indent", [None, 2, 4])
def test_reserialised(bundle: Path, indent: int | None) -> None:
    """A manifest with the same content in other white space or order is not the one that was sealed."""
    content = json.loads((bundle / MANIFEST).read_bytes())
    (bundle / MANIFEST).write_text(json.dumps(content, indent=indent), encoding="utf-8")
    with pytest.raises(BundleError, match=f"{MANIFEST} was altered"):
        Bundle.open(bundle)


def test_stale_digest(bundle: Path) -> None:
    """A field edited by hand, in the canonical form, is found by the digest."""
    edited = manifest_of(bundle).model_copy(update={"name": "another"})
    (bundle / MANIFEST).write_bytes(edited.to_bytes())
    with pytest.raises(BundleError, match=f"{MANIFEST} was altered"):
        Bundle.open(bundle)


@pytest.mark.parametrize("kind", ["absent", "empty", "a file"])
def test_no_bundle(tmp_path: Path, kind: str) -> None:
    """A path that is no bundle gets the command that makes one."""
    path = tmp_path / "thing"
    if kind == "empty":
        path.mkdir()
    elif kind == "a file":
        path.write_text("x")
    found = f"there is no folder {path}" if kind == "absent" else f"{path} is not a bundle: it has no {MANIFEST}"
    with pytest.raises(BundleError, match=rf"^{re.escape(found)}\. .*tuneship export RUN"):
        Bundle.open(path)


def test_other_labels(tiny_bundle: Path, tmp_path: Path) -> None:
    """A sealed manifest with more labels than the graph has logits is refused when the graph is loaded."""
    forged = forge(tiny_bundle, tmp_path / "forged", labels=["a", "b", "c", "d", "e"])
    with pytest.raises(BundleError, match=r"model\.onnx gives 3 logits; the manifest says 5"):
        Predictor(Bundle.open(forged))


@pytest.mark.parametrize("graph", [{"inputs": ["input_ids"]}, {"output": "scores"}])
def test_other_signature(tiny_bundle: Path, tmp_path: Path, graph: dict[str, object]) -> None:
    """A graph that takes or gives something else than the manifest tells is refused."""
    forged = forge(tiny_bundle, tmp_path / "forged", graph=graph)
    with pytest.raises(
        BundleError, match=r"model\.onnx takes .*input_ids.* and gives .*logits.*; the manifest says otherwise"
    ):
        Predictor(Bundle.open(forged))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.onnx", "model.onnx cannot be loaded by onnxruntime"),
        ("tokenizer.json", "is not a tokenizer that this version can read"),
    ],
)
def test_junk_file(tiny_bundle: Path, tmp_path: Path, name: str, message: str) -> None:
    """A sealed bundle whose graph or tokenizer is junk is a message, not a traceback."""
    forged = forge(tiny_bundle, tmp_path / "forged", files={name: b"junk"})
    with pytest.raises(BundleError, match=message):
        Predictor(Bundle.open(forged))


def test_unknown_task(tiny_bundle: Path, tmp_path: Path) -> None:
    """A task that this version does not know is refused with those it knows."""
    forged = forge(tiny_bundle, tmp_path / "forged", task="os.system")
    with pytest.raises(BundleError, match=r"serves no task named 'os.system'; it serves: text-classification"):
        Predictor(Bundle.open(forged))


def test_digest_covers_files(tiny_bundle: Path, tmp_path: Path) -> None:
    """The bundle's identity changes with any file."""
    forged = forge(tiny_bundle, tmp_path / "forged", files={"README.md": b"# another card\n"})
    assert Bundle.open(forged).digest != Bundle.open(tiny_bundle).digest


def test_seal_is_stable(bundle: Path) -> None:
    """Sealing the same content again gives the same bytes."""
    before = (bundle / MANIFEST).read_bytes()
    seal(bundle, manifest_of(bundle))
    assert (bundle / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], r"golden\.jsonl has \d+ rows; manifest\.json tells of \d+"),
        (lambda lines: [*lines, lines[0]], r"golden\.jsonl has \d+ rows; manifest\.json tells of \d+"),
        (
            lambda lines: [lines[0], b'{"inputs": "x"}', *lines[2:]],
            r"golden\.jsonl, row 2 is not a recorded answer: input_ids: Field required\. Export the bundle again\.",
        ),
        (lambda lines: [b"", *lines[1:]], r"golden\.jsonl, row 1 is not a recorded answer"),
    ],
)
def test_recorded_answers(
    tiny_bundle: Path, tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    """Their number is the manifest's, and each is one; else the row is named."""
    lines = (tiny_bundle / "golden.jsonl").read_bytes().splitlines()
    content = b"".join(line + b"\n" for line in change(lines))
    with pytest.raises(BundleError, match=message):
        _ = Bundle.open(forge(tiny_bundle, tmp_path / "forged", files={"golden.jsonl": content})).golden


def test_the_baseline_of_drift(tiny_bundle: Path, tmp_path: Path) -> None:
    """A bundle may have none; one that is malformed is refused, and the field named."""
    assert sum(Bundle.open(tiny_bundle).reference.lengths) > 0  # type: ignore[union-attr]
    malformed = Bundle.open(forge(tiny_bundle, tmp_path / "malformed", files={"reference.json": b'{"outcomes": {}}'}))
    message = "reference.json is not a reference for drift: length_bounds: Field required. Export the bundle again."
    with pytest.raises(BundleError, match=f"^{re.escape(message)}$"):
        _ = malformed.reference
    without = forge(tiny_bundle, tmp_path / "without")
    (without / "reference.json").unlink()
    assert Bundle.open(seal(without, manifest_of(without))).reference is None
