"""All variants of the fp32 graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from export.variants import simple
from export.variants.calibration import BuildVariant, Calibration
from export.variants.half_products import half_products
from export.variants.own_variant import OwnVariant, open_variant
from export.variants.static_int8 import static_int8
from serving.bundle.cpu import Arithmetic
from serving.bundle.manifest import Provider
from serving.errors import InputError, UserError, did_you_mean
from serving.extensions.extension import Extension
from serving.extensions.registry import extension_names, find_extension


@dataclass(frozen=True)
class Variant:
    """A way to write the graph, with its promises (`export.proof.gates.Promise`). Defaults are those of 8-bit weights.

    Attributes:
        row_independent: otherwise each row runs alone, since its answer depends on the batch.
        golden_tolerance: 8 bits can turn float rounding into a whole step.
        depends_on: CPU properties that change answers beyond rounding.
        generates: also for generating models.
        extension: of the user's own, where it is from.
    """

    name: str
    about: str
    build: BuildVariant
    exact: bool = False
    row_independent: bool = True
    golden_tolerance: float = 0.1
    depends_on: tuple[Arithmetic, ...] = ("int8-dot-product",)
    generates: bool = False
    extension: Extension | None = None


FP32 = Variant(
    "fp32", "the trained weights as they are", simple.fp32,
    exact=True, golden_tolerance=1e-4, depends_on=(), generates=True,
)  # fmt: skip
DYNAMIC_INT8 = Variant(
    "int8-dynamic", "8-bit weights and activations, scaled anew for each row", simple.dynamic_int8,
    row_independent=False, generates=True,
)  # fmt: skip
INT8 = Variant("int8", "8-bit weights and activations, scales fixed by calibration", static_int8)
PORTABLE_INT8 = replace(INT8, build=partial(static_int8, unsigned=True), depends_on=())
"""The same sums in browsers and on every CPU, at a lower speed than where a CPU has instructions for signed weights."""

OTHERS = (
    INT8,
    DYNAMIC_INT8,
    Variant("int8-weights", "8-bit weights in blocks", simple.quantize_weights(8), row_independent=False),
    Variant("int4-weights", "4-bit weights in blocks", simple.quantize_weights(4), row_independent=False),
    Variant("fp16", "weights stored in half precision", simple.fp16, golden_tolerance=1e-3, depends_on=()),
)
ON_GPUS = (
    Variant("fp16-compute", "matrix products in half precision", half_products, golden_tolerance=0.05, depends_on=()),
)
"""Of no use where a product in half precision is one in float32 between casts."""

VARIANTS = {variant.name: variant for variant in (FP32, *OTHERS)}
AUTO = "auto"
"""Selects the fastest variant that passes the proof."""


def variants_for(generates: bool, provider: Provider = "cpu") -> dict[str, Variant]:
    """For a generating model, ``int8`` is the dynamic one."""
    if not generates:
        return VARIANTS | ({each.name: each for each in ON_GPUS} if provider == "cuda" else {})
    return {name: each for name, each in VARIANTS.items() if each.generates} | {"int8": DYNAMIC_INT8}


def variant_named(name: str, generates: bool = False, provider: Provider = "cpu") -> Variant:
    """Raises InputError with the accepted names."""
    variants = variants_for(generates, provider)
    if name not in variants:
        if name in variants_for(generates, "cuda"):
            raise InputError(f"the {name} variant is for GPUs alone; add --device cuda", field="--variant")
        if name in extension_names("variants"):
            return _own_variant(name, generates)
        known = [*variants, AUTO, *extension_names("variants")]
        accepted = ", ".join(known) + did_you_mean(name, known)
        raise InputError(f"there is no variant {name!r}; accepted are: {accepted}", field="--variant")
    return variants[name]


def _own_variant(name: str, generates: bool) -> Variant:
    extension = find_extension("variants", name, [*VARIANTS, *(each.name for each in ON_GPUS), AUTO])
    own = open_variant(extension)
    if generates and not own.generates:
        raise extension.failure("is not for generating models; set generates=True if it is")
    return Variant(
        name, own.about, partial(_build_own, extension, own), exact=own.exact, row_independent=own.row_independent,
        golden_tolerance=own.golden_tolerance, depends_on=own.depends_on, generates=own.generates, extension=extension,
    )  # fmt: skip


def _build_own(
    extension: Extension, own: OwnVariant, source: Path, target: Path, calibration: Calibration
) -> dict[str, Any]:
    """Raises InputError for what the function raises, and unless it wrote a graph."""
    try:
        facts = own.build(source, target, calibration)
    except UserError:
        raise
    except Exception as error:  # code of the user's own may raise anything
        raise extension.failure(f"cannot write {target.name}", error) from error
    if not target.is_file():
        raise extension.failure(f"build wrote no {target.name}")
    return dict(facts or {})
