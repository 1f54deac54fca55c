"""What a variant is, and the variants there are."""

from __future__ import annotations

from dataclasses import dataclass

from export.variants import simple
from export.variants.calibration import BuildVariant
from export.variants.static_int8 import static_int8
from serving.bundle.cpu import Arithmetic
from serving.errors import InputError


@dataclass(frozen=True)
class Variant:
    """A way to write the graph, and its promises; the proof's gates hold it to them.

    Attributes:
        name: for ``--variant`` and the manifest.
        about: a description of a few words.
        exact: its logits equal the torch model's within rounding, so that the strict gates apply.
        row_independent: a row's answer does not depend on the batch. Dynamic int8 scales activations by the largest
            of the batch, so the predictor runs each of its rows alone.
        golden_tolerance: largest accepted difference of a logit on another machine. Float rounding differs between
            CPUs, and rounding to 8 bits can turn it into a whole quantization step.
        depends_on: CPU properties that change its answers beyond rounding.
        generates: generating models can be written this way too.
    """

    name: str
    about: str
    build: BuildVariant
    exact: bool
    row_independent: bool
    golden_tolerance: float
    depends_on: tuple[Arithmetic, ...] = ()
    generates: bool = False


FP32 = Variant(
    "fp32", "the trained weights as they are", simple.fp32,
    exact=True, row_independent=True, golden_tolerance=1e-4, generates=True,
)  # fmt: skip
DYNAMIC_INT8 = Variant(
    "int8-dynamic", "8-bit weights and activations, scaled anew for each row", simple.dynamic_int8,
    exact=False, row_independent=False, golden_tolerance=0.1, depends_on=("int8-dot-product",), generates=True,
)  # fmt: skip
OTHERS = (
    Variant(
        "int8", "8-bit weights and activations, scales fixed by calibration", static_int8,
        exact=False, row_independent=True, golden_tolerance=0.1, depends_on=("int8-dot-product",),
    ),
    DYNAMIC_INT8,
    Variant(
        "int8-weights", "8-bit weights in blocks", simple.quantize_weights(8),
        exact=False, row_independent=False, golden_tolerance=0.1, depends_on=("int8-dot-product",),
    ),
    Variant(
        "int4-weights", "4-bit weights in blocks", simple.quantize_weights(4),
        exact=False, row_independent=False, golden_tolerance=0.1, depends_on=("int8-dot-product",),
    ),
    Variant(
        "fp16", "weights stored in half precision", simple.fp16,
        exact=False, row_independent=True, golden_tolerance=1e-3,
    ),
)  # fmt: skip
VARIANTS = {variant.name: variant for variant in (FP32, *OTHERS)}
AUTO = "auto"
"""Selects the fastest variant that passes the proof."""


def variants_for(generates: bool) -> dict[str, Variant]:
    """The variants by name; for a generating model ``int8`` is the dynamic one."""
    if not generates:
        return VARIANTS
    return {name: each for name, each in VARIANTS.items() if each.generates} | {"int8": DYNAMIC_INT8}


def variant_named(name: str, generates: bool = False) -> Variant:
    """The variant of that name; raises InputError with the accepted names."""
    variants = variants_for(generates)
    if name not in variants:
        accepted = ", ".join([*variants, AUTO])
        raise InputError(f"there is no variant {name!r}; accepted are: {accepted}", field="--variant")
    return variants[name]
