"""bitsandbytes' 4-bit layer, for weights that do not learn; import it by `trainer.model.four_bits.library` alone."""

from __future__ import annotations

from typing import Any

import bitsandbytes as bnb
import torch
from torch import Tensor, nn

from trainer.recipe.training import Lora


class FrozenLinear4bit(bnb.nn.Linear4bit):  # type: ignore[misc]
    """It differs from bitsandbytes' own in two things.

    It computes in the precision of what it is given, or of autocast: an evaluation in fp32 is one, on every CPU. And
    the states of a training leave it out: a resumed training quantises the same base model again.
    """

    @classmethod
    def of(cls, linear: nn.Linear, lora: Lora) -> FrozenLinear4bit:
        """Quantised where the weights lie."""
        numbers = {"quant_type": lora.bnb_4bit_quant_type, "compress_statistics": lora.bnb_4bit_use_double_quant}
        storage = linear.weight.dtype  # eight weights a number; models such as T5 cast a layer's inputs to it
        layer = cls(linear.in_features, linear.out_features, bias=False, device="meta", quant_storage=storage)
        weight = bnb.nn.Params4bit(linear.weight.data, module=layer, quant_storage=storage, **numbers)
        layer.weight, layer.bias = weight.to(linear.weight.device), linear.bias
        layer.requires_grad_(False)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        bias = None if self.bias is None else self.bias.to(x.dtype)
        result: Tensor = bnb.matmul_4bit(x, self.weight, quant_state=self.weight.quant_state, bias=bias)
        return result

    def to_linear(self) -> nn.Linear:
        """In fp32, with the weights that 4 bits stand for."""
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        weight = bnb.functional.dequantize_4bit(self.weight.data, self.weight.quant_state)
        linear.weight = nn.Parameter(weight.float())
        linear.register_parameter("bias", None if self.bias is None else nn.Parameter(self.bias.data.float()))
        return linear

    def _save_to_state_dict(self, *_: Any) -> None:
        return

    def _load_from_state_dict(self, *_: Any) -> None:
        return
