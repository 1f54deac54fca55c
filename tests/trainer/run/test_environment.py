"""What a run records of the machine."""

from __future__ import annotations

import pytest

from trainer.run.environment import computes_in_bf16


@pytest.mark.parametrize(
    ("gpu", "emulated", "instructions", "expected"),
    [
        (False, False, {"avx512_bf16": True, "amx_bf16": True}, True),
        (False, False, {"avx512_bf16": True, "amx_bf16": False}, False),
        (False, False, {}, False),
        (True, False, {}, True),
        (True, True, {"amx_bf16": True}, False),
    ],
)
def test_bf16(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, emulated: bool, instructions: dict[str, bool], expected: bool
) -> None:
    """Training is in bfloat16 where AMX or a GPU has units for it; AVX512-BF16 alone is slower than fp32."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: including_emulation or not emulated)
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: instructions)
    assert computes_in_bf16() is expected
