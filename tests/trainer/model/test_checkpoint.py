"""The classifier and its checkpoint: what is saved is what is loaded, in the library's own formats."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from serving.bundle.manifest import Limits
from serving.errors import InputError
from serving.tasks.text_classification import TextClassification, TextClassificationSettings
from tests.trainer.conftest import MakeRecipe, fit
from trainer.model.base_model import find_base_model
from trainer.model.checkpoint import ModelSpec, build_model, load_checkpoint, load_tokenizer, save_checkpoint
from trainer.model.heads import Dense, PooledClassifier, mean_of_tokens
from trainer.run.run import Run

LABELS = ["no", "yes", "perhaps"]
TASK = TextClassification(LABELS, TextClassificationSettings(pair=True), Limits())
POOLINGS = ["mean", "cls"]


def model_spec(pooling: str, logits: int = 3) -> ModelSpec:
    return ModelSpec("sequence", pooling, logits)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_round_trip(tiny_backbone: Path, tmp_path: Path, pooling: str) -> None:
    """A saved and loaded classifier gives the same logits to the last bit, and keeps labels, settings and length."""
    torch.manual_seed(0)
    model = build_model(find_base_model(str(tiny_backbone)), model_spec(pooling), LABELS).eval()
    save_checkpoint(model, model_spec(pooling), TASK, load_tokenizer(tiny_backbone, 20), tmp_path / "checkpoint")
    loaded = load_checkpoint(tmp_path / "checkpoint")
    batch = loaded.tokenizer(["refund", "where is my order 17?"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        assert torch.equal(loaded.model(**batch)["logits"], model(**batch)["logits"])
    assert (loaded.labels, loaded.max_length) == (LABELS, 20)
    assert (loaded.model_spec, loaded.task.name, loaded.task.settings) == (
        model_spec(pooling),
        TASK.name,
        TASK.settings,
    )


def test_a_head_of_several_layers_comes_back(tiny_backbone: Path, tmp_path: Path) -> None:
    """Pooled, two dense layers, length 1, a classifier: the same logits to the last bit."""
    torch.manual_seed(0)
    spec = ModelSpec("sequence", "cls+max", 3, dense=(Dense(64, 16, False, "gelu"), Dense(16, 8)), normalized=True)
    base = find_base_model(str(tiny_backbone))
    model = build_model(base, replace(spec, dense=()), LABELS).eval()
    model = PooledClassifier(model.backbone, "cls+max", 3, dense=spec.dense, normalized=True).eval()
    save_checkpoint(model, spec, TASK, load_tokenizer(tiny_backbone), tmp_path / "checkpoint")
    loaded = load_checkpoint(tmp_path / "checkpoint")
    batch = loaded.tokenizer(["refund", "where is my order 17?"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        assert torch.equal(loaded.model(**batch)["logits"], model(**batch)["logits"])
    assert loaded.model_spec == spec
    assert set(load_file(tmp_path / "checkpoint" / "head.safetensors")) == {
        "dense.0.0.weight", "dense.1.0.weight", "dense.1.0.bias", "weight", "bias",
    }  # fmt: skip


@pytest.mark.parametrize("pooling", POOLINGS)
def test_files(tiny_backbone: Path, tmp_path: Path, pooling: str) -> None:
    """A checkpoint is safetensors and JSON; a head of our own has a file, and task.json says what it all is for."""
    model = build_model(find_base_model(str(tiny_backbone)), model_spec(pooling), LABELS)
    save_checkpoint(model, model_spec(pooling), TASK, load_tokenizer(tiny_backbone), tmp_path / "checkpoint")
    names = {path.name for path in (tmp_path / "checkpoint").iterdir()}
    library = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert names == library | {"task.json"} | ({"head.safetensors"} if pooling == "mean" else set())
    config = json.loads((tmp_path / "checkpoint" / "config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "yes", "2": "perhaps"}
    assert config["label2id"] == {"no": 0, "yes": 1, "perhaps": 2}


def test_loads_elsewhere(tiny_run: Run) -> None:
    """AutoModel loads the backbone with no weight missing, and the head is one linear layer."""
    from transformers import AutoModel

    _, info = AutoModel.from_pretrained(tiny_run.checkpoint, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["mismatched_keys"]
    head = load_file(tiny_run.checkpoint / "head.safetensors")
    assert {name: tuple(value.shape) for name, value in head.items()} == {"weight": (3, 32), "bias": (3,)}
    facts = json.loads((tiny_run.checkpoint / "task.json").read_text())
    assert facts["labels"] == ["cancel", "refund", "track"]
    assert {facts[name] for name in ("task", "head", "pooling")} == {"text-classification", "sequence", "mean"}
    assert (facts["logits"], facts["normalized"]) == (3, False)


@pytest.mark.slow
def test_cls_run(toy: MakeRecipe, tmp_path: Path) -> None:
    """A run with the library's own head ends in what AutoModelForSequenceClassification loads."""
    from transformers import AutoModelForSequenceClassification

    run = fit(toy(model_head={"pooling": "cls"}), tmp_path / "run")
    _, info = AutoModelForSequenceClassification.from_pretrained(run.checkpoint, output_loading_info=True)
    assert not info["missing_keys"]
    assert load_checkpoint(run.checkpoint).labels == run.read_record()["labels"]


def test_attention(tiny_run: Run) -> None:
    """The export may ask for eager attention; the answers stay the same."""
    eager, other = (load_checkpoint(tiny_run.checkpoint, kind) for kind in ("eager", None))
    assert eager.model.backbone.config._attn_implementation == "eager"  # type: ignore[union-attr]
    batch = eager.tokenizer(["refund order 17", "stop"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        assert torch.allclose(eager.model(**batch)["logits"], other.model(**batch)["logits"], atol=1e-5)


def test_mean_of_tokens() -> None:
    """Padding has no part in the mean, whatever its vectors hold."""
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [99.0, -99.0]]])
    assert mean_of_tokens(hidden, torch.tensor([[1, 1, 0]])).tolist() == [[2.0, 3.0]]
    assert mean_of_tokens(hidden, torch.tensor([[0, 0, 0]])).tolist() == [[0.0, 0.0]]


def test_padding(tiny_run: Run) -> None:
    """A text gets the same logits alone and padded beside a longer one."""
    checkpoint = load_checkpoint(tiny_run.checkpoint)
    alone = checkpoint.tokenizer(["refund"], return_tensors="pt")
    beside = checkpoint.tokenizer(["refund", "where is my parcel, please?"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        first, second = (checkpoint.model(**batch)["logits"][0] for batch in (alone, beside))
    assert torch.allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_fresh_head(tiny_backbone: Path, tmp_path: Path, pooling: str) -> None:
    """A classifier's checkpoint as base model lends its backbone, never its head."""
    torch.manual_seed(0)
    first = build_model(find_base_model(str(tiny_backbone)), model_spec(pooling), LABELS)
    save_checkpoint(first, model_spec(pooling), TASK, load_tokenizer(tiny_backbone), tmp_path / "first")
    torch.manual_seed(1)
    second = build_model(find_base_model(str(tmp_path / "first")), model_spec(pooling), LABELS)
    before, after = first.state_dict(), second.state_dict()
    fresh = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.removeprefix("model.") for name in fresh} == {"classifier.weight"}


def test_other_number_of_labels(tiny_backbone: Path, tmp_path: Path) -> None:
    """A base model that was a classifier of three labels becomes one of two."""
    base = find_base_model(str(tiny_backbone))
    three = build_model(base, model_spec("cls"), LABELS)
    save_checkpoint(three, model_spec("cls"), TASK, load_tokenizer(tiny_backbone), tmp_path / "three")
    two = build_model(find_base_model(str(tmp_path / "three")), model_spec("cls", 2), ["a", "b"])
    assert two.state_dict()["model.classifier.weight"].shape == (2, 32)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_half_a_backbone(tiny_backbone: Path, tmp_path: Path, pooling: str) -> None:
    """Weights that leave a part of the backbone random are refused."""
    from safetensors.torch import save_file

    broken = Path(shutil.copytree(tiny_backbone, tmp_path / "broken"))
    kept = {name: value for name, value in load_file(broken / "model.safetensors").items() if "layer.1" not in name}
    save_file(kept, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"16 weights are not in its safetensors file, .*such as .*layer\.1"):
        build_model(find_base_model(str(broken)), model_spec(pooling), LABELS)


def test_tokenizer_constraints(tiny_backbone: Path) -> None:
    """Truncation and padding that a tokenizer.json carries are taken off."""
    stored = json.loads((tiny_backbone / "tokenizer.json").read_text())
    assert stored["truncation"]["max_length"] == 12
    tokenizer = load_tokenizer(tiny_backbone)
    assert len(tokenizer("refund " * 30)["input_ids"]) == 32
    assert len(tokenizer("refund")["input_ids"]) == 3


def test_no_tokenizer(tiny_backbone: Path, tmp_path: Path) -> None:
    """A base model without a tokenizer is refused in words."""
    bare = Path(shutil.copytree(tiny_backbone, tmp_path / "bare"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (bare / name).unlink()
    with pytest.raises(InputError, match="the tokenizer has no vocabulary; choose another base model"):
        load_tokenizer(bare)


def test_no_checkpoint(tmp_path: Path) -> None:
    """A folder without a checkpoint is refused in words."""
    with pytest.raises(InputError, match=r"has no config\.json"):
        load_checkpoint(tmp_path)


def test_no_task(tiny_run: Run, tmp_path: Path) -> None:
    """A model's folder that no run made says nothing of a task, and is refused in words."""
    shutil.copytree(tiny_run.checkpoint, tmp_path / "bare")
    (tmp_path / "bare" / "task.json").unlink()
    with pytest.raises(InputError, match=r"has no task\.json; give the checkpoint of a run"):
        load_checkpoint(tmp_path / "bare")


def test_a_task_of_an_earlier_version(tiny_run: Run, tmp_path: Path) -> None:
    """What was added since has its default; what is left out, or unknown, is told."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_run.checkpoint, folder)
    content = json.loads((folder / "task.json").read_text())
    earlier = {key: value for key, value in content.items() if key != "library_head"}
    (folder / "task.json").write_text(json.dumps(earlier | {"settings": {**content["settings"], "clip": 2048}}))
    assert load_checkpoint(folder).model_spec == load_checkpoint(tiny_run.checkpoint).model_spec
    for broken in ({"task": "text-classification"}, content | {"settings": {"odd": 1}}, [], content | {"task": "odd"}):
        (folder / "task.json").write_text(json.dumps(broken))
        with pytest.raises(InputError, match=r"task\.json: is no task\.json of this version \(.*train the run again"):
            load_checkpoint(folder)
