"""Variants of the fp32 graph: what each is, how it is made, and what it promises."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving.errors import InputError
from serving.machine import Arithmetic


@dataclass(frozen=True)
class Variant:
    """A way to write the graph.

    Attributes:
        name: as ``--variant`` and the manifest call it.
        make: writes the variant, from the fp32 graph to a path.
        exact: its logits are the torch model's within rounding, so that the strict gate applies.
        row_independent: a row's answer does not depend on its neighbours. Dynamic int8 scales activations by the
            largest of the whole batch, so that it does; the predictor then runs each row alone.
        golden_tolerance: how far a logit may be off on another machine. Rounding to 8 bits can turn the last
            float bit, which differs between CPUs, into a whole quantization step.
        depends_on: what of the CPU decides its answers beyond rounding.
    """

    name: str
    make: Callable[[Path, Path], None]
    exact: bool
    row_independent: bool
    golden_tolerance: float
    depends_on: tuple[Arithmetic, ...] = ()


def _copy(fp32: Path, target: Path) -> None:
    shutil.copyfile(fp32, target)


def _dynamic_int8(fp32: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)


class _quiet:
    """The quantizer writes advice to the root logger that does not apply here."""

    def __enter__(self) -> None:
        self._level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.getLogger().setLevel(self._level)


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("fp32", _copy, exact=True, row_independent=True, golden_tolerance=1e-4),
        Variant(
            "int8",
            _dynamic_int8,
            exact=False,
            row_independent=False,
            golden_tolerance=0.1,
            depends_on=("int8-dot-product",),
        ),
    )
}


def variant_named(name: str) -> Variant:
    """The variant of that name; raises InputError that lists the names there are."""
    if name not in VARIANTS:
        raise InputError(f"there is no variant {name!r}; accepted are: {', '.join(VARIANTS)}", field="--variant")
    return VARIANTS[name]
