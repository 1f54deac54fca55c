"""A head of the user's own: a module from vectors to logits, saved with the checkpoint and tried before it is used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from serving.bundle.manifest import Limits
from serving.errors import InputError
from serving.tasks.text_classification import TextClassification, TextClassificationSettings
from serving.tasks.token_classification import TokenClassification, TokenClassificationSettings
from tests.extending import work_in, write_local
from trainer.model.base_model import find_base_model
from trainer.model.checkpoint import ModelSpec, build_model, load_checkpoint, load_tokenizer, save_checkpoint
from trainer.model.own_head import build_head

TWO_LAYERS = """
from torch import nn

def mine(width, logits):
    return nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8) if {norm} else nn.Tanh(), nn.Linear(8, logits))
"""
TASKS = {
    "sequence": TextClassification(["a", "b", "c"], TextClassificationSettings(), Limits()),
    "token": TokenClassification(["O", "B-X", "I-X"], TokenClassificationSettings(), Limits()),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a head."""
    folder = work_in(monkeypatch, tmp_path)
    write_local(folder, TWO_LAYERS.format(norm=False), heads="mine")
    return folder


@pytest.mark.parametrize("head", ["sequence", "token"])
def test_saved_and_loaded(folder: Path, head: str, tiny_backbone: Path) -> None:
    """The checkpoint gives the same logits when it is loaded again, and head.safetensors has the head's weights."""
    base, task = find_base_model(str(tiny_backbone)), TASKS[head]
    spec = ModelSpec(head, "cls", 3, classifier="mine")  # type: ignore[arg-type]
    model = build_model(base, spec, task.labels).eval()
    save_checkpoint(model, spec, task, load_tokenizer(tiny_backbone), folder / "checkpoint")
    loaded = load_checkpoint(folder / "checkpoint")
    inputs = {"input_ids": torch.tensor([[2, 7, 9, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.int64)}
    with torch.no_grad():
        before, after = model(**inputs)["logits"], loaded.model(**inputs)["logits"]
    assert torch.equal(before, after)
    assert before.shape[-1] == 3
    assert loaded.model_spec == spec
    assert (folder / "checkpoint" / "head.safetensors").is_file()


def test_without_its_code(folder: Path, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint whose head is not there does not load; the message names it."""
    spec, task = ModelSpec("sequence", "mean", 3, classifier="mine"), TASKS["sequence"]
    model = build_model(find_base_model(str(tiny_backbone)), spec, task.labels)
    save_checkpoint(model, spec, task, load_tokenizer(tiny_backbone), folder / "checkpoint")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"heads\.mine: no installed package registers it"):
        load_checkpoint(folder / "checkpoint")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (TWO_LAYERS.format(norm=True), "its module failed on vectors"),
        (
            "import torch\ndef mine(width, logits): return torch.nn.Linear(width, 7)",
            r"gave .*7.*for vectors .*3\] is needed",
        ),
        ("def mine(width, logits): return None", r"gave NoneType; a torch\.nn\.Module is needed"),
        ("def mine(width): return None", "failed for vectors of 32 and 3 logits: TypeError"),
        ("mine = 'linear'", "is no function"),
    ],
)
def test_what_is_no_head(folder: Path, source: str, problem: str) -> None:
    """It is tried on vectors of texts and of tokens before it is trained."""
    write_local(folder, source, heads="mine")
    with pytest.raises(InputError, match=rf"heads\.mine of tuneship\.toml .*{problem}"):
        build_head("mine", 32, 3)
