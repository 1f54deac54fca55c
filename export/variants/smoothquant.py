"""Finds the 8-bit range of a group with the smallest change of its outputs.

A few channels are far larger than the rest. Dividing each by s, and multiplying the weights' rows by s, keeps the
product (SmoothQuant: Xiao et al. 2023; s = |x|^a / |w|^(1-a), of each channel's largest values). A grid search finds a,
and how much of the range is clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, helper

from export.variants.calibration import Feeds, create_single_thread_session
from export.variants.linear_layers import Array, Group

ALPHAS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CLIPS = (1.0, 0.9, 0.8)
MAX_TOKENS = 2048
SMALLEST = 1e-5


@dataclass(frozen=True)
class Range:
    """How activations become uint8: divided by ``smoothing`` [channels], then by scale and zero point."""

    alpha: float
    clip: float
    smoothing: Array | None
    scale: np.float32
    zero_point: np.uint8

    def round(self, values: Array) -> Array:
        """Quantized, and back in float32."""
        zero = np.float32(self.zero_point)
        steps: Array = np.clip(np.rint(values / self.scale) + zero, 0, 255) - zero
        return steps * self.scale


def observe_activations(model: ModelProto, groups: Sequence[Group], feeds: Feeds) -> dict[str, Array]:
    """Each group's input, [tokens, channels]."""
    names = [group.input for group in groups]
    observed = ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session, collected = create_single_thread_session(observed), [list[Array]() for _ in names]
    for feed in feeds:
        for rows, values in zip(collected, session.run(names, feed), strict=True):
            rows.append(values.reshape(-1, values.shape[-1]))
    return {name: _sample_tokens(np.concatenate(rows)) for name, rows in zip(names, collected, strict=True)}


def search_range(group: Group, activations: Array) -> Range:
    """The range with the smallest mean squared difference of the group's outputs."""
    exact = activations @ group.weight
    best, smallest = None, np.inf
    for alpha in ALPHAS:
        smoothing = _smoothing(activations, group.weight, alpha)
        values, weight = activations / smoothing, round_weight(group.weight * smoothing[:, None])
        for candidate in (_create_range(values, alpha, clip, smoothing) for clip in CLIPS):
            error = float(np.mean((candidate.round(values) @ weight - exact) ** 2))
            if best is None or error < smallest:
                best, smallest = candidate, error
    assert best
    return best


def round_weight(weight: Array) -> Array:
    """Quantized, and back in float32."""
    quantized, scale = quantize_weight(weight)
    return quantized.astype(np.float32) * scale


def quantize_weight(weight: Array) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int8]], Array]:
    """Symmetric int8 [inputs, outputs], and a scale by output."""
    scale = np.maximum(np.abs(weight).max(axis=0) / 127, 1e-12).astype(np.float32)
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8), scale


def _smoothing(activations: Array, weight: Array, alpha: float) -> Array:
    if alpha == 0:
        return np.ones(activations.shape[1], dtype=np.float32)
    large = np.maximum(np.abs(activations).max(axis=0), SMALLEST) ** alpha
    factors = large / np.maximum(np.abs(weight).max(axis=1), SMALLEST) ** (1 - alpha)
    smoothing: Array = (factors / np.exp(np.log(factors).mean())).astype(np.float32)
    return smoothing


def _create_range(values: Array, alpha: float, clip: float, smoothing: Array) -> Range:
    low, high = min(float(values.min()) * clip, 0.0), max(float(values.max()) * clip, SMALLEST)
    scale = np.float32((high - low) / 255)
    zero_point = np.uint8(np.clip(np.rint(-low / scale), 0, 255))
    return Range(alpha, clip, smoothing if alpha else None, scale, zero_point)


def _sample_tokens(rows: Array) -> Array:
    """Includes each channel's largest value."""
    if len(rows) <= MAX_TOKENS:
        return rows
    extreme = np.unique(np.abs(rows).argmax(axis=0))[: MAX_TOKENS // 2]
    others = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(len(rows)), extreme))
    sample: Array = rows[np.concatenate([extreme, others[: MAX_TOKENS - len(extreme)]])]
    return sample
