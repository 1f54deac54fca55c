"""What a variant of the fp32 graph is, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.variants.calibration import Calibration
from serving.bundle.cpu import Arithmetic

BuildVariant = Callable[[Path, Path, Calibration], dict[str, Any]]
"""Writes a variant of the fp32 graph at the first path to the second; gives what a reader may want to know of it."""


@dataclass(frozen=True)
class Variant:
    """A way to write the graph.

    Attributes:
        name: as ``--variant`` and the manifest call it.
        about: what it is, in a few words.
        make: writes it.
        exact: its logits are the torch model's within rounding, so that the strict gate applies.
        row_independent: a row's answer does not depend on its neighbours. Dynamic int8 scales activations by the
            largest of the whole batch, so that it does; the predictor then runs each row alone.
        golden_tolerance: how far a logit may be off on another machine. Rounding to 8 bits can turn the last
            float bit, which differs between CPUs, into a whole quantization step.
        depends_on: what of the CPU decides its answers beyond rounding.
        generates: a generating model can be written so, too.
    """

    name: str
    about: str
    build: BuildVariant
    exact: bool
    row_independent: bool
    golden_tolerance: float
    depends_on: tuple[Arithmetic, ...] = ()
    generates: bool = False
