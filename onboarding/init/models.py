"""The base model for a task and a language, and the settings that suit its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.recipe.recipe import DEFAULT_MODEL

ENGLISH = "en"


@dataclass(frozen=True)
class BaseModel:
    """``training`` and ``reasons`` are keys of that section, and why."""

    id: str
    why: str
    training: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


_DOWNLOAD = "the first training downloads it from huggingface.co, {size}"
_SMALL_RATE = "large models forget what they know at higher rates"
_LORA = {
    "trainable": "lora",
    "learning_rate": 2.0e-4,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 4,
}

_MULTILINGUAL = BaseModel(
    "FacebookAI/xlm-roberta-base",
    "reads a hundred languages; " + _DOWNLOAD.format(size="1.1 GB"),
    {"learning_rate": 3.0e-5},
    reasons={"training.learning_rate": _SMALL_RATE},
)
_VECTORS = BaseModel(
    "sentence-transformers/paraphrase-multilingual-mpnet-base-v2",
    "makes vectors of texts in fifty languages; " + _DOWNLOAD.format(size="1.1 GB"),
    {"learning_rate": 3.0e-5},
    reasons={"training.learning_rate": _SMALL_RATE},
)
_CAUSAL = BaseModel(
    "Qwen/Qwen3-0.6B",
    "a small chat model that knows a hundred languages; " + _DOWNLOAD.format(size="1.5 GB"),
    _LORA,
    reasons={
        "training.trainable": "adapters need far less memory than all 600 M weights",
        "training.gradient_accumulation_steps": "16 rows a step, four at a time",
    },
)
_T5 = BaseModel(
    "google-t5/t5-small",
    "a small encoder-decoder for English; " + _DOWNLOAD.format(size="240 MB"),
    {"learning_rate": 3.0e-4},
    reasons={"training.learning_rate": "what T5 is usually tuned at"},
)
_MT5 = BaseModel(
    "google/mt5-small",
    "an encoder-decoder for a hundred languages, of a family that docs/base-models.md does not test; "
    + _DOWNLOAD.format(size="1.2 GB"),
    {"learning_rate": 3.0e-4},
    reasons={"training.learning_rate": "what T5 is usually tuned at"},
)
_TAGGER = BaseModel(
    DEFAULT_MODEL,
    "small and fast, for English; comes as a PyPI package too",
    {"learning_rate": 3.0e-4, "freeze_embeddings": True},
    {"layers": 4},
    {"case_markers": True},
    {
        "model_head.layers": "the last layer alone is trained to mean whole texts, not words",
        "data.case_markers": "the base model is uncased, and names are told by capitals",
        "training.freeze_embeddings": "words that few rows have keep their meaning",
    },
)
_DEFAULT = BaseModel(DEFAULT_MODEL, "small and fast, for English; comes as a PyPI package too")


def choose_model(task: str, language: str | None) -> BaseModel:
    """``language`` is an ISO 639 code, or None for several; "" where it is not known."""
    english = language in (ENGLISH, "")
    if task == "text-generation":
        return _CAUSAL
    if task == "text2text-generation":
        return _T5 if english else _MT5
    if not english:
        return _VECTORS if task == "feature-extraction" else _MULTILINGUAL
    return _TAGGER if task == "token-classification" else _DEFAULT
