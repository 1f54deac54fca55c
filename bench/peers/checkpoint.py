"""The run's checkpoint in a form that transformers loads by itself, for the peers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from bench.subject import WORK, Subject
from deploy.measurement.process import MeasurementError

FOLDER = WORK / "peers" / "checkpoint"
MODEL = Path(__file__).with_name("mean_pooled.py")


def export_checkpoint(subject: Subject) -> Path:
    """A folder that ``AutoModelForSequenceClassification`` reads; raises MeasurementError for an unknown form."""
    source = subject.run.checkpoint.absolute()
    facts = json.loads((source / "task.json").read_text(encoding="utf-8"))
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    if not (source / "head.safetensors").is_file():
        return source
    form = (config["model_type"], facts["pooling"], facts["layers"], facts["normalized"])
    if form != ("bert", "mean", 1, False):
        raise MeasurementError(f"peers need a BERT with a mean-pooled head, or a head of transformers; found {form}")
    _convert(source, config)
    return FOLDER.absolute()


def _convert(source: Path, config: dict[str, object]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    backbone, head = load_file(source / "model.safetensors"), load_file(source / "head.safetensors")
    weights = {  # the empty ones stop transformers' classes, for lack of the head
        f"bert.{name}": value for name, value in backbone.items() if value.numel() and not name.startswith("pooler.")
    }
    weights |= {f"classifier.{name}": value for name, value in head.items()}
    save_file(weights, FOLDER / "model.safetensors", metadata={"format": "pt"})
    named = {
        "architectures": ["MeanPooledForSequenceClassification"],
        "auto_map": {"AutoModelForSequenceClassification": f"{MODEL.stem}.MeanPooledForSequenceClassification"},
    }
    (FOLDER / "config.json").write_text(json.dumps(config | named), encoding="utf-8")
    for path in (MODEL, source / "tokenizer.json", source / "tokenizer_config.json"):
        shutil.copyfile(path, FOLDER / path.name)
