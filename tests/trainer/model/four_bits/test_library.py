"""bitsandbytes is an extra: a recipe that needs it says so, and its import runs no code of the hub's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe, fit
from tests.trainer.model.four_bits.installed import needs_bitsandbytes
from trainer.model.four_bits import library
from trainer.model.four_bits.library import require_four_bits
from trainer.recipe.training import Lora, Training

BITSANDBYTES = """
try:
    from kernels import get_kernel
except ImportError:
    nn = None
else:
    get_kernel("its own")
"""
IN_4BIT = Training(trainable="lora", lora=Lora(load_in_4bit=True))


def test_missing(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before a row is read, with what to do; nothing is written."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # as if it were not installed
    recipe = toy(training={"trainable": "lora", "lora": {"load_in_4bit": True}}, data={"train": "missing.csv"})
    with pytest.raises(InputError) as caught:
        fit(recipe, tmp_path / "run")
    assert caught.value.field == "training.lora.load_in_4bit"
    for words in ("bitsandbytes, which is not installed", "pip install 'tuneship[qlora]'", "LoRA in bfloat16"):
        assert words in str(caught.value)
    assert not (tmp_path / "run").exists()
    require_four_bits(Training(trainable="lora"))


@needs_bitsandbytes
def test_broken_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A native library that fails on this machine is a message too."""

    def fail() -> None:
        raise RuntimeError("libcudart.so.13: not found\nmore")

    monkeypatch.setattr(library, "_try_out", fail)
    with pytest.raises(InputError, match=r"bitsandbytes does not work here \(libcudart.so.13: not found\); leave it"):
        require_four_bits(IN_4BIT)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["import_peft", pytest.param("require_bitsandbytes", marks=needs_bitsandbytes)])
def test_no_code_of_the_hub(call: str, tmp_path: Path) -> None:
    """Where the package kernels is installed, bitsandbytes would have it load a library; peft imports bitsandbytes."""
    (tmp_path / "kernels.py").write_text("def get_kernel(*_, **__): raise SystemExit('asked the hub')\n")
    if call == "import_peft":
        (tmp_path / "bitsandbytes.py").write_text(BITSANDBYTES)
    code = (
        f"from trainer.model.four_bits.library import {call} as call; call();"
        f"import kernels; assert kernels.__file__.startswith({str(tmp_path)!r})"
    )
    path = [str(tmp_path), *sys.path]
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
