"""The gradient of each single row.

Opacus' hooks compute those of a whole batch in one backward pass. They assume much of a model: every layer's first
dimension is the batch, every weight belongs to a layer that they know. So they are compared with one backward pass a
row before the training. Where any weight differs, each row of the training gets a backward pass of its own.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from serving.errors import InputError
from trainer.model.heads import Model

Batch = dict[str, Tensor]
RowLosses = Callable[[Tensor, Tensor, Sequence[int]], Tensor]
"""Of logits, labels and the number of labels' entries of each row."""

CLOSE, ROUNDING = 2e-3, 1e-6
"""How far a gradient may be off: of its own largest entry, and of the largest of all weights."""
MOVED = 0.02
"""The compared model's weights are so far from the first ones: adapters begin at zero, and have no gradient there."""
_NO_FAULT = "Full backward hook is firing when gradients are computed with respect to module outputs"
"""A warning of torch: the first layer reads token ids, which need no gradient."""


class RowGradients(Protocol):
    """Leaves ``grad_sample``, [rows, …], at each weight of ``weights``, and returns the rows' losses."""

    name: str
    weights: Sequence[nn.Parameter]

    def __call__(self, batch: Batch, sizes: Sequence[int]) -> Tensor: ...


class OneByOne:
    """A backward pass a row: right for every model, and slower."""

    name = "a backward pass for each"

    def __init__(self, model: Model, weights: Sequence[nn.Parameter], losses: RowLosses) -> None:
        self._model, self.weights, self._losses = model, weights, losses

    def __call__(self, batch: Batch, sizes: Sequence[int]) -> Tensor:
        parts = [self._gradient(row, size) for row, size in zip(split_rows(batch, sizes), sizes, strict=True)]
        by_weight = zip(*(gradients for _, gradients in parts), strict=True)
        for weight, gradients in zip(self.weights, by_weight, strict=True):
            weight.grad_sample = torch.stack(gradients)  # type: ignore[attr-defined]
        return torch.stack([loss for loss, _ in parts])

    def _gradient(self, row: Batch, size: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        inputs = dict(row)
        labels = inputs.pop("labels")
        loss = self._losses(self._model(**inputs)["logits"].float(), labels, [size]).sum()
        gradients = torch.autograd.grad(loss, list(self.weights), allow_unused=True)
        return loss.detach(), tuple(
            torch.zeros_like(weight) if gradient is None else gradient
            for weight, gradient in zip(self.weights, gradients, strict=True)
        )


class Hooked:
    """All rows of a batch in one backward pass, by Opacus' hooks."""

    name = "Opacus' hooks"

    def __init__(self, model: Model, weights: Sequence[nn.Parameter], losses: RowLosses) -> None:
        from opacus.grad_sample import GradSampleHooks

        self._model, self.weights, self._losses = model, weights, losses
        self._windows = 0
        self._handles = [model.register_forward_pre_hook(self._count_windows, with_kwargs=True)]
        self._handles += [
            layer.register_forward_pre_hook(self._repeat)
            for layer in model.modules()
            if isinstance(layer, nn.Embedding) and layer.weight.requires_grad
        ]
        with warnings.catch_warnings(action="ignore"):
            self._hooks = GradSampleHooks(model, loss_reduction="sum", strict=False)

    def __call__(self, batch: Batch, sizes: Sequence[int]) -> Tensor:
        inputs = dict(batch)
        labels = inputs.pop("labels")
        for weight in self.weights:
            weight.grad_sample = None  # type: ignore[attr-defined]
        losses = self._losses(self._model(**inputs)["logits"].float(), labels, sizes)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _NO_FAULT)
            losses.sum().backward()  # type: ignore[no-untyped-call]
        rows = rows_of_windows(sizes, len(inputs["input_ids"])).to(losses.device)
        for weight in self.weights:
            weight.grad = None
            weight.grad_sample = _sum_windows(weight, rows, len(sizes))  # type: ignore[attr-defined]
        return losses.detach()

    def remove(self) -> None:
        self._hooks.cleanup()
        for handle in self._handles:
            handle.remove()

    def _count_windows(self, model: nn.Module, _: tuple[Any, ...], inputs: dict[str, Any]) -> None:
        self._windows = len(inputs["input_ids"])

    def _repeat(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Numbers of places are often given once for all texts: Opacus would see one text."""
        ids, *others = inputs
        if ids.dim() > 1 and len(ids) == 1 and self._windows > 1 and self._model.training:
            return (ids.expand(self._windows, *ids.shape[1:]), *others)
        return None


def choose_gradients(
    model: Model, losses: RowLosses, batch: Batch, sizes: Sequence[int], most_rows: int
) -> RowGradients:
    """The faster way that gives the right gradients on ``batch``; raises InputError.

    Weights that get no gradient at all are frozen: noise would be all that they learn. Where no ``most_rows`` but one
    fit into memory, hooks would be of no use.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    with _same_modes(model), _moved(weights):
        _require_no_statistics(model, batch)
        _leave_dropout(model, weights)
        weights = _freeze_unused(model, weights, losses, batch, sizes)
        slow = OneByOne(model, weights, losses)
        if most_rows > 1:
            slow(batch, sizes)
            expected = [weight.grad_sample for weight in weights]  # type: ignore[attr-defined]
            fast = Hooked(model, weights, losses)
            if _equal(fast, batch, sizes, expected):
                return fast
            fast.remove()
    return slow


def split_rows(batch: Batch, sizes: Sequence[int]) -> Iterator[Batch]:
    """Each row's examples and windows."""
    labels, windows = len(batch["labels"]), len(batch["input_ids"])
    for end, size in zip(accumulate(sizes), sizes, strict=True):
        first, last = end - size, end
        yield {
            name: value[first:last] if name == "labels" else _windows_of(value, first, last, windows, labels)
            for name, value in batch.items()
        }


def rows_of_windows(sizes: Sequence[int], windows: int) -> Tensor:
    """The row of each window; all examples have equally many windows."""
    each = windows // max(1, sum(sizes))
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes) * each)


def _windows_of(value: Tensor, first: int, last: int, windows: int, labels: int) -> Tensor:
    """The decoder's inputs are as many as the labels, which are as many as the windows there."""
    each = windows // labels
    return value[first * each : last * each]


def _sum_windows(weight: nn.Parameter, rows: Tensor, count: int) -> Tensor:
    found: Tensor | None = weight.grad_sample  # type: ignore[attr-defined]
    if found is None:
        return weight.new_zeros((count, *weight.shape))
    if len(found) == count:
        return found
    return found.new_zeros((count, *weight.shape)).index_add_(0, rows, found)


def _require_no_statistics(model: Model, batch: Batch) -> None:
    """Raise InputError for a layer that keeps statistics of its batches, such as BatchNorm: no noise protects them."""
    before = {name: value.clone() for name, value in model.named_buffers()}
    model.train()
    with torch.no_grad():
        model(**{name: value for name, value in batch.items() if name != "labels"})
    changed = [name for name, value in model.named_buffers() if name in before and not value.equal(before[name])]
    if changed:
        raise InputError(
            f"model: {changed[0]} keeps statistics of the training rows, which no noise protects; give another base"
            " model, or train without privacy",
            field="model",
        )


def _freeze_unused(
    model: Model, weights: list[nn.Parameter], losses: RowLosses, batch: Batch, sizes: Sequence[int]
) -> list[nn.Parameter]:
    inputs = dict(batch)
    labels = inputs.pop("labels")
    loss = losses(model(**inputs)["logits"].float(), labels, sizes).sum()
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.requires_grad_(gradient is not None)
    return [weight for weight in weights if weight.requires_grad]


def _equal(fast: Hooked, batch: Batch, sizes: Sequence[int], expected: Sequence[Tensor]) -> bool:
    try:
        fast(batch, sizes)
    except (RuntimeError, ValueError, IndexError, AttributeError, TypeError, KeyError):
        return False  # not of the layers that Opacus knows
    found: list[Tensor] = [weight.grad_sample for weight in fast.weights]  # type: ignore[attr-defined]
    largest = max((float(right.abs().max()) for right in expected), default=0.0)
    return all(
        left.shape == right.shape
        and float((left - right).abs().max()) <= CLOSE * float(right.abs().max()) + ROUNDING * largest
        for left, right in zip(found, expected, strict=True)
    )


@contextlib.contextmanager
def _moved(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    before = [weight.detach().clone() for weight in weights]
    try:
        with torch.no_grad():
            for weight in weights:
                weight.add_(torch.randn_like(weight), alpha=MOVED)
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)


def _leave_dropout(model: Model, weights: Sequence[nn.Parameter]) -> None:
    """Layers with weights of their own are in training, as hooks act there alone, and all others in evaluation."""
    learning = {id(weight) for weight in weights}
    model.eval()
    for module in model.modules():
        own = module.parameters(recurse=False)
        module.training = module is model or any(id(weight) in learning for weight in own)


@contextlib.contextmanager
def _same_modes(model: Model) -> Iterator[None]:
    before = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training
