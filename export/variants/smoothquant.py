"""How a group's activations and weights are put into 8 bits: the choice that changes its outputs least.

Activations get one scale a tensor, fixed beforehand, so that a row is rounded alike whatever lies beside it. A few
channels are far larger than the rest; dividing each channel by s and multiplying the weights' rows by s leaves the
product as it is and spreads the 8 bits over the channels (SmoothQuant: Xiao et al. 2023; s = |x|^a / |w|^(1-a), of each
channel's largest values). Both a and how much of the range is cut off are found by trying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, helper

from export.variants.calibration import Feeds, session_of
from export.variants.linear_layers import Array, Group

ALPHAS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CLIPS = (1.0, 0.9, 0.8)
MOST_TOKENS = 2048
SMALLEST = 1e-5


@dataclass(frozen=True)
class Range:
    """How activations are quantized: divided by ``smoothing`` [channels], then to uint8 by scale and zero point.

    Attributes:
        smoothing: None: all ones.
    """

    alpha: float
    clip: float
    smoothing: Array | None
    scale: np.float32
    zero_point: np.uint8

    def rounded(self, values: Array) -> Array:
        """What is left of smoothed activations after 8 bits."""
        zero = np.float32(self.zero_point)
        steps: Array = np.clip(np.rint(values / self.scale) + zero, 0, 255) - zero
        return steps * self.scale


def observe(model: ModelProto, groups: Sequence[Group], feeds: Feeds) -> dict[str, Array]:
    """Each group's activations, [tokens, channels]: of all tokens where they are few, else of some drawn by seed."""
    names = [group.input for group in groups]
    watched = ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session, seen = session_of(watched), [list[Array]() for _ in names]
    for feed in feeds:
        for rows, values in zip(seen, session.run(names, feed), strict=True):
            rows.append(values.reshape(-1, values.shape[-1]))
    return {name: _some(np.concatenate(rows)) for name, rows in zip(names, seen, strict=True)}


def best_range(group: Group, seen: Array) -> Range:
    """The range under which the group's outputs are nearest to those in float32, by mean squared difference."""
    weight = group.weight
    wanted = seen @ weight
    tried = [(alpha, clip) for alpha in ALPHAS for clip in CLIPS]
    errors = {}
    for alpha in ALPHAS:
        smoothing = _smoothing(seen, weight, alpha)
        values, rounded = seen / smoothing, rounded_weight(weight * smoothing[:, None])
        for clip in CLIPS:
            found = _range(values, alpha, clip, smoothing).rounded(values) @ rounded
            errors[alpha, clip] = float(np.mean((found - wanted) ** 2))
    alpha, clip = min(tried, key=errors.__getitem__)
    smoothing = _smoothing(seen, weight, alpha)
    return _range(seen / smoothing, alpha, clip, smoothing)


def rounded_weight(weight: Array) -> Array:
    """What is left of a weight after 8 bits, one scale an output channel."""
    quantized, scale = quantized_weight(weight)
    return quantized.astype(np.float32) * scale


def quantized_weight(weight: Array) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int8]], Array]:
    """int8 [inputs, outputs] and a scale an output channel, symmetric."""
    scale = np.maximum(np.abs(weight).max(axis=0) / 127, 1e-12).astype(np.float32)
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8), scale


def facts(ranges: Mapping[str, Range]) -> dict[str, dict[str, float]]:
    """What was chosen for each group."""
    return {name: {"alpha": each.alpha, "clip": each.clip} for name, each in ranges.items()}


def _smoothing(seen: Array, weight: Array, alpha: float) -> Array:
    if alpha == 0:
        return np.ones(seen.shape[1], dtype=np.float32)
    large = np.maximum(np.abs(seen).max(axis=0), SMALLEST) ** alpha
    found = large / np.maximum(np.abs(weight).max(axis=1), SMALLEST) ** (1 - alpha)
    smoothing: Array = (found / np.exp(np.log(found).mean())).astype(np.float32)
    return smoothing


def _range(values: Array, alpha: float, clip: float, smoothing: Array) -> Range:
    low, high = min(float(values.min()) * clip, 0.0), max(float(values.max()) * clip, SMALLEST)
    scale = np.float32((high - low) / 255)
    zero_point = np.uint8(np.clip(np.rint(-low / scale), 0, 255))
    return Range(alpha, clip, smoothing if alpha else None, scale, zero_point)


def _some(rows: Array) -> Array:
    """At most MOST_TOKENS rows, among them those that hold a channel's largest value: ranges hang on them."""
    if len(rows) <= MOST_TOKENS:
        return rows
    extreme = np.unique(np.abs(rows).argmax(axis=0))[: MOST_TOKENS // 2]
    drawn = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(len(rows)), extreme))
    some: Array = rows[np.concatenate([extreme, drawn[: MOST_TOKENS - len(extreme)]])]
    return some
