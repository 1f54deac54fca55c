"""Folders of sentence-transformers: their vectors are those that the folder asks for, or the reader is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.bundles import trained_bundle
from trainer.model.base_model import find_base_model
from trainer.model.checkpoint import ModelSpec, build_model, load_tokenizer
from trainer.model.heads import Dense, head_of
from trainer.model.sentence_modules import read_modules
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup

MakeFolder = Callable[..., Path]
TANH = {"in_features": 32, "out_features": 8, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}
POOLING, DENSE, NORMALIZE = "models.Pooling", "sentence_transformer.modules.dense.Dense", "models.Normalize"


@pytest.fixture
def make(tiny_backbone: Path, tmp_path: Path) -> MakeFolder:
    """A copy of the tiny base model with these modules; a Dense has the config TANH with changes, and its weights."""

    def make_folder(*kinds: str, pooling: Any = None, pickled: bool = False, **dense: Any) -> Path:
        folder = Path(shutil.copytree(tiny_backbone, tmp_path / "sentences"))
        modules = [
            {"type": f"sentence_transformers.{kind}", "path": f"{at}_{kind.rpartition('.')[2]}" if at else ""}
            for at, kind in enumerate(("models.Transformer", *kinds))
        ]
        (folder / "modules.json").write_text(json.dumps(modules))
        if pooling:
            (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        for module in modules:
            if module["type"].endswith("Dense"):
                write_dense(folder / module["path"], TANH | dense, pickled)
        return folder

    return make_folder


def write_dense(folder: Path, config: dict[str, Any], pickled: bool) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    if pickled:
        (folder / "pytorch_model.bin").touch()
        return
    torch.manual_seed(1)
    width = 64 if config["in_features"] == 64 else 32
    weights = {"linear.weight": torch.randn(8, width), "linear.bias": torch.randn(8)}
    save_file(weights if config["bias"] else {"linear.weight": weights["linear.weight"]}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode": ["cls", "max"]}, "cls+max"),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}, "max"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "mean_sqrt_len_tokens"),
        ({"pooling_mode_weightedmean_tokens": True}, "weightedmean"),
        ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
         "cls+mean+last"),
    ],
)  # fmt: skip
def test_pooling_is_read_under_old_and_new_names(make: MakeFolder, said: dict[str, Any], expected: str) -> None:
    """Several stand one after the other, in the order of sentence-transformers."""
    assert read_modules(make(POOLING, pooling=said)).pooling == expected


def test_layers_behind_the_pooling_are_read(make: MakeFolder) -> None:
    """Dense with its weights' file, and the length of 1; dropout is for training."""
    found = read_modules(make(POOLING, DENSE, "models.Dropout", NORMALIZE))
    assert (found.pooling, found.dense, found.normalized) == ("mean", (Dense(32, 8),), True)
    assert [path.parent.name for path in found.weights] == ["2_Dense"]
    assert found.unsupported == ()


@pytest.mark.parametrize(
    ("kinds", "dense", "named"),
    [
        ((POOLING, "models.LSTM"), {}, "a LSTM module"),
        ((POOLING, DENSE), {"activation_function": "os.system"}, "activation_function 'os.system'"),
        ((POOLING, DENSE), {"activation_function": "torch.nn.modules.activation.Mish"}, "activation_function"),
        ((POOLING, DENSE), {"activation_function": "mine.Tanh"}, "activation_function 'mine.Tanh'"),
        ((POOLING, DENSE), {"use_residual": True}, "use_residual: True"),
        ((POOLING, DENSE), {"module_input_name": "token_embeddings"}, "module_input_name: 'token_embeddings'"),
        ((POOLING, DENSE), {"pickled": True}, "no model.safetensors in 2_Dense, and pickled weights are never read"),
        ((POOLING, NORMALIZE, DENSE), {}, "Normalize before it"),
        ((POOLING,), {"pooling": {"pooling_mode": "median"}}, "pooling 'median'"),
    ],
)
def test_what_is_not_done_is_named(make: MakeFolder, kinds: tuple[str, ...], dense: dict[str, Any], named: str) -> None:
    """Nothing of it is imported or unpickled."""
    (found,) = read_modules(make(*kinds, **dense)).unsupported
    assert named in found


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"out_features": 9}, "its config.json says"),
        ({"bias": False}, None),
        ({"in_features": 0}, "in_features: 0 is no whole number from 1"),
        ({"in_features": 10**9}, "in_features: 1000000000 is no whole number from 1"),
    ],
)
def test_a_layers_weights_are_those_of_its_config(
    make: MakeFolder, changes: dict[str, Any], problem: str | None
) -> None:
    """In shape, before anything of that size is made."""
    folder = make(POOLING, DENSE, **changes)
    if problem is None:
        assert read_modules(folder).dense == (Dense(32, 8, bias=False),)
        return
    with pytest.raises(InputError, match=problem):
        read_modules(folder)


def test_a_module_lies_in_the_folder(make: MakeFolder) -> None:
    """No path leads out of it."""
    folder = make(POOLING)
    (folder / "modules.json").write_text(json.dumps([{"type": "x.Dense", "path": "../2_Dense"}]))
    with pytest.raises(InputError, match=r"'../2_Dense' is no name of a folder beside it"):
        read_modules(folder)


def test_a_layer_that_gets_another_width_is_refused(make: MakeFolder) -> None:
    """Such as two poolings before a layer for one."""
    folder = make(POOLING, DENSE, pooling={"pooling_mode": ["cls", "mean"]})
    with pytest.raises(InputError, match="takes vectors of 32 numbers, and gets 64"):
        find_base_model(str(folder))


def test_vectors_are_those_of_the_folder(make: MakeFolder) -> None:
    """Pooled, through the dense layer with its own weights, and of length 1."""
    base = find_base_model(str(make(POOLING, DENSE, NORMALIZE, pooling={"pooling_mode": "max"})))
    spec = ModelSpec("vector", "max", 1, normalized=True, dense=base.modules.dense)
    model = build_model(base, spec, []).eval()
    batch = load_tokenizer(base.folder)(["refund", "where is my order 17?"], padding=True, return_tensors="pt")
    torch.manual_seed(1)
    weight, bias = torch.randn(8, 32), torch.randn(8)

    with torch.inference_mode():
        hidden, mask = model.backbone(**batch).last_hidden_state, batch["attention_mask"].bool()  # type: ignore[operator]
        largest = torch.stack([tokens[own].max(dim=0).values for tokens, own in zip(hidden, mask, strict=True)])
        expected = torch.nn.functional.normalize(torch.tanh(largest @ weight.T + bias), dim=-1)
        assert torch.allclose(model(**batch)["logits"], expected, atol=1e-6)
    assert head_of(model) == []  # the layer is no fresh head: it learns as slowly as the backbone


@pytest.mark.slow
def test_dense_layers_go_through_the_proof(make: MakeFolder, tmp_path: Path) -> None:
    """They are trained, saved, exported and served with the vectors."""
    folder = make(POOLING, DENSE, NORMALIZE, pooling={"pooling_mode": ["max", "weightedmean"]}, in_features=64)
    torch.manual_seed(1)
    save_file(
        {"linear.weight": torch.randn(8, 64), "linear.bias": torch.randn(8)}, folder / "2_Dense/model.safetensors"
    )
    predictor = Predictor.open(trained_bundle("feature-extraction", folder, tmp_path, num_train_epochs=1))
    assert predictor.manifest.verdict.passed
    assert len(predictor.predict(["where is my order 17?"])[0]) == 8


def test_another_pooling_leaves_the_layers_out(make: MakeFolder, tmp_path: Path) -> None:
    """They belong to the folder's own; a resolved recipe, which names that one, keeps them."""
    folder = make(POOLING, DENSE)

    def dense(**sections: Any) -> tuple[Dense, ...]:
        from tests import tiny

        return prepare_setup(load_recipe(tiny.write_recipe(tmp_path, folder, **sections)), tmp_path).model_spec.dense

    assert dense() == dense(model_head={"pooling": "mean"}) == (Dense(32, 8),)
    assert dense(model_head={"pooling": "last"}) == ()
