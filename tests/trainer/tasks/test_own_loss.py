"""A loss of the user's own: it gets what Tuneship's losses get, and must give a loss for each label."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from serving.errors import InputError
from tests.extending import work_in, write_local
from trainer.tasks.losses import softmax_loss
from trainer.tasks.own_loss import OwnLoss

CROSS_ENTROPY = """
from torch.nn.functional import cross_entropy

def mine(logits, labels):
    return cross_entropy(logits, labels, reduction="none")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    return work_in(monkeypatch, tmp_path)


def loss_of(folder: Path, source: str) -> OwnLoss:
    """The loss ``mine`` of a module."""
    write_local(folder, source, losses="mine")
    return OwnLoss.open("mine")


def test_of_class_numbers(folder: Path) -> None:
    """It is summed over texts, and over the tokens that have a tag."""
    loss, generator = loss_of(folder, CROSS_ENTROPY), torch.Generator().manual_seed(0)
    logits, labels = torch.randn(4, 3, generator=generator), torch.tensor([0, 2, 1, 1])
    assert loss(logits, labels) == pytest.approx(softmax_loss(logits, labels))
    tokens, tags = torch.randn(2, 5, 3, generator=generator), torch.full((2, 5), -100)
    tags[0, :3], tags[1, 1] = torch.tensor([0, 1, 2]), 2
    assert loss(tokens, tags) == pytest.approx(softmax_loss(tokens.flatten(0, 1), tags.flatten()))
    nothing = loss(tokens.requires_grad_(), torch.full((2, 5), -100))
    nothing.backward()
    assert float(nothing) == 0


def test_of_numbers(folder: Path) -> None:
    """Several labels, and numbers of a regression, come in the logits' shape and type."""
    loss = loss_of(folder, "def mine(logits, labels):\n    return (logits - labels).abs()\n")
    logits, labels = torch.tensor([[1.0, 0.0], [0.5, 2.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    assert float(loss(logits, labels)) == 3.5


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "def mine(logits, labels): return (logits - labels).mean()",
            r"gave a tensor of shape \[\] for 2 labels; a loss",
        ),
        ("def mine(logits, labels): return 0.5", "gave float for 2 labels"),
        ("def mine(logits): return logits", "failed on logits .*TypeError"),
        ("mine = None", "is no function"),
    ],
)
def test_a_function_that_fails(folder: Path, source: str, problem: str) -> None:
    """The message has the loss's name, and what is needed."""
    with pytest.raises(InputError, match=rf"losses\.mine of tuneship\.toml .*{problem}"):
        loss_of(folder, source)(torch.zeros(2, 1), torch.zeros(2, 1))
