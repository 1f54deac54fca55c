"""Layers of 4 bits: what of a backbone gets them, that they learn nothing, and that fp32 layers compute the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from serving.errors import InputError
from tests import tiny, tiny_generators
from tests.toys import write_toy
from tests.trainer.model.four_bits.installed import needs_bitsandbytes
from tests.zoo import FAMILIES
from trainer.model.checkpoint import build_model
from trainer.model.four_bits.backbone import is_quantised
from trainer.model.four_bits.library import layer_class
from trainer.model.heads import Model, backbone_of
from trainer.model.trainable import choose_weights, merge_adapters
from trainer.recipe.recipe import load_recipe
from trainer.recipe.training import Lora
from trainer.setup.training_setup import prepare_setup

pytestmark = needs_bitsandbytes

IDS = {"input_ids": torch.tensor([[5, 6, 7, 8]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}


def build(folder: Path, base: Path, toy: str = "text-classification", **lora: Any) -> tuple[Model, list[str]]:
    """A model whose frozen weights have 4 bits, and the names of those that it had before."""
    folder.mkdir(exist_ok=True)
    training = {"trainable": "lora", "lora": {"r": 2, "load_in_4bit": True, **lora}}
    setup = prepare_setup(load_recipe(write_toy(folder, base, toy, training=training)), folder)
    model = build_model(setup.base, setup.model_spec, setup.splits.labels).eval()
    plain = sorted(model.state_dict())
    choose_weights(model, setup.recipe.training)
    return model, plain


def logits(model: Model, **more: Tensor) -> Tensor:
    """Of one short text."""
    found: Tensor = model(**IDS, **more)["logits"]
    return found


def bits_of(layer: nn.Module) -> Tensor:
    """A copy; of floats, some would equal none."""
    return layer.weight.data.view(torch.uint8).clone()  # type: ignore[operator, union-attr]


def learn(model: Model, **more: Tensor) -> None:
    """Two steps: the first one moves one of an adapter's two matrices alone."""
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        logits(model, **more).pow(2).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@pytest.mark.parametrize("use_dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize(
    ("toy", "make"),
    [("text-classification", tiny.make_backbone), ("text2text-generation", tiny_generators.make_t5)],
    ids=["bert", "t5"],
)
def test_merged_in_fp32(tmp_path: Path, toy: str, make: Callable[[Path], Path], use_dora: bool) -> None:
    """After learning, merged fp32 weights answer as 4-bit ones with adapters do, and not as if rounded again."""
    model, plain = build(tmp_path, make(tmp_path / "base"), toy, use_dora=use_dora)
    more = {"labels": torch.tensor([[7, 8]])} if toy == "text2text-generation" else {}
    frozen = [each for each in model.modules() if isinstance(each, layer_class())]
    before = [bits_of(layer) for layer in frozen]
    first = logits(model, **more)
    learn(model, **more)
    adapted = logits(model, **more)
    assert not torch.allclose(first, adapted, atol=1e-3)
    assert frozen
    assert all(torch.equal(bits_of(layer), bits) for layer, bits in zip(frozen, before, strict=True))
    merge_adapters(model)
    assert sorted(model.state_dict()) == plain
    assert not is_quantised(backbone_of(model))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert torch.allclose(logits(model, **more), adapted, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "GPT-2"])
def test_every_family(tmp_path: Path, family: str) -> None:
    """Some models read a layer's weights, or cast to their type, beside calling it."""
    model, plain = build(tmp_path, FAMILIES[family](tmp_path / "base"))
    learn(model)
    adapted = logits(model)
    merge_adapters(model)
    assert sorted(model.state_dict()) == plain
    assert torch.allclose(logits(model), adapted, rtol=1e-4, atol=1e-4)


def test_states_leave_frozen_weights_out(tiny_backbone: Path, tmp_path: Path) -> None:
    """A state has what learns and what is no linear layer; a model made anew from the base takes it, to the bit."""
    model, _ = build(tmp_path / "a", tiny_backbone)
    learn(model)
    state = model.state_dict()
    frozen = {name for name, each in model.named_modules() if isinstance(each, layer_class())}
    assert not [name for name in state if name.rpartition(".")[0] in frozen]
    again, _ = build(tmp_path / "b", tiny_backbone)
    again.load_state_dict(state)
    assert torch.equal(logits(again), logits(model))


@pytest.mark.parametrize("options", [{}, {"bnb_4bit_quant_type": "fp4"}, {"bnb_4bit_use_double_quant": False}])
def test_each_option_acts(options: dict[str, Any]) -> None:
    """nf4, fp4 and the scales' precision give other weights, all of them near the first ones and in 4 bits."""
    torch.manual_seed(0)
    linear = nn.Linear(128, 96)
    layer = layer_class().of(linear, Lora(load_in_4bit=True, **options).resolve())
    found = layer.to_linear()
    assert layer.weight.nbytes * 8 == 4 * linear.weight.numel()
    assert 0 < (found.weight - linear.weight).abs().max() < 0.03
    usual = layer_class().of(linear, Lora(load_in_4bit=True).resolve()).to_linear()
    assert torch.equal(found.weight, usual.weight) is not bool(options)


def test_precision() -> None:
    """An evaluation computes in what it is given, training in that of autocast; both as the fp32 layer does."""
    layer = layer_class().of(nn.Linear(64, 64), Lora(load_in_4bit=True).resolve()).eval()
    plain, x = layer.to_linear(), torch.randn(3, 64)
    with torch.no_grad():
        assert torch.equal(layer(x), plain(x))
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
            assert torch.equal(layer(x), plain(x))
        assert torch.equal(layer(x), plain(x))  # no kernel has packed the weights anew


def test_no_linear_layers(tmp_path: Path) -> None:
    """GPT-2 has layers of its own, which bitsandbytes does not know."""
    with pytest.raises(InputError, match="GPT2Model has no linear layer that could have 4 bits; leave it out"):
        build(tmp_path, tiny_generators.make_gpt2(tmp_path / "base"), "text-generation")
