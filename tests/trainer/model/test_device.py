"""Where a model runs."""

from __future__ import annotations

import pytest

from trainer.model.device import accelerator_name, best_device


@pytest.mark.parametrize(
    ("cuda", "mps", "device", "name"),
    [
        (True, True, "cuda", "NVIDIA H100"),
        (False, True, "mps", "Apple GPU (mps)"),
        (False, False, "cpu", None),
    ],
    ids=["nvidia", "apple", "none"],
)
def test_devices(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str, name: str | None) -> None:
    """A GPU where there is one: as Trainer chooses, so that evaluation runs where training did."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H100")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
    assert best_device().type == device
    assert accelerator_name() == name
