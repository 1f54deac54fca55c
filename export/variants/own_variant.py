"""A variant of the user's own: how it writes the graph, and what it promises (docs/extensions.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from export.variants.calibration import BuildVariant
from serving.bundle.cpu import Arithmetic
from serving.extensions.extension import Extension


@dataclass(frozen=True, kw_only=True)
class OwnVariant:
    """The proof holds it to its promises; only ``depends_on`` cannot be tested on one machine.

    Attributes:
        about: what it does to the weights, in a few words.
        build: writes the variant of the fp32 graph at the first path to the second, with what may be fitted to training
            rows; returns facts for ``variants.json``.
        exact: every answer equals the checkpoint's.
        row_independent: False: a row's answer depends on its batch, so that each row runs alone.
        golden_tolerance: largest change of a logit by batch neighbours, padding or another machine.
        depends_on: CPU properties that change answers beyond rounding: where a machine differs in them, it does not
            serve.
        generates: also for generating models.
    """

    about: str
    build: BuildVariant
    exact: bool
    row_independent: bool
    golden_tolerance: float
    depends_on: tuple[Arithmetic, ...]
    generates: bool = False


def open_variant(extension: Extension) -> OwnVariant:
    """Raises InputError unless the extension is one whose promises can be held."""
    variant = extension.value
    if not isinstance(variant, OwnVariant):
        raise extension.failure("is no OwnVariant; make one of export.variants.own_variant, with all of its promises")
    if not callable(variant.build):
        raise extension.failure("build is no function; give one of (source, target, calibration)")
    if not variant.golden_tolerance > 0:
        raise extension.failure(f"golden_tolerance is {variant.golden_tolerance!r}; a number above 0 is needed")
    if unknown := [name for name in variant.depends_on if name not in get_args(Arithmetic)]:
        accepted = ", ".join(get_args(Arithmetic))
        raise extension.failure(f"depends_on has {unknown[0]!r}; accepted are: {accepted}")
    return variant
