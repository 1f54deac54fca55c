"""Compiled training steps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from serving.errors import InputError
from tests.trainer.fit.small_trainer import trainer_for
from trainer.fit.compilation import require_compiler

LONG = pytest.mark.skipif(
    not os.environ.get("TUNESHIP_TEST_LONG"), reason="compiling takes minutes: TUNESHIP_TEST_LONG=1 does it"
)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=LONG)])
def test_compiled(tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Compiled or not, dropout and all, the weights are the same but for rounding, under the same names.

    aot_eager traces and differentiates as inductor does, and generates no code.
    """
    monkeypatch.setattr("trainer.fit.trainer.quicken_dropout", lambda model: None)  # other random numbers, uncompiled
    if backend != "inductor":
        monkeypatch.setattr("trainer.fit.compilation._OPTIONS", {"dynamic": True, "backend": backend})
    found = []
    for compiled in (False, True):
        trainer = trainer_for(
            tiny_backbone, tmp_path / str(compiled), torch_compile=compiled, max_steps=6, learning_rate=1e-3,
            per_device_train_batch_size=4, load_best_model_at_end=False,
        )  # fmt: skip
        trainer.train()
        assert (type(trainer.compiled).__name__ == "OptimizedModule") is compiled
        found.append(trainer.model.state_dict())
    assert found[0].keys() == found[1].keys()
    for name, weight in found[0].items():
        assert torch.allclose(weight, found[1][name], atol=1e-5), name


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before the first step, with what to install."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr("torch.compile", fail)
    with pytest.raises(InputError, match=r"torch cannot compile here \(No working C\+\+ compiler found\); install"):
        require_compiler(torch.device("cpu"))
