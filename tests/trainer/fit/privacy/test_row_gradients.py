"""The gradient of each row is the one that a backward pass of that row alone gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from serving.errors import InputError
from tests import tiny_generators
from tests.trainer.fit.privacy.private_toys import private_trainer
from trainer.fit.privacy.private_trainer import PrivateTrainer
from trainer.fit.privacy.row_gradients import Hooked, OneByOne, RowLosses, choose_gradients, split_rows
from trainer.fit.privacy.rows import collate_rows, take_sizes

LORA = {"trainable": "lora", "lora": {"r": 2}}
EVERY = [
    ("text-classification", {}), ("text-classification", LORA), ("text-classification", {"trainable": "classifier"}),
    ("text pairs", {}), ("multi-label-classification", {}), ("regression", {}), ("token-classification", {}),
    ("question-answering", {}), ("feature-extraction", {}), ("text-generation", {}), ("text2text-generation", LORA),
]  # fmt: skip
"""Which Opacus' hooks can do."""


def by_hand(trainer: PrivateTrainer, places: range) -> list[list[Tensor]]:
    """Each row's gradients, from a batch of its own."""
    found = []
    for place in places:
        batch = collate_rows([trainer.rows[place]], trainer.data_collator)
        sizes, labels = take_sizes(batch), batch.pop("labels")
        trainer.model.zero_grad()
        loss = trainer.row_losses(trainer.model(**batch)["logits"].float(), labels, sizes).sum()
        gradients = torch.autograd.grad(loss, list(trainer.gradients.weights), allow_unused=True)
        zeros = map(torch.zeros_like, trainer.gradients.weights)
        found.append([zero if each is None else each for each, zero in zip(gradients, zeros, strict=True)])
    return found


def require_gradients(trainer: PrivateTrainer, places: range) -> None:
    """Those that the trainer has left are the rows' own."""
    found: list[Tensor] = [weight.grad_sample for weight in trainer.gradients.weights]  # type: ignore[attr-defined]
    assert {len(each) for each in found} == {len(places)}
    for row, expected in enumerate(by_hand(trainer, places)):
        largest = max(float(each.abs().max()) for each in expected)
        assert largest > 0
        for each, right in zip(found, expected, strict=True):
            torch.testing.assert_close(each[row], right, rtol=2e-3, atol=2e-5 * largest)


def without_dropout(model: nn.Module) -> None:
    """In training, as hooks act there alone."""
    model.train()
    for module in model.modules():
        for name in ("p", "dropout", "attention_dropout", "dropout_rate"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("toy", "training"), EVERY, ids=lambda each: str(each))
def test_gradients_of_rows(toy: str, training: dict[str, Any], tiny_backbone: Path, tmp_path: Path) -> None:
    """Under every task, of pairs and of several windows, for all weights, adapters and the head alone."""
    made = {"text-generation": tiny_generators.make_gpt2, "text2text-generation": tiny_generators.make_t5}
    base = made[toy](tmp_path / "base") if toy in made else tiny_backbone
    trainer = private_trainer(tmp_path / "toy", base, toy, training=training)
    assert trainer.gradients.name == Hooked.name
    without_dropout(trainer.model)
    move(trainer)
    places = range(5)
    batch = collate_rows([trainer.rows[at] for at in places], trainer.data_collator)
    sizes = take_sizes(batch)
    assert toy != "question-answering" or max(sizes) > 1
    trainer.gradients(batch, sizes)
    require_gradients(trainer, places)


def move(trainer: PrivateTrainer) -> None:
    """Adapters begin at zero, where half of them have no gradient."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in trainer.gradients.weights:
            weight.add_(torch.randn_like(weight), alpha=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "training"),
    [
        ("text2text-generation", {}),  # T5's places have an embedding that knows no batch
        ("text-classification", {"trainable": "lora", "lora": {"r": 2, "use_dora": True}}),
    ],
)
def test_models_that_hooks_get_wrong(toy: str, training: dict[str, Any], tiny_backbone: Path, tmp_path: Path) -> None:
    """Their rows get a backward pass each, which is right as well."""
    base = tiny_generators.make_t5(tmp_path / "base") if "2" in toy else tiny_backbone
    trainer = private_trainer(tmp_path / "toy", base, toy, training=training)
    assert trainer.gradients.name == OneByOne.name
    without_dropout(trainer.model)
    batch = collate_rows([trainer.rows[at] for at in range(2)], trainer.data_collator)
    trainer.gradients(batch, take_sizes(batch))
    require_gradients(trainer, range(2))


class Small(nn.Module):
    """Token vectors, a layer of choice, and their mean."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.vectors, self.layer, self.unused = nn.Embedding(9, 4), layer, nn.Linear(2, 2)

    def forward(self, input_ids: Tensor) -> dict[str, Tensor]:
        """Logits [rows, 4]."""
        return {"logits": self.layer(self.vectors(input_ids).mean(1))}


BATCH = {"input_ids": torch.tensor([[1, 2], [3, 4], [5, 6]]), "labels": torch.tensor([0, 1, 2])}


def losses(logits: Tensor, labels: Tensor, sizes: list[int]) -> Tensor:
    """Of each row."""
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def choose(layer: nn.Module, most_rows: int = 3) -> tuple[Any, Small]:
    """For a small model with this layer."""
    model: Any = Small(layer)
    each: RowLosses = losses  # type: ignore[assignment]
    return choose_gradients(model, each, BATCH, [1, 1, 1], most_rows), model


def test_statistics_of_batches() -> None:
    """A layer that keeps some is refused: its buffers would be published without noise."""
    with pytest.raises(InputError, match=r"layer.running_mean keeps statistics of the training rows"):
        choose(nn.BatchNorm1d(4))


class OfBatches(nn.Linear):
    """Subtracts the batch's mean, and keeps nothing."""

    def forward(self, vectors: Tensor) -> Tensor:
        """Rows depend on each other."""
        return super().forward(vectors - vectors.mean(0, keepdim=True))


def test_rows_that_depend_on_each_other() -> None:
    """They are kept apart: each gets a backward pass of its own."""
    assert choose(OfBatches(4, 4))[0].name == OneByOne.name


def test_weights_that_no_text_reaches() -> None:
    """They are frozen, as noise would be all that they learn."""
    gradients, model = choose(nn.Linear(4, 4))
    assert gradients.name == Hooked.name
    assert not model.unused.weight.requires_grad
    assert len(gradients.weights) == 3


def test_choosing_changes_nothing() -> None:
    """The first weights and the modes of the layers stay."""
    model: Any = Small(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)))
    model.layer.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    choose_gradients(model, losses, BATCH, [1, 1, 1], 3)  # type: ignore[arg-type]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes


def test_memory_for_one_row() -> None:
    """Where one row's gradients fill it, hooks are not tried."""
    assert choose(nn.Linear(4, 4), most_rows=1)[0].name == OneByOne.name


def test_rows_of_a_batch() -> None:
    """A row has its examples, and all windows of each."""
    batch = {"input_ids": torch.arange(8).reshape(8, 1), "labels": torch.arange(4)}
    rows = list(split_rows(batch, [1, 2, 1]))
    assert [row["labels"].tolist() for row in rows] == [[0], [1, 2], [3]]
    assert [row["input_ids"].flatten().tolist() for row in rows] == [[0, 1], [2, 3, 4, 5], [6, 7]]
