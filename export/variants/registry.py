"""The variants there are."""

from __future__ import annotations

from export.variants import simple as plain
from export.variants.static_int8 import static_int8
from export.variants.variant import Variant
from serving.errors import InputError

FP32 = Variant(
    "fp32", "the trained weights as they are", plain.fp32,
    exact=True, row_independent=True, golden_tolerance=1e-4, generates=True,
)  # fmt: skip
DYNAMIC_INT8 = Variant(
    "int8-dynamic", "8-bit weights and activations, scaled anew for each row", plain.dynamic_int8,
    exact=False, row_independent=False, golden_tolerance=0.1, depends_on=("int8-dot-product",), generates=True,
)  # fmt: skip
OTHERS = (
    Variant(
        "int8", "8-bit weights and activations, scales fixed by calibration", static_int8,
        exact=False, row_independent=True, golden_tolerance=0.1, depends_on=("int8-dot-product",),
    ),
    DYNAMIC_INT8,
    Variant(
        "int8-weights", "8-bit weights in blocks", plain.weights(8),
        exact=False, row_independent=False, golden_tolerance=0.1, depends_on=("int8-dot-product",),
    ),
    Variant(
        "int4-weights", "4-bit weights in blocks", plain.weights(4),
        exact=False, row_independent=False, golden_tolerance=0.1, depends_on=("int8-dot-product",),
    ),
    Variant(
        "fp16", "weights stored in half precision", plain.fp16,
        exact=False, row_independent=True, golden_tolerance=1e-3,
    ),
)  # fmt: skip
VARIANTS = {variant.name: variant for variant in (FP32, *OTHERS)}
AUTO = "auto"
"""Not a variant: the fastest of them that holds."""


def variants_for(generates: bool) -> dict[str, Variant]:
    """What a model can be written as, by name; a generating model's ``int8`` is the dynamic one."""
    if not generates:
        return VARIANTS
    return {name: each for name, each in VARIANTS.items() if each.generates} | {"int8": DYNAMIC_INT8}


def variant_named(name: str, generates: bool = False) -> Variant:
    """The variant of that name; raises InputError that lists the names there are."""
    found = variants_for(generates)
    if name not in found:
        accepted = ", ".join([*found, AUTO])
        raise InputError(f"there is no variant {name!r}; accepted are: {accepted}", field="--variant")
    return found[name]
