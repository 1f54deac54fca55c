"""Finds the 8-bit range of a group with the smallest change of its outputs.

A few channels are far larger than the rest. Dividing each by s, and multiplying the weights' rows by s, keeps the
product (SmoothQuant: Xiao et al. 2023; s = |x|^a / |w|^(1-a), of each channel's largest values). A grid search finds a,
and how much of the range is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.variants.linear_layers import Array, Group

ALPHAS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CLIPS = (1.0, 0.9, 0.8)
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


def search_range(group: Group, activations: Array) -> Range:
    """The range with the smallest mean squared difference of the group's outputs."""
    weights = group.weight
    exact = activations @ weights
    best, smallest = None, np.inf
    for alpha in ALPHAS:
        smoothing = _smoothing(activations, weights, alpha)
        values, weight = activations / smoothing, round_weight(weights * smoothing[:, None])
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
