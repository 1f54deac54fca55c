"""The peers serve the same model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

import bench.peers.checkpoint as peers_checkpoint
from bench.peers import setup
from bench.subject import Subject
from trainer.model.checkpoint import load_checkpoint
from trainer.run.run import Run


def test_transformers_reads_the_same_model(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers loads the exported mean-pooled checkpoint and gives the same logits."""
    if json.loads((tiny_run.checkpoint / "task.json").read_text())["pooling"] != "mean":
        pytest.skip("the tiny run's checkpoint is transformers' own already")
    monkeypatch.setattr(peers_checkpoint, "FOLDER", tmp_path / "checkpoint")
    folder = peers_checkpoint.export_checkpoint(Subject(tiny_run, {}))
    ours = load_checkpoint(tiny_run.checkpoint)
    theirs = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
    inputs = ours.tokenizer(["where is my parcel?", "cancel"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        torch.testing.assert_close(theirs(**inputs).logits, ours.model(**inputs)["logits"])


def test_missing_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the peers' environment is missing or outdated, the reason names the command."""
    monkeypatch.setattr(setup, "READY", tmp_path / ".ready")
    assert "make peers" in setup.missing()
    (tmp_path / ".ready").write_text("litserve==0.1\n")
    assert "outdated" in setup.missing()
    (tmp_path / ".ready").write_bytes(setup.REQUIREMENTS.read_bytes())
    assert setup.missing() == ""
