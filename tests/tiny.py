"""Small but real parts: a WordPiece tokenizer, a two-layer BERT, a toy data set and its recipe."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

LABELS = ("cancel", "refund", "track")
_SUBJECTS = ("my parcel", "the blue lamp", "order 17", "that subscription", "our last purchase", "this thing")
_PHRASES = {
    "cancel": (
        "please cancel {}",
        "I do not want {} any more, stop it",
        "can you cancel {} today?",
        "stop {} now",
    ),
    "refund": ("I want my money back for {}", "refund {}", "when is {} paid back?", "money for {} please"),
    "track": ("where is {}?", "has {} been shipped yet", "track {} for me", "when does {} arrive?"),
}


def toy_rows() -> list[tuple[str, str]]:
    """72 distinct texts with their labels, 24 of each."""
    return [
        (phrase.format(subject), label)
        for label, phrases in _PHRASES.items()
        for phrase in phrases
        for subject in _SUBJECTS
    ]


def write_csv(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("text", "label")) -> Path:
    """A CSV file with ``header`` and ``rows``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_recipe(folder: Path, backbone: Path, **sections: dict[str, Any]) -> Path:
    """The toy recipe in ``folder`` with its data beside it; ``sections`` add to or replace its keys."""
    write_csv(folder / "toy.csv", toy_rows())
    recipe: dict[str, Any] = {
        "task": "text-classification",
        "model": str(backbone),
        "data": {"train": "toy.csv", "test": 0.25, "validation": 0.2},
        # no smaller drop can be shown on so few test rows; int8-dynamic saturates on CPUs without 8-bit dot products
        "export": {"max_metric_drop": 0.5, "max_ece_change": 0.1, "max_mean_probability_change": 0.1},
        "training": {
            "learning_rate": 5.0e-3,
            "head_learning_rate": 2.0e-2,
            "num_train_epochs": 12,
            "per_device_train_batch_size": 8,
            "bf16": False,
        },
    }
    for name, values in sections.items():
        recipe[name] = {**recipe.get(name, {}), **values}
    drop_idle(recipe, sections)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def drop_idle(recipe: dict[str, Any], chosen: dict[str, Any]) -> None:
    """Take the toy's own settings out of ``recipe`` that do nothing beside the ``chosen`` ones."""
    from pydantic import ValidationError

    from trainer.recipe.applicability import idle_options
    from trainer.recipe.recipe import Recipe
    from trainer.recipe.section import to_tuples

    try:
        idle = idle_options(Recipe.model_validate(to_tuples(recipe)))
    except ValidationError:  # the test is about it
        return
    for section, _, name in (option.partition(".") for option in idle):
        if name not in chosen.get(section, {}):
            del recipe[section][name]


def make_backbone(folder: Path) -> Path:
    """A random two-layer BERT of width 32 with a trained tokenizer, as a sentence-transformers folder."""
    import torch
    from transformers import BertConfig, BertModel

    torch.set_num_threads(1)  # two test processes on two cores would otherwise wait for each other's threads
    tokenizer = _tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertTokenizerFast

    vocabulary = _vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))
    made = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    made.enable_truncation(12)  # as the packaged MiniLM's tokenizer.json does: nobody may rely on it
    made.enable_padding(length=12)
    return BertTokenizerFast(tokenizer_object=made, model_max_length=64)


def _vocabulary(special: tuple[str, ...]) -> dict[str, int]:
    """The toy's words, and letters for all others. What a trainer finds differs from run to run, and so would toys."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    texts = [BertNormalizer().normalize_str(text) for text, _ in toy_rows()]
    words = {word for text in texts for word, _ in BertPreTokenizer().pre_tokenize_str(text)}
    letters = set("".join(words))
    pieces = sorted(words | letters | {f"##{letter}" for letter in letters})
    return {piece: number for number, piece in enumerate((*special, *pieces))}
