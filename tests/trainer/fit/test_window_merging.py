"""Of texts in several windows, the loss and its gradient are those of the texts' merged logits, in bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from serving.tasks.windows import Aggregation
from trainer.fit.window_merging import MergingModel

COUNTS = torch.tensor([1, 4, 2, 1])


class Counting(nn.Module):
    """A head with dropout that notes how many windows it is given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.classifier = nn.Linear(5, 3)
        self.given: list[int] = []

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        self.given.append(len(input_ids))
        masked = input_ids * attention_mask
        return {"logits": self.classifier(masked)}


def inputs() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"input_ids": torch.rand(8, 5), "attention_mask": torch.ones(8, 5)}


def gradient_of(model: Counting, logits: Tensor) -> Tensor:
    model.zero_grad()
    logits.square().sum().backward()
    assert model.classifier.weight.grad is not None
    return model.classifier.weight.grad.clone()


@pytest.mark.parametrize("how", ["mean", "max"])
@pytest.mark.parametrize("at_once", [3, 4, 8, 100])
def test_logits_of_texts(how: Aggregation, at_once: int) -> None:
    """However many windows are in memory at once, logits and gradients are the same."""
    model = Counting()
    merged = MergingModel(model, COUNTS, how, at_once)(**inputs())["logits"]
    windows = model(**inputs())["logits"].split(COUNTS.tolist())
    expected = torch.stack([each.mean(0) if how == "mean" else each.max(0).values for each in windows])
    assert torch.allclose(merged, expected)
    assert torch.allclose(gradient_of(model, merged), gradient_of(model, expected), atol=1e-6)


def test_only_so_many_windows_at_once() -> None:
    """Those that are left over come first, and are computed again for their gradient; the last part never is."""
    model = Counting()
    logits = MergingModel(model, COUNTS, "mean", 3)(**inputs())["logits"]
    assert model.given == [2, 3, 3]
    gradient_of(model, logits)
    assert model.given == [2, 3, 3, 3, 2]


def test_dropout_is_the_same_when_windows_are_computed_again() -> None:
    """The gradient is that of the loss that was seen."""

    class Dropping(Counting):
        def forward(self, **columns: Any) -> dict[str, Tensor]:
            kept = nn.functional.dropout(columns["input_ids"], 0.5)
            self.seen = [*getattr(self, "seen", []), kept.detach()]
            return {"logits": self.classifier(kept)}

    model = Dropping()
    gradient_of(model, MergingModel(model, COUNTS, "mean", 4)(**inputs())["logits"])
    first, last, again = model.seen
    assert torch.equal(first, again)
    assert not torch.equal(first, last)
