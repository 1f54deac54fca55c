"""Dropout by fewer random numbers is dropout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.fit.machine.dropout import QuarterDropout, quicken_dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_values(dtype: torch.dtype, p: float) -> None:
    """Each value is dropped with probability p, whatever its neighbours are, and the others are scaled."""
    torch.manual_seed(0)
    found = QuarterDropout(p)(torch.ones(400_000, dtype=dtype)).float()
    assert (
        set(found.unique().tolist()) == {0.0, float(torch.tensor(1 / (1 - p), dtype=dtype))} or dtype == torch.float32
    )
    assert found.max().item() == pytest.approx(1 / (1 - p), rel=1e-2)
    dropped = (found.view(-1, 4) == 0).double()
    assert dropped.mean(0).tolist() == pytest.approx([p] * 4, abs=0.01)
    neighbours = torch.cov(dropped.T) - torch.diag(dropped.var(0))
    assert neighbours.abs().max() < 0.01


def test_gradient() -> None:
    """It is the mask that the values had."""
    torch.manual_seed(0)
    values = torch.ones(101, requires_grad=True)
    found = QuarterDropout(0.3)(values)
    found.sum().backward()
    assert torch.equal(values.grad, found.detach())


def test_same_state() -> None:
    """The same state of torch's generator gives the same mask, as a resumed run needs."""
    values, dropout = torch.ones(3, 5, 7), QuarterDropout(0.5)
    torch.manual_seed(3)
    first, state = dropout(values), torch.get_rng_state()
    second = dropout(values)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(dropout(values), second)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_all_or_nothing(p: float) -> None:
    assert torch.equal(QuarterDropout(p)(torch.ones(9)), torch.full((9,), 1 - p))


def test_put_in_place() -> None:
    """Every plain dropout of a model, in the mode that it was in, and nothing else; evaluation drops nothing."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.2)), nn.Dropout2d(0.3)).eval()
    names = model.state_dict().keys()
    quicken_dropout(model)
    found = model[1][0]
    assert (type(found), found.p, found.training) == (QuarterDropout, 0.2, False)
    assert type(model[2]) is nn.Dropout2d
    assert model.state_dict().keys() == names
    assert torch.equal(found(torch.ones(8)), torch.ones(8))
